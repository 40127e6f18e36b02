//! Hashes an unpacked package again and names whatever is not as it was installed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use rayon::prelude::*;
use rustix::io::Errno;
use serde::Serialize;

use super::contents::{FOLDER_BITS, bits, stored_bits};
use super::{Error, Home, Result, read_index};
use crate::explain::printable;
use crate::fs;
use crate::package::{Digest, Hasher, INDEX_PATH, IndexedFile, PackageIndex};
use crate::progress::{Progress, Task, Unit};

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Its bytes are others.
    Changed,
    /// It is gone.
    Missing,
    /// It does not belong to the package.
    Extra,
    /// Its permissions are others.
    Mode,
    /// It is a link, a folder or a device where a file should be.
    NotAFile,
    /// The disk does not give its bytes.
    Unreadable,
    /// The folder of the whole package is gone.
    Gone,
}

impl Damage {
    /// What is wrong, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Changed => "its contents were changed",
            Self::Missing => "it is missing",
            Self::Extra => "it does not belong to the package",
            Self::Mode => "its permissions were changed",
            Self::NotAFile => "it is no longer a file",
            Self::Unreadable => "the disk cannot read it",
            Self::Gone => "the folder of the whole package is gone",
        }
    }
}

/// A file that is not as it was installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DamagedFile {
    /// Its path in the package.
    pub path: String,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Checks every file of an unpacked package, in the order of their paths; several at a time. One
/// that lies in a shared store is checked there.
///
/// # Errors
/// Where a file cannot be read for another reason than that it is not there.
pub fn check_package(
    home: &Home,
    package: Digest,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>> {
    let root = home.package(package);
    if !root.is_dir() {
        let path = home.place_of(package).display().to_string();
        return Ok(vec![DamagedFile { path, damage: Damage::Gone }]);
    }
    check_folder(&root, package, progress)
}

/// Checks the folder `root`, where `package` should lie unpacked.
pub(super) fn check_folder(
    root: &Path,
    package: Digest,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>> {
    let damaged_index = |damage| vec![DamagedFile { path: INDEX_PATH.to_owned(), damage }];
    let index = match read_index(root, package) {
        Ok(index) => index,
        Err(Error::DamagedIndex { .. }) => return Ok(damaged_index(Damage::Changed)),
        Err(Error::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(damaged_index(Damage::Missing));
        }
        Err(error) => return Err(error),
    };
    let task = progress.start(
        &format!("Checking {}", index.name),
        Some(index.unpacked_size()),
        Unit::Bytes,
    );
    let checked: Vec<Option<DamagedFile>> = index
        .files
        .par_iter()
        .map_init(Vec::new, |buffer, file| {
            let damage = check_file(root, file, buffer, task.as_ref())?;
            Ok(damage.map(|damage| DamagedFile { path: file.path.to_string(), damage }))
        })
        .collect::<Result<_>>()?;
    let mut damaged: Vec<DamagedFile> = checked.into_iter().flatten().collect();
    damaged.extend(Known::of(&index).others(root)?);
    damaged.sort();
    damaged.dedup();
    Ok(damaged)
}

fn check_file(
    root: &Path,
    file: &IndexedFile,
    buffer: &mut Vec<u8>,
    task: &dyn Task,
) -> Result<Option<Damage>> {
    let path = file.path.below(root);
    let found = match std::fs::symlink_metadata(&path) {
        Ok(found) => found,
        // A folder on the way to it may have become a file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Some(Damage::Missing));
        }
        Err(error) => return Err(fs::Error::at("read", &path)(error).into()),
    };
    if !found.is_file() {
        return Ok(Some(Damage::NotAFile));
    }
    if found.len() != file.size {
        return Ok(Some(Damage::Changed));
    }
    let is_changed_mode = bits(&found) != stored_bits(file.mode);
    match hash(&path, file.size, buffer, task) {
        Ok(digest) if digest != file.sha256 => Ok(Some(Damage::Changed)),
        Ok(_) => Ok(is_changed_mode.then_some(Damage::Mode)),
        Err(error) if is_changed_mode && error.kind() == ErrorKind::PermissionDenied => {
            Ok(Some(Damage::Mode))
        }
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
            Ok(Some(Damage::Unreadable))
        }
        Err(error) => Err(fs::Error::at("read", &path)(error).into()),
    }
}

/// The most bytes that are read at once.
const BLOCK: usize = 1 << 18;

fn hash(path: &Path, size: u64, buffer: &mut Vec<u8>, task: &dyn Task) -> std::io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    // One byte more, so that a small file is read and seen to end by two calls.
    let block = usize::try_from(size.saturating_add(1)).unwrap_or(BLOCK).min(BLOCK);
    if buffer.len() < block {
        buffer.resize(block, 0);
    }
    loop {
        let length = file.read(&mut buffer[..block])?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..length]);
        task.advance(length as u64);
    }
}

/// What belongs to a package, by paths below its folder.
struct Known<'a> {
    files: HashSet<&'a str>,
    folders: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(index: &'a PackageIndex) -> Self {
        let files = index.files.iter().map(|file| file.path.as_str());
        let files: HashSet<&str> = files.chain([INDEX_PATH]).collect();
        let mut folders = HashSet::new();
        for file in &files {
            let mut rest = *file;
            while let Some((folder, _)) = rest.rsplit_once('/') {
                if !folders.insert(folder) {
                    break;
                }
                rest = folder;
            }
        }
        Self { files, folders }
    }

    /// What lies below `root` and does not belong there, and folders whose permissions were
    /// changed.
    fn others(&self, root: &Path) -> Result<Vec<DamagedFile>> {
        let mut others = Vec::new();
        for entry in walkdir::WalkDir::new(root).follow_links(false) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_owned();
                fs::Error::at("read the folder", &path)(error.into())
            })?;
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let name = relative.to_string_lossy();
            let damage = match entry.depth() {
                0 => has_other_bits(root)?.then_some(Damage::Mode),
                _ if !entry.file_type().is_dir() => {
                    (!self.files.contains(name.as_ref())).then_some(Damage::Extra)
                }
                _ if self.folders.contains(name.as_ref()) => {
                    has_other_bits(entry.path())?.then_some(Damage::Mode)
                }
                _ => Some(Damage::Extra),
            };
            let path = if entry.depth() == 0 { ".".into() } else { printable(&name) };
            others.extend(damage.map(|damage| DamagedFile { path, damage }));
        }
        Ok(others)
    }
}

fn has_other_bits(folder: &Path) -> Result<bool> {
    let found = std::fs::metadata(folder).map_err(fs::Error::at("read", folder))?;
    Ok(bits(&found) != FOLDER_BITS)
}
