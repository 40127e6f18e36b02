//! The files of checkpoints: beside a package, and among what a registry keeps by digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::archive::Package;
use crate::build::checkpoints::file_name;
use crate::build::outputs::hash_file;
use crate::build::record::BuildRecord;
use crate::fs::read_to_string;
use crate::package::{Digest, PackageType};
use crate::registry::layout::LARGEST_ATTACHMENT;
use crate::registry::operator::{Error, Result};

/// Every checkpoint that a build record names, with its size; none where it is no record that this
/// mpkg reads.
pub(super) fn named(record: &[u8]) -> Vec<(Digest, u64)> {
    let record: Option<BuildRecord> = serde_json::from_slice(record).ok();
    let chains = record.map(|record| record.checkpoints).unwrap_or_default();
    let links = chains.into_iter().flat_map(|chain| chain.links);
    links.map(|link| (link.sha256, link.size)).collect()
}

/// The checkpoints that lie beside the package `files`, each once.
///
/// # Errors
/// [`Error::Checkpoint`] where one is not what the record of the build names.
pub(super) fn beside(files: &[PathBuf]) -> Result<Vec<(Digest, PathBuf)>> {
    let mut found = BTreeMap::new();
    for path in files {
        for (place, expected) in places(path) {
            if !place.is_file() || found.contains_key(&expected) {
                continue;
            }
            let (sha256, _) = hash_file(&place)?;
            if sha256 != expected {
                return Err(Error::Checkpoint { path: place, expected, found: sha256 });
            }
            found.insert(expected, place);
        }
    }
    Ok(found.into_iter().collect())
}

/// Where the checkpoints of a package's build would lie. What is wrong with the package is for
/// others to say.
fn places(path: &Path) -> Vec<(PathBuf, Digest)> {
    let Ok(package) = Package::open(path) else { return Vec::new() };
    let index = package.index();
    if index.package_type != PackageType::Binary {
        return Vec::new();
    }
    let record = path.with_file_name(format!("{}-{}.build.json", index.name, index.version));
    let text = read_to_string(&record, LARGEST_ATTACHMENT).unwrap_or_default();
    let Ok(record) = serde_json::from_str::<BuildRecord>(&text) else { return Vec::new() };
    let mut places = Vec::new();
    for chain in &record.checkpoints {
        for (number, link) in chain.links.iter().enumerate() {
            let name = file_name(&record.name, &record.version, &chain.step, number + 1);
            places.push((path.with_file_name(name), link.sha256));
        }
    }
    places
}
