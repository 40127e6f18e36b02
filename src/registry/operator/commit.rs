//! Signing and writing new metadata, in the order that lets nobody see a half.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{Repository, Stored};
use super::settings::Lifetimes;
use super::write::Writer;
use super::{Error, Result};
use crate::crypto::{self, KeyId, SigningKey};
use crate::package::Digest;
use crate::registry::layout;
use crate::registry::tuf::{
    Envelope, MetaFile, Metadata, Role, Root, Snapshot, TargetFile, Targets, Timestamp, TopLevel,
};

/// Finds the private key with an id on this machine, where it is.
pub type KeySource<'a> = dyn Fn(KeyId) -> crypto::Result<Option<SigningKey>> + 'a;

/// With what to sign, and when.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// This machine's keys.
    pub keys: &'a KeySource<'a>,
    /// The time that lifetimes count from.
    pub now: jiff::Timestamp,
}

impl Signing<'_> {
    /// The keys of a role that are on this machine.
    pub(super) fn held(&self, role: &Role) -> Result<Vec<SigningKey>> {
        let mut held: Vec<SigningKey> = Vec::new();
        for id in role.keyids.iter().filter_map(|id| id.parse().ok()) {
            if let Some(key) = (self.keys)(id)?
                && held.iter().all(|other| other.public() != key.public())
            {
                held.push(key);
            }
        }
        Ok(held)
    }

    /// The keys of a role that are on this machine, if they are enough to sign for it.
    pub(super) fn enough(&self, name: &str, role: &Role) -> Result<Vec<SigningKey>> {
        let held = self.held(role)?;
        if held.len() as u64 >= u64::from(role.threshold.get()) {
            return Ok(held);
        }
        Err(Error::KeyMissing {
            role: name.to_owned(),
            needed: role.threshold.get(),
            held: held.len(),
            ids: role.keyids.clone(),
        })
    }
}

/// What is to be different.
#[derive(Default)]
pub(super) struct Change {
    /// Files that metadata vouches for, by their paths.
    pub(super) targets: BTreeMap<String, Vec<u8>>,
    /// A new document of the offline targets role.
    pub(super) role: Option<Stored<Targets>>,
    /// Which bins are signed anew although nothing in them changes.
    pub(super) renewed: BTreeSet<String>,
}

/// The keys of the roles that sign every change.
pub(super) struct Online {
    pub(super) bins: Vec<SigningKey>,
    pub(super) snapshot: Vec<SigningKey>,
    pub(super) timestamp: Vec<SigningKey>,
}

/// How far new metadata has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prepared {
    /// There is none.
    Nothing,
    /// There is a snapshot that no timestamp vouches for.
    Snapshot,
}

pub(super) fn role_of(root: &Root, role: TopLevel) -> &Role {
    root.role(role).expect("a root that was read names every role")
}

/// Writes a document of metadata in its signed form.
pub(super) fn sign<T: Metadata>(document: &T, keys: &[SigningKey]) -> Vec<u8> {
    Envelope::signed(document, keys).to_bytes()
}

/// Makes `document` the next version of `role`. Versions whose files are there already, left by a
/// run that was cut off, are passed over: somebody may have copied them.
pub(super) fn advance<T: Metadata>(
    document: &mut T,
    role: &str,
    expires: jiff::Timestamp,
    writer: &Writer<'_>,
) {
    document.advance(expires);
    while writer.has(&layout::metadata(role, document.version())) {
        document.head_mut().version += 1;
    }
}

