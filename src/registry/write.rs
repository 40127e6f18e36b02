//! Writing into a registry that is a folder: under its lock, through its staging folder, synced
//! before a rename counts.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::Serialize;

use super::entry::{INDEX_FORMAT, Marker};
use super::publish::{NewRegistry, PublishOptions, Writing};
use super::{Error, Result, layout};
use crate::crypto::canonical;
use crate::fs;
use crate::package::{Digest, Hasher};
use crate::progress::{Progress, Unit};

/// The folder for what is not whole yet.
const STAGING: &str = ".mpkg-staging";

/// A registry's folder, locked where it is to be written.
pub(super) struct Writer<'a> {
    folder: &'a Path,
    is_new: bool,
    lock: Option<fs::Lock>,
}

impl<'a> Writer<'a> {
    /// Looks at the folder, and takes its lock where something is to be written.
    pub(super) fn open(
        folder: &'a Path,
        options: &PublishOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let is_new = || !folder.join(layout::MARKER).is_file();
        if is_new() {
            let location = folder.display().to_string();
            match options.new {
                NewRegistry::Refuse => return Err(Error::NotARegistry { location }),
                NewRegistry::Create => demand_empty(folder)?,
            }
        }
        let lock = match options.writing {
            Writing::DryRun => None,
            Writing::Really => Some(fs::Lock::acquire(&folder.join(layout::LOCK), || {
                progress.note("Waiting for another mpkg that writes into this registry");
            })?),
        };
        Ok(Self { folder, is_new: is_new(), lock })
    }

    /// Whether the registry is still to be begun.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Clears what an interrupted run left, and begins the registry where it is new.
    pub(super) fn begin(self) -> Result<Option<Self>> {
        if self.lock.is_none() {
            return Ok(None);
        }
        fs::remove_folder(&self.folder.join(STAGING))?;
        fs::create_folder(&self.folder.join(STAGING))?;
        if self.is_new {
            self.write_json(layout::MARKER, &Marker { format: INDEX_FORMAT })?;
        }
        Ok(Some(self))
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
        if self.folder.join(place).is_file() {
            return Ok(());
        }
        let mut source = File::open(from).map_err(fs::Error::at("open", from))?;
        let size = source.metadata().map(|found| found.len()).ok();
        let task = progress.start("Publishing", size, Unit::Bytes);
        self.put(place, |file, path| {
            let mut hasher = Hasher::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                let length = source.read(&mut buffer).map_err(fs::Error::at("read", from))?;
                if length == 0 {
                    break;
                }
                hasher.update(&buffer[..length]);
                file.write_all(&buffer[..length]).map_err(fs::Error::at("write", path))?;
                task.advance(length as u64);
            }
            match hasher.finish() {
                found if found == digest => Ok(()),
                found => Err(Error::WrongDigest {
                    location: self.folder.display().to_string(),
                    file: from.display().to_string(),
                    expected: digest,
                    found,
                }),
            }
        })
    }

    /// Writes a small file.
    pub(super) fn write(&self, place: &str, bytes: &[u8]) -> Result<()> {
        self.put(place, |file, path| {
            Ok(file.write_all(bytes).map_err(fs::Error::at("write", path))?)
        })
    }

    /// Writes a value as canonical JSON.
    pub(super) fn write_json<T: Serialize>(&self, place: &str, value: &T) -> Result<()> {
        let value = serde_json::to_value(value).expect("the words of a registry are JSON");
        let text = canonical::to_vec(&value)
            .map_err(|source| Error::Unlistable { release: place.to_owned(), source })?;
        self.write(place, &text)
    }

    fn put(&self, place: &str, write: impl FnOnce(&mut File, &Path) -> Result<()>) -> Result<()> {
        let staged = self.folder.join(STAGING).join("file");
        let goal = self.folder.join(place);
        let mut file = File::create(&staged).map_err(fs::Error::at("create", &staged))?;
        write(&mut file, &staged)?;
        file.sync_all().map_err(fs::Error::at("sync", &staged))?;
        let parent = goal.parent().unwrap_or(self.folder);
        fs::create_folder(parent)?;
        std::fs::rename(&staged, &goal).map_err(fs::Error::at("rename a file to", &goal))?;
        let mut folder = Some(parent);
        while let Some(path) = folder.filter(|path| path.starts_with(self.folder)) {
            fs::sync_folder(path)?;
            folder = path.parent();
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What stays is cleared by the next run.
            let _ = fs::remove_folder(&self.folder.join(STAGING));
        }
    }
}

/// A new registry is begun in an empty folder, or one with nothing but what a run that was cut
/// off before it wrote the marker left there.
fn demand_empty(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fs::Error::at("read the folder", folder)(error).into()),
    };
    for entry in entries {
        let entry = entry.map_err(fs::Error::at("read the folder", folder))?;
        let name = entry.file_name();
        if name != layout::LOCK && name != STAGING {
            return Err(Error::NotEmpty { path: folder.to_owned() });
        }
    }
    Ok(())
}
