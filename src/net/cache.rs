//! Whole files by digest, below `HOME/cache`.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::part::{Part, Watch, pump};
use super::{Address, Error, Result};
use crate::fs;
use crate::package::{Digest, Hasher};

/// The cache of fetched files.
///
/// A file is hashed again when it is first used in a run, unless it still has the inode, size and
/// time of change that it had when it was last hashed: these stand in a *stamp* beside it.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    verified: Mutex<HashSet<Digest>>,
}

/// Whether a file came from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// It was there.
    Yes,
    /// It was put there now.
    No,
}

impl Cache {
    /// The cache in the folder `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), verified: Mutex::default() }
    }

    /// The folder of the cache.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file with this digest stands, if it is there.
    #[must_use]
    pub fn path_of(&self, digest: Digest) -> PathBuf {
        self.beneath("sha256", digest)
    }

    fn beneath(&self, folder: &str, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.root.join(folder).join(&text[..2]).join(text)
    }

    /// Finds the file of `size` bytes with this digest. A file that changed since it was put
    /// there is removed, and not found.
    ///
    /// # Errors
    /// When the file cannot be read, or is the right one and of another size than `size`.
    pub fn get(&self, digest: Digest, size: u64) -> Result<Option<PathBuf>> {
        let path = self.path_of(digest);
        let Some(found) = self.look(digest, &path)? else { return Ok(None) };
        if found == size {
            return Ok(Some(path));
        }
        Err(Error::WrongSize {
            address: Address::Path(path),
            expected: size,
            found: found.to_string(),
        })
    }

    /// Whether a file with this digest seems to be there; nothing is hashed.
    #[must_use]
    pub fn seems_to_have(&self, digest: Digest, size: u64) -> bool {
        self.path_of(digest).metadata().is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// Its size, once its bytes are known to be right.
    fn look(&self, digest: Digest, path: &Path) -> Result<Option<u64>> {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fs::Error::at("look at", path)(error).into()),
        };
        if metadata.is_file() {
            if self.is_verified(digest) || self.stamp_of(digest) == Some(stamp(&metadata)) {
                self.note(digest);
                fs::touch(&self.beneath("verified", digest));
                return Ok(Some(metadata.len()));
            }
            if digest_of_file(path)? == digest {
                self.stamp(digest)?;
                return Ok(Some(metadata.len()));
            }
            tracing::warn!("{} changed since it was fetched; fetching it again", path.display());
        }
        if metadata.is_dir() {
            fs::remove_folder(path)?;
        } else {
            std::fs::remove_file(path).map_err(fs::Error::at("remove", path))?;
        }
        Ok(None)
    }

    fn is_verified(&self, digest: Digest) -> bool {
        self.verified.lock().is_ok_and(|verified| verified.contains(&digest))
    }

    fn note(&self, digest: Digest) {
        if let Ok(mut verified) = self.verified.lock() {
            verified.insert(digest);
        }
    }

    fn stamp_of(&self, digest: Digest) -> Option<String> {
        fs::read_to_string(&self.beneath("verified", digest), 256).ok()
    }

    /// Remembers that the file with this digest was hashed as it is now.
    pub(super) fn stamp(&self, digest: Digest) -> Result<()> {
        let path = self.path_of(digest);
        let metadata = path.metadata().map_err(fs::Error::at("look at", &path))?;
        let place = self.beneath("verified", digest);
        fs::create_folder(place.parent().unwrap_or(&self.root))?;
        // A stamp that is cut short fits no file, so it need not be written atomically.
        File::create(&place)
            .and_then(|mut file| std::io::Write::write_all(&mut file, stamp(&metadata).as_bytes()))
            .map_err(fs::Error::at("write", &place))?;
        self.note(digest);
        Ok(())
    }

    /// When the bytes of the file with this digest were last held against it, if that is known.
    #[must_use]
    pub fn verified(&self, digest: Digest) -> Option<jiff::Timestamp> {
        let stamp = self.beneath("verified", digest).metadata().ok()?;
        stamp.modified().ok()?.try_into().ok()
    }

    /// Opens the unfinished file for `digest`, and keeps others away from it.
    pub(super) fn part(&self, digest: Digest, waiting: &dyn Fn()) -> Result<Part> {
        Part::open(&self.root.join("partial"), digest, waiting)
    }

    /// Puts the bytes of `from` into the cache, if they are `size` bytes with this digest;
    /// `address` is where they are from.
    ///
    /// # Errors
    /// When they are others (then nothing of them is kept), or a file cannot be written.
    pub fn admit(
        &self,
        digest: Digest,
        size: u64,
        address: &Address,
        from: &mut dyn Read,
    ) -> Result<(PathBuf, Cached)> {
        let part = self.part(digest, &|| {})?;
        if let Some(path) = self.get(digest, size)? {
            part.discard()?;
            return Ok((path, Cached::Yes));
        }
        let mut part = part;
        part.restart()?;
        let written = pump(from, &mut part, size, &Watch::nobody(address));
        let found = match written.and_then(|()| part.finish(digest, size, address)) {
            Ok(()) => self.take(part, digest),
            Err(error) => {
                part.discard()?;
                return Err(error);
            }
        };
        found.map(|path| (path, Cached::No))
    }

    /// Moves a finished part to its place.
    pub(super) fn take(&self, part: Part, digest: Digest) -> Result<PathBuf> {
        let path = self.path_of(digest);
        part.commit(&path)?;
        self.stamp(digest)?;
        Ok(path)
    }
}

