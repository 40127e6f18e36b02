//! Paths inside a package.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest path that a package may hold, in bytes.
pub const LONGEST_PATH: usize = 255;
/// The most parts that such a path may have.
pub const DEEPEST_PATH: usize = 32;

/// A relative path of a file in a package: parts joined by `/`, UTF-8 in normal form C, no empty
/// part, no `.` or `..`, no backslash, colon or control character (spec/container.md, "Paths").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackagePath(String);

/// A path that may not stand in a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a path that a package may hold: {why}")]
pub struct InvalidPath {
    found: String,
    why: &'static str,
}

impl PackagePath {
    /// The path as it is written, with `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the same file below the folder `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The last part.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path as two names are compared that some file systems cannot tell apart: lower case
    /// and normal form C.
    #[must_use]
    pub fn folded(&self) -> String {
        use unicode_normalization::UnicodeNormalization as _;
        self.0.to_lowercase().nfkc().collect()
    }
}

fn fault(text: &str) -> Option<&'static str> {
    use unicode_normalization::is_nfc;
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST_PATH {
        Some("it is longer than 255 bytes")
    } else if text.starts_with('/') {
        Some("it is absolute")
    } else if text.contains('\\') || text.contains(':') {
        Some("it has a backslash or a colon")
    } else if text.chars().any(char::is_control) {
        Some("it has a control character")
    } else if !is_nfc(text) {
        Some("it is not in Unicode normal form C")
    } else if text.split('/').any(str::is_empty) {
        Some("it has an empty part")
    } else if text.split('/').any(|part| part == "." || part == "..") {
        Some("it has a part \".\" or \"..\"")
    } else if text.split('/').count() > DEEPEST_PATH {
        Some("it is deeper than 32 folders")
    } else {
        None
    }
}

impl FromStr for PackagePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(InvalidPath { found: text.chars().take(120).collect(), why }),
        }
    }
}

impl TryFrom<String> for PackagePath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PackagePath> for String {
    fn from(path: PackagePath) -> Self {
        path.0
    }
}

impl fmt::Display for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for good in ["a", "a/b.txt", ".mpkg/index.json", "é/ü"] {
            assert!(good.parse::<PackagePath>().is_ok(), "{good}");
        }
        for bad in [
            "", "/a", "a//b", "a/", "./a", "a/..", "../a", "C:\\a", "a\\b", "a\0b", "a\nb",
            "e\u{301}",
        ] {
            assert!(bad.parse::<PackagePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn folding_finds_twins() {
        let fold = |text: &str| text.parse::<PackagePath>().unwrap().folded();
        assert_eq!(fold("A/É"), fold("a/é"));
        assert_ne!(fold("a"), fold("b"));
    }
}
