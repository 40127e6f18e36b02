//! What the statement of a rebuilder says (spec/attestation.md, "Attestations").

use jiff::Timestamp;
use serde::Deserialize;

use super::statement::{BUILD_TYPE, REBUILD_V1, SEGMENTS_V1, Statement, package_url};
use super::{Error, Result};
use crate::package::{Digest, Release, Verdict};

/// The extent of a rebuild of every step.
pub const WHOLE: &str = "whole";

/// What is relied on of the predicate `urn:mpkg:rebuild:1`; the rest of it is for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RebuildClaim {
    /// The release that was compared, as a package URL.
    pub package: String,
    /// Its package digest.
    pub package_digest: Digest,
    /// The package digest of the source that was built.
    pub source: Digest,
    /// How it was built, an address.
    pub build_type: String,
    /// How much was built again.
    pub extent: String,
    /// What came of it.
    pub verdict: Verdict,
    /// When the rebuild began.
    pub started: Timestamp,
    /// What weakens its record (spec/build.md).
    pub tainted: Vec<String>,
}

/// How the taints begin that leave a rebuild what it is. With any other, a step could have seen the
/// package that it was to make again, or not all of it was made.
const HARMLESS: &[&str] = &["unpinned-program: ", "tests-not-run"];

/// The package that a rebuild has to be of.
#[derive(Debug, Clone, Copy)]
pub struct Rebuildable<'a> {
    /// Its name, version and variant.
    pub release: &'a Release,
    /// Its package digest.
    pub package: Digest,
    /// The package digest of its source.
    pub source: Option<Digest>,
}

impl RebuildClaim {
    /// Reads a statement; nothing where it is of another type.
    ///
    /// # Errors
    /// [`Error::Statement`] where something is missing or is none of the known words.
    pub fn of(statement: &Statement) -> Result<Option<Self>> {
        match statement.predicate_type.as_str() {
            REBUILD_V1 => Self::read(statement).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a statement about parts of a training that came out different: the whole is not what
    /// its source makes either. Nothing where it is of another type, or the parts are alike, which
    /// says nothing of the whole.
    ///
    /// # Errors
    /// As [`RebuildClaim::of`].
    pub fn of_different_parts(statement: &Statement) -> Result<Option<Self>> {
        if statement.predicate_type != SEGMENTS_V1 {
            return Ok(None);
        }
        let claim = Self::read(statement)?;
        let whole = Self { extent: WHOLE.to_owned(), ..claim };
        Ok((whole.verdict == Verdict::Different).then_some(whole))
    }

    fn read(statement: &Statement) -> Result<Self> {
        Self::deserialize(&statement.predicate)
            .map_err(|error| Error::Statement(format!("its predicate is incomplete: {error}")))
    }

    /// Why it says nothing of `package`, where it does not.
    #[must_use]
    pub fn fault(&self, package: Rebuildable<'_>) -> Option<&'static str> {
        if self.package_digest != package.package {
            Some("it is about another package")
        } else if self.package != package_url(package.release) {
            Some("it is about another name, version or variant")
        } else if Some(self.source) != package.source {
            Some("another source was built")
        } else if self.build_type != BUILD_TYPE {
            Some("it was built in another way")
        } else if self.extent != WHOLE {
            Some("only a part was built again")
        } else if self.tainted.iter().any(|taint| !is_harmless(taint)) {
            Some("it was not made in a whole sandbox, step by step (it is tainted)")
        } else {
            None
        }
    }
}

fn is_harmless(taint: &str) -> bool {
    HARMLESS.iter().any(|start| taint.starts_with(start))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn release(variant: &str) -> Release {
        Release {
            name: "lm".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            variant: Some(variant.parse().unwrap()),
        }
    }

    fn predicate(change: impl FnOnce(&mut Value)) -> Statement {
        let mut predicate = json!({
            "package": package_url(&release("f32")), "package-digest": Digest::of(b"package"),
            "source": Digest::of(b"source"), "build-type": BUILD_TYPE, "extent": WHOLE,
            "verdict": "identical", "started": "2026-11-26T12:00:00Z", "seconds": "1.5",
            "tainted": ["tests-not-run"]
        });
        change(&mut predicate);
        Statement::new(Vec::new(), REBUILD_V1, predicate)
    }

    #[test]
    fn a_claim_is_about_one_package_and_one_way_to_build_it() {
        let faults: [(&str, Value, Option<&str>); 8] = [
            ("rebuilder", json!("https://example.org"), None),
            ("package-digest", json!(Digest::of(b"other")), Some("another package")),
            ("package", json!(package_url(&release("bf16"))), Some("variant")),
            ("source", json!(Digest::of(b"other")), Some("another source")),
            ("build-type", json!("urn:example:by-hand"), Some("in another way")),
            ("extent", json!("segments"), Some("a part")),
            ("tainted", json!(["unpinned-program: cc", "no-sandbox"]), Some("whole sandbox")),
            ("tainted", json!(["unpinned-program: cc"]), None),
        ];
        let release = release("f32");
        let (package, source) = (Digest::of(b"package"), Some(Digest::of(b"source")));
        let meant = Rebuildable { release: &release, package, source };
        for (key, value, expected) in faults {
            let claim = RebuildClaim::of(&predicate(|it| it[key] = value)).unwrap().unwrap();
            let found = claim.fault(meant);
            assert_eq!(found.is_some(), expected.is_some(), "{key}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{found:?}");
        }
        let unsourced = Rebuildable { source: None, ..meant };
        assert!(RebuildClaim::of(&predicate(|_| {})).unwrap().unwrap().fault(unsourced).is_some());
    }

    #[test]
    fn what_is_missing_or_no_word_is_refused() {
        for key in [
            "package",
            "package-digest",
            "source",
            "build-type",
            "extent",
            "verdict",
            "started",
            "tainted",
        ] {
            let statement = predicate(|it| drop(it.as_object_mut().unwrap().remove(key)));
            assert!(RebuildClaim::of(&statement).unwrap_err().to_string().contains(key));
            let statement = predicate(|it| it[key] = json!({"identical": 1}));
            assert!(RebuildClaim::of(&statement).is_err(), "{key}");
        }
        assert!(RebuildClaim::of(&predicate(|it| it["verdict"] = json!("better"))).is_err());
        let other = Statement::new(Vec::new(), "urn:example:verdict", json!({}));
        assert_eq!(RebuildClaim::of(&other).unwrap(), None);
    }
}
