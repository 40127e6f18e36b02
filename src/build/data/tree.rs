//! Data that stands in the source tree.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::{Error, Result};
use crate::fs;
use crate::package::{Digest, Hasher, PackagePath};

/// What a file or folder in the tree holds.
pub(super) struct InTree {
    /// Of the file, or of the folder's listing (spec/data.md, "Digests of folders").
    pub(super) digest: Digest,
    /// Of all files together.
    pub(super) size: u64,
    /// How many files there are.
    pub(super) files: usize,
    /// Whether it is a folder.
    pub(super) is_folder: bool,
}

/// Hashes `path` in `tree`.
pub(super) fn look(tree: &Path, path: &PackagePath) -> Result<InTree> {
    let place = path.below(tree);
    let fault = |why: &str| Error::Tree { path: path.to_string(), why: why.to_owned() };
    let metadata = match place.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(fault("is not there"));
        }
        metadata => metadata.map_err(fs::Error::at("look at", &place))?,
    };
    if metadata.is_file() {
        let (digest, size) = hash(&place)?;
        return Ok(InTree { digest, size, files: 1, is_folder: false });
    }
    if !metadata.is_dir() {
        return Err(fault("is neither a file nor a folder"));
    }
    let files = files(&place)?;
    let mut listing = Listing::default();
    for (name, at) in &files {
        let (digest, size) = hash(at)?;
        listing.add(name, digest, size);
    }
    let (digest, size) = listing.finish();
    Ok(InTree { digest, size, files: files.len(), is_folder: true })
}

/// The digest of a file, or of a folder's listing.
pub(super) fn digest(place: &Path) -> Result<Digest> {
    if !place.is_dir() {
        return Ok(hash(place)?.0);
    }
    let mut listing = Listing::default();
    for (name, at) in files(place)? {
        let (digest, size) = hash(&at)?;
        listing.add(&name, digest, size);
    }
    Ok(listing.finish().0)
}

/// The files below `folder` with their relative paths, in the order of these.
pub(super) fn files(folder: &Path) -> Result<Vec<(PackagePath, std::path::PathBuf)>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| {
            let place = error.path().unwrap_or(folder).to_owned();
            fs::Error::at("read", &place)(error.into())
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let text = relative.to_string_lossy().into_owned();
        let fault = |why: String| Error::Tree { path: text.clone(), why };
        if !entry.file_type().is_file() {
            return Err(fault("is a link or a device, not a file".to_owned()));
        }
        let name: PackagePath = match relative.to_str() {
            None => return Err(fault("has a name that is not UTF-8".to_owned())),
            Some(text) => text.parse().map_err(|error| fault(format!("is refused: {error}")))?,
        };
        files.push((name, entry.into_path()));
    }
    files.sort();
    Ok(files)
}

/// The digest of a folder: of one line `SHA256  PATH` a file, in the order of the paths.
#[derive(Default)]
pub(super) struct Listing {
    hasher: Hasher,
    size: u64,
}

impl Listing {
    pub(super) fn add(&mut self, path: &PackagePath, digest: Digest, size: u64) {
        self.hasher.update(format!("{digest}  {path}\n").as_bytes());
        self.size = self.size.saturating_add(size);
    }

    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }
}

/// The digest and size of a file, with bounded memory.
pub(super) fn hash(path: &Path) -> Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut file = File::open(path).map_err(fs::Error::at("open", path))?;
    std::io::copy(&mut file, &mut hasher).map_err(fs::Error::at("read", path))?;
    hasher.flush().map_err(fs::Error::at("read", path))?;
    let size = hasher.length();
    Ok((hasher.finish(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_listing() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("d/b")).unwrap();
        crate::fs::write_atomically(&tree.path().join("d/b/x"), b"1").unwrap();
        crate::fs::write_atomically(&tree.path().join("d/a"), b"22").unwrap();
        let found = look(tree.path(), &"d".parse().unwrap()).unwrap();
        let listing = format!("{}  a\n{}  b/x\n", Digest::of(b"22"), Digest::of(b"1"));
        assert_eq!(found.digest, Digest::of(listing.as_bytes()));
        assert_eq!((found.size, found.files, found.is_folder), (3, 2, true));
        std::os::unix::fs::symlink("a", tree.path().join("d/link")).unwrap();
        let error = look(tree.path(), &"d".parse().unwrap()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("link in the tree is a link"), "{error}");
    }
}
