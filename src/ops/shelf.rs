//! Packages unpacked in the cache, by their digests: for builds and studies, never for a profile.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::archive::{self, Package};
use crate::build::outputs::{self, hash_file};
use crate::build::pristine::{PRISTINE_FOLDER, has_series};
use crate::build::source::{Source, SourceError};
use crate::build::tree::SourceTree;
use crate::fs::{
    Error as FileError, create_folder, read, read_to_string, remove_folder, sync_folder, touch,
    write_atomically,
};
use crate::package::{Digest, INDEX_PATH, PackageIndex};
use crate::progress::Progress;
use crate::store::Home;

/// The folder of the cache that holds unpacked packages.
#[derive(Debug, Clone)]
pub struct Shelf {
    root: PathBuf,
}

impl Shelf {
    /// The shelf in the cache of `home`.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self { root: home.cache().join("packages") }
    }

    /// Where the package with this digest lies, if it is there.
    #[must_use]
    pub fn folder(&self, package: Digest) -> PathBuf {
        self.root.join(package.to_string())
    }

    /// The index of a package that is there.
    #[must_use]
    pub fn index(&self, package: Digest) -> Option<PackageIndex> {
        let path = self.folder(package).join(INDEX_PATH);
        let text = read_to_string(&path, archive::LARGEST_INDEX).ok()?;
        let sound = Digest::of(text.as_bytes()) == package;
        sound.then(|| archive::parse_index(text.as_bytes()).ok()).flatten()
    }

    /// The index of a package all of whose files are there and what they should be; it counts as
    /// used now.
    #[must_use]
    pub fn whole(&self, package: Digest) -> Option<PackageIndex> {
        let folder = self.folder(package);
        let is_sound = |index: &PackageIndex| {
            index.files.par_iter().all(|file| {
                let found = hash_file(&file.path.below(&folder));
                found.is_ok_and(|found| found == (file.sha256, file.size))
            })
        };
        let index = self.index(package).filter(is_sound)?;
        touch(&folder);
        Some(index)
    }

    /// The tree with its patches applied: itself where there are none, or they are; else a copy on
    /// the shelf.
    ///
    /// # Errors
    /// When one does not apply, or the copy cannot be written.
    pub fn patched(&self, tree: SourceTree) -> Result<SourceTree, SourceError> {
        if !has_series(tree.root()) || tree.root().join(PRISTINE_FOLDER).is_dir() {
            return Ok(tree);
        }
        // What is on a shelf has its index with it.
        let bytes = read(&tree.root().join(INDEX_PATH), archive::LARGEST_INDEX);
        let source = match bytes.ok().and_then(|bytes| archive::parse_index(&bytes).ok()) {
            Some(index) => Source::packed(&tree, index)?,
            None => Source::of(&tree)?,
        };
        let goal = self.root.join(format!("{}-patched", archive::package_digest(&source.index)?));
        if !goal.is_dir() {
            create_folder(&self.root)?;
            let staging = tempfile::Builder::new()
                .prefix(".staging-")
                .tempdir_in(&self.root)
                .map_err(FileError::at("create a folder in", &self.root))?;
            let inside = staging.path().join("tree");
            source.built(&tree, &inside)?;
            let moved = std::fs::rename(&inside, &goal);
            // Somebody else may have put the same there.
            if !goal.is_dir() {
                moved.map_err(FileError::at("rename a folder to", &goal))?;
            }
            sync_folder(&self.root)?;
        }
        touch(&goal);
        Ok(SourceTree::open(&goal)?)
    }

    /// Unpacks a package there, in place of one that is damaged.
    ///
    /// # Errors
    /// When the package is not sound or a file cannot be written; then nothing changes.
    pub fn put(&self, package: &Package, progress: &dyn Progress) -> archive::Result<PackageIndex> {
        create_folder(&self.root)?;
        let staging = tempfile::Builder::new()
            .prefix(".staging-")
            .tempdir_in(&self.root)
            .map_err(FileError::at("create a folder in", &self.root))?;
        let inside = staging.path().join("package");
        create_folder(&inside)?;
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        package.extract(&inside, threads, progress)?;
        write_atomically(&inside.join(INDEX_PATH), &archive::index_bytes(package.index())?)?;
        outputs::make_read_only(&inside)?;
        outputs::make_movable(&inside)?;
        let folder = self.folder(package.package_digest());
        remove_folder(&folder)?;
        std::fs::rename(&inside, &folder).map_err(FileError::at("rename a folder to", &folder))?;
        sync_folder(&self.root)?;
        Ok(package.index().clone())
    }
}
