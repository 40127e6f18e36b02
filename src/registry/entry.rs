//! The words of a registry's own files. All of them are canonical JSON.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::layout;
use crate::crypto::{Envelope, KeyId, PublicKey};
use crate::package::{
    Dependency, Digest, Kind, PackageIndex, PackageName, PackageType, PackageVersion, Release,
    VariantName,
};

/// The version of every format in a registry that this program writes and reads.
pub const INDEX_FORMAT: u32 = 1;

/// `mpkg-registry.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// [`INDEX_FORMAT`].
    pub format: u32,
}

/// `index/NAME.json`: everything that the registry says about a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameIndex {
    /// [`INDEX_FORMAT`].
    pub format: u32,
    /// The name.
    pub name: PackageName,
    /// Who may publish it; none while the name is only provided by other packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishers: Option<Publishers>,
    /// How they came to be its publishers: signed [`super::PublisherChange`]s, oldest first.
    #[serde(default, rename = "publisher-changes", skip_serializing_if = "Vec::is_empty")]
    pub publisher_changes: Vec<Envelope>,
    /// Its releases, in the order of version, type and variant.
    pub releases: Vec<ReleaseEntry>,
    /// The packages of other names that provide it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<PackageName>,
}

/// The keys whose holders may publish a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publishers {
    /// The keys, by their ids.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// How many of them must sign.
    pub threshold: NonZeroUsize,
}

impl Publishers {
    /// One signature of any of `keys`.
    #[must_use]
    pub fn any_of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        Self { keys, threshold: NonZeroUsize::MIN }
    }

    /// The keys.
    #[must_use]
    pub fn list(&self) -> Vec<PublicKey> {
        self.keys.values().copied().collect()
    }

    /// The ids of the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.list().iter().map(PublicKey::id).collect()
    }

    /// What is wrong with it, if something is: an id of another key, or too high a threshold.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.keys.iter().any(|(id, key)| key.id() != *id) {
            return Some("a publisher key stands under the id of another");
        }
        (self.threshold.get() > self.keys.len())
            .then_some("the threshold of publishers is above the number of their keys")
    }
}

/// A release as its registry states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseEntry {
    /// Its version.
    pub version: PackageVersion,
    /// Its variant; binary packages have one, source packages none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    /// Source or binary.
    #[serde(rename = "type")]
    pub package_type: PackageType,
    /// What it is.
    pub kind: Kind,
    /// Whether this variant is the default one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_variant: bool,
    /// One line that says what it is.
    pub summary: String,
    /// The SPDX expression of its licence.
    pub license: String,
    /// What it can be used for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// What is installed with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What a build of it needs beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_dependencies: Vec<Dependency>,
    /// Virtual names that it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<PackageName>,
    /// Names that cannot be installed beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<PackageName>,
    /// Why pickle-based files stand in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickle_reason: Option<String>,
    /// Its package digest.
    pub package: Digest,
    /// The package digest of the source that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    /// The bytes of its files.
    pub unpacked_size: u64,
    /// The files that decode to this package. The first is the stock `.mpkg`.
    pub representations: Vec<Representation>,
    /// What is said about it, each in a file of its own.
    pub attachments: Vec<Attachment>,
    /// Why it was withdrawn, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
    /// When it was published.
    pub published: jiff::Timestamp,
}

/// One file that decodes to a package. Readers pass over encodings that they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Representation {
    /// How it is encoded; `mpkg` is the stock one.
    pub encoding: String,
    /// The file's digest, by which it stands among the blobs.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where its table of chunks stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<ChunksPlace>,
    /// The package that must be at hand to decode it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
}

/// The place of a chunk table in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunksPlace {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

impl From<crate::archive::ChunksPlace> for ChunksPlace {
    fn from(place: crate::archive::ChunksPlace) -> Self {
        let crate::archive::ChunksPlace { offset, size, sha256 } = place;
        Self { offset, size, sha256 }
    }
}

/// Something said about a package, in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// What it is.
    pub role: AttachmentRole,
    /// The digest of the file.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentRole {
    /// The publisher's signatures.
    Publisher,
    /// A signed statement of somebody else.
    Attestation,
    /// The record of the build.
    BuildRecord,
}

impl Attachment {
    /// Where it stands in the registry.
    #[must_use]
    pub fn place(&self, package: Digest) -> String {
        let suffix = match self.role {
            AttachmentRole::Publisher | AttachmentRole::Attestation => "dsse",
            AttachmentRole::BuildRecord => "build",
        };
        layout::attachment(package, self.sha256, suffix)
    }
}

