//! Names of licences as people write them: Debian's short names, Python's classifiers, words in
//! metadata.

use std::collections::BTreeSet;

use super::terms;

/// The expression that one's own words for a work without copyright stand for.
pub(super) const PUBLIC_DOMAIN: &str = "LicenseRef-public-domain";

/// Names in lower case without punctuation, and what they stand for.
const NAMES: &[(&str, &str)] = &[
    ("0bsd", "0BSD"),
    ("afl 3.0", "AFL-3.0"),
    ("apache", "Apache-2.0"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache software license", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic 2.0", "Artistic-2.0"),
    ("boost software license 1.0", "BSL-1.0"),
    ("bsd 2 clause", "BSD-2-Clause"),
    ("bsd 3 clause", "BSD-3-Clause"),
    ("bsd 4 clause", "BSD-4-Clause"),
    ("3 clause bsd", "BSD-3-Clause"),
    ("2 clause bsd", "BSD-2-Clause"),
    ("new bsd", "BSD-3-Clause"),
    ("modified bsd", "BSD-3-Clause"),
    ("simplified bsd", "BSD-2-Clause"),
    ("cc0", "CC0-1.0"),
    ("cc0 1.0", "CC0-1.0"),
    ("cc0 1.0 universal", "CC0-1.0"),
    ("cc0 1.0 universal public domain dedication", "CC0-1.0"),
    ("expat", "MIT"),
    ("gfdl niv 1.2", "GFDL-1.2-no-invariants-only"),
    ("gfdl niv 1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl niv 1.3", "GFDL-1.3-no-invariants-only"),
    ("gfdl niv 1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("isc", "ISC"),
    ("isc license", "ISC"),
    ("mit", "MIT"),
    ("mit no attribution", "MIT-0"),
    ("mozilla public license 1.1", "MPL-1.1"),
    ("mozilla public license 2.0", "MPL-2.0"),
    ("perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("psf", "PSF-2.0"),
    ("psf 2", "PSF-2.0"),
    ("psfl", "PSF-2.0"),
    ("python", "PSF-2.0"),
    ("python 2", "PSF-2.0"),
    ("python software foundation", "PSF-2.0"),
    ("public domain", PUBLIC_DOMAIN),
    ("pd", PUBLIC_DOMAIN),
    ("unlicense", "Unlicense"),
    ("the unlicense", "Unlicense"),
    ("universal permissive license", "UPL-1.0"),
    ("w3c", "W3C"),
    ("zlib", "Zlib"),
    ("zlib/libpng", "Zlib"),
    ("zope public license", "ZPL-2.1"),
];

/// The SPDX expression that `text` means; none where it cannot be told.
pub(super) fn expression(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > 200 || text.is_empty() {
        return None;
    }
    if terms::parse(text).is_some() {
        return Some(text.to_owned());
    }
    joined(text, " OR ", &[" or ", " | "])
        .or_else(|| joined(text, " AND ", &[" and ", ", ", " & "]))
        .or_else(|| one(text))
}

/// What `text` may mean where people write loosely: `GPLv3` says nothing about later versions.
pub(super) fn loosely(text: &str) -> Option<Vec<String>> {
    let meant = expression(text)?;
    let is_exact = meant == text.trim() || plain(text).contains("only");
    let later = meant.strip_suffix("-only").map(|bare| format!("{bare}-or-later"));
    Some(match later.filter(|later| !is_exact && terms::parse(later).is_some()) {
        Some(later) => vec![meant, later],
        None => vec![meant],
    })
}

/// Several names with a word between them.
fn joined(text: &str, operator: &str, words: &[&str]) -> Option<String> {
    // `GPL-2 or later` is one name.
    if later(text).is_some() {
        return None;
    }
    let word = words.iter().find(|word| text.contains(**word))?;
    let parts: Option<Vec<String>> = text
        .split(word)
        .filter(|part| !part.trim().is_empty())
        .map(|part| expression(part.trim().trim_end_matches(',')))
        .collect();
    let in_brackets = |part: String| match part.contains(' ') {
        true => format!("({part})"),
        false => part,
    };
    let parts: Vec<String> = parts?.into_iter().map(in_brackets).collect();
    let whole = parts.join(operator);
    (parts.len() > 1 && terms::parse(&whole).is_some()).then_some(whole)
}

fn one(text: &str) -> Option<String> {
    if let Some((name, exception)) = text.split_once(" with ") {
        return with_exception(name, exception);
    }
    let plain = plain(text);
    let short = plain.trim_end_matches(" license").trim_end_matches(" licence");
    let short = short.trim_start_matches("the ");
    let known = NAMES.iter().find(|(name, _)| *name == plain || *name == short);
    if let Some((_, expression)) = known {
        return Some((*expression).to_owned());
    }
    // A classifier says it again in brackets.
    let bare = text.split_once(" (").map(|(bare, _)| bare);
    gnu(short).or_else(|| creative(short)).or_else(|| near(text)).or_else(|| one(bare?))
}

/// `GPL-3+ with GCC exception`: the exception only where it is on the SPDX list.
fn with_exception(name: &str, exception: &str) -> Option<String> {
    let name = expression(name)?;
    let words = |text: &str| -> BTreeSet<String> {
        let all = plain(text);
        all.split(' ').filter(|word| *word != "exception").map(str::to_owned).collect()
    };
    let wanted = words(exception);
    let known = spdx::identifiers::EXCEPTIONS.iter().find(|one| words(one.name) == wanted)?;
    let whole = format!("{name} WITH {}", known.name);
    terms::parse(&whole).map(|_| whole)
}

/// The licence on the SPDX list with that name but for case and blanks.
fn near(text: &str) -> Option<String> {
    let wanted = plain(text);
    let mut list = spdx::identifiers::LICENSES.iter();
    let found = list.find(|one| plain(one.name) == wanted || plain(one.full_name) == wanted)?;
    terms::parse(found.name).map(|_| found.name.to_owned())
}

/// The name in lower case, with single blanks in place of hyphens and the like.
pub(super) fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '+' | '/'));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What stands before `or later`, if the text ends in that.
fn later(text: &str) -> Option<String> {
    let plain = plain(text);
    let ends = [" or any later version", " or later version", " or later", " or newer", "+"];
    ends.iter().find_map(|end| plain.strip_suffix(end)).map(str::to_owned)
}

