//! Unpacks a package into the store: staging, sync, links to contents, one rename.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::contents::{FOLDER_BITS, looks_whole, place, seal, sync_all};
use super::link::Linker;
use super::{Error, Home, Result, Store};
use crate::archive::{self, FolderSink, Package, Reach, Sink, index_bytes};
use crate::fs;
use crate::package::{Digest, FileMode, INDEX_PATH, IndexedFile};
use crate::progress::Progress;

/// What to do where the package or one of its files is in the store already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Use it.
    Keep,
    /// Write it anew, because it is damaged.
    Replace,
}

/// What [`Store::add`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The package was unpacked.
    New,
    /// It was there.
    AlreadyThere,
}

/// Whether packages with pickle-based files may be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PicklePolicy {
    /// They are refused.
    Deny,
    /// Whoever calls was told that such files run code.
    Allow,
}

impl Store {
    /// Unpacks `package` into the store, every byte checked against its index. A crash at any
    /// point leaves the store without the package or with the whole of it.
    ///
    /// # Errors
    /// [`Error::Pickle`] before anything is unpacked; what the container finds wrong; file errors.
    pub fn add(
        &self,
        package: &Package,
        existing: Existing,
        pickle: PicklePolicy,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let index = package.index();
        if let (Some(reason), PicklePolicy::Deny) = (&index.pickle_reason, pickle) {
            return Err(Error::Pickle {
                release: index.release().to_string(),
                reason: crate::explain::printable(reason),
            });
        }
        let digest = package.package_digest();
        if existing == Existing::Keep && self.holds(digest) {
            return Ok(Added::AlreadyThere);
        }
        let staged = self.staging().join(digest.to_string());
        fs::remove_folder(&staged)?;
        fs::create_folder(&staged)?;
        fs::write_atomically(&staged.join(INDEX_PATH), &index_bytes(index)?)?;
        // From here on what an interrupted run leaves of a package from elsewhere is of use.
        self.keep_chunk_table(package)?;
        let mut sink = StoreSink::new(&self.home, &staged, existing)?;
        if let Err(error) = package.extract_with(&mut sink, threads(), progress) {
            // On a full disk it would only be in the way.
            if matches!(error, archive::Error::File(_)) || package.reach() == Reach::Here {
                fs::remove_folder(&staged)?;
            }
            return Err(error.into());
        }
        let written = sink.written;
        seal(&staged.join(INDEX_PATH), FileMode::Plain)?;
        written.par_iter().try_for_each(|(file, path)| seal(path, file.mode))?;
        sync_all(&staged, written.iter().map(|(_, path)| path.as_path()))?;
        let linker = Linker::new();
        self.share(&written, &linker)?;
        self.link(&index.files, &staged, &linker)?;
        linker.sync(&staged)?;
        seal_folders(&staged)?;
        self.put_in_place(&staged, digest)?;
        self.forget_unfinished(digest)?;
        Ok(Added::New)
    }

    /// Gives every file that was written its second name among the contents.
    fn share(&self, written: &[(IndexedFile, PathBuf)], linker: &Linker) -> Result<()> {
        let mut folders = BTreeSet::new();
        let staged = self.staging().join("contents");
        for (file, path) in written {
            let contents = place(&self.home, file);
            let folder = contents.parent().unwrap_or(&staged);
            if folders.insert(folder.to_owned()) {
                fs::create_folder(folder)?;
            }
            linker.link(path, &staged, file.mode)?;
            std::fs::rename(&staged, &contents)
                .map_err(fs::Error::at("rename a file to", &contents))?;
            // Two files of one package may be the same: then the rename left both names.
            let _ = std::fs::remove_file(&staged);
        }
        folders.iter().try_for_each(|folder| fs::sync_folder(folder))?;
        Ok(fs::sync_folder(&self.home.contents())?)
    }

