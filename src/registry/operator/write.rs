//! Writing into a registry that is a folder: under its lock, through its staging folder, synced
//! before a rename counts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Error, Result};
use crate::crypto::canonical;
use crate::fs;
use crate::package::{Digest, Hasher};
use crate::progress::{Progress, Task, Unit};
use crate::registry::{self, layout};

/// The folder for what is not whole yet.
const STAGING: &str = ".mpkg-staging";

/// A registry's folder, locked to be written.
pub(super) struct Writer<'a> {
    folder: &'a Path,
    /// Folders whose names are not known to have reached the disk.
    unsettled: RefCell<BTreeSet<PathBuf>>,
    /// Whether contents were written that are not known to have reached it either.
    is_behind: Cell<bool>,
    _lock: fs::Lock,
}

impl<'a> Writer<'a> {
    /// Takes the folder's lock, and clears what an interrupted run left.
    pub(super) fn lock(folder: &'a Path, progress: &dyn Progress) -> Result<Self> {
        let lock = fs::Lock::acquire(&folder.join(layout::LOCK), || {
            progress.note("Waiting for another mpkg that writes into this registry");
        })?;
        fs::remove_folder(&folder.join(STAGING))?;
        fs::create_folder(&folder.join(STAGING))?;
        Ok(Self { folder, unsettled: RefCell::default(), is_behind: Cell::new(false), _lock: lock })
    }

    /// The registry's folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder
    }

    /// Whether there is a file at `place`.
    pub(super) fn has(&self, place: &str) -> bool {
        self.folder.join(place).is_file()
    }

    /// The versions in front of the names of files in the folder `part`, of those files whose names
    /// after it are wanted.
    pub(super) fn versions(
        &self,
        part: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<impl Iterator<Item = u64>> {
        let path = self.folder.join(part);
        let mut versions = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(fs::Error::at("read the folder", &path))? {
            let name = entry.map_err(fs::Error::at("read the folder", &path))?.file_name();
            let parts = name.to_str().and_then(|name| name.split_once('.'));
            let parts = parts.filter(|(_, file)| is_wanted(file));
            versions.extend(parts.and_then(|(version, _)| version.parse::<u64>().ok()));
        }
        Ok(versions.into_iter())
    }

    /// Copies a file to `place`, checking that its bytes still have their digest. What stands
    /// there already is left.
    pub(super) fn copy(
        &self,
        from: &Path,
        place: &str,
        digest: Digest,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.has(place) {
            return Ok(());
        }
        let mut source = File::open(from).map_err(fs::Error::at("open", from))?;
        let size = source.metadata().map_err(fs::Error::at("look at", from))?.len();
        let task = progress.start("Copying", Some(size), Unit::Bytes);
        let mut counted = Counted { source: &mut source, task: &*task };
        self.add_stream(place, &mut counted, size, digest)
    }

    /// Writes `size` bytes that must have this digest. Where a file stands already they are only
    /// read.
    pub(super) fn add_stream(
        &self,
        place: &str,
        source: &mut dyn Read,
        size: u64,
        digest: Digest,
    ) -> Result<()> {
        if self.has(place) {
            std::io::copy(&mut source.take(size), &mut std::io::sink())
                .map_err(fs::Error::at("read what is to be", &self.folder.join(place)))?;
            return Ok(());
        }
        self.put(place, |file, path| {
            let mut hasher = Hasher::new();
            let mut buffer = vec![0; 1 << 20];
            let mut source = source.take(size);
            loop {
                let length =
                    source.read(&mut buffer).map_err(fs::Error::at("read what is to be", path))?;
                if length == 0 {
                    break;
                }
                hasher.update(&buffer[..length]);
                file.write_all(&buffer[..length]).map_err(fs::Error::at("write", path))?;
            }
            match hasher.finish() {
                found if found == digest => Ok(()),
                found => Err(registry::Error::WrongDigest {
                    location: self.folder.display().to_string(),
                    file: place.to_owned(),
                    expected: digest,
                    found,
                }
                .into()),
            }
        })
    }

    /// Writes a small file.
    pub(super) fn write(&self, place: &str, bytes: &[u8]) -> Result<()> {
        self.put(place, |file, path| {
            Ok(file.write_all(bytes).map_err(fs::Error::at("write", path))?)
        })
    }

    /// Writes one of many small files, which reach the disk together in [`Writer::settle`]. Only
    /// for names that are never used again where a run was cut off.
    pub(super) fn write_with_others(&self, place: &str, bytes: &[u8]) -> Result<()> {
        self.is_behind.set(true);
        self.put_synced(place, Synced::WithOthers, |file, path| {
            Ok(file.write_all(bytes).map_err(fs::Error::at("write", path))?)
        })
    }

    /// Writes a small file whose name stands for its contents, unless it is there.
    pub(super) fn add(&self, place: &str, bytes: &[u8]) -> Result<()> {
        if self.has(place) { Ok(()) } else { self.write(place, bytes) }
    }

    /// Writes a value as canonical JSON.
    pub(super) fn write_json<T: Serialize>(&self, place: &str, value: &T) -> Result<()> {
        self.write(place, &to_json(place, value)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, place: &str) -> Result<()> {
        let path = self.folder.join(place);
        Ok(std::fs::remove_file(&path).map_err(fs::Error::at("remove", &path))?)
    }

    /// Makes every name that was written so far survive a power cut.
    pub(super) fn settle(&self) -> Result<()> {
        if self.is_behind.take() {
            let folder = File::open(self.folder).map_err(fs::Error::at("open", self.folder))?;
            rustix::fs::syncfs(&folder)
                .map_err(|errno| fs::Error::at("sync", self.folder)(errno.into()))?;
        }
        // What lies deepest goes first, so that a folder is there before what is in it counts.
        for folder in self.unsettled.take().iter().rev() {
            fs::sync_folder(folder)?;
        }
        Ok(())
    }

    fn put(&self, place: &str, write: impl FnOnce(&mut File, &Path) -> Result<()>) -> Result<()> {
        self.put_synced(place, Synced::Alone, write)
    }

    fn put_synced(
        &self,
        place: &str,
        synced: Synced,
        write: impl FnOnce(&mut File, &Path) -> Result<()>,
    ) -> Result<()> {
        let staged = self.folder.join(STAGING).join("file");
        let goal = self.folder.join(place);
        let mut file = File::create(&staged).map_err(fs::Error::at("create", &staged))?;
        write(&mut file, &staged)?;
        if synced == Synced::Alone {
            file.sync_all().map_err(fs::Error::at("sync", &staged))?;
        }
        let parent = goal.parent().unwrap_or(self.folder);
        fs::create_folder(parent)?;
        std::fs::rename(&staged, &goal).map_err(fs::Error::at("rename a file to", &goal))?;
        let above = parent.ancestors().take_while(|path| path.starts_with(self.folder));
        self.unsettled.borrow_mut().extend(above.map(Path::to_owned));
        Ok(())
    }
}

/// When a file's contents reach the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Synced {
    /// Before its name counts.
    Alone,
    /// With others, before something vouches for them.
    WithOthers,
}

