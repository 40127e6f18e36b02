//! Versions of packages and requirements on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A semantic version. A packaging revision is build metadata: `0.3.0+2` orders after `0.3.0+1`,
/// and that after `0.3.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageVersion(semver::Version);

/// A text that is not a semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a version: {cause} (write three numbers, as in \"0.3.0\")")]
pub struct InvalidVersion {
    found: String,
    cause: String,
}

impl PackageVersion {
    /// The version as the semver crate has it.
    #[must_use]
    pub const fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// Whether this is a pre-release such as `1.0.0-rc.1`.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl FromStr for PackageVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|cause: semver::Error| InvalidVersion {
            found: text.chars().take(80).collect(),
            cause: cause.to_string(),
        })
    }
}

/// What a dependency asks of a version: a semver requirement such as `^1.2`, `=0.3.0` or `*`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement(semver::VersionReq);

/// A text that is not a semver requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a version requirement: {cause} (as in \"^1.2\", \"=0.3.0\" or \"*\")")]
pub struct InvalidRequirement {
    found: String,
    cause: String,
}

impl Requirement {
    /// Any released version.
    #[must_use]
    pub const fn any() -> Self {
        Self(semver::VersionReq::STAR)
    }

    /// What somebody asks for who takes `version` from a file: any released version, or where it
    /// is a pre-release, it and what comes after it.
    #[must_use]
    pub fn from_file(version: &PackageVersion) -> Self {
        if !version.is_prerelease() {
            return Self::any();
        }
        let mut requirement = Self::exactly(version);
        requirement.0.comparators[0].op = semver::Op::GreaterEq;
        requirement
    }

    /// Exactly `version`, leaving its packaging revision open as semver does.
    #[must_use]
    pub fn exactly(version: &PackageVersion) -> Self {
        Self(semver::VersionReq {
            comparators: vec![semver::Comparator {
                op: semver::Op::Exact,
                major: version.0.major,
                minor: Some(version.0.minor),
                patch: Some(version.0.patch),
                pre: version.0.pre.clone(),
            }],
        })
    }

    /// Whether `version` meets this requirement; pre-releases only where it names one.
    #[must_use]
    pub fn matches(&self, version: &PackageVersion) -> bool {
        self.0.matches(&version.0)
    }
}

impl FromStr for Requirement {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|cause: semver::Error| InvalidRequirement {
            found: text.chars().take(80).collect(),
            cause: cause.to_string(),
        })
    }
}

macro_rules! written_as_text {
    ($type:ident, $error:ident) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0)
            }
        }
    };
}

written_as_text!(PackageVersion, InvalidVersion);
written_as_text!(Requirement, InvalidRequirement);

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> PackageVersion {
        text.parse().unwrap()
    }

    #[test]
    fn packaging_revisions_order() {
        let ordered = ["0.3.0-rc.1", "0.3.0", "0.3.0+1", "0.3.0+2", "0.3.0+10", "0.3.1"];
        assert!(ordered.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
    }

    #[test]
    fn a_requirement_ignores_the_revision() {
        let wanted = Requirement::exactly(&version("0.3.0+1"));
        assert_eq!(wanted.to_string(), "=0.3.0");
        assert!(wanted.matches(&version("0.3.0+2")));
        assert!(!wanted.matches(&version("0.3.1")));
        assert!(Requirement::any().matches(&version("7.0.0")));
        let early = Requirement::from_file(&version("1.0.0-rc.1+2"));
        assert_eq!(early.to_string(), ">=1.0.0-rc.1");
        assert!(early.matches(&version("1.0.0-rc.1+2")) && early.matches(&version("1.2.0")));
        assert_eq!(Requirement::from_file(&version("1.0.0")), Requirement::any());
    }
}
