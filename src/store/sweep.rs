//! Removes what no generation needs: a plan that reads only, then carrying it out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::contents::place;
use super::profile::Profile;
use super::{Error, Home, Result, Store};
use crate::fs;
use crate::package::{Digest, PackageIndex, ProfileName};

/// A package that no generation lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unneeded {
    /// Its name, version and variant, or its digest where its index is damaged.
    pub what: String,
    /// The bytes of its files; what other packages share is not freed.
    pub unpacked_size: u64,
    folder: PathBuf,
}

/// What is to be removed of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Generations to forget.
    pub generations: Vec<(ProfileName, u64)>,
    /// Unpacked packages.
    pub packages: Vec<Unneeded>,
    /// How many files of the contents.
    pub files: usize,
    /// How many bytes become free.
    pub bytes: u64,
    contents: Vec<PathBuf>,
}

impl Sweep {
    /// Finds the packages that no generation of any profile lists, and the contents that no package
    /// then holds. With `keep`, all generations but so many of the newest of a profile and its
    /// current one count as forgotten. Nothing is written.
    ///
    /// # Errors
    /// A generation that cannot be read, since what it needs is not known then; file errors.
    pub fn plan(home: &Home, keep: Option<usize>) -> Result<Self> {
        let mut sweep = Self::default();
        let mut needed = BTreeSet::new();
        for profile in Profile::all(home)? {
            let current = profile.current_number()?;
            let numbers = profile.numbers()?;
            let old = numbers.len().saturating_sub(keep.unwrap_or(numbers.len()));
            for (place, number) in numbers.into_iter().enumerate() {
                if place < old && Some(number) != current {
                    sweep.generations.push((profile.name().clone(), number));
                } else {
                    let packages = profile.generation(number)?.packages;
                    needed.extend(packages.iter().map(|package| package.package));
                }
            }
        }
        let files = sweep.plan_packages(home, &needed)?;
        for (_, folder) in entries(&home.contents())? {
            for (_, path) in entries(&folder)? {
                if !files.contains(&path) {
                    sweep.bytes += std::fs::symlink_metadata(&path).map_or(0, |found| found.len());
                    sweep.contents.push(path);
                }
            }
        }
        sweep.files = sweep.contents.len();
        Ok(sweep)
    }

    /// Finds the packages that are not `needed`; gives the contents of those that are.
    fn plan_packages(
        &mut self,
        home: &Home,
        needed: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<PathBuf>> {
        let mut files = BTreeSet::new();
        for (name, folder) in entries(&home.packages())? {
            let index = match name.parse::<Digest>() {
                Ok(digest) => index_of(home, digest)?,
                Err(_) => None,
            };
            if name.parse().is_ok_and(|digest: Digest| needed.contains(&digest)) {
                // The files of one in a shared store are there.
                if let Some(index) = index.filter(|_| !folder.is_symlink()) {
                    files.extend(index.files.iter().map(|file| place(home, file)));
                }
                continue;
            }
            let size = index.as_ref().map_or(0, PackageIndex::unpacked_size);
            let what = index.map_or(name, |index| index.release().to_string());
            self.packages.push(Unneeded { what, unpacked_size: size, folder });
        }
        self.packages.sort_by(|a, b| a.what.cmp(&b.what));
        Ok(files)
    }
}

impl Store {
    /// Carries out what [`Sweep::plan`] found under this lock. A crash in between leaves only what
    /// the next sweep removes.
    ///
    /// # Errors
    /// File errors.
    pub fn sweep(&self, sweep: &Sweep) -> Result<()> {
        self.clear_removed_profiles()?;
        for (profile, number) in &sweep.generations {
            self.forget(&Profile::of(&self.home, profile), *number)?;
        }
        for package in &sweep.packages {
            let away = self.staging().join("swept");
            fs::remove_folder(&away)?;
            let path = &package.folder;
            std::fs::rename(path, &away).map_err(fs::Error::at("move", path))?;
            fs::remove_folder(&away)?;
        }
        self.sweep_chunks()?;
        for path in &sweep.contents {
            std::fs::remove_file(path).map_err(fs::Error::at("remove", path))?;
        }
        Ok(())
    }
}

/// The index of an unpacked package; none where it is damaged or gone, so that such a package
/// keeps its own links and nothing more.
fn index_of(home: &Home, package: Digest) -> Result<Option<PackageIndex>> {
    match home.package_index(package) {
        Ok(index) => Ok(Some(index)),
        Err(Error::DamagedIndex { .. } | Error::Package(_)) => Ok(None),
        Err(Error::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a folder, with their paths; none where it is not there.
pub(super) fn entries(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(fs::Error::at("read the folder", folder)(error).into()),
    };
    let mut entries = BTreeMap::new();
    for entry in read {
        let entry = entry.map_err(fs::Error::at("read the folder", folder))?;
        entries.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    Ok(entries)
}
