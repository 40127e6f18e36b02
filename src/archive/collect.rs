//! From a folder to the entries of an index.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::error::{Fault, Result};
use crate::fs;
use crate::package::{Digest, FileMode, Hasher, IndexedFile, PackagePath};

/// Reads `paths` below `root`, hashes them in parallel, and lists them in the order of an index.
///
/// # Errors
/// When one is not a regular file or cannot be read.
pub fn collect(root: &Path, paths: &[PackagePath]) -> Result<Vec<IndexedFile>> {
    let mut files: Vec<IndexedFile> =
        paths.par_iter().map(|path| read(root, path)).collect::<Result<_>>()?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Lists `paths` below `root` in the order of an index, without reading them: what stands as their
/// digest is nothing's.
pub(super) fn survey(root: &Path, paths: &[PackagePath]) -> Result<Vec<IndexedFile>> {
    let nothing = Digest::of(&[]);
    let look = |path: &PackagePath| {
        let (_, metadata) = open_regular(root, path)?;
        let (size, mode) = (metadata.len(), mode(&metadata));
        Ok(IndexedFile { path: path.clone(), size, mode, sha256: nothing })
    };
    let mut files: Vec<IndexedFile> = paths.iter().map(look).collect::<Result<_>>()?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The contents of files below `root`, for [`write_package`](super::write_package).
pub fn from_folder(
    root: &Path,
) -> impl Fn(&IndexedFile) -> fs::Result<Box<dyn Read + Send>> + Sync + use<> {
    let root = root.to_owned();
    move |file| {
        let path = file.path.below(&root);
        let file = open(&path).map_err(fs::Error::at("open", &path))?;
        Ok(Box::new(file))
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn read(root: &Path, path: &PackagePath) -> Result<IndexedFile> {
    let (mut file, metadata) = open_regular(root, path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(fs::Error::at("read", &path.below(root)))? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let (size, mode) = (hasher.length(), mode(&metadata));
    Ok(IndexedFile { path: path.clone(), size, mode, sha256: hasher.finish() })
}

fn open_regular(root: &Path, path: &PackagePath) -> Result<(File, Metadata)> {
    let place = path.below(root);
    let kind = std::fs::symlink_metadata(&place).map_err(fs::Error::at("read", &place))?;
    if !kind.is_file() {
        let what = if kind.is_symlink() {
            "a link"
        } else if kind.is_dir() {
            "a folder"
        } else {
            "not a regular file"
        };
        return Err(Fault::NotAFile { path: path.clone(), what }.into());
    }
    let file = open(&place).map_err(fs::Error::at("open", &place))?;
    let metadata = file.metadata().map_err(fs::Error::at("read", &place))?;
    Ok((file, metadata))
}

fn mode(metadata: &Metadata) -> FileMode {
    if metadata.mode() & 0o100 != 0 { FileMode::Executable } else { FileMode::Plain }
}