impl ReleaseEntry {
    /// The release of `index`, without representations and attachments.
    #[must_use]
    pub fn from_index(index: &PackageIndex, package: Digest, published: jiff::Timestamp) -> Self {
        Self {
            version: index.version.clone(),
            variant: index.variant.clone(),
            package_type: index.package_type,
            kind: index.kind,
            default_variant: index.default_variant,
            summary: index.summary.clone(),
            license: index.license.clone(),
            tasks: index.tasks.clone(),
            dependencies: index.dependencies.clone(),
            build_dependencies: index.build_dependencies.clone(),
            provides: index.provides.clone(),
            conflicts: index.conflicts.clone(),
            pickle_reason: index.pickle_reason.clone(),
            package,
            source: index.source,
            unpacked_size: index.unpacked_size(),
            representations: Vec::new(),
            attachments: Vec::new(),
            yanked: None,
            published,
        }
    }

    /// Its name, version and variant.
    #[must_use]
    pub fn release(&self, name: &PackageName) -> Release {
        Release { name: name.clone(), version: self.version.clone(), variant: self.variant.clone() }
    }

    /// The stock `.mpkg`.
    #[must_use]
    pub fn stock(&self) -> Option<&Representation> {
        self.representations.iter().find(|one| one.encoding == "mpkg")
    }

    /// The publisher's signatures.
    #[must_use]
    pub fn signatures(&self) -> Option<&Attachment> {
        self.attachments.iter().rev().find(|one| one.role == AttachmentRole::Publisher)
    }

    /// What orders releases of a name.
    fn order(&self) -> (&PackageVersion, PackageType, Option<&VariantName>) {
        (&self.version, self.package_type, self.variant.as_ref())
    }

    /// What is wrong with it, if something is.
    fn fault(&self) -> Option<&'static str> {
        let is_binary = self.package_type == PackageType::Binary;
        if is_binary != self.variant.is_some() || is_binary != self.source.is_some() {
            return Some("a release has a variant and a source exactly where it is binary");
        }
        if self.stock().is_none() {
            return Some("a release has no stock representation");
        }
        None
    }
}

impl NameIndex {
    /// A name that nothing is said about yet.
    #[must_use]
    pub fn new(name: PackageName) -> Self {
        Self {
            format: INDEX_FORMAT,
            name,
            publishers: None,
            publisher_changes: Vec::new(),
            releases: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// The release of this version and variant; a source package has none.
    #[must_use]
    pub fn release(
        &self,
        version: &PackageVersion,
        variant: Option<&VariantName>,
    ) -> Option<&ReleaseEntry> {
        self.releases
            .iter()
            .find(|entry| entry.version == *version && entry.variant.as_ref() == variant)
    }

    /// The release with this package digest.
    #[must_use]
    pub fn by_digest(&self, package: Digest) -> Option<&ReleaseEntry> {
        self.releases.iter().find(|entry| entry.package == package)
    }

    /// Puts `entry` in, in order; one of the same version and variant is replaced.
    pub(super) fn put(&mut self, entry: ReleaseEntry) {
        self.releases.retain(|other| other.order() != entry.order());
        let place = self.releases.partition_point(|other| other.order() < entry.order());
        self.releases.insert(place, entry);
    }

    /// What is wrong with it as the index of `name`, if something is.
    pub(super) fn fault(&self, name: &PackageName) -> Option<&'static str> {
        if self.format != INDEX_FORMAT {
            return Some("its format is not one that this mpkg knows");
        }
        if self.name != *name {
            return Some("it is the index of another name");
        }
        if !self.releases.is_empty() && self.publishers.is_none() {
            return Some("it has releases and no publisher");
        }
        if self.releases.windows(2).any(|pair| pair[0].order() >= pair[1].order()) {
            return Some("its releases are not in order, or one stands twice");
        }
        self.publishers
            .as_ref()
            .and_then(Publishers::fault)
            .or_else(|| self.releases.iter().find_map(ReleaseEntry::fault))
    }
}

/// `search.json`: one entry a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchList {
    /// [`INDEX_FORMAT`].
    pub format: u32,
    /// The packages, in the order of their names.
    pub packages: Vec<SearchEntry>,
}

/// The newest release of a name, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchEntry {
    /// The name.
    pub name: PackageName,
    /// The newest version that is not withdrawn.
    pub version: PackageVersion,
    /// What it is.
    pub kind: Kind,
    /// One line that says what it is.
    pub summary: String,
    /// The SPDX expression of its licence.
    pub license: String,
    /// What it can be used for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// Virtual names that it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<PackageName>,
}

impl SearchEntry {
    /// The entry of `index`: of its newest released version if there is one; none where every
    /// release is withdrawn.
    #[must_use]
    pub fn of(index: &NameIndex) -> Option<Self> {
        let newest =
            index.releases.iter().filter(|entry| entry.yanked.is_none()).max_by_key(|entry| {
                let released = !entry.version.is_prerelease();
                (released, &entry.version, entry.package_type, entry.default_variant)
            })?;
        Some(Self {
            name: index.name.clone(),
            version: newest.version.clone(),
            kind: newest.kind,
            summary: newest.summary.clone(),
            license: newest.license.clone(),
            tasks: newest.tasks.clone(),
            provides: newest.provides.clone(),
        })
    }
}
