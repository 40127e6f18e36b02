//! A tree that `mpkg source` unpacked: what it was, beside what it has become
//! (spec/patches.md, "An unpacked source").

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::patches::{
    Base, Contents, LONGEST_FILE, Overlay, PATCHES_FOLDER, Patch, SERIES_NAME, Series,
};
use super::source::SourceError;
use super::tree::{IGNORE_NAME, SourceTree};
use crate::archive::{self, LARGEST_INDEX};
use crate::fs;
use crate::package::manifest::{MANIFEST_NAME, Manifest};
use crate::package::{IndexedFile, LOCK_NAME, PackageIndex, PackagePath};

/// The folder of an unpacked source that remembers what it was.
pub const PRISTINE_FOLDER: &str = ".mpkg-source";
/// In it, the index of the source package.
const INDEX_NAME: &str = "index.json";
/// In it, the files of the source package.
const FILES_NAME: &str = "files";
/// What is changed as it is, and never by patches.
const PACKAGING: &[&str] = &[MANIFEST_NAME, LOCK_NAME, IGNORE_NAME, "CHANGELOG.md"];

/// What an unpacked source was: the files of its source package, without patches.
#[derive(Debug, Clone)]
pub struct Pristine {
    files: Vec<IndexedFile>,
    root: PathBuf,
}

/// A file of a tree that is not what the pristine files and the patches make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The file.
    pub path: PackagePath,
    /// What patches make of it.
    pub before: Option<IndexedFile>,
    /// What it is.
    pub after: Option<IndexedFile>,
}

impl Unrecorded {
    /// What became of it, in a word.
    #[must_use]
    pub fn in_a_word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(before), Some(after)) if before.sha256 == after.sha256 => "mode changed",
            _ => "changed",
        }
    }
}

/// Whether `path` belongs to the packaging, which is changed as it is: the manifest, the lock
/// file, `.mpkgignore`, the changelog, patches, and lists of withdrawn records.
#[must_use]
pub fn is_packaging(manifest: &Manifest, path: &PackagePath) -> bool {
    PACKAGING.contains(&path.as_str())
        || path.as_str().starts_with(PATCHES_FOLDER)
        || manifest.data.iter().any(|data| data.exclude.contains(path))
}

/// Where the pristine files of the tree in `root` lie.
#[must_use]
pub fn files_folder(root: &Path) -> PathBuf {
    root.join(PRISTINE_FOLDER).join(FILES_NAME)
}

/// Remembers in the tree in `root` that it was unpacked from the package with this index, whose
/// files lie in [`files_folder`] already.
///
/// # Errors
/// When it cannot be written.
pub fn remember(root: &Path, index: &PackageIndex) -> Result<(), SourceError> {
    let bytes = archive::index_bytes(index)?;
    Ok(fs::write_atomically(&root.join(PRISTINE_FOLDER).join(INDEX_NAME), &bytes)
        .map_err(archive::Error::from)?)
}

impl Pristine {
    /// What the tree was, where `mpkg source` unpacked it.
    ///
    /// # Errors
    /// When it remembers that badly.
    pub fn of(tree: &SourceTree) -> Result<Option<Self>, SourceError> {
        let folder = tree.root().join(PRISTINE_FOLDER);
        if !folder.is_dir() {
            return Ok(None);
        }
        let path = folder.join(INDEX_NAME);
        let damaged = |path: &Path| SourceError::Damaged { path: path.to_owned() };
        let bytes = fs::read(&path, LARGEST_INDEX).map_err(|_| damaged(&path))?;
        let index = archive::parse_index(&bytes).map_err(|_| damaged(&path))?;
        let root = folder.join(FILES_NAME);
        let mut files = index.files;
        files.retain(|file| !is_packaging(tree.manifest(), &file.path));
        Ok(Some(Self { files, root }))
    }

    /// The files, for patches to be applied to.
    #[must_use]
    pub fn base(&self) -> Base<'_> {
        Base { root: &self.root, files: &self.files }
    }

    /// Makes sure that the files are what they were.
    ///
    /// # Errors
    /// [`SourceError::Damaged`], with the first that is not.
    pub fn verify(&self) -> Result<(), SourceError> {
        let paths: Vec<PackagePath> = self.files.iter().map(|file| file.path.clone()).collect();
        let damaged = |path: PathBuf| SourceError::Damaged { path };
        let found = archive::collect(&self.root, &paths).map_err(|_| damaged(self.root.clone()))?;
        // The index is in the order of paths, as the package's own is.
        let is_other = |(found, expected): &(&IndexedFile, &IndexedFile)| {
            (&found.path, found.sha256) != (&expected.path, expected.sha256)
        };
        match found.iter().zip(&self.files).find(is_other) {
            Some((_, expected)) => Err(damaged(expected.path.below(&self.root))),
            None => Ok(()),
        }
    }

    /// What is in the tree and in no patch, by what `overlay` makes of the pristine files.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn unrecorded(
        &self,
        tree: &SourceTree,
        overlay: &Overlay,
    ) -> Result<Vec<Unrecorded>, SourceError> {
        let mut paths = tree.scan()?.paths;
        paths.retain(|path| !is_packaging(tree.manifest(), path));
        let found = by_path(archive::collect(tree.root(), &paths)?);
        let mut expected = by_path(overlay.index(self.base()));
        // Modes of the pristine files are those of the package.
        let all: BTreeSet<PackagePath> = found.keys().chain(expected.keys()).cloned().collect();
        let differs = |path: &PackagePath| found.get(path) != expected.get(path);
        let changed: Vec<PackagePath> = all.into_iter().filter(differs).collect();
        let mut found = found;
        let unrecorded = changed.into_iter().map(|path| Unrecorded {
            before: expected.remove(&path),
            after: found.remove(&path),
            path,
        });
        Ok(unrecorded.collect())
    }
}

fn by_path(files: Vec<IndexedFile>) -> BTreeMap<PackagePath, IndexedFile> {
    files.into_iter().map(|file| (file.path.clone(), file)).collect()
}

/// What the file at `path` of the tree holds now; none where it is not there.
///
/// # Errors
/// When it cannot be read or is too long.
pub fn working(tree: &SourceTree, file: Option<&IndexedFile>) -> fs::Result<Option<Contents>> {
    let Some(file) = file else { return Ok(None) };
    let bytes = fs::read(&file.path.below(tree.root()), LONGEST_FILE)?;
    Ok(Some(Contents { bytes, mode: file.mode }))
}

/// The patches of a tree, none of which touches the packaging.
///
/// # Errors
/// When one cannot be read, or touches it.
pub fn patches_of(tree: &SourceTree) -> super::patches::Result<(Series, Vec<Patch>)> {
    let series = Series::read(tree.root())?;
    let patches = series.patches(tree.root())?;
    for patch in &patches {
        let forbidden = patch.changes.iter().find_map(|change| {
            let path = &change.path;
            if is_packaging(tree.manifest(), path) {
                return Some((path, "it belongs to the packaging, which is changed as it is"));
            }
            let start = path.as_str().split('/').next().unwrap_or_default();
            let kept = [PRISTINE_FOLDER, ".mpkg", ".git"].contains(&start);
            kept.then_some((path, "mpkg keeps that place for itself, or never packs it"))
        });
        if let Some((path, why)) = forbidden {
            let (name, path) = (patch.name.clone(), path.clone());
            return Err(super::patches::Error::Forbidden { name, path, why });
        }
    }
    Ok((series, patches))
}

/// Whether the tree in `root` has a list of patches.
#[must_use]
pub fn has_series(root: &Path) -> bool {
    root.join(SERIES_NAME).exists()
}
