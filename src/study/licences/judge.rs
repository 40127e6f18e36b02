//! Holds what evidence says against what was declared.

use super::{Freedom, Level, Sighting, freedom, licences_in, terms};

/// What is wrong with a licence fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The evidence names none of the declared licences, but others.
    Differs {
        /// What it names.
        found: Vec<String>,
    },
    /// The evidence counts later versions of the licence otherwise than declared.
    Later {
        /// What it names.
        found: String,
        /// The declared licence that is meant.
        declared: String,
    },
    /// The evidence names other licences beside the declared ones.
    More {
        /// These, each with the files that it is about.
        found: Vec<String>,
    },
    /// The evidence does not name all licences that the declaration joins.
    Less {
        /// Those that it does not name.
        missing: Vec<String>,
    },
    /// The evidence names no licence that is recognised.
    Unrecognised,
    /// What is declared is no expression, or is not known to be free or not.
    UnknownLicence,
}

/// A declaration that was held against its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// How well it is known.
    pub level: Level,
    /// Whether what holds is free: the least of what is declared and what the evidence says.
    pub freedom: Freedom,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// Judges `declared` by what its evidence says; `sightings` is none where nobody has read it.
#[must_use]
pub fn judge(declared: &str, sightings: Option<&[Sighting]>) -> Judged {
    let own = freedom(declared);
    let mut faults = Vec::new();
    if own == Freedom::Unknown {
        faults.push(Fault::UnknownLicence);
    }
    let Some(sightings) = sightings else {
        return Judged { level: Level::Declared, freedom: own, faults };
    };
    if sightings.is_empty() {
        faults.push(Fault::Unrecognised);
        return Judged { level: Level::Declared, freedom: own, faults };
    }
    let differences = differences(declared, sightings);
    let agrees = differences.iter().all(|fault| matches!(fault, Fault::More { .. }));
    faults.extend(differences);
    // What the evidence says counts, where it says something else.
    let said = sightings.iter().map(freest).min().unwrap_or(own);
    let level = if agrees { Level::Checked } else { Level::Declared };
    let freedom = if faults.is_empty() { own } else { own.min(said) };
    Judged { level, freedom, faults }
}

/// Of what a sighting may mean, the freest.
fn freest(sighting: &Sighting) -> Freedom {
    sighting.any_of.iter().map(|name| freedom(name)).max().unwrap_or(Freedom::Unknown)
}

fn differences(declared: &str, sightings: &[Sighting]) -> Vec<Fault> {
    let wanted = licences_in(declared);
    let names = |sighting: &Sighting| -> Vec<String> {
        sighting.any_of.iter().flat_map(|one| licences_in(one)).collect()
    };
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    // Of an expression in the evidence every licence is to be declared; of several that may be
    // meant, one.
    let is_declared = |sighting: &Sighting| {
        sighting.any_of.iter().any(|expression| {
            expression == declared
                || terms::is_met(expression, |name| wanted.iter().any(|one| same(one, name)))
        })
    };
    let (declared_too, others): (Vec<&Sighting>, Vec<&Sighting>) =
        sightings.iter().partition(|sighting| is_declared(sighting));
    let seen: Vec<String> = declared_too.iter().flat_map(|one| names(one)).collect();
    let is_seen = |name: &str| seen.iter().any(|one| same(one, name));
    if terms::is_met(declared, is_seen) {
        return match &others[..] {
            [] => Vec::new(),
            others => {
                vec![Fault::More { found: others.iter().map(|one| with_files(one)).collect() }]
            }
        };
    }
    if let Some(later) = others.iter().find_map(|one| counts_later(one, &wanted)) {
        return vec![later];
    }
    if seen.is_empty() {
        return vec![Fault::Differs { found: others.iter().map(|one| with_files(one)).collect() }];
    }
    let missing = wanted.into_iter().filter(|name| !is_seen(name)).collect();
    let more = others.iter().map(|one| with_files(one)).collect::<Vec<_>>();
    let mut faults = vec![Fault::Less { missing }];
    if !more.is_empty() {
        faults.push(Fault::More { found: more });
    }
    faults
}

/// Whether the evidence means the same version of a licence, and says otherwise about later ones.
fn counts_later(sighting: &Sighting, wanted: &[String]) -> Option<Fault> {
    let [found] = &sighting.any_of[..] else { return None };
    let bare = |name: &str| {
        let end = ["-only", "-or-later"].into_iter().find(|end| name.ends_with(end))?;
        Some(name.trim_end_matches(end).to_owned())
    };
    let meant = bare(found)?;
    let declared = wanted.iter().find(|name| bare(name).as_ref() == Some(&meant))?;
    (declared != found).then(|| Fault::Later { found: found.clone(), declared: declared.clone() })
}

