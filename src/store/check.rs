//! Hashes an unpacked package again and names whatever is not as it was installed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::contents::{bits, stored_bits};
use super::{Error, Home, Result};
use crate::fs;
use crate::package::{Digest, Hasher, INDEX_PATH, IndexedFile};
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

/// Checks every file of an unpacked package, in the order of their paths; several at a time.
///
/// # Errors
/// Where a file cannot be read for another reason than that it is not there.
pub fn check_package(
    home: &Home,
    package: Digest,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>> {
    let damaged_index = |damage| vec![DamagedFile { path: INDEX_PATH.to_owned(), damage }];
    let index = match home.package_index(package) {
        Ok(index) => index,
        Err(Error::DamagedIndex { .. }) => return Ok(damaged_index(Damage::Changed)),
        Err(Error::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(damaged_index(Damage::Missing));
        }
        Err(error) => return Err(error),
    };
    let root = home.package(package);
    let task = progress.start(
        &format!("Checking {}", index.name),
        Some(index.unpacked_size()),
        Unit::Bytes,
    );
    let checked: Vec<Option<DamagedFile>> = index
        .files
        .par_iter()
        .map(|file| {
            let damage = check_file(&root, file, task.as_ref())?;
            Ok(damage.map(|damage| DamagedFile { path: file.path.to_string(), damage }))
        })
        .collect::<Result<_>>()?;
    let mut damaged: Vec<DamagedFile> = checked.into_iter().flatten().collect();
    let known: BTreeSet<PathBuf> = index
        .files
        .iter()
        .map(|file| file.path.below(&root))
        .chain([root.join(INDEX_PATH)])
        .collect();
    damaged.extend(extra_files(&root, &known)?);
    damaged.sort();
    damaged.dedup();
    Ok(damaged)
}

fn check_file(root: &Path, file: &IndexedFile, task: &dyn Task) -> Result<Option<Damage>> {
    let path = file.path.below(root);
    let found = match std::fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(Damage::Missing));
        }
        Err(error) => return Err(fs::Error::at("read", &path)(error).into()),
    };
    if !found.is_file() {
        return Ok(Some(Damage::NotAFile));
    }
    if found.len() != file.size || hash(&path, task)? != file.sha256 {
        return Ok(Some(Damage::Changed));
    }
    Ok((bits(&found) != stored_bits(file.mode)).then_some(Damage::Mode))
}

fn hash(path: &Path, task: &dyn Task) -> Result<Digest> {
    let mut file = File::open(path).map_err(fs::Error::at("open", path))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = file.read(&mut buffer).map_err(fs::Error::at("read", path))?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..length]);
        task.advance(length as u64);
    }
}

fn extra_files(root: &Path, known: &BTreeSet<PathBuf>) -> Result<Vec<DamagedFile>> {
    let mut extra = Vec::new();
    for entry in walkdir::WalkDir::new(root).follow_links(false).min_depth(1) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            fs::Error::at("read the folder", &path)(error.into())
        })?;
        if entry.file_type().is_dir() || known.contains(entry.path()) {
            continue;
        }
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        extra.push(DamagedFile {
            path: crate::explain::printable(&relative.to_string_lossy()),
            damage: Damage::Extra,
        });
    }
    Ok(extra)
}
