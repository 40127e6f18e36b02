//! Copying a registry, or a part of it, with the metadata that vouches for it as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use super::repository::Repository;
use super::write::{Writer, demand_empty};
use super::{Error, Result};
use crate::net::{Address, Client};
use crate::package::{Digest, PackageName};
use crate::progress::Progress;
use crate::registry::layout::{self, SearchShard};
use crate::registry::tuf::Metadata as _;
use crate::registry::{self, AdvisoryList, AttachmentRole, INDEX_FORMAT, Marker, ReleaseEntry};

/// What of a registry is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// A part.
    Part(Part),
}

/// A part of a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The names whose indexes are copied, or whose absence can be proved in the copy.
    pub names: BTreeSet<PackageName>,
    /// The packages that are copied with what is said about them, by their digests.
    pub packages: BTreeSet<Digest>,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mirrored {
    /// How many packages are in the copy.
    pub packages: usize,
    /// How many files of data are in the copy.
    pub data: usize,
    /// How many files were written; what was there already is not counted.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Fetches files of the registry that is copied.
pub trait Supply {
    /// A file by its digest, on this machine.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched.
    fn blob(&self, digest: Digest, size: u64, label: &str) -> Result<PathBuf>;

    /// The checkpoints that the build record `record` names and that the registry has.
    ///
    /// # Errors
    /// A registry that cannot be asked.
    fn checkpoints(&self, record: &[u8]) -> Result<Vec<(Digest, u64)>>;

    /// The list of the wheels that the registry keeps for the source package at `path`.
    ///
    /// # Errors
    /// A registry that cannot be asked.
    fn wheels(&self, path: &Path) -> Result<Option<KeptList>>;

    /// The files of data that the source package at `path` needs and that the registry has.
    ///
    /// # Errors
    /// A source package that cannot be read.
    fn data(&self, path: &Path) -> Result<Vec<(Digest, u64)>>;
}

/// A list of files that nothing vouches for, with those files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptList {
    /// Where the list stands.
    pub place: String,
    /// The list.
    pub bytes: Vec<u8>,
    /// The files by their digests, with their sizes.
    pub files: Vec<(Digest, u64)>,
}

/// Where a copy goes.
pub(super) trait Goal {
    /// Whether the file at `place`, whose name stands for its contents, is there.
    fn has(&self, place: &str) -> bool;
    /// Writes a small file whose contents may be others than before.
    fn renew(&mut self, place: &str, bytes: &[u8]) -> Result<()>;
    /// Adds a small file.
    fn add(&mut self, place: &str, bytes: &[u8]) -> Result<()>;
    /// Adds a file whose bytes have this digest.
    fn copy(&mut self, from: &Path, place: &str, digest: Digest) -> Result<()>;
}

/// A folder that a copy goes to.
struct Folder<'a> {
    writer: Writer<'a>,
    progress: &'a dyn Progress,
}

impl Goal for Folder<'_> {
    fn has(&self, place: &str) -> bool {
        self.writer.has(place)
    }

    fn renew(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.writer.write(place, bytes)
    }

    fn add(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.writer.add(place, bytes)
    }

    fn copy(&mut self, from: &Path, place: &str, digest: Digest) -> Result<()> {
        self.writer.copy(from, place, digest, self.progress)
    }
}

