//! One state of a profile: the list of its packages.

use serde::{Deserialize, Serialize};

use crate::crypto::KeyId;
use crate::package::{
    Dependency, Digest, Kind, PackageIndex, PackageName, PackageVersion, Release, Requirement,
    VariantName,
};

/// The version of the list's format that this program writes and reads.
pub const GENERATION_FORMAT: u32 = 1;

/// What somebody asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The versions that will do.
    pub requirement: Requirement,
    /// The variant, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InstalledPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    /// What it is.
    pub kind: Kind,
    /// One line that says what it is.
    pub summary: String,
    /// The SPDX expression of its licence.
    pub license: String,
    /// Its package digest.
    pub package: Digest,
    /// The digest of the source package that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    /// The bytes of its files.
    pub unpacked_size: u64,
    /// What it needs beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// Virtual names that it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<PackageName>,
    /// Names that cannot be installed beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<PackageName>,
    /// How somebody asked for it; without this it is there because others need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Asked>,
    /// Where it came from: a registry, or a file.
    pub origin: String,
    /// The keys whose signatures were checked.
    pub signed_by: Vec<KeyId>,
}

impl InstalledPackage {
    /// Describes the package of `index`, as a dependency that nobody signed.
    #[must_use]
    pub fn from_index(index: &PackageIndex, package: Digest, origin: &str) -> Self {
        Self {
            name: index.name.clone(),
            version: index.version.clone(),
            variant: index.variant.clone(),
            kind: index.kind,
            summary: index.summary.clone(),
            license: index.license.clone(),
            package,
            source: index.source,
            unpacked_size: index.unpacked_size(),
            dependencies: index.dependencies.clone(),
            provides: index.provides.clone(),
            conflicts: index.conflicts.clone(),
            requested: None,
            origin: origin.to_owned(),
            signed_by: Vec::new(),
        }
    }

    /// Its name, version and variant.
    #[must_use]
    pub fn release(&self) -> Release {
        Release {
            name: self.name.clone(),
            version: self.version.clone(),
            variant: self.variant.clone(),
        }
    }

    /// Whether it meets `dependency`, by its name or by what it provides.
    #[must_use]
    pub fn meets(&self, dependency: &Dependency) -> bool {
        if self.name != dependency.name {
            return dependency.requirement == Requirement::any()
                && dependency.variant.is_none()
                && self.provides.contains(&dependency.name);
        }
        dependency.requirement.matches(&self.version)
            && (dependency.variant.is_none() || dependency.variant == self.variant)
    }
}

/// One state of a profile. Each change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// [`GENERATION_FORMAT`].
    pub format: u32,
    /// Its number; each is higher than all before.
    pub number: u64,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// The command that made it, as in `install docs-lm`.
    pub command: String,
    /// Its packages, in the order of their names.
    pub packages: Vec<InstalledPackage>,
}

impl Generation {
    /// The package of this name.
    #[must_use]
    pub fn package(&self, name: &PackageName) -> Option<&InstalledPackage> {
        self.packages.iter().find(|package| package.name == *name)
    }

    /// The packages that need `package` and would miss it.
    pub fn dependents<'a>(
        &'a self,
        package: &'a InstalledPackage,
    ) -> impl Iterator<Item = &'a InstalledPackage> {
        self.packages.iter().filter(move |other| {
            other.name != package.name && other.dependencies.iter().any(|need| package.meets(need))
        })
    }
}
