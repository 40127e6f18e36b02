//! Licence expressions, and which licences are free (spec/facts.md, "Free licences").

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use spdx::expression::{ExprNode, Operator};
use spdx::{Expression, LicenseItem, LicenseReq};

/// Whether a licence is free: whoever has the work may use, study, change and pass it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freedom {
    /// It is known not to be.
    NonFree,
    /// Nobody has looked; it counts as not free.
    Unknown,
    /// It is.
    Free,
}

impl Freedom {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonFree => "non-free",
            Self::Unknown => "unknown",
            Self::Free => "free",
        }
    }
}

/// What a licence asks of whoever passes on a work that is made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obligation {
    /// Authors are named.
    Attribution,
    /// What is derived has the same licence, and its source is passed on.
    Copyleft,
    /// Not for commercial purposes.
    NonCommercial,
    /// Not changed.
    NoDerivatives,
    /// Other terms that nobody has looked at.
    UnknownTerms,
}

impl Obligation {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attribution => "attribution",
            Self::Copyleft => "copyleft",
            Self::NonCommercial => "non-commercial",
            Self::NoDerivatives => "no-derivatives",
            Self::UnknownTerms => "unknown-terms",
        }
    }
}

/// Licences that are free beside those that the Open Source Initiative or the Free Software
/// Foundation lists: those of data and documentation, and those that Debian accepts in `main`.
const ALSO_FREE: &[&str] = &[
    "BSD-2-Clause-Darwin",
    "BSD-2-Clause-Views",
    "BSD-3-Clause-Attribution",
    "BSD-3-Clause-HP",
    "BSD-3-Clause-flex",
    "BSD-4-Clause-Shortened",
    "BSD-4-Clause-UC",
    "BSD-Source-Code",
    "Bitstream-Vera",
    "CC-BY-2.0",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-3.0-AT",
    "CC-BY-3.0-AU",
    "CC-BY-3.0-DE",
    "CC-BY-3.0-IGO",
    "CC-BY-3.0-NL",
    "CC-BY-3.0-US",
    "CC-BY-SA-2.0",
    "CC-BY-SA-2.5",
    "CC-BY-SA-3.0",
    "CC-BY-SA-3.0-AT",
    "CC-BY-SA-3.0-DE",
    "CC-BY-SA-3.0-IGO",
    "CC-PDDC",
    "CC-PDM-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "DL-DE-BY-2.0",
    "DL-DE-ZERO-2.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "GFDL-1.1-no-invariants-only",
    "GFDL-1.1-no-invariants-or-later",
    "GFDL-1.2-no-invariants-only",
    "GFDL-1.2-no-invariants-or-later",
    "GFDL-1.3-no-invariants-only",
    "GFDL-1.3-no-invariants-or-later",
    "HPND-sell-variant",
    "MIT-CMU",
    "MIT-Modern-Variant",
    "MIT-advertising",
    "MIT-enna",
    "MIT-feh",
    "NIST-PD",
    "NIST-PD-fallback",
    "O-UDA-1.0",
    "ODC-By-1.0",
    "OGL-Canada-2.0",
    "OGL-UK-2.0",
    "OGL-UK-3.0",
    "PDDL-1.0",
    "Python-2.0.1",
    "PSF-2.0",
    "SAX-PD",
    "Spencer-86",
    "Spencer-94",
    "Unicode-DFS-2015",
    "Unicode-DFS-2016",
    "blessing",
    "bzip2-1.0.6",
    "curl",
    "etalab-2.0",
    "libpng-2.0",
    "libtiff",
    "zlib-acknowledgement",
];

/// Licences on the SPDX list that are known not to be free.
const NOT_FREE: &[&str] = &[
    "Aladdin",
    "BSD-3-Clause-No-Military-License",
    "BSD-3-Clause-No-Nuclear-License",
    "BUSL-1.1",
    "C-UDA-1.0",
    "CAL-1.0-Combined-Work-Exception",
    "Elastic-2.0",
    "FSL-1.1-ALv2",
    "FSL-1.1-MIT",
    "Hippocratic-2.1",
    "JSON",
    "LPPL-1.0",
    "Parity-6.0.0",
    "Parity-7.0.0",
    "PolyForm-Noncommercial-1.0.0",
    "PolyForm-Small-Business-1.0.0",
    "SSPL-1.0",
    "Sendmail",
    "TermReadKey",
    "Unlicense-libtelnet",
];

/// Parts of the names of one's own licences (`LicenseRef-…`) that say that they are not free.
const NOT_FREE_WORDS: &[&str] = &[
    "llama",
    "rail",
    "gemma",
    "non-commercial",
    "noncommercial",
    "proprietary",
    "research-only",
    "-nc",
    "-nd",
    "no-derivatives",
    "all-rights-reserved",
    "custom-eula",
];