fn stamp(metadata: &Metadata) -> String {
    format!(
        "{} {} {}.{:09}\n",
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    )
}

/// Hashes a file with bounded memory.
fn digest_of_file(path: &Path) -> Result<Digest> {
    let mut file = File::open(path).map_err(fs::Error::at("open", path))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(fs::Error::at("read", path))? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> Address {
        Address::Path("somewhere".into())
    }

    #[test]
    fn a_file_that_changed_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"abc");
        let cache = Cache::at(folder.path());
        assert_eq!(cache.get(digest, 3).unwrap(), None);
        let (path, cached) = cache.admit(digest, 3, &from(), &mut &b"abc"[..]).unwrap();
        assert_eq!(cached, Cached::No);
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o444);
        let (_, cached) = cache.admit(digest, 3, &from(), &mut &b"abc"[..]).unwrap();
        assert_eq!(cached, Cached::Yes);

        let another_run = Cache::at(folder.path());
        assert_eq!(another_run.get(digest, 3).unwrap(), Some(path.clone()));
        std::fs::remove_file(&path).unwrap();
        crate::fs::write_atomically(&path, b"abd").unwrap();
        let another_run = Cache::at(folder.path());
        assert_eq!(another_run.get(digest, 3).unwrap(), None);
        assert!(!path.exists());
    }

    #[test]
    fn wrong_bytes_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let digest = Digest::of(b"abc");
        for (bytes, size, kind) in
            [(&b"abd"[..], 3, "wrong-digest"), (b"abcd", 3, "wrong-size"), (b"ab", 3, "wrong-size")]
        {
            let error = cache.admit(digest, size, &from(), &mut &*bytes).unwrap_err();
            assert_eq!(crate::explain::Explain::kind(&error), kind, "{error}");
            assert_eq!(cache.get(digest, size).unwrap(), None);
        }
        let left = std::fs::read_dir(folder.path().join("partial")).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_wrong_stated_size_does_not_cost_the_cached_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let digest = Digest::of(b"abc");
        cache.admit(digest, 3, &from(), &mut &b"abc"[..]).unwrap();
        let error = cache.get(digest, 4).unwrap_err().to_string();
        assert!(error.contains("expected 4 bytes, found 3"), "{error}");
        assert!(cache.get(digest, 3).unwrap().is_some());
    }
}
