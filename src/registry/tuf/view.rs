//! The client's workflow (specification, section 5): from a trusted root to a target's bytes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::metadata::{Metadata, Root, Snapshot, Targets, Timestamp};
use super::shelf::{copy_place, encoded, read_file};
use super::{
    Asking, Clock, Delegations, Envelope, Error, MetaFile, Origin, Reach, Result, Shelf,
    TargetFile, TopLevel,
};
use crate::fs;

/// The longest root that is read, in bytes.
const LARGEST_ROOT: u64 = 512 << 10;
/// The longest timestamp.
const LARGEST_TIMESTAMP: u64 = 64 << 10;
/// The longest snapshot.
const LARGEST_SNAPSHOT: u64 = 16 << 20;
/// The longest document of a targets role.
const LARGEST_TARGETS: u64 = 32 << 20;
/// How many new roots one run follows.
const MOST_ROOTS: u64 = 256;
/// How many roles are asked about one path.
const MOST_ROLES: usize = 32;

/// What a registry says at one moment, as far as it is believed. Looking something up changes
/// nothing in it, so many threads may do so.
pub struct View<'a> {
    origin: Box<dyn Origin + 'a>,
    shelf: Shelf,
    clock: Clock,
    reach: Reach,
    root: Root,
    timestamp: Timestamp,
    snapshot: Snapshot,
    targets: Arc<Targets>,
}

impl<'a> View<'a> {
    /// Brings the trusted metadata up to date, as far as the origin is to be asked: the roots one
    /// by one, the timestamp, and of snapshot and targets what changed.
    ///
    /// # Errors
    /// [`Error::NoRoot`]; the reason why something is not believed; what keeps something from
    /// being fetched. What was believed until then is kept.
    pub fn refresh(
        origin: impl Origin + 'a,
        shelf: &Shelf,
        clock: Clock,
        reach: Reach,
    ) -> Result<Self> {
        let mut root = trusted_root(shelf)?;
        if reach == Reach::Origin {
            follow_roots(&origin, shelf, &mut root)?;
        }
        clock.demand("root", root.head()).map_err(Error::of("root.json"))?;
        let walk = Walk { origin: &origin, shelf, clock, reach, root: &root };
        let timestamp = walk.timestamp()?;
        let snapshot = walk.snapshot(timestamp.snapshot())?;
        let targets = walk.targets(&snapshot, "targets", None)?;
        let (origin, shelf) = (Box::new(origin), shelf.clone());
        Ok(Self { origin, shelf, clock, reach, root, timestamp, snapshot, targets })
    }

    /// The trusted root.
    #[must_use]
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// The trusted timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }

    /// The trusted snapshot.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The trusted targets, of the top-level role.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The roles whose metadata has expired and is accepted nevertheless, with when it expired.
    #[must_use]
    pub fn stale(&self) -> Vec<(TopLevel, jiff::Timestamp)> {
        let heads = [
            (TopLevel::Root, self.root.head()),
            (TopLevel::Timestamp, self.timestamp.head()),
            (TopLevel::Snapshot, self.snapshot.head()),
            (TopLevel::Targets, self.targets.head()),
        ];
        let expired = heads.into_iter().filter(|(_, head)| head.expires <= self.clock.now);
        expired.map(|(role, head)| (role, head.expires)).collect()
    }

    /// What the registry says about the file at `path`; nothing where no role vouches for it.
    ///
    /// The roles are asked depth first, each once, at most 32 of them.
    ///
    /// # Errors
    /// A role on the way that cannot be had or is not believed.
    pub fn find(&self, path: &str) -> Result<Option<TargetFile>> {
        let Self { origin, shelf, root, clock, reach, .. } = self;
        let walk = Walk { origin: &**origin, shelf, clock: *clock, reach: *reach, root };
        let mut seen: HashSet<String> = HashSet::new();
        let mut asked: Vec<(String, Arc<Targets>)> = Vec::new();
        let mut here = Arc::clone(&self.targets);
        loop {
            if let Some(file) = here.targets.get(path) {
                return Ok(Some(file.clone()));
            }
            if let Some(delegations) = &here.delegations {
                let mut roles = delegations.roles_for(path);
                if let Some(end) = roles.iter().position(|(_, asking)| *asking == Asking::Ends) {
                    roles.truncate(end + 1);
                    asked.clear();
                }
                asked.extend(roles.into_iter().rev().map(|(name, _)| (name, Arc::clone(&here))));
            }
            let Some((name, delegator)) = next(&mut asked, &mut seen) else { return Ok(None) };
            here = walk.targets(&self.snapshot, &name, delegator.delegations.as_ref())?;
        }
    }

