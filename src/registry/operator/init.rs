//! Making a registry: its first root, its targets role, empty bins.

use std::num::NonZeroU32;
use std::path::Path;

use super::commit::{Signing, role_of, sign};
use super::draft::Draft;
use super::repository::{Repository, next_root};
use super::settings::Lifetimes;
use super::write::{Writer, demand_empty};
use super::{Error, Result};
use crate::crypto::{PublicKey, SigningKey};
use crate::package::Digest;
use crate::progress::Progress;
use crate::registry::tuf::{
    self, Delegations, Envelope, MetaFile, Metadata as _, Root, Snapshot, SuccinctRoles, Targets,
    Timestamp, TopLevel,
};
use crate::registry::{INDEX_FORMAT, Marker, layout};

/// Who signs for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: NonZeroU32,
}

/// What a registry is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistry {
    /// Who names everybody else; offline.
    pub root: RoleKeys,
    /// Who delegates to bins and vouches for changes of publishers; offline.
    pub targets: RoleKeys,
    /// Who signs bins; online.
    pub bins: RoleKeys,
    /// Who signs snapshots; online.
    pub snapshot: RoleKeys,
    /// Who signs timestamps; online.
    pub timestamp: RoleKeys,
    /// How many bits number the bins.
    pub bin_bits: u8,
    /// For how long each document is good.
    pub lifetimes: Lifetimes,
}

/// A registry that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The bytes of its first root.
    pub root: Vec<u8>,
    /// Their digest, by which others add the registry.
    pub root_sha256: Digest,
}

impl RoleKeys {
    /// The role as metadata states it, in `root`.
    fn set(&self, root: &mut Root, role: TopLevel) -> Result<()> {
        let keys = self.keys.iter().map(|key| (*key).into());
        let role_name = role.as_str();
        root.set_role(role, keys, self.threshold)
            .map_err(|source| Error::Role { role: role_name, source })
    }
}

impl NewRegistry {
    /// The root and the targets role as they are to be signed, by the keys of this machine as far
    /// as it has them.
    ///
    /// # Errors
    /// [`Error::Role`], [`Error::TooLate`], and keys that cannot be opened.
    pub fn draft(&self, signing: &Signing<'_>) -> Result<Draft> {
        let (root, targets) = self.documents(signing.now)?;
        let mut draft = Draft {
            root: Some(Envelope::unsigned(&root)),
            targets: Some(Envelope::unsigned(&targets)),
            lifetimes: Some(self.lifetimes),
            ..Draft::default()
        };
        draft.sign_with_all(signing.keys)?;
        Ok(draft)
    }

    /// Whether `found` is what a run that made this very registry left, with nothing done to it
    /// since.
    ///
    /// # Errors
    /// Those of [`NewRegistry::draft`].
    pub fn is_the_beginning_of(&self, found: &Repository<'_>) -> Result<bool> {
        let (root, targets) = self.documents(jiff::Timestamp::UNIX_EPOCH)?;
        let same = |role| root.role(role) == found.root().role(role);
        Ok(found.snapshot().version() == 1
            && found.root().version() == 1
            && root.keys() == found.root().keys()
            && TopLevel::ALL.into_iter().all(same)
            && targets.delegations == found.targets().delegations)
    }

    fn documents(&self, now: jiff::Timestamp) -> Result<(Root, Targets)> {
        let mut root = Root::new(self.lifetimes.root.after(now)?);
        self.root.set(&mut root, TopLevel::Root)?;
        self.targets.set(&mut root, TopLevel::Targets)?;
        self.snapshot.set(&mut root, TopLevel::Snapshot)?;
        self.timestamp.set(&mut root, TopLevel::Timestamp)?;
        let keys = self.bins.keys.iter().map(|key| (*key).into());
        let bins = bins(self.bin_bits, keys, self.bins.threshold)?;
        let targets = Targets::delegating(self.lifetimes.targets.after(now)?, bins);
        Ok((root, targets))
    }
}

