//! Licence facts along a lineage, in the form that everything that reads them shares: what has
//! which licence, on whose word, and what is wrong with that.

use jiff::Timestamp;

use super::{Freedom, Judged, Level, Sighting, judge};
use crate::package::Digest;

/// What a licence fact is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The package's own files: weights, tokenizer, data set.
    Package,
    /// The code of its source.
    Code,
    /// A data reference, by its name.
    Data(String),
    /// A wheel of its environment.
    Wheel {
        /// The project.
        name: String,
        /// Its version.
        version: String,
    },
}

impl What {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Code => "code",
            Self::Data(_) => "data",
            Self::Wheel { .. } => "wheel",
        }
    }

    /// Its own name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Package | Self::Code => None,
            Self::Data(name) => Some(name.clone()),
            Self::Wheel { name, version } => Some(format!("{name} {version}")),
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// The file or address that says which licence something has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// None is named.
    None,
    /// Nobody has read it here.
    Unseen {
        /// The file or address.
        place: String,
        /// Why not.
        why: String,
    },
    /// It is not where it should be.
    Gone {
        /// The file or address.
        place: String,
        /// What was found in its place.
        why: String,
    },
    /// It was read.
    Seen {
        /// The file or address; several are joined by commas.
        place: String,
        /// The digest of its text; of several texts, of the first.
        sha256: Digest,
        /// When it was last read where it is from.
        date: Timestamp,
    },
}

impl Evidence {
    /// The file or address.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Unseen { place, .. } | Self::Gone { place, .. } | Self::Seen { place, .. } => {
                Some(place)
            }
        }
    }
}

/// Something that is wrong with a fact, or unknown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable word in kebab-case.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Which licence something has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenceFact {
    /// The place of its package among the parts of the lineage.
    pub part: usize,
    /// What it is about.
    pub what: What,
    /// The SPDX expression; none where nothing says one.
    pub license: Option<String>,
    /// Whether that is free, by declaration and evidence together.
    pub freedom: Freedom,
    /// How well it is known.
    pub level: Level,
    /// The file or address that says so.
    pub evidence: Evidence,
    /// What that names.
    pub sightings: Vec<Sighting>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl LicenceFact {
    /// The fact that `what` is under `license`, as `evidence` with `sightings` has it.
    #[must_use]
    pub fn judged(
        (part, what): (usize, What),
        license: &str,
        evidence: Evidence,
        sightings: Vec<Sighting>,
    ) -> Self {
        let seen = matches!(evidence, Evidence::Seen { .. }).then_some(&sightings[..]);
        let Judged { level, freedom, faults } = judge(license, seen);
        let mut findings: Vec<Finding> = faults
            .iter()
            .map(|fault| Finding { kind: fault.kind(), message: fault.to_string() })
            .collect();
        match &evidence {
            Evidence::Gone { place, why } => findings.push(Finding {
                kind: "evidence-gone",
                message: format!("the evidence {place} is not to be had: {why}"),
            }),
            Evidence::None if matches!(what, What::Data(_)) => findings.push(Finding {
                kind: "no-evidence",
                message: "no evidence for the licence is named".to_owned(),
            }),
            _ => {}
        }
        let license = Some(license.to_owned());
        Self { part, what, license, freedom, level, evidence, sightings, findings }
    }

    /// The fact that nothing says which licence `what` has.
    #[must_use]
    pub fn unknown(
        (part, what): (usize, What),
        evidence: Evidence,
        finding: Option<Finding>,
    ) -> Self {
        Self {
            part,
            what,
            license: None,
            freedom: Freedom::Unknown,
            level: Level::Unknown,
            evidence,
            sightings: Vec::new(),
            findings: finding.into_iter().collect(),
        }
    }

    /// The files with a licence of their own, where the evidence goes file by file: globs, and the
    /// licence.
    #[must_use]
    pub fn members(&self) -> Vec<(&[String], String)> {
        let apart = self.sightings.iter().filter(|sighting| !sighting.files.is_empty());
        apart.map(|sighting| (&sighting.files[..], sighting.shown())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{How, Sighting};
    use super::*;

    #[test]
    fn a_fact_says_what_is_wrong_with_it() {
        let seen = Evidence::Seen {
            place: "copyright".to_owned(),
            sha256: Digest::of(b""),
            date: Timestamp::UNIX_EPOCH,
        };
        let later = vec![Sighting::one("GPL-2.0-or-later".to_owned(), How::Field)];
        let place = (0, What::Data("a".to_owned()));
        let fact = LicenceFact::judged(place.clone(), "GPL-2.0-only", seen, later);
        assert_eq!((fact.level, fact.findings[0].kind), (Level::Declared, "later-versions"));
        let fact = LicenceFact::judged(place.clone(), "MIT", Evidence::None, Vec::new());
        assert_eq!(fact.findings[0].kind, "no-evidence");
        let gone = Evidence::Gone { place: "x".to_owned(), why: "status 404".to_owned() };
        let fact = LicenceFact::judged(place, "MIT", gone, Vec::new());
        assert_eq!(fact.findings[0].message, "the evidence x is not to be had: status 404");
        assert_eq!(fact.freedom, Freedom::Free);
    }
}