/// The expression's tree; none where it is none.
#[must_use]
pub(super) fn parse(expression: &str) -> Option<Expression> {
    Expression::parse(expression).ok()
}

/// The licences in an expression, each with its exception, in their order.
#[must_use]
pub fn licences_in(expression: &str) -> Vec<String> {
    let Some(parsed) = parse(expression) else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let names = parsed.requirements().map(|one| one.req.to_string());
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// Whether what the expression offers is free: of alternatives one is enough, of licences that
/// hold together all must be. What is no expression is unknown.
#[must_use]
pub fn freedom(expression: &str) -> Freedom {
    evaluate(expression, Freedom::Unknown, free, Freedom::min, Freedom::max)
}

/// What the expression asks for whichever alternative is taken: the alternative that asks least.
#[must_use]
pub fn obligations(expression: &str) -> BTreeSet<Obligation> {
    let all = |one: BTreeSet<Obligation>, other: BTreeSet<Obligation>| {
        one.union(&other).copied().collect()
    };
    let least = |one: BTreeSet<Obligation>, other: BTreeSet<Obligation>| {
        if other.iter().max() < one.iter().max() { other } else { one }
    };
    evaluate(expression, BTreeSet::from([Obligation::UnknownTerms]), asked, all, least)
}

/// Whether `holds` for the licences that the expression needs.
#[must_use]
pub(super) fn is_met(expression: &str, holds: impl Fn(&str) -> bool) -> bool {
    parse(expression).is_some_and(|parsed| parsed.evaluate(|req| holds(&req.to_string())))
}

/// Folds an expression, whose nodes stand behind what they join.
fn evaluate<T>(
    expression: &str,
    otherwise: T,
    leaf: impl Fn(&LicenseReq) -> T,
    and: impl Fn(T, T) -> T,
    or: impl Fn(T, T) -> T,
) -> T {
    let Some(parsed) = parse(expression) else { return otherwise };
    let mut stack: Vec<T> = Vec::new();
    for node in parsed.iter() {
        let value = match node {
            ExprNode::Req(one) => leaf(&one.req),
            ExprNode::Op(operator) => match (stack.pop(), stack.pop(), operator) {
                (Some(second), Some(first), Operator::And) => and(first, second),
                (Some(second), Some(first), Operator::Or) => or(first, second),
                _ => return otherwise,
            },
        };
        stack.push(value);
    }
    stack.pop().unwrap_or(otherwise)
}

fn free(requirement: &LicenseReq) -> Freedom {
    let LicenseItem::Spdx { id, .. } = &requirement.license else {
        return free_by_name(&requirement.license.to_string());
    };
    let is_non_commercial = ["-NC", "-ND"].iter().any(|part| id.name.contains(part));
    let has_invariants = id.name.contains("invariants") && !id.name.contains("no-invariants");
    if NOT_FREE.contains(&id.name) || is_non_commercial || has_invariants {
        Freedom::NonFree
    } else if id.is_osi_approved() || id.is_fsf_free_libre() || ALSO_FREE.contains(&id.name) {
        Freedom::Free
    } else {
        Freedom::Unknown
    }
}

/// What the name of a licence of one's own says.
fn free_by_name(name: &str) -> Freedom {
    let name = name.to_ascii_lowercase();
    if name == "licenseref-public-domain" {
        Freedom::Free
    } else if NOT_FREE_WORDS.iter().any(|word| name.contains(word)) {
        Freedom::NonFree
    } else {
        Freedom::Unknown
    }
}

fn asked(requirement: &LicenseReq) -> BTreeSet<Obligation> {
    let name = requirement.license.to_string();
    let mut asked = BTreeSet::new();
    if name.contains("-NC") || name.to_ascii_lowercase().contains("noncommercial") {
        asked.insert(Obligation::NonCommercial);
    }
    if name.contains("-ND") {
        asked.insert(Obligation::NoDerivatives);
    }
    let public = ["CC0-1.0", "CC-PDDC", "CC-PDM-1.0", "PDDL-1.0", "Unlicense", "0BSD", "MIT-0"];
    let is_public = public.contains(&name.as_str())
        || name.eq_ignore_ascii_case("LicenseRef-public-domain")
        || name.contains("-PD");
    if !is_public {
        asked.insert(Obligation::Attribution);
    }
    if is_copyleft(&requirement.license) {
        asked.insert(Obligation::Copyleft);
    }
    if free(requirement) == Freedom::Unknown {
        asked.insert(Obligation::UnknownTerms);
    }
    asked
}

fn is_copyleft(licence: &LicenseItem) -> bool {
    let Some(id) = licence.id() else { return false };
    let of_data = ["ODbL", "CDLA-Sharing", "CC-BY-SA", "CC-SA", "OFL-"];
    id.is_copyleft() || of_data.iter().any(|start| id.name.starts_with(start))
}

/// Two licences whose terms are widely held not to go together in one work, and why; the order
/// does not matter.
const CLASHES: &[(&str, &str, &str)] = &[
    ("GPL-2.0-only", "GPL-3.0", "each asks for itself alone"),
    ("GPL-2.0-only", "AGPL-3.0", "each asks for itself alone"),
    ("GPL-2.0-only", "LGPL-3.0", "each asks for itself alone"),
    (
        "GPL-2.0-only",
        "Apache-2.0",
        "the second's patent terms are further restrictions to the first",
    ),
    ("GPL-2.0-only", "CC-BY-SA-4.0", "each asks for itself alone"),
    ("GPL-", "CDDL-", "each asks for itself alone"),
    ("GPL-", "ODbL-", "each asks for itself alone"),
    ("GPL-", "CC-BY-SA-3.0", "each asks for itself alone"),
    ("GPL-", "CC-BY-NC", "the second's limits are further restrictions to the first"),
    ("CC-BY-SA", "CC-BY-NC", "the second's limits are further restrictions to the first"),
    (
        "GPL-",
        "BSD-4-Clause",
        "the second's advertising clause is a further restriction to the first",
    ),
];

/// Why two licences are held not to go together, where they are on the list of those.
#[must_use]
pub fn clash(one: &str, other: &str) -> Option<&'static str> {
    let fits = |start: &str, name: &str| {
        let bare = name.trim_start_matches(['A', 'L']);
        name.starts_with(start) || (start == "GPL-" && bare.starts_with(start))
    };
    let found = CLASHES.iter().find(|(first, second, _)| {
        (fits(first, one) && fits(second, other)) || (fits(first, other) && fits(second, one))
    });
    found.map(|(_, _, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free() {
        for free in [
            "MIT",
            "GPL-2.0-or-later",
            "CC0-1.0",
            "CC-BY-4.0",
            "CC-BY-SA-3.0",
            "ODbL-1.0",
            "LicenseRef-public-domain",
            "MIT OR CC-BY-NC-4.0",
            "PDDL-1.0",
            "GFDL-1.3-no-invariants-only",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
        ] {
            assert_eq!(freedom(free), Freedom::Free, "{free}");
        }
        for not in [
            "CC-BY-NC-4.0",
            "CC-BY-ND-4.0",
            "MIT AND CC-BY-NC-SA-3.0",
            "LicenseRef-llama-3",
            "BUSL-1.1",
            "LicenseRef-OpenRAIL-M",
            "GFDL-1.3-invariants-only",
            "JSON",
            "LicenseRef-x AND CC-BY-NC-4.0",
        ] {
            assert_eq!(freedom(not), Freedom::NonFree, "{not}");
        }
        for unknown in
            ["LicenseRef-own", "MIT AND LicenseRef-own", "3D-Slicer-1.0", "no licence", ""]
        {
            assert_eq!(freedom(unknown), Freedom::Unknown, "{unknown}");
        }
    }

    #[test]
    fn every_listed_name_is_one() {
        for name in ALSO_FREE.iter().chain(NOT_FREE) {
            let is_one = spdx::license_id(name).is_some() || spdx::exception_id(name).is_some();
            assert!(is_one, "{name}");
        }
    }

    #[test]
    fn what_is_asked() {
        let words = |expression: &str| {
            obligations(expression).into_iter().map(Obligation::as_str).collect::<Vec<_>>()
        };
        assert_eq!(words("MIT"), ["attribution"]);
        assert_eq!(words("CC0-1.0"), Vec::<&str>::new());
        assert_eq!(words("GPL-3.0-or-later AND CC0-1.0"), ["attribution", "copyleft"]);
        assert_eq!(words("GPL-2.0-only OR MIT"), ["attribution"]);
        assert_eq!(words("CC-BY-NC-SA-4.0"), ["attribution", "copyleft", "non-commercial"]);
        assert_eq!(words("LicenseRef-x"), ["attribution", "unknown-terms"]);
    }

    #[test]
    fn what_clashes() {
        assert!(clash("GPL-2.0-only", "GPL-3.0-or-later").is_some());
        assert!(clash("Apache-2.0", "GPL-2.0-only").is_some());
        assert!(clash("Apache-2.0", "GPL-3.0-or-later").is_none());
        assert!(clash("CC-BY-NC-4.0", "AGPL-3.0-only").is_some());
        assert!(clash("MIT", "GPL-3.0-only").is_none());
    }
}
