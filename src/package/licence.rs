//! Licence expressions in the form of SPDX.

use std::ops::Range;

/// The longest licence expression, in bytes.
const LONGEST: usize = 1000;

/// A text that is no SPDX licence expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an SPDX licence expression: {why}")]
pub struct InvalidLicence {
    found: String,
    why: String,
    /// The bytes of the text that are to blame.
    pub span: Range<usize>,
    /// An expression that may be meant.
    pub near: Option<String>,
}

/// Checks that `text` is an SPDX expression of licences on the SPDX list, of which none is
/// deprecated, and of `LicenseRef-…` names for those that are not on it.
///
/// # Errors
/// What is wrong, where, and what may be meant.
pub fn check(text: &str) -> Result<(), InvalidLicence> {
    let invalid = |why: String, span: Range<usize>, near| InvalidLicence {
        found: text.chars().take(80).collect(),
        why,
        span,
        near,
    };
    if text.len() > LONGEST {
        let why = format!("it is longer than {LONGEST} bytes");
        return Err(invalid(why, 0..text.len(), None));
    }
    match spdx::Expression::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let term = text.get(error.span.clone()).unwrap_or_default();
            let near = corrected(text)
                .or_else(|| corrected(&joined(text)))
                .or_else(|| nearest(text, &error.span));
            Err(invalid(reason(&error.reason, term), error.span, near))
        }
    }
}

fn reason(reason: &spdx::error::Reason, term: &str) -> String {
    use spdx::error::Reason;
    match reason {
        Reason::UnknownLicense | Reason::UnknownTerm => {
            format!("{term:?} is not on the SPDX list (one of your own is LicenseRef-NAME)")
        }
        Reason::UnknownException => format!("{term:?} is no exception on the SPDX list"),
        Reason::DeprecatedLicenseId => format!("{term:?} is deprecated"),
        Reason::Empty => "it is empty".to_owned(),
        Reason::UnclosedParens => "a parenthesis is not closed".to_owned(),
        Reason::UnopenedParens => "a parenthesis is not opened".to_owned(),
        other => other.to_string(),
    }
}

/// The expression with known slips mended, where that makes it one.
fn corrected(text: &str) -> Option<String> {
    let canonical = spdx::Expression::canonicalize(text).ok().flatten()?;
    spdx::Expression::parse(&canonical).is_ok().then_some(canonical)
}

/// `Apache 2` as `Apache-2`.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let before_number = rest.peek().is_some_and(char::is_ascii_digit);
        joined.push(if c == ' ' && before_number { '-' } else { c });
    }
    joined
}

/// The expression with the faulty term replaced by the licence whose name is nearest.
fn nearest(text: &str, span: &Range<usize>) -> Option<String> {
    let term = text.get(span.clone())?;
    let names = spdx::identifiers::LICENSES.iter().map(|licence| licence.name);
    let name = crate::explain::nearest(term, names)?;
    let replaced = format!("{}{name}{}", &text[..span.start], &text[span.end..]);
    spdx::Expression::parse(&replaced).is_ok().then_some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "Apache-2.0 OR MIT",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            "(CC0-1.0 OR MIT) AND LicenseRef-Gutenberg",
            "LicenseRef-llama-3",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "Apache 2", "MIT OR", "(MIT", "MIT)", "GPL-3.0+", "MIT, BSD-3-Clause", "é"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"(".repeat(900)).is_err());
        assert!(check(&"MIT OR ".repeat(900)).is_err());
    }

    #[test]
    fn slips_are_mended() {
        let near = |text: &str| check(text).unwrap_err().near;
        assert_eq!(near("GPL-3.0+").as_deref(), Some("GPL-3.0-or-later"));
        assert_eq!(near("MIT OR Apache-2").as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(near("CC-BY-4.1").as_deref(), Some("CC-BY-4.0"));
        assert_eq!(near("MIT OR Apache 2.0").as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(near("proprietary"), None);
    }

    #[test]
    fn the_span_is_that_of_the_term() {
        let error = check("MIT OR CC-BY-4.1").unwrap_err();
        assert_eq!(&"MIT OR CC-BY-4.1"[error.span], "CC-BY-4.1");
    }
}
