//! Removes what no generation needs.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::contents::place;
use super::profile::Profile;
use super::{Error, Home, Result, Store};
use crate::fs;
use crate::package::Digest;

/// What [`Store::sweep`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many unpacked packages.
    pub packages: u64,
    /// How many files of the contents.
    pub files: u64,
    /// How many bytes became free.
    pub bytes: u64,
}

impl Store {
    /// Removes the packages that no generation of `profiles` lists, and the contents that no
    /// package then holds. A crash in between leaves only what the next sweep removes.
    ///
    /// # Errors
    /// A generation that cannot be read stops the sweep before it removes anything; file errors.
    pub fn sweep(&self, profiles: &[Profile]) -> Result<Swept> {
        let mut needed = BTreeSet::new();
        for profile in profiles {
            for number in profile.numbers()? {
                needed.extend(profile.generation(number)?.packages.iter().map(|p| p.package));
            }
        }
        let mut swept = Swept::default();
        let mut files = BTreeSet::new();
        for (name, path) in entries(&self.home.packages())? {
            let digest: Option<Digest> = name.parse().ok();
            if let Some(digest) = digest.filter(|digest| needed.contains(digest)) {
                files.extend(contents_of(&self.home, digest)?);
                continue;
            }
            let away = self.staging().join(format!("swept-{name}"));
            std::fs::rename(&path, &away).map_err(fs::Error::at("move", &path))?;
            fs::remove_folder(&away)?;
            swept.packages += 1;
        }
        self.sweep_chunks()?;
        for (_, folder) in entries(&self.home.contents())? {
            for (_, path) in entries(&folder)? {
                if !files.contains(&path) {
                    let size = std::fs::symlink_metadata(&path).map_or(0, |found| found.size());
                    std::fs::remove_file(&path).map_err(fs::Error::at("remove", &path))?;
                    swept.files += 1;
                    swept.bytes += size;
                }
            }
        }
        Ok(swept)
    }
}

/// The contents that an unpacked package holds; none where its index is damaged, so that a
/// damaged package keeps its own links and nothing more.
fn contents_of(home: &Home, package: Digest) -> Result<Vec<std::path::PathBuf>> {
    match home.package_index(package) {
        Ok(index) => Ok(index.files.iter().map(|file| place(home, file)).collect()),
        Err(Error::DamagedIndex { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let read = std::fs::read_dir(folder).map_err(fs::Error::at("read the folder", folder))?;
    let mut entries = Vec::new();
    for entry in read {
        let entry = entry.map_err(fs::Error::at("read the folder", folder))?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    entries.sort();
    Ok(entries)
}