impl Repository<'_> {
    /// Finds the keys that every change needs, before anything is written.
    pub(super) fn online(&self, signing: &Signing<'_>, targets: &Targets) -> Result<Online> {
        let of = |role: TopLevel| signing.enough(role.as_str(), role_of(self.root(), role));
        let bins = self.bins_role(targets)?;
        Ok(Online {
            bins: signing.enough(layout::BINS, bins)?,
            snapshot: of(TopLevel::Snapshot)?,
            timestamp: of(TopLevel::Timestamp)?,
        })
    }

    pub(super) fn bins_role<'t>(&self, targets: &'t Targets) -> Result<&'t Role> {
        let bins = targets.delegations.as_ref().and_then(|all| all.succinct_roles.as_ref());
        bins.map(|bins| &bins.role).ok_or_else(|| Error::NoMetadata {
            location: self.location(),
            file: "bins in its targets role".to_owned(),
        })
    }

    /// Writes what changes, then the bins that vouch for it, the snapshot and at last the
    /// timestamp. Where nothing changes nothing is written.
    pub(super) fn commit(
        &mut self,
        writer: &Writer<'_>,
        change: Change,
        lifetimes: Lifetimes,
        signing: &Signing<'_>,
    ) -> Result<()> {
        let role = change.role.as_ref().map_or(&self.targets.document, |role| &role.document);
        let online = self.online(signing, role)?;
        match self.prepare(writer, change, lifetimes, signing.now, &online)? {
            Prepared::Nothing => Ok(()),
            Prepared::Snapshot => {
                self.write_timestamp(writer, lifetimes, signing.now, &online.timestamp)
            }
        }
    }

    /// The same up to the snapshot: nobody sees it before there is a timestamp.
    pub(super) fn prepare(
        &mut self,
        writer: &Writer<'_>,
        change: Change,
        lifetimes: Lifetimes,
        now: jiff::Timestamp,
        online: &Online,
    ) -> Result<Prepared> {
        let is_new_role = change.role.is_some();
        if let Some(role) = change.role {
            let version = role.document.version();
            writer.write(&layout::metadata("targets", version), &role.bytes)?;
            self.snapshot.document.set("targets", MetaFile::of(version, &role.bytes));
            self.targets = role;
        }
        let mut touched = change.renewed;
        for (path, bytes) in &change.targets {
            touched.extend(self.put_target(writer, path, bytes)?);
        }
        if touched.is_empty() && !is_new_role {
            return Ok(Prepared::Nothing);
        }
        for (version, name) in (self.next_bin_version(writer)?..).zip(&touched) {
            self.write_bin(writer, name, version, lifetimes.bins.after(now)?, online)?;
        }
        self.write_snapshot(writer, lifetimes, now, &online.snapshot)?;
        Ok(Prepared::Snapshot)
    }

    /// Puts a target in its bin, and gives the bin's name where that changes it.
    fn put_target(
        &mut self,
        writer: &Writer<'_>,
        path: &str,
        bytes: &[u8],
    ) -> Result<Option<String>> {
        let name = self.bin_for(path)?;
        let targets = &mut self.bins.get_mut(&name).expect("it was loaded").document.targets;
        let target = TargetFile::of(bytes);
        if targets.get(path) == Some(&target) {
            return Ok(None);
        }
        writer.add(&layout::consistent(path, Digest::of(bytes)), bytes)?;
        targets.insert(path.to_owned(), target);
        Ok(Some(name))
    }

    /// The next version that no bin has or had. The snapshot says of a bin its version alone, and
    /// all bins share their keys: so no two documents of bins may ever have the same one. Versions
    /// that a run which was cut off left behind are passed over.
    fn next_bin_version(&self, writer: &Writer<'_>) -> Result<u64> {
        let is_bin = |file: &str| file.starts_with(layout::BINS);
        let written = writer.versions(layout::METADATA, is_bin)?.max().unwrap_or(0);
        Ok(self.newest_bin().max(written) + 1)
    }

    fn write_bin(
        &mut self,
        writer: &Writer<'_>,
        name: &str,
        version: u64,
        expires: jiff::Timestamp,
        online: &Online,
    ) -> Result<()> {
        self.load_bin(name)?;
        let bin = self.bins.get_mut(name).expect("it was loaded");
        bin.document.head_mut().version = version;
        bin.document.head_mut().expires = expires;
        bin.bytes = sign(&bin.document, &online.bins);
        writer.write_with_others(&layout::metadata(name, version), &bin.bytes)?;
        self.snapshot.document.set(name, MetaFile::version(version));
        Ok(())
    }

    pub(super) fn write_snapshot(
        &mut self,
        writer: &Writer<'_>,
        lifetimes: Lifetimes,
        now: jiff::Timestamp,
        keys: &[SigningKey],
    ) -> Result<()> {
        let Stored { document, bytes } = &mut self.snapshot;
        advance(document, "snapshot", lifetimes.snapshot.after(now)?, writer);
        *bytes = sign::<Snapshot>(document, keys);
        let file = MetaFile::of(document.version(), bytes);
        writer.write(&layout::metadata("snapshot", document.version()), bytes)?;
        self.timestamp.document.set_snapshot(file);
        Ok(())
    }

    /// Signs a new timestamp: the moment at which readers see everything that was written.
    pub(super) fn write_timestamp(
        &mut self,
        writer: &Writer<'_>,
        lifetimes: Lifetimes,
        now: jiff::Timestamp,
        keys: &[SigningKey],
    ) -> Result<()> {
        let Stored { document, bytes } = &mut self.timestamp;
        document.advance(lifetimes.timestamp.after(now)?);
        *bytes = sign::<Timestamp>(document, keys);
        writer.settle()?;
        writer.write(layout::TIMESTAMP, bytes)?;
        writer.settle()
    }
}
