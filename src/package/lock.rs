//! The lock file, `mpkg.lock`: what the dependencies of a source tree are pinned to
//! (spec/build.md, "The lock file").

use std::fmt::Write as _;

use serde::Deserialize;

use super::{Dependency, Digest, PackageName, PackageVersion, VariantName};

/// The lock file's name in a source tree.
pub const LOCK_NAME: &str = "mpkg.lock";
/// The version of the lock file's format.
pub const LOCK_FORMAT: u32 = 1;
/// The longest lock file that is read, in bytes.
pub const LONGEST_LOCK: u64 = 4 << 20;

/// The contents of `mpkg.lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    packages: Vec<LockedPackage>,
}

/// One pinned binary package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its exact version.
    pub version: PackageVersion,
    /// Its variant.
    pub variant: VariantName,
    /// Its package digest: the pin itself.
    pub digest: Digest,
}

/// A text that is no lock file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLock {
    /// It is no TOML, or has other keys.
    #[error("it is not a lock file: {0}")]
    Syntax(String),
    /// It was written by a later mpkg.
    #[error("it has format {0}, and this mpkg knows format {LOCK_FORMAT}")]
    Format(u32),
    /// It pins one package twice.
    #[error("it pins {0} twice")]
    Twice(PackageName),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    package: Vec<LockedPackage>,
}

impl LockedPackage {
    /// Whether this pin is an answer to `wanted`.
    #[must_use]
    pub fn answers(&self, wanted: &Dependency) -> bool {
        self.name == wanted.name
            && wanted.requirement.matches(&self.version)
            && wanted.variant.as_ref().is_none_or(|variant| *variant == self.variant)
    }
}

impl LockFile {
    /// A lock file with `packages`, in the order of their names; of two with one name the first
    /// stays.
    #[must_use]
    pub fn of(mut packages: Vec<LockedPackage>) -> Self {
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages.dedup_by(|a, b| a.name == b.name);
        Self { packages }
    }

    /// Reads a lock file's text.
    ///
    /// # Errors
    /// When it is no lock file that this program writes.
    pub fn parse(text: &str) -> Result<Self, InvalidLock> {
        let document: Document =
            toml::from_str(text).map_err(|error| InvalidLock::Syntax(error.message().into()))?;
        if document.format != LOCK_FORMAT {
            return Err(InvalidLock::Format(document.format));
        }
        let count = document.package.len();
        let names: Vec<PackageName> = document.package.iter().map(|it| it.name.clone()).collect();
        let lock = Self::of(document.package);
        if lock.packages.len() != count {
            let twice = names.iter().find(|name| names.iter().filter(|n| n == name).count() > 1);
            return Err(InvalidLock::Twice(twice.expect("one was dropped as a twin").clone()));
        }
        Ok(lock)
    }

    /// The pinned packages, in the order of their names.
    #[must_use]
    pub fn packages(&self) -> &[LockedPackage] {
        &self.packages
    }

    /// The pin of `name`.
    #[must_use]
    pub fn get(&self, name: &PackageName) -> Option<&LockedPackage> {
        self.packages.iter().find(|package| package.name == *name)
    }

    /// The text that stands in the file: the same pins give the same bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Written by mpkg: what the dependencies in mpkg.toml are pinned to.\nformat = {LOCK_FORMAT}\n"
        );
        for package in &self.packages {
            let LockedPackage { name, version, variant, digest } = package;
            let _ = write!(
                text,
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nvariant = \"{variant}\"\ndigest = \"{digest}\"\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, version: &str) -> LockedPackage {
        LockedPackage {
            name: name.parse().unwrap(),
            version: version.parse().unwrap(),
            variant: "f32".parse().unwrap(),
            digest: Digest::of(name.as_bytes()),
        }
    }

    fn wish(name: &str, requirement: &str, variant: Option<&str>) -> Dependency {
        Dependency {
            name: name.parse().unwrap(),
            requirement: requirement.parse().unwrap(),
            variant: variant.map(|variant| variant.parse().unwrap()),
        }
    }

    #[test]
    fn reads_what_it_writes_in_one_order() {
        let lock = LockFile::of(vec![pin("b", "1.0.0+2"), pin("a", "0.1.0")]);
        let text = lock.to_text();
        assert_eq!(LockFile::parse(&text).unwrap(), lock);
        assert_eq!(LockFile::of(vec![pin("a", "0.1.0"), pin("b", "1.0.0+2")]).to_text(), text);
    }

    #[test]
    fn a_pin_answers_what_it_meets() {
        let pin = pin("a", "1.2.3");
        assert!(pin.answers(&wish("a", "^1", None)));
        assert!(pin.answers(&wish("a", "=1.2.3", Some("f32"))));
        assert!(!pin.answers(&wish("a", "^2", None)));
        assert!(!pin.answers(&wish("a", "^1", Some("q8_0"))));
        assert!(!pin.answers(&wish("b", "^1", None)));
    }

    #[test]
    fn other_formats_and_twins_are_refused() {
        assert!(matches!(LockFile::parse("format = 2"), Err(InvalidLock::Format(2))));
        assert!(matches!(LockFile::parse("[x]"), Err(InvalidLock::Syntax(_))));
        let text = LockFile::of(vec![pin("a", "1.0.0")]).to_text();
        let block = &text[text.find("[[").unwrap()..];
        let twice = LockFile::parse(&format!("{text}\n{block}"));
        assert!(matches!(twice, Err(InvalidLock::Twice(_))));
    }
}
