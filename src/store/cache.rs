//! What lies in the cache, when it was last used, and clearing it away.
//!
//! Who keeps what there knows its form; here only its place counts: a part is one file or folder
//! that can be fetched or made again, and that nobody misses once it is gone as a whole.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::sweep::entries;
use super::{Error, Home, Result, Store};
use crate::fs;

/// A kind of part: the folder below `cache`, how deep its parts lie there, and what one is.
const KINDS: &[(&str, usize, &str)] = &[
    ("sha256", 2, "fetched file"),
    ("partial", 1, "unfinished download"),
    ("packages", 1, "unpacked package"),
    ("steps", 2, "step"),
    ("environments", 1, "environment"),
    ("wheels", 1, "wheel"),
    ("builds", 1, "build folder"),
    ("trace", 1, "index of text"),
];

/// The folder below `cache` for what is being removed.
const REMOVED: &str = ".removed";

/// How much of the cache stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Parts that were last used before this go.
    pub used_since: Option<Timestamp>,
    /// Then those that were not used for longest go, until the rest has at most so many bytes.
    pub bytes: Option<u64>,
}

/// One part of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePart {
    /// What it is, as in `step`.
    pub kind: &'static str,
    /// The name that it lies under.
    pub name: String,
    /// The bytes of its files.
    pub bytes: u64,
    /// When it was last used.
    pub used: Timestamp,
    path: PathBuf,
    /// The time of its last check stands in another file.
    stamp: Option<PathBuf>,
}

/// What is to be removed of the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheSweep {
    /// Its parts, the one that was not used for longest first.
    pub parts: Vec<CachePart>,
    /// The bytes of the parts that stay.
    pub kept_bytes: u64,
}

impl CacheSweep {
    /// Finds the parts that `limits` leave no room for. Nothing is written.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn plan(home: &Home, limits: CacheLimits) -> Result<Self> {
        let mut parts = parts(home)?;
        parts.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut kept_bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        let mut sweep = Self::default();
        for part in parts {
            let is_old = limits.used_since.is_some_and(|since| part.used < since);
            let is_too_much = limits.bytes.is_some_and(|bytes| kept_bytes > bytes);
            if is_old || is_too_much {
                kept_bytes -= part.bytes;
                sweep.parts.push(part);
            }
        }
        Ok(Self { kept_bytes, ..sweep })
    }

    /// How many bytes become free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// The use of the cache by one program: while it lasts, nothing in it is cleared away.
#[derive(Debug)]
pub struct CacheUse {
    _lock: fs::Lock,
}

impl CacheUse {
    /// Begins to use the folder `cache`; others may as well. Where it is being cleared, `waiting`
    /// is called and the end of that waited for.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn begin(cache: &Path, waiting: impl FnOnce()) -> fs::Result<Self> {
        Ok(Self { _lock: fs::Lock::share(&lock_of(cache), waiting)? })
    }
}

fn lock_of(cache: &Path) -> PathBuf {
    cache.join("lock")
}

impl Store {
    /// Clears parts of the cache away; `plan` is asked for them once nobody uses the cache. The
    /// store's own lock keeps installations away, which use it as well.
    ///
    /// # Errors
    /// [`Error::CacheInUse`]; file errors. Each part is whole or gone, whatever happens.
    pub fn clear_cache(&self, limits: CacheLimits) -> Result<CacheSweep> {
        let path = self.home.cache();
        let Some(_lock) = fs::Lock::try_acquire(&lock_of(&path))? else {
            return Err(Error::CacheInUse { path });
        };
        let removed = path.join(REMOVED);
        fs::remove_folder(&removed)?;
        let sweep = CacheSweep::plan(&self.home, limits)?;
        for part in &sweep.parts {
            if part.path.is_dir() && !part.path.is_symlink() {
                // A folder that its owner may not write can be moved by root alone.
                let bits = std::fs::Permissions::from_mode(0o700);
                std::fs::set_permissions(&part.path, bits)
                    .and_then(|()| std::fs::rename(&part.path, &removed))
                    .map_err(fs::Error::at("move", &part.path))?;
                fs::remove_folder(&removed)?;
            } else {
                remove_file(&part.path)?;
            }
            part.stamp.iter().try_for_each(|stamp| remove_file(stamp))?;
        }
        Ok(sweep)
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(fs::Error::at("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

fn parts(home: &Home) -> Result<Vec<CachePart>> {
    let mut parts = Vec::new();
    for &(folder, depth, kind) in KINDS {
        let folder = home.cache().join(folder);
        let mut open: Vec<(String, PathBuf)> = entries(&folder)?.into_iter().collect();
        for _ in 1..depth {
            let branches = open.into_iter().map(|(_, branch)| entries(&branch));
            open = branches.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        }
        // A lock that is removed would be no lock for those who wait for it.
        open.retain(|(name, _)| !name.ends_with(".lock"));
        for (name, path) in open {
            let stamp = (kind == "fetched file").then(|| {
                home.cache().join("verified").join(name.get(..2).unwrap_or("")).join(&name)
            });
            let used = stamp.iter().chain([&path]).filter_map(|path| changed(path)).max();
            let used = used.unwrap_or(Timestamp::UNIX_EPOCH);
            parts.push(CachePart { kind, bytes: size_of(&path), used, name, path, stamp });
        }
    }
    Ok(parts)
}

fn changed(path: &Path) -> Option<Timestamp> {
    let time = std::fs::symlink_metadata(path).and_then(|found| found.modified()).ok()?;
    Timestamp::try_from(time).ok()
}

fn size_of(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().filter_map(std::result::Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