/// Copies a registry, or a part of it, into a folder: an empty or missing one, or an earlier copy,
/// which is brought up to date. The timestamp comes last, so whoever reads sees the old or the
/// new.
///
/// # Errors
/// [`Error::OtherRegistry`], and whatever keeps files from being read or written.
pub fn mirror(
    from: &mut Repository<'_>,
    extent: &Extent,
    to: &Path,
    supply: &dyn Supply,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Mirrored> {
    let first = from.roots[0].bytes.clone();
    demand_same(to, &first)?;
    let writer = Writer::lock(to, progress)?;
    demand_same(to, &first)?;
    demand_newer(to, from, client)?;
    let mut folder = Folder { writer, progress };
    let mut copying = Copying { from, supply, done: Mirrored::default() };
    copying.all(extent, &mut folder)?;
    let done = copying.done;
    folder.writer.settle()?;
    folder.writer.write(layout::TIMESTAMP, &from.timestamp.bytes)?;
    folder.writer.settle()?;
    Ok(done)
}

/// Copies a registry, or a part of it, into one file that [`super::unbundle`] unpacks.
///
/// # Errors
/// Whatever keeps files from being read or written; then there is no file.
pub fn bundle(
    from: &mut Repository<'_>,
    extent: &Extent,
    to: &Path,
    supply: &dyn Supply,
    progress: &dyn Progress,
) -> Result<Mirrored> {
    let mut bundle = Bundle::create(to, progress)?;
    let mut copying = Copying { from, supply, done: Mirrored::default() };
    copying.all(extent, &mut bundle)?;
    let done = copying.done;
    bundle.add(layout::TIMESTAMP, &from.timestamp.bytes)?;
    bundle.finish()?;
    Ok(done)
}

/// Demands that `to` is no registry, or one that begins with this root.
pub(super) fn demand_same(to: &Path, first_root: &[u8]) -> Result<()> {
    if !to.join(layout::MARKER).is_file() {
        return demand_empty(to);
    }
    let root = to.join(layout::metadata("root", 1));
    match std::fs::read(&root) {
        Ok(bytes) if bytes == first_root => Ok(()),
        Ok(_) => Err(Error::OtherRegistry { path: to.to_owned() }),
        Err(error) => Err(crate::fs::Error::at("read", &root)(error).into()),
    }
}

/// Demands that the copy at `to` is not newer than what is copied.
fn demand_newer(to: &Path, from: &Repository<'_>, client: &Client) -> Result<()> {
    if !to.join(layout::TIMESTAMP).is_file() {
        return Ok(());
    }
    let copy = Repository::open(&Address::Path(to.to_owned()), client)?;
    let (found, offered) = (copy.timestamp().version(), from.timestamp().version());
    match offered < found {
        true => Err(Error::Older { path: to.to_owned(), found, offered }),
        false => Ok(()),
    }
}

struct Copying<'c, 'r> {
    from: &'c mut Repository<'r>,
    supply: &'c dyn Supply,
    done: Mirrored,
}

impl Copying<'_, '_> {
    fn all(&mut self, extent: &Extent, goal: &mut dyn Goal) -> Result<()> {
        for root in &self.from.roots {
            let place = layout::metadata("root", root.document.version());
            add(&mut self.done, goal, &place, &root.bytes)?;
            if root.document.version() == 1 {
                // From now on the folder is this registry's copy, also for a run that goes on.
                let marker =
                    super::write::to_json(layout::MARKER, &Marker { format: INDEX_FORMAT })?;
                add(&mut self.done, goal, layout::MARKER, &marker)?;
            }
        }
        let names = match extent {
            Extent::Whole => self.from.every_name()?,
            Extent::Part(part) => part.names.clone(),
        };
        for name in &names {
            self.name(name, extent, goal)?;
        }
        let bits = self.from.succinct()?.bit_length;
        for shard in SearchShard::all(bits) {
            self.target(&layout::search(shard), goal)?;
        }
        self.advisories(goal)?;
        if *extent == Extent::Whole {
            let bins: Vec<String> = self.from.succinct()?.names().collect();
            bins.iter().try_for_each(|bin| self.from.load_bin(bin))?;
        }
        self.metadata(goal)
    }

    /// All advisories, whatever is copied: none is hidden from who has a part. Where there are
    /// none, their bin says so.
    fn advisories(&mut self, goal: &mut dyn Goal) -> Result<()> {
        let list = self.from.advisories()?;
        for (place, digest, size) in list.iter().flat_map(AdvisoryList::files) {
            let bytes = self.from.bytes_at(&place, size)?;
            let found = Digest::of(&bytes);
            if found != digest {
                let (location, file) = (self.from.location(), place);
                let error =
                    registry::Error::WrongDigest { location, file, expected: digest, found };
                return Err(error.into());
            }
            add(&mut self.done, goal, &place, &bytes)?;
        }
        self.target(layout::ADVISORIES, goal)
    }

    fn target(&mut self, path: &str, goal: &mut dyn Goal) -> Result<()> {
        if let Some(bytes) = self.from.target(path)? {
            let place = layout::consistent(path, Digest::of(&bytes));
            add(&mut self.done, goal, &place, &bytes)?;
        }
        Ok(())
    }

    /// The index of a name, after the files that it names.
    fn name(&mut self, name: &PackageName, extent: &Extent, goal: &mut dyn Goal) -> Result<()> {
        let Some(index) = self.from.name(name)? else { return Ok(()) };
        for entry in &index.releases {
            let wanted = match extent {
                Extent::Whole => true,
                Extent::Part(part) => part.packages.contains(&entry.package),
            };
            if wanted {
                self.package(name, entry, goal)?;
            }
        }
        self.target(&layout::index(name), goal)
    }

    fn package(
        &mut self,
        name: &PackageName,
        entry: &ReleaseEntry,
        goal: &mut dyn Goal,
    ) -> Result<()> {
        let label = entry.release(name).file_name();
        for file in &entry.representations {
            let path = self.blob(file.sha256, file.size, &label, goal)?;
            let is_source = entry.variant.is_none() && file.encoding == "mpkg";
            if is_source {
                for (digest, size) in self.supply.data(&path)? {
                    self.blob(digest, size, &format!("data of {label}"), goal)?;
                    self.done.data += 1;
                }
                if let Some(kept) = self.supply.wheels(&path)? {
                    for (digest, size) in kept.files {
                        self.blob(digest, size, &format!("a wheel of {label}"), goal)?;
                    }
                    goal.renew(&kept.place, &kept.bytes)?;
                }
            }
        }
        for attachment in &entry.attachments {
            let place = attachment.place(entry.package);
            let bytes = self.from.bytes_at(&place, attachment.size)?;
            let found = Digest::of(&bytes);
            if found != attachment.sha256 {
                return Err(registry::Error::WrongDigest {
                    location: self.from.location(),
                    file: place,
                    expected: attachment.sha256,
                    found,
                }
                .into());
            }
            if attachment.role == AttachmentRole::BuildRecord {
                for (digest, size) in self.supply.checkpoints(&bytes)? {
                    self.blob(digest, size, &format!("checkpoint of {label}"), goal)?;
                }
            }
            add(&mut self.done, goal, &place, &bytes)?;
        }
        self.done.packages += 1;
        Ok(())
    }

    fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        label: &str,
        goal: &mut dyn Goal,
    ) -> Result<PathBuf> {
        let path = self.supply.blob(digest, size, label)?;
        let place = layout::blob(digest);
        if !goal.has(&place) {
            goal.copy(&path, &place, digest)?;
            self.done.files += 1;
            self.done.bytes += size;
        }
        Ok(path)
    }

    /// The bins that were read, the targets role and the snapshot, byte for byte.
    fn metadata(&mut self, goal: &mut dyn Goal) -> Result<()> {
        for (name, bin) in &self.from.bins {
            let place = layout::metadata(name, bin.document.version());
            add(&mut self.done, goal, &place, &bin.bytes)?;
        }
        let targets = &self.from.targets;
        let place = layout::metadata("targets", targets.document.version());
        add(&mut self.done, goal, &place, &targets.bytes)?;
        let snapshot = &self.from.snapshot;
        let place = layout::metadata("snapshot", snapshot.document.version());
        add(&mut self.done, goal, &place, &snapshot.bytes)
    }
}