/// A source whose progress is shown.
struct Counted<'a> {
    source: &'a mut File,
    task: &'a dyn Task,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.task.advance(length as u64);
        Ok(length)
    }
}

/// A value of ours in canonical JSON; `place` is where it will stand.
pub(super) fn to_json<T: Serialize>(place: &str, value: &T) -> Result<Vec<u8>> {
    let value = serde_json::to_value(value).expect("the words of a registry are JSON");
    canonical::to_vec(&value)
        .map_err(|source| registry::Error::Unlistable { release: place.to_owned(), source }.into())
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // What stays is cleared by the next run.
        let _ = fs::remove_folder(&self.folder.join(STAGING));
    }
}

/// A new registry is begun in an empty folder, or one with nothing but what a run that was cut
/// off before it wrote the marker left there.
///
/// # Errors
/// [`Error::Exists`] and [`registry::Error::NotEmpty`].
pub(super) fn demand_empty(folder: &Path) -> Result<()> {
    if folder.join(layout::MARKER).exists() {
        return Err(Error::Exists { path: folder.to_owned() });
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fs::Error::at("read the folder", folder)(error).into()),
    };
    let ours = [layout::LOCK, STAGING, layout::METADATA, super::settings::FILE];
    for entry in entries {
        let name = entry.map_err(fs::Error::at("read the folder", folder))?.file_name();
        if !ours.iter().any(|ours| name == **ours) {
            return Err(registry::Error::NotEmpty { path: folder.to_owned() }.into());
        }
    }
    Ok(())
}