/// Delegates to bins whose role has these keys.
pub(super) fn bins(
    bits: u8,
    keys: impl IntoIterator<Item = crate::crypto::VerifyingKey>,
    threshold: NonZeroU32,
) -> Result<Delegations> {
    let role = layout::BINS;
    let keys: Vec<_> = keys.into_iter().collect();
    if threshold.get() as usize > keys.len() {
        let form = format!("{threshold} signatures cannot be had from {} keys", keys.len());
        return Err(Error::Role { role, source: tuf::Error::Form(form) });
    }
    Delegations::bins(layout::BINS, bits, keys, threshold)
        .map_err(|source| Error::Role { role, source })
}

/// Makes the registry that `draft` describes in an empty or missing folder.
///
/// # Errors
/// [`Error::Exists`], [`Error::Unfinished`], [`Error::KeyMissing`]; files that cannot be written.
pub fn create(
    folder: &Path,
    draft: &Draft,
    signing: &Signing<'_>,
    progress: &dyn Progress,
) -> Result<Created> {
    demand_empty(folder)?;
    draft.demand_finished()?;
    let (Some(root), Some(targets)) = (&draft.root, &draft.targets) else {
        return Err(draft.refused("it does not describe a new registry"));
    };
    let believed = |source| draft.not_believed(&source);
    let root_document = next_root(None, root).map_err(believed)?;
    root_document.demand(TopLevel::Targets, targets).map_err(believed)?;
    let targets_document: Targets = targets.read().map_err(believed)?;
    let succinct = targets_document.delegations.as_ref().and_then(|d| d.succinct_roles.as_ref());
    let succinct = succinct.ok_or_else(|| draft.refused("it does not delegate to bins"))?;
    let first = Beginning {
        bins: signing.enough(layout::BINS, &succinct.role)?,
        snapshot: signing.enough("snapshot", role_of(&root_document, TopLevel::Snapshot))?,
        timestamp: signing.enough("timestamp", role_of(&root_document, TopLevel::Timestamp))?,
        lifetimes: draft.lifetimes.unwrap_or_default(),
        now: signing.now,
    };
    let writer = Writer::lock(folder, progress)?;
    // Another mpkg may have made it while this one waited.
    demand_empty(folder)?;
    let root_bytes = root.to_bytes();
    writer.write(&layout::metadata("root", root_document.version()), &root_bytes)?;
    let (version, bytes) = (targets_document.version(), targets.to_bytes());
    writer.write(&layout::metadata("targets", version), &bytes)?;
    first.write(&writer, succinct, MetaFile::of(version, &bytes))?;
    // With the marker the folder becomes a registry.
    writer.write_json(layout::MARKER, &Marker { format: INDEX_FORMAT })?;
    writer.settle()?;
    Ok(Created { root_sha256: Digest::of(&root_bytes), root: root_bytes })
}

/// What the first documents of the online roles are made with.
struct Beginning {
    bins: Vec<SigningKey>,
    snapshot: Vec<SigningKey>,
    timestamp: Vec<SigningKey>,
    lifetimes: Lifetimes,
    now: jiff::Timestamp,
}

impl Beginning {
    fn write(
        &self,
        writer: &Writer<'_>,
        succinct: &SuccinctRoles,
        targets: MetaFile,
    ) -> Result<()> {
        let mut snapshot = Snapshot::new(self.lifetimes.snapshot.after(self.now)?);
        snapshot.set("targets", targets);
        // No two bins ever have the same version, so the version alone tells one from another.
        let mut bin = Targets::new(self.lifetimes.bins.after(self.now)?);
        for (name, version) in succinct.names().zip(1..) {
            bin.head_mut().version = version;
            let bytes = sign(&bin, &self.bins);
            writer.write_with_others(&layout::metadata(&name, version), &bytes)?;
            snapshot.set(&name, MetaFile::version(version));
        }
        let bytes = sign(&snapshot, &self.snapshot);
        writer.write(&layout::metadata("snapshot", snapshot.version()), &bytes)?;
        let file = MetaFile::of(snapshot.version(), &bytes);
        let timestamp = Timestamp::new(self.lifetimes.timestamp.after(self.now)?, file);
        self.lifetimes.keep(writer)?;
        writer.settle()?;
        writer.write(layout::TIMESTAMP, &sign(&timestamp, &self.timestamp))?;
        writer.settle()
    }
}