    /// The bytes of the target at `path`, of which `file` is what [`View::find`] said. In the
    /// folder `copies`, where there is one, a copy is kept under its percent-encoded path; as long
    /// as it has the right hashes nothing is fetched.
    ///
    /// # Errors
    /// [`Error::Bytes`], [`Error::Missing`], [`Error::NoCopy`], and what keeps it from being
    /// fetched.
    pub fn fetch(&self, path: &str, file: &TargetFile, copies: Option<&Path>) -> Result<Vec<u8>> {
        let copy = copies.map(|folder| copy_place(folder, path)).transpose()?;
        if let Some(copy) = &copy
            && let Some(bytes) = read_file(copy, file.length)?
            && file.demand(&bytes).is_ok()
        {
            return Ok(bytes);
        }
        if self.reach == Reach::Kept {
            return Err(Error::NoCopy(path.to_owned()));
        }
        let place = match self.root.consistent_snapshot {
            true => hashed_place(path, file)?,
            false => path.to_owned(),
        };
        let bytes = self.origin.target(&place, file.length)?;
        let bytes = bytes.ok_or_else(|| Error::Missing(place.clone()))?;
        file.demand(&bytes).map_err(Error::of(&place))?;
        if let Some(copy) = &copy {
            fs::write_atomically(copy, &bytes)?;
        }
        Ok(bytes)
    }
}

/// The role that is asked next, and who delegates to it.
fn next(
    asked: &mut Vec<(String, Arc<Targets>)>,
    seen: &mut HashSet<String>,
) -> Option<(String, Arc<Targets>)> {
    while seen.len() < MOST_ROLES {
        let (name, delegator) = asked.pop()?;
        if seen.insert(name.clone()) {
            return Some((name, delegator));
        }
    }
    None
}

/// Where a file stands under its hash: `index/a.json` at `index/HASH.a.json`.
fn hashed_place(path: &str, file: &TargetFile) -> Result<String> {
    let mut hashes: Vec<(&str, &str)> = file.hashes.iter().collect();
    hashes.sort_by_key(|(name, _)| *name != "sha256");
    let is_hash = |hash: &str| hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match hashes.first() {
        Some((_, hash)) if !hash.is_empty() && is_hash(hash) => Ok(match path.rsplit_once('/') {
            Some((folder, name)) => format!("{folder}/{hash}.{name}"),
            None => format!("{hash}.{path}"),
        }),
        _ => Err(Error::Form("a file has no hash".to_owned())),
    }
}

/// The root that is trusted; it must be signed as it says itself.
fn trusted_root(shelf: &Shelf) -> Result<Root> {
    let path = shelf.place("root")?;
    let bytes = shelf.read("root", LARGEST_ROOT)?.ok_or_else(|| Error::NoRoot(path.clone()))?;
    check_root(&bytes).map_err(|source| Error::TrustedRoot { path, source: Box::new(source) })
}

/// Reads a root that is trusted for reasons of its own, such as its digest.
///
/// # Errors
/// The reason why it cannot be a root.
pub fn check_root(bytes: &[u8]) -> Result<Root> {
    let envelope = parse(bytes, LARGEST_ROOT)?;
    let root: Root = envelope.read()?;
    root.demand(TopLevel::Root, &envelope)?;
    Ok(root)
}

