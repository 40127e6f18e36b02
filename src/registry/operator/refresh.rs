//! Signing anew what would expire.

use std::collections::BTreeSet;
use std::path::Path;

use super::Result;
use super::commit::{Change, Signing, role_of};
use super::ends::Ends;
use super::repository::Repository;
use super::settings::{Lifetime, Lifetimes};
use super::write::Writer;
use crate::net::{Address, Client};
use crate::progress::Progress;
use crate::registry::tuf::{Envelope, Metadata as _, TopLevel};

/// What was signed anew, and what its operator has to think of next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// The new timestamp's version.
    pub timestamp: u64,
    /// When it expires.
    pub expires: jiff::Timestamp,
    /// The snapshot's version, where it is new.
    pub snapshot: Option<u64>,
    /// How many bins were signed anew.
    pub bins: usize,
    /// Offline roles that should be signed anew soon, with their ends.
    pub nearly_over: Vec<(TopLevel, jiff::Timestamp)>,
}

/// Signs a new timestamp, and the snapshot and those bins of whose lifetime less than a third is
/// left. The timestamp's keys are enough as long as nothing else is near its end.
///
/// # Errors
/// [`super::Error::KeyMissing`], and whatever is wrong with the registry.
pub fn refresh(
    folder: &Path,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Refreshed> {
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let writer = Writer::lock(folder, progress)?;
    let mut repository = Repository::open(&address, client)?;
    let lifetimes = Lifetimes::of(folder)?;
    let now = signing.now;
    let root = repository.root().clone();
    let keys = signing.enough("timestamp", role_of(&root, TopLevel::Timestamp))?;

    let (mut ends, renewed) = repository.bins_near_their_end(folder, lifetimes.bins, now)?;
    let bins = renewed.len();
    let snapshot_is_new = if renewed.is_empty() {
        let is_due = lifetimes.snapshot.is_nearly_over(expiry(&repository.snapshot.document), now);
        if is_due || !repository.snapshot_fits() {
            let keys = signing.enough("snapshot", role_of(&root, TopLevel::Snapshot))?;
            repository.write_snapshot(&writer, lifetimes, now, &keys)?;
        }
        is_due
    } else {
        let online = repository.online(signing, &repository.targets.document)?;
        let change = Change { renewed, ..Change::default() };
        repository.prepare(&writer, change, lifetimes, now, &online)?;
        true
    };
    repository.write_timestamp(&writer, lifetimes, now, &keys)?;
    ends.learn(&repository.bins);
    ends.keep(&writer)?;
    let offline = [
        (TopLevel::Root, lifetimes.root, expiry(&root)),
        (TopLevel::Targets, lifetimes.targets, expiry(&repository.targets.document)),
    ];
    let is_due =
        |(_, life, end): &(TopLevel, Lifetime, jiff::Timestamp)| life.is_nearly_over(*end, now);
    Ok(Refreshed {
        timestamp: repository.timestamp.document.version(),
        expires: expiry(&repository.timestamp.document),
        snapshot: snapshot_is_new.then(|| repository.snapshot.document.version()),
        bins,
        nearly_over: offline.into_iter().filter(is_due).map(|(role, _, end)| (role, end)).collect(),
    })
}

fn expiry(document: &impl crate::registry::tuf::Metadata) -> jiff::Timestamp {
    document.head().expires
}

impl Repository<'_> {
    /// Whether the newest root's keys signed the snapshot; a run that put a new root in place may
    /// not have come to it.
    fn snapshot_fits(&self) -> bool {
        let bytes = &self.snapshot.bytes;
        let envelope = Envelope::parse(bytes, bytes.len()).expect("it was read before");
        self.root().demand(TopLevel::Snapshot, &envelope).is_ok()
    }

    /// The bins that are to be signed anew, and the ends of all bins. Only those are read that were
    /// written since the last time.
    fn bins_near_their_end(
        &self,
        folder: &Path,
        life: Lifetime,
        now: jiff::Timestamp,
    ) -> Result<(Ends, BTreeSet<String>)> {
        let mut ends = Ends::of(folder)?;
        let mut near = BTreeSet::new();
        for name in self.succinct()?.names() {
            let version = self.snapshot.document.get(&name).map_or(0, |file| file.version);
            let end = if let Some(end) = ends.get(&name, version) {
                end
            } else {
                let bin = self.read_bin(&name)?;
                ends.set(&name, &bin.document);
                expiry(&bin.document)
            };
            if life.is_nearly_over(end, now) {
                near.insert(name);
            }
        }
        Ok((ends, near))
    }
}
