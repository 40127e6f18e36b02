//! The package index: the machine-written list of a package's contents (spec/container.md).

use serde::{Deserialize, Serialize};

use super::{Digest, Kind, PackageName, PackagePath, PackageVersion, Requirement, VariantName};

/// The version of the index format that this program writes and reads.
pub const INDEX_FORMAT: u32 = 1;
/// The index's own path: the first member of every package.
pub const INDEX_PATH: &str = ".mpkg/index.json";
/// The place of a binary package's build inputs.
pub const INPUTS_PATH: &str = ".mpkg/inputs.json";
/// The folder of a binary package's predictions: `NAME.txt` of each probe.
pub const PROBES_FOLDER: &str = ".mpkg/probes/";

/// Whether a package holds the form that its author changes, or the one that machines load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageType {
    /// A source package, `NAME-VERSION.src.mpkg`.
    Source,
    /// A binary package, `NAME-VERSION.VARIANT.mpkg`.
    Binary,
}

/// A package's identity for people: its name, version and, for a binary package, its variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The package's name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant; none for a source package.
    pub variant: Option<VariantName>,
}

impl Release {
    /// The file name that such a package has: `NAME-VERSION.VARIANT.mpkg`, or `….src.mpkg`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let part = self.variant.as_ref().map_or("src", VariantName::as_str);
        format!("{}-{}.{part}.mpkg", self.name, self.version)
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{} {} ({variant})", self.name, self.version),
            None => write!(f, "{} {} (source)", self.name, self.version),
        }
    }
}

/// The permission bits of a file in a package; there are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileMode {
    /// A plain file, 0644.
    #[serde(rename = "0644")]
    Plain,
    /// A program, 0755.
    #[serde(rename = "0755")]
    Executable,
}

impl FileMode {
    /// The permission bits as a number.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o644,
            Self::Executable => 0o755,
        }
    }
}

/// One file of a package as its index lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedFile {
    /// Where the file stands in the package.
    pub path: PackagePath,
    /// Its length in bytes.
    pub size: u64,
    /// Its permission bits.
    pub mode: FileMode,
    /// The SHA-256 of its contents.
    pub sha256: Digest,
}

/// A dependency as an index or a registry states it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The package, or virtual name, that is needed.
    pub name: PackageName,
    /// The versions that will do.
    pub requirement: Requirement,
    /// The variant that is needed; without it the default one is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
}

/// The contents of `.mpkg/index.json`. Its canonical JSON bytes' SHA-256 is the package digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PackageIndex {
    /// The index format, [`INDEX_FORMAT`].
    pub format: u32,
    /// Source or binary.
    #[serde(rename = "type")]
    pub package_type: PackageType,
    /// What the package is.
    pub kind: Kind,
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant: binary packages have one, source packages none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    /// Whether this is the variant that is installed when none is named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_variant: bool,
    /// One line that says what it is.
    pub summary: String,
    /// The SPDX expression of its licence.
    pub license: String,
    /// What it can be used for, as in `text-generation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// What is installed with it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What a build of it needs beside; source packages only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_dependencies: Vec<Dependency>,
    /// Virtual names that it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<PackageName>,
    /// Packages that cannot be installed beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<PackageName>,
    /// The package digest of the source that made it: binary packages have one, source packages
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    /// Why pickle-based files stand in it; without this there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickle_reason: Option<String>,
    /// Every member but the index itself, in byte order of their paths.
    pub files: Vec<IndexedFile>,
}

impl PackageIndex {
    /// The package's name, version and variant.
    #[must_use]
    pub fn release(&self) -> Release {
        Release {
            name: self.name.clone(),
            version: self.version.clone(),
            variant: self.variant.clone(),
        }
    }

    /// The bytes of all files together, the index not counted.
    #[must_use]
    pub fn unpacked_size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}