fn parse(bytes: &[u8], limit: u64) -> Result<Envelope> {
    Envelope::parse(bytes, usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Follows the roots one by one, each signed as the one before and as it itself says (section
/// 5.3). Each is kept before the next is asked for.
fn follow_roots(origin: &dyn Origin, shelf: &Shelf, root: &mut Root) -> Result<()> {
    for _ in 0..MOST_ROOTS {
        let expected = root.version() + 1;
        let file = format!("{expected}.root.json");
        let Some(bytes) = origin.metadata(&file, LARGEST_ROOT)? else { return Ok(()) };
        let new = next_root(root, &bytes, expected).map_err(Error::of(&file))?;
        shelf.write("root", &bytes)?;
        if loses_a_key(root, &new, TopLevel::Timestamp)
            || loses_a_key(root, &new, TopLevel::Snapshot)
        {
            // Whoever had the old key may have run ahead with the versions (section 5.3.11).
            shelf.remove("timestamp")?;
            shelf.remove("snapshot")?;
        }
        *root = new;
    }
    Err(Error::TooManyRoots(MOST_ROOTS))
}

fn next_root(root: &Root, bytes: &[u8], expected: u64) -> Result<Root> {
    let envelope = parse(bytes, LARGEST_ROOT)?;
    root.demand(TopLevel::Root, &envelope)?;
    let new: Root = envelope.read()?;
    new.demand(TopLevel::Root, &envelope)?;
    demand_version(expected, new.version())?;
    Ok(new)
}

fn loses_a_key(old: &Root, new: &Root, role: TopLevel) -> bool {
    let kept = new.keys_of(role);
    old.keys_of(role).iter().any(|key| !kept.contains(key))
}

fn demand_version(expected: u64, found: u64) -> Result<()> {
    match expected == found {
        true => Ok(()),
        false => Err(Error::Version { expected, found }),
    }
}

fn demand_no_rollback(what: &str, trusted: u64, found: u64) -> Result<()> {
    match found < trusted {
        true => Err(Error::Rollback { what: what.to_owned(), trusted, found }),
        false => Ok(()),
    }
}

fn is_expected(bytes: &[u8], kept: &impl Metadata, expected: &MetaFile) -> bool {
    kept.version() == expected.version && expected.demand(bytes).is_ok()
}

/// What the steps below the root have in common.
struct Walk<'a> {
    origin: &'a dyn Origin,
    shelf: &'a Shelf,
    clock: Clock,
    reach: Reach,
    root: &'a Root,
}

impl Walk<'_> {
    /// The timestamp (section 5.4). One that is kept and still well signed is what a new one is
    /// measured by.
    fn timestamp(&self) -> Result<Timestamp> {
        let file = "timestamp.json";
        let kept = self.kept(TopLevel::Timestamp, LARGEST_TIMESTAMP)?;
        let kept = kept.and_then(|(_, envelope)| envelope.read::<Timestamp>().ok());
        if self.reach == Reach::Kept {
            let timestamp = kept.ok_or_else(|| Error::NoCopy(file.to_owned()))?;
            self.clock.demand("timestamp", timestamp.head()).map_err(Error::of(file))?;
            return Ok(timestamp);
        }
        let bytes = self.origin.metadata(file, LARGEST_TIMESTAMP)?;
        let bytes = bytes.ok_or_else(|| Error::Missing(file.to_owned()))?;
        let timestamp = self.new_timestamp(&bytes, kept.as_ref()).map_err(Error::of(file))?;
        match kept {
            // The same version again is nothing new, whatever it says.
            Some(kept) if kept.version() == timestamp.version() => {
                self.clock.demand("timestamp", kept.head()).map_err(Error::of(file))?;
                Ok(kept)
            }
            _ => {
                self.clock.demand("timestamp", timestamp.head()).map_err(Error::of(file))?;
                self.shelf.write("timestamp", &bytes)?;
                Ok(timestamp)
            }
        }
    }

    fn new_timestamp(&self, bytes: &[u8], kept: Option<&Timestamp>) -> Result<Timestamp> {
        let envelope = parse(bytes, LARGEST_TIMESTAMP)?;
        self.root.demand(TopLevel::Timestamp, &envelope)?;
        let new: Timestamp = envelope.read()?;
        if let Some(kept) = kept {
            demand_no_rollback("timestamp", kept.version(), new.version())?;
            if new.version() > kept.version() {
                let (kept, new) = (kept.snapshot().version, new.snapshot().version);
                demand_no_rollback("snapshot", kept, new)?;
            }
        }
        Ok(new)
    }

    /// The snapshot (section 5.5). One that is kept and still well signed is used where the
    /// timestamp vouches for it, and is else what a new one is measured by.
    fn snapshot(&self, expected: &MetaFile) -> Result<Snapshot> {
        let kept = self.kept(TopLevel::Snapshot, LARGEST_SNAPSHOT)?;
        let kept =
            kept.and_then(|(bytes, envelope)| Some((bytes, envelope.read::<Snapshot>().ok()?)));
        if let Some((bytes, kept)) = &kept
            && is_expected(bytes, kept, expected)
        {
            self.clock.demand("snapshot", kept.head()).map_err(Error::of("snapshot.json"))?;
            return Ok(kept.clone());
        }
        let kept = kept.map(|(_, kept)| kept);
        let (file, bytes) = self.fetch("snapshot", expected, LARGEST_SNAPSHOT)?;
        let new = self.new_snapshot(&bytes, expected, kept.as_ref()).map_err(Error::of(&file))?;
        self.shelf.write("snapshot", &bytes)?;
        Ok(new)
    }

    fn new_snapshot(
        &self,
        bytes: &[u8],
        expected: &MetaFile,
        kept: Option<&Snapshot>,
    ) -> Result<Snapshot> {
        expected.demand(bytes)?;
        let envelope = parse(bytes, LARGEST_SNAPSHOT)?;
        self.root.demand(TopLevel::Snapshot, &envelope)?;
        let new: Snapshot = envelope.read()?;
        demand_version(expected.version, new.version())?;
        for (file, old) in kept.iter().flat_map(|kept| kept.files()) {
            let role = file.strip_suffix(".json").unwrap_or(file);
            let found = new.get(role).ok_or_else(|| Error::Dropped(file.to_owned()))?;
            demand_no_rollback(file, old.version, found.version)?;
        }
        self.clock.demand("snapshot", new.head())?;
        Ok(new)
    }

    /// The document of a targets role (section 5.6): the top-level one, or one that
    /// `delegations` hand on to. What is kept is verified like what is new.
    fn targets(
        &self,
        snapshot: &Snapshot,
        role: &str,
        delegations: Option<&Delegations>,
    ) -> Result<Arc<Targets>> {
        let file = format!("{role}.json");
        let expected = snapshot.get(role).ok_or_else(|| Error::Missing(file.clone()))?;
        let check = |bytes: &[u8]| self.check_targets(bytes, role, expected, delegations);
        let kept = self.shelf.read(role, LARGEST_TARGETS)?;
        if let Some(targets) = kept.and_then(|bytes| check(&bytes).ok()) {
            self.clock.demand(role, targets.head()).map_err(Error::of(&file))?;
            return Ok(Arc::new(targets));
        }
        let (file, bytes) = self.fetch(role, expected, LARGEST_TARGETS)?;
        let targets = check(&bytes).map_err(Error::of(&file))?;
        self.clock.demand(role, targets.head()).map_err(Error::of(&file))?;
        self.shelf.write(role, &bytes)?;
        Ok(Arc::new(targets))
    }

    fn check_targets(
        &self,
        bytes: &[u8],
        role: &str,
        expected: &MetaFile,
        delegations: Option<&Delegations>,
    ) -> Result<Targets> {
        expected.demand(bytes)?;
        let envelope = parse(bytes, LARGEST_TARGETS)?;
        match delegations {
            Some(delegations) => delegations.demand(role, &envelope)?,
            None => self.root.demand(TopLevel::Targets, &envelope)?,
        }
        let targets: Targets = envelope.read()?;
        demand_version(expected.version, targets.version())?;
        Ok(targets)
    }

    /// What is kept of a role, where it is well signed by today's keys. What is not is passed
    /// over, as if it were not there.
    fn kept(&self, role: TopLevel, limit: u64) -> Result<Option<(Vec<u8>, Envelope)>> {
        let Some(bytes) = self.shelf.read(role.as_str(), limit)? else { return Ok(None) };
        let Ok(envelope) = parse(&bytes, limit) else { return Ok(None) };
        let is_signed = self.root.demand(role, &envelope).is_ok();
        Ok(is_signed.then_some((bytes, envelope)))
    }

    /// Fetches a document that is vouched for, no more of it than that; gives its file name too.
    fn fetch(&self, role: &str, expected: &MetaFile, largest: u64) -> Result<(String, Vec<u8>)> {
        let name = encoded(role)?;
        if self.reach == Reach::Kept {
            return Err(Error::NoCopy(format!("{name}.json")));
        }
        let file = match self.root.consistent_snapshot {
            true => format!("{}.{name}.json", expected.version),
            false => format!("{name}.json"),
        };
        let limit = expected.length.map_or(largest, |length| length.min(largest));
        match self.origin.metadata(&file, limit)? {
            Some(bytes) => Ok((file, bytes)),
            None => Err(Error::Missing(file)),
        }
    }
}

#[cfg(test)]
mod tests;