fn with_files(sighting: &Sighting) -> String {
    match &sighting.files[..] {
        [] => sighting.shown(),
        [one] => format!("{} ({one})", sighting.shown()),
        [one, rest @ ..] => format!("{} ({one} and {} more)", sighting.shown(), rest.len()),
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs { found } => write!(f, "the evidence says {}", found.join(", ")),
            Self::Later { found, declared } => match found.ends_with("-or-later") {
                true => write!(f, "declared {declared}, the evidence says or later"),
                false => write!(f, "declared {declared}, the evidence says this version only"),
            },
            Self::More { found } => write!(f, "the evidence names {} beside it", found.join(", ")),
            Self::Less { missing } => {
                write!(f, "the evidence does not name {}", missing.join(", "))
            }
            Self::Unrecognised => f.write_str("the evidence names no licence that is recognised"),
            Self::UnknownLicence => f.write_str("nobody has said whether that licence is free"),
        }
    }
}

impl Fault {
    /// A stable word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Differs { .. } => "differs",
            Self::Later { .. } => "later-versions",
            Self::More { .. } => "more-licences",
            Self::Less { .. } => "fewer-licences",
            Self::Unrecognised => "unrecognised",
            Self::UnknownLicence => "unknown-licence",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::How;
    use super::*;

    fn seen(names: &[&str]) -> Vec<Sighting> {
        let one = |name: &&str| Sighting {
            any_of: name.split('|').map(str::to_owned).collect(),
            how: How::Text,
            files: Vec::new(),
        };
        names.iter().map(one).collect()
    }

    fn said(declared: &str, names: &[&str]) -> (Level, String) {
        let judged = judge(declared, Some(&seen(names)));
        let faults: Vec<String> = judged.faults.iter().map(ToString::to_string).collect();
        (judged.level, faults.join("; "))
    }

    #[test]
    fn evidence_that_agrees() {
        for (declared, names) in [
            ("MIT", &["MIT"][..]),
            ("GPL-3.0-or-later", &["GPL-3.0-only|GPL-3.0-or-later"]),
            ("MIT OR Apache-2.0", &["MIT"]),
            ("MIT OR Apache-2.0", &["MIT OR Apache-2.0"]),
            ("BSD-3-Clause AND Zlib", &["BSD-3-Clause AND Zlib"]),
            ("BSD-3-Clause AND Zlib", &["Zlib", "BSD-3-Clause"]),
            ("LicenseRef-public-domain", &["LicenseRef-Public-Domain"]),
        ] {
            assert_eq!(said(declared, names), (Level::Checked, String::new()), "{declared}");
        }
    }

    #[test]
    fn evidence_that_says_otherwise() {
        for (declared, names, level, fault) in [
            (
                "GPL-2.0-only",
                &["GPL-2.0-or-later"][..],
                Level::Declared,
                "declared GPL-2.0-only, the evidence says or later",
            ),
            (
                "GPL-2.0-or-later",
                &["GPL-2.0-only"],
                Level::Declared,
                "declared GPL-2.0-or-later, the evidence says this version only",
            ),
            ("MIT", &["CC-BY-NC-4.0"], Level::Declared, "the evidence says CC-BY-NC-4.0"),
            (
                "MIT",
                &["MIT", "GPL-3.0-only"],
                Level::Checked,
                "the evidence names GPL-3.0-only beside it",
            ),
            ("MIT AND Zlib", &["MIT"], Level::Declared, "the evidence does not name Zlib"),
            ("MIT", &[], Level::Declared, "the evidence names no licence that is recognised"),
            (
                "MIT",
                &["BSD-3-Clause AND MIT"],
                Level::Declared,
                "the evidence says BSD-3-Clause AND MIT",
            ),
        ] {
            assert_eq!(said(declared, names), (level, fault.to_owned()), "{declared}");
        }
    }

    #[test]
    fn evidence_takes_freedom_away_and_never_gives_it() {
        let free = |declared: &str, names: &[&str]| judge(declared, Some(&seen(names))).freedom;
        assert_eq!(free("CC0-1.0", &["CC-BY-NC-4.0"]), Freedom::NonFree);
        assert_eq!(free("CC0-1.0", &["CC0-1.0", "CC-BY-NC-4.0"]), Freedom::NonFree);
        assert_eq!(free("CC-BY-NC-4.0", &["CC0-1.0"]), Freedom::NonFree);
        assert_eq!(free("GPL-2.0-only", &["GPL-2.0-or-later"]), Freedom::Free);
        assert_eq!(judge("MIT", None).level, Level::Declared);
        assert_eq!(judge("MIT", None).freedom, Freedom::Free);
        let own = judge("LicenseRef-own", None);
        assert_eq!(
            (own.freedom, &own.faults[..]),
            (Freedom::Unknown, &[Fault::UnknownLicence][..])
        );
    }
}