    /// Puts the files that were not written, because their contents are here, into the tree.
    fn link(&self, files: &[IndexedFile], staged: &Path, linker: &Linker) -> Result<()> {
        for file in files {
            let path = file.path.below(staged);
            if std::fs::symlink_metadata(&path).is_ok() {
                continue;
            }
            if let Some(folder) = path.parent() {
                fs::create_folder(folder)?;
            }
            linker.link(&place(&self.home, file), &path, file.mode)?;
        }
        Ok(())
    }

    /// Renames a finished tree to its place; a damaged one that is there is exchanged for it.
    fn put_in_place(&self, staged: &Path, digest: Digest) -> Result<()> {
        let goal = self.home.package(digest);
        // A link into a shared store that leads nowhere any more is something that is there too.
        let is_there = std::fs::symlink_metadata(&goal).is_ok();
        if is_there && self.exchange(staged, &goal)? {
            fs::sync_folder(&self.home.packages())?;
            return Ok(fs::remove_folder(staged)?);
        }
        std::fs::rename(staged, &goal).map_err(fs::Error::at("rename a folder to", &goal))?;
        Ok(fs::sync_folder(&self.home.packages())?)
    }

    /// Exchanges two folders in one call. Where the file system cannot (some network ones), the
    /// old one is moved away, and `false` says that the new one is still to be put there.
    fn exchange(&self, staged: &Path, goal: &Path) -> Result<bool> {
        match rustix::fs::renameat_with(CWD, staged, CWD, goal, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS) => {
                let away = self.staging().join("replaced");
                fs::remove_folder(&away)?;
                std::fs::rename(goal, &away).map_err(fs::Error::at("move", goal))?;
                Ok(false)
            }
            Err(errno) => Err(fs::Error::at("replace", goal)(errno.into()).into()),
        }
    }
}

/// Writes the files whose contents are not in the store yet; the others are only checked.
struct StoreSink<'a> {
    home: &'a Home,
    root: PathBuf,
    existing: Existing,
    folder: FolderSink,
    seen: BTreeSet<(Digest, FileMode)>,
    is_writing: bool,
    written: Vec<(IndexedFile, PathBuf)>,
}

impl<'a> StoreSink<'a> {
    fn new(home: &'a Home, root: &Path, existing: Existing) -> Result<Self> {
        Ok(Self {
            home,
            root: root.to_owned(),
            existing,
            folder: FolderSink::new(root)?,
            seen: BTreeSet::new(),
            is_writing: false,
            written: Vec::new(),
        })
    }
}

impl Sink for StoreSink<'_> {
    fn begin(&mut self, file: &IndexedFile) -> fs::Result<()> {
        let is_here = self.existing == Existing::Keep && looks_whole(&place(self.home, file), file);
        self.is_writing = !is_here && self.seen.insert((file.sha256, file.mode));
        if self.is_writing { self.folder.begin(file) } else { Ok(()) }
    }

    fn write(&mut self, bytes: &[u8]) -> fs::Result<()> {
        if self.is_writing { self.folder.write(bytes) } else { Ok(()) }
    }

    fn finish(&mut self, file: &IndexedFile) -> fs::Result<()> {
        if self.is_writing {
            self.folder.finish(file)?;
            self.written.push((file.clone(), file.path.below(&self.root)));
        }
        Ok(())
    }
}

/// Gives the folders of a finished tree their permissions, and syncs them.
fn seal_folders(root: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).contents_first(true) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            fs::Error::at("read the folder", &path)(error.into())
        })?;
        if entry.file_type().is_dir() {
            let path = entry.path();
            let folder = File::open(path).map_err(fs::Error::at("open", path))?;
            folder
                .set_permissions(Permissions::from_mode(FOLDER_BITS))
                .map_err(fs::Error::at("set the permissions of", path))?;
            folder.sync_all().map_err(fs::Error::at("sync", path))?;
        }
    }
    Ok(())
}

fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