fn add(done: &mut Mirrored, goal: &mut dyn Goal, place: &str, bytes: &[u8]) -> Result<()> {
    if !goal.has(place) {
        goal.add(place, bytes)?;
        done.files += 1;
        done.bytes += bytes.len() as u64;
    }
    Ok(())
}

impl Repository<'_> {
    /// Every name that the registry has an index of.
    ///
    /// # Errors
    /// Bins that cannot be read.
    pub fn every_name(&mut self) -> Result<BTreeSet<PackageName>> {
        let bins: Vec<String> = self.succinct()?.names().collect();
        let mut names = BTreeSet::new();
        for bin in bins {
            self.load_bin(&bin)?;
            let paths = self.bins[&bin].document.targets.keys();
            let of = |path: &str| path.strip_prefix("index/")?.strip_suffix(".json")?.parse().ok();
            names.extend(paths.filter_map(|path| of(path)));
        }
        Ok(names)
    }
}

/// Stores files by their digests in the registry in `folder`, and says how many were new. Nothing
/// vouches for them but their digests; whoever needs one knows its digest already.
///
/// # Errors
/// Files with other bytes, and what keeps them from being written.
pub fn add_blobs(
    folder: &Path,
    blobs: &[(Digest, PathBuf)],
    progress: &dyn Progress,
) -> Result<usize> {
    let writer = Writer::lock(folder, progress)?;
    let mut added = 0;
    for (digest, path) in blobs {
        let place = layout::blob(*digest);
        if !writer.has(&place) {
            writer.copy(path, &place, *digest, progress)?;
            added += 1;
        }
    }
    writer.settle()?;
    Ok(added)
}

/// Writes a list of files that nothing vouches for into the registry in `folder`.
///
/// # Errors
/// What keeps it from being written.
pub fn add_list(folder: &Path, place: &str, bytes: &[u8], progress: &dyn Progress) -> Result<()> {
    let writer = Writer::lock(folder, progress)?;
    writer.write(place, bytes)?;
    writer.settle()
}