/// `gpl 2+`, `gnu general public license v3 or later (gplv3+)`, `lgpl 2.1`.
fn gnu(plain_name: &str) -> Option<String> {
    let words = plain_name.trim_start_matches("gnu ");
    let families = [
        ("affero general public license", "AGPL"),
        ("lesser general public license", "LGPL"),
        ("library general public license", "LGPL"),
        ("library or lesser general public license", "LGPL"),
        ("general public license", "GPL"),
        ("free documentation license", "GFDL"),
        ("agpl", "AGPL"),
        ("lgpl", "LGPL"),
        ("gfdl", "GFDL"),
        ("gpl", "GPL"),
    ];
    let (rest, family) = families
        .iter()
        .find_map(|(words_of, family)| Some((words.strip_prefix(words_of)?, *family)))?;
    let rest = rest.trim().trim_start_matches("version").trim().trim_start_matches('v');
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let number = number.trim_end_matches('.').trim_end_matches(".0").to_owned();
    if number.is_empty() {
        return None;
    }
    let number = if number.contains('.') { number } else { format!("{number}.0") };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let end = match after.starts_with('+') || after.contains("later") || after.contains("newer") {
        true => "or-later",
        false => "only",
    };
    let name = format!("{family}-{number}-{end}");
    spdx::license_id(&name).map(|_| name)
}

/// `cc by sa 4.0`, `creative commons attribution share alike 3.0`.
pub(super) fn creative(plain_name: &str) -> Option<String> {
    let rest =
        plain_name.strip_prefix("creative commons ").or_else(|| plain_name.strip_prefix("cc "))?;
    let mut name = "CC".to_owned();
    let mut version = None;
    let words =
        rest.replace("share alike", "sharealike").replace("non commercial", "noncommercial");
    let words = words.replace("no derivatives", "noderivatives").replace("no derivs", "noderivs");
    for word in words.split(' ') {
        match word {
            "by" | "attribution" => name.push_str("-BY"),
            "nc" | "noncommercial" => name.push_str("-NC"),
            "sa" | "sharealike" => name.push_str("-SA"),
            "nd" | "noderivatives" | "noderivs" => name.push_str("-ND"),
            "license" | "international" | "unported" | "generic" | "v" => {}
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                version.get_or_insert(number.trim_end_matches('.'));
            }
            _ => break,
        }
    }
    let name = format!("{name}-{}", version?);
    spdx::license_id(&name).map(|id| id.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_write() {
        for (text, meant) in [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-3", "GPL-3.0-only"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("GPL-2 or later", "GPL-2.0-or-later"),
            ("GPLv3+", "GPL-3.0-or-later"),
            ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
            ("GNU General Public License, version 2", "GPL-2.0-only"),
            ("Expat", "MIT"),
            ("MIT License", "MIT"),
            ("The MIT License", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("BSD 3-Clause License", "BSD-3-Clause"),
            ("3-Clause BSD License", "BSD-3-Clause"),
            ("Apache License, Version 2.0", "Apache-2.0"),
            ("public-domain", PUBLIC_DOMAIN),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
            ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
            ("GPL-2+ or Artistic-2.0", "GPL-2.0-or-later OR Artistic-2.0"),
            ("MIT and Perl", "MIT AND (Artistic-1.0-Perl OR GPL-1.0-or-later)"),
            ("GPL-3+ with GCC-3.1 exception", "GPL-3.0-or-later WITH GCC-exception-3.1"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ] {
            assert_eq!(expression(text).as_deref(), Some(meant), "{text}");
        }
        for none in ["", "see LICENSE", "BSD", "custom", "GPL", "UNKNOWN"] {
            assert_eq!(expression(none), None, "{none}");
        }
    }
}
