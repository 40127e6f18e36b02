//! Removing metadata and indexes that newer ones have taken the place of.

use std::collections::BTreeSet;
use std::path::Path;

use super::Result;
use super::repository::Repository;
use super::write::Writer;
use crate::fs;
use crate::net::{Address, Client};
use crate::progress::Progress;
use crate::registry::{AdvisoryList, layout};

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Which superseded files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Those that were written before this moment; younger ones may be what a reader is about to
    /// ask for.
    pub before: jiff::Timestamp,
    /// Whether they are only counted.
    pub writing: super::Writing,
}

/// Removes metadata, indexes and search lists that the newest snapshot does not vouch for any
/// more. Roots, packages and what is said about them stay.
///
/// # Errors
/// Whatever is wrong with the registry; files that cannot be removed.
pub fn clean(folder: &Path, age: Age, client: &Client, progress: &dyn Progress) -> Result<Cleaned> {
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let writer = Writer::lock(folder, progress)?;
    let mut repository = Repository::open(&address, client)?;
    let needed = repository.needed()?;
    let newest = repository.newest_bin();
    let mut cleaned = Cleaned::default();
    for part in [layout::METADATA, "index", "search", "advisories"] {
        for (place, size) in superseded(folder, part, &needed, age.before)? {
            // What a run that was cut off signed is remembered, so that its version is not used
            // again.
            if bin_version(&place).is_some_and(|version| version > newest) {
                continue;
            }
            if age.writing == super::Writing::Really {
                writer.remove(&place)?;
            }
            cleaned.files += 1;
            cleaned.bytes += size;
        }
    }
    writer.settle()?;
    Ok(cleaned)
}

impl Repository<'_> {
    /// Every file of metadata, and every target, that a reader may still ask for.
    pub(super) fn needed(&mut self) -> Result<BTreeSet<String>> {
        let mut needed = self.metadata_files();
        let bins: Vec<String> = self.succinct()?.names().collect();
        for bin in bins {
            self.load_bin(&bin)?;
            for (path, target) in &self.bins[&bin].document.targets {
                needed
                    .extend(target.hashes.sha256().map(|digest| layout::consistent(path, digest)));
            }
        }
        let list = self.advisories()?;
        needed.extend(list.iter().flat_map(AdvisoryList::files).map(|(place, ..)| place));
        Ok(needed)
    }
}

/// The files of one part of the registry that nobody needs, and their sizes.
fn superseded(
    folder: &Path,
    part: &str,
    needed: &BTreeSet<String>,
    before: jiff::Timestamp,
) -> Result<Vec<(String, u64)>> {
    let path = folder.join(part);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fs::Error::at("read the folder", &path)(error).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fs::Error::at("read the folder", &path))?;
        let place = format!("{part}/{}", entry.file_name().to_string_lossy());
        if needed.contains(&place) || !layout::is_public(&place) || !is_versioned(&place) {
            continue;
        }
        let data = entry.metadata().map_err(fs::Error::at("look at", &entry.path()))?;
        let written = data.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
        if data.is_file() && written.is_some_and(|written| written < before) {
            found.push((place, data.len()));
        }
    }
    found.sort();
    Ok(found)
}

/// The version of a document of a bin, if the file at `place` is one.
fn bin_version(place: &str) -> Option<u64> {
    let (version, name) =
        place.strip_prefix(layout::METADATA)?.strip_prefix('/')?.split_once('.')?;
    name.starts_with(layout::BINS).then(|| version.parse().ok())?
}

/// Whether a name has a version or a digest in front.
fn is_versioned(place: &str) -> bool {
    let name = place.rsplit('/').next().unwrap_or_default();
    let start = name.split('.').next().unwrap_or_default();
    start.parse::<u64>().is_ok() || start.parse::<crate::package::Digest>().is_ok()
}
