//! Putting a finished draft in place.

use std::path::Path;

use super::commit::{Change, Online, Prepared, Signing, role_of};
use super::draft::{Draft, targets_role};
use super::init::{Created, create};
use super::repository::{Repository, Stored, next_root};
use super::settings::Lifetimes;
use super::write::{Writer, to_json};
use super::{Error, Result};
use crate::crypto::SigningKey;
use crate::net::{Address, Client};
use crate::package::PackageName;
use crate::progress::Progress;
use crate::registry::tuf::{Envelope, Metadata as _, Root, Targets, TopLevel};
use crate::registry::{PublisherChange, layout};

/// What a draft changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It made a registry.
    Created(Created),
    /// It changed one.
    Changed {
        /// The version of the new root, where there is one.
        root: Option<u64>,
        /// The version of the new document of the targets role.
        targets: Option<u64>,
        /// The name that has other publishers now.
        publishers: Option<PackageName>,
    },
}

/// Puts `draft` in place in the registry in `folder`, or makes it there.
///
/// # Errors
/// [`Error::Unfinished`], [`Error::Draft`] where it follows another root than the registry's, and
/// [`Error::KeyMissing`] where the online keys are not on this machine. Then nothing is changed.
pub fn apply(
    folder: &Path,
    draft: &Draft,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Applied> {
    draft.demand_finished()?;
    if draft.before.is_none() {
        return create(folder, draft, signing, progress).map(Applied::Created);
    }
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let writer = Writer::lock(folder, progress)?;
    let mut repository = Repository::open(&address, client)?;
    let lifetimes = Lifetimes::of(folder)?;
    let publishers = match &draft.publishers {
        Some(_) => Some(repository.change_publishers(draft, &writer, lifetimes, signing)?),
        None => None,
    };
    let (root, targets) = repository.change_roles(draft, &writer, lifetimes, signing)?;
    Ok(Applied::Changed { root, targets, publishers })
}

impl Repository<'_> {
    fn change_publishers(
        &mut self,
        draft: &Draft,
        writer: &Writer<'_>,
        lifetimes: Lifetimes,
        signing: &Signing<'_>,
    ) -> Result<PackageName> {
        let signed = draft.publishers.as_ref().and_then(|publishers| publishers.signed.as_ref());
        let signed = signed.ok_or_else(|| draft.refused("nobody has signed it"))?;
        let name = draft.publishers.as_ref().map(|one| one.change.name.clone());
        let name = name.expect("it was signed");
        let Some(mut index) = self.name(&name)? else {
            return Err(Error::NoSuch { what: format!("package {name}"), known: Vec::new() });
        };
        let Some(now) = index.publishers.clone() else {
            return Err(Error::NoSuch { what: format!("release of {name}"), known: Vec::new() });
        };
        let role = targets_role(self.root());
        let (change, _) = PublisherChange::verify(signed, &now, &role)?;
        if change.name != name {
            return Err(draft.refused("its signatures are over another change"));
        }
        index.publishers = Some(change.to);
        index.publisher_changes.push(signed.clone());
        let path = layout::index(&name);
        let mut changed = Change::default();
        changed.targets.insert(path.clone(), to_json(&path, &index)?);
        self.commit(writer, changed, lifetimes, signing)?;
        Ok(name)
    }

    /// Puts a new root and a new targets role in place, so that readers with the old root and
    /// those with the new one find metadata that is signed for them at every moment, as far as
    /// the old keys are here.
    fn change_roles(
        &mut self,
        draft: &Draft,
        writer: &Writer<'_>,
        lifetimes: Lifetimes,
        signing: &Signing<'_>,
    ) -> Result<(Option<u64>, Option<u64>)> {
        let old = self.root().clone();
        let root = self.new_root(draft)?;
        let newest = root.as_ref().map_or(&old, |root| &root.document).clone();
        let role = self.new_targets_role(draft, &newest)?;
        let is_in_place = draft.root.is_some() && root.is_none();
        if root.is_none() && role.is_none() && !is_in_place {
            return Ok((None, None));
        }
        let targets_version = role.as_ref().map(|role| role.document.version());
        let fits_old = role.as_ref().is_none_or(|role| signed_for(&old, &role.bytes));
        let documents = role.as_ref().map_or(&self.targets.document, |role| &role.document);
        let bins = self.bins_role(documents)?.clone();
        let mut renewed = std::collections::BTreeSet::new();
        if bins != *self.bins_role(&self.targets.document)? {
            renewed.extend(self.succinct()?.names());
            // They are read before their keys change.
            renewed.iter().try_for_each(|name| self.load_bin(name))?;
        }
        let of = |root: &Root, role: TopLevel| signing.held(role_of(root, role));
        let enough = |role: TopLevel| signing.enough(role.as_str(), role_of(&newest, role));
        let timestamp = enough(TopLevel::Timestamp)?;
        let online = Online {
            bins: if renewed.is_empty() { Vec::new() } else { signing.enough("bins", &bins)? },
            snapshot: union(enough(TopLevel::Snapshot)?, of(&old, TopLevel::Snapshot)?),
            timestamp: union(timestamp.clone(), of(&old, TopLevel::Timestamp)?),
        };
        let change = Change { role, renewed, ..Change::default() };
        let prepared = self.prepare(writer, change, lifetimes, signing.now, &online)?;
        if prepared == Prepared::Nothing {
            self.write_snapshot(writer, lifetimes, signing.now, &online.snapshot)?;
        }
        let Some(root) = root else {
            self.write_timestamp(writer, lifetimes, signing.now, &timestamp)?;
            return Ok((None, targets_version));
        };
        let old_can_sign = [TopLevel::Snapshot, TopLevel::Timestamp]
            .into_iter()
            .all(|role| signing.enough(role.as_str(), role_of(&old, role)).is_ok());
        if fits_old && old_can_sign {
            self.write_timestamp(writer, lifetimes, signing.now, &online.timestamp)?;
        }
        let version = root.document.version();
        writer.settle()?;
        writer.write(&layout::metadata("root", version), &root.bytes)?;
        writer.settle()?;
        self.roots.push(root);
        self.write_timestamp(writer, lifetimes, signing.now, &timestamp)?;
        Ok((Some(version), targets_version))
    }

    /// The root of the draft, where it is not in place already.
    fn new_root(&self, draft: &Draft) -> Result<Option<Stored<Root>>> {
        let Some(envelope) = &draft.root else {
            self.demand_follows(draft)?;
            return Ok(None);
        };
        let bytes = envelope.to_bytes();
        if bytes == self.root_bytes() {
            // A run that was cut off came so far; the rest is made good now.
            return Ok(None);
        }
        self.demand_follows(draft)?;
        let document =
            next_root(Some(self.root()), envelope).map_err(|error| draft.not_believed(&error))?;
        if document.version() != self.root().version() + 1 {
            return Err(draft.refused("its root is not the next version of the registry's"));
        }
        Ok(Some(Stored { document, bytes }))
    }

    fn demand_follows(&self, draft: &Draft) -> Result<()> {
        let before = draft.before.as_ref().map(Envelope::to_bytes);
        match before.as_deref() == Some(self.root_bytes()) {
            true => Ok(()),
            false => Err(draft.refused("it follows another root than the registry has")),
        }
    }

    /// The document of the targets role in the draft, where it is not in place already.
    fn new_targets_role(&self, draft: &Draft, root: &Root) -> Result<Option<Stored<Targets>>> {
        let Some(envelope) = &draft.targets else { return Ok(None) };
        let bytes = envelope.to_bytes();
        if bytes == self.targets.bytes {
            return Ok(None);
        }
        root.demand(TopLevel::Targets, envelope).map_err(|error| draft.not_believed(&error))?;
        let document: Targets = envelope.read().map_err(|error| draft.not_believed(&error))?;
        if document.version() <= self.targets.document.version() {
            return Err(draft.refused("its targets role is not newer than the registry's"));
        }
        Ok(Some(Stored { document, bytes }))
    }
}

fn signed_for(root: &Root, targets: &[u8]) -> bool {
    Envelope::parse(targets, targets.len())
        .is_ok_and(|envelope| root.demand(TopLevel::Targets, &envelope).is_ok())
}

fn union(one: Vec<SigningKey>, other: Vec<SigningKey>) -> Vec<SigningKey> {
    let mut all = one;
    for key in other {
        if all.iter().all(|known| known.public() != key.public()) {
            all.push(key);
        }
    }
    all
}
