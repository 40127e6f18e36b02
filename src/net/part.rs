//! A file that is not yet whole, and the pump that fills it.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Address, Error, Result};
use crate::fs;
use crate::package::{Digest, Hasher};
use crate::progress::Task;

/// How many bytes are read, hashed and written at once.
const BLOCK: usize = 1 << 18;
/// How many blocks are under way between reading and hashing.
const BLOCKS: usize = 4;
/// The fewest bytes a second that are no stall.
const LOWEST_SPEED: u64 = 64;

/// `partial/DIGEST.part`, locked: the beginning of the file with that digest.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    /// How many answers its bytes are from.
    pub(super) answers: u32,
}

/// What is known of the address that a part began at: `partial/DIGEST.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The SHA-256 of the address, which may hold a secret.
    pub(super) address: Digest,
    /// Its strong `ETag` or its `Last-Modified`.
    pub(super) validator: String,
}

impl Part {
    /// Opens or creates the part and locks it; `waiting` is called where somebody else has it.
    /// What it holds already is hashed.
    pub(super) fn open(folder: &Path, digest: Digest, waiting: &dyn Fn()) -> Result<Self> {
        fs::create_folder(folder)?;
        let path = folder.join(format!("{digest}.part"));
        let mut file = locked(&path, waiting)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BLOCK];
        loop {
            match file.read(&mut buffer).map_err(fs::Error::at("read", &path))? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        let answers = u32::from(hasher.length() > 0);
        Ok(Self { file, path, hasher, answers })
    }

    /// Where it stands.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it holds.
    pub(super) fn length(&self) -> u64 {
        self.hasher.length()
    }

    fn sidecar(&self) -> PathBuf {
        self.path.with_extension("json")
    }

    /// Where its first bytes came from.
    pub(super) fn origin(&self) -> Option<Origin> {
        let text = fs::read_to_string(&self.sidecar(), 1 << 12).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Remembers where its first bytes come from.
    pub(super) fn begin(&mut self, origin: Option<&Origin>) -> Result<()> {
        self.restart()?;
        self.answers = 1;
        match origin {
            Some(origin) => {
                let text = serde_json::to_string(origin).unwrap_or_default();
                Ok(fs::write_atomically(&self.sidecar(), text.as_bytes())?)
            }
            None => Ok(()),
        }
    }

    /// Throws away what it holds.
    pub(super) fn restart(&mut self) -> Result<()> {
        remove(&self.sidecar())?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(fs::Error::at("empty", &self.path))?;
        self.hasher = Hasher::new();
        self.answers = 0;
        Ok(())
    }

    /// Checks that it is whole.
    pub(super) fn finish(&mut self, digest: Digest, size: u64, address: &Address) -> Result<()> {
        if self.length() != size {
            return Err(Error::WrongSize {
                address: address.clone(),
                expected: size,
                found: self.length().to_string(),
            });
        }
        let found = self.hasher.clone().finish();
        if found == digest {
            Ok(())
        } else {
            Err(Error::WrongDigest { address: address.clone(), expected: digest, found })
        }
    }

    /// Syncs it and renames it to `goal`, read-only.
    pub(super) fn commit(self, goal: &Path) -> Result<()> {
        let folder = goal.parent().unwrap_or(Path::new("."));
        fs::create_folder(folder)?;
        self.file
            .set_permissions(std::fs::Permissions::from_mode(0o444))
            .and_then(|()| self.file.sync_all())
            .map_err(fs::Error::at("sync", &self.path))?;
        std::fs::rename(&self.path, goal).map_err(fs::Error::at("rename a file to", goal))?;
        remove(&self.sidecar())?;
        Ok(fs::sync_folder(folder)?)
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<()> {
        remove(&self.sidecar())?;
        remove(&self.path)
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(fs::Error::at("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

/// Opens `path` with a lock on it. Whoever finishes a part renames or removes it, so a lock on a
/// file that is no longer under that name is worth nothing, and the file is opened anew.
fn locked(path: &Path, waiting: &dyn Fn()) -> Result<File> {
    loop {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fs::Error::at("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(fs::Error::at("lock", path))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(fs::Error::at("lock", path)(error).into());
            }
        }
        let ours = file.metadata().map_err(fs::Error::at("look at", path))?;
        match path.symlink_metadata() {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                return Ok(file);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fs::Error::at("look at", path)(error).into()),
        }
    }
}

/// Who watches a pump, and who may stop it.
pub(super) struct Watch<'a> {
    pub(super) address: &'a Address,
    pub(super) task: Option<&'a dyn Task>,
    pub(super) give_up: Option<&'a AtomicBool>,
    /// In which at least [`LOWEST_SPEED`] bytes a second must have come.
    pub(super) window: Option<Duration>,
}

impl<'a> Watch<'a> {
    pub(super) fn nobody(address: &'a Address) -> Self {
        Self { address, task: None, give_up: None, window: None }
    }
}

/// Reads `from` to its end into `part`, hashing in a second thread; at most `size` bytes in all.
/// An end before that is no error here. Whatever happens, the part's bytes and its hash agree.
pub(super) fn pump(
    from: &mut dyn Read,
    part: &mut Part,
    size: u64,
    watch: &Watch<'_>,
) -> Result<()> {
    let (full, to_hash) = crossbeam_channel::bounded::<(Vec<u8>, usize)>(BLOCKS);
    let (hashed, free) = crossbeam_channel::bounded::<Vec<u8>>(BLOCKS);
    for _ in 0..BLOCKS {
        let block = usize::try_from(size.saturating_add(1)).unwrap_or(BLOCK).min(BLOCK);
        hashed.send(vec![0; block]).expect("the channel has room for every block");
    }
    let mut state = std::mem::take(&mut part.hasher);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            for (block, filled) in to_hash {
                state.update(&block[..filled]);
                // Nobody takes blocks any more at the end.
                let _ = hashed.send(block);
            }
            state
        });
        let mut total = Meter::new(part.file.stream_position().unwrap_or(0), size);
        let result = loop {
            let Ok(mut block) = free.recv() else { break Ok(()) };
            let (filled, outcome) = fill(from, &mut block, &mut total, watch);
            if let Err(error) = part.file.write_all(&block[..filled]) {
                break Err(fs::Error::at("write", &part.path)(error).into());
            }
            let _ = full.send((block, filled));
            match outcome {
                Ok(Filled::More) => {}
                Ok(Filled::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        drop(full);
        part.hasher = worker.join().expect("hashing does not panic");
        result
    })
    .or_else(|error| part.settle(error))
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({}, {} bytes)", self.path.display(), self.length())
    }
}

impl Part {
    /// After a failed write the file may be longer than what was hashed.
    fn settle(&mut self, error: Error) -> Result<()> {
        let length = self.length();
        // The first error is the one to report.
        let _ = self.file.set_len(length);
        let _ = self.file.seek(std::io::SeekFrom::Start(length));
        Err(error)
    }
}

enum Filled {
    More,
    End,
}

/// Counts bytes against the size and the clock.
pub(super) struct Meter {
    position: u64,
    size: u64,
    window_began: Instant,
    in_window: u64,
}

impl Meter {
    pub(super) fn new(position: u64, size: u64) -> Self {
        Self { position, size, window_began: Instant::now(), in_window: 0 }
    }

    pub(super) fn count(&mut self, read: u64, watch: &Watch<'_>) -> Result<()> {
        self.position += read;
        self.in_window += read;
        if let Some(task) = watch.task {
            task.advance(read);
        }
        if watch.give_up.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Error::GivenUp);
        }
        let Some(window) = watch.window else { return Ok(()) };
        if self.window_began.elapsed() < window {
            return Ok(());
        }
        let seconds = window.as_secs().max(1);
        let least = seconds * LOWEST_SPEED;
        if self.in_window < least {
            return Err(Error::Stalled {
                address: watch.address.clone(),
                found: self.position,
                least,
                seconds,
            });
        }
        (self.window_began, self.in_window) = (Instant::now(), 0);
        Ok(())
    }
}

/// Fills `block` as far as bytes come; what was read counts even with an error.
fn fill(
    from: &mut dyn Read,
    block: &mut [u8],
    meter: &mut Meter,
    watch: &Watch<'_>,
) -> (usize, Result<Filled>) {
    let mut filled = 0;
    while filled < block.len() {
        // One byte more than is left, to see a body that is too long.
        let left = (meter.size - meter.position).saturating_add(1);
        let room = block.len() - filled;
        let wanted = usize::try_from(left).unwrap_or(room).min(room);
        let read = match from.read(&mut block[filled..filled + wanted]) {
            Ok(0) => return (filled, Ok(Filled::End)),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return (filled, Err(broken(&error, meter, watch))),
        };
        if read as u64 == left {
            let error = Error::WrongSize {
                address: watch.address.clone(),
                expected: meter.size,
                found: "more".to_owned(),
            };
            return (filled, Err(error));
        }
        filled += read;
        if let Err(error) = meter.count(read as u64, watch) {
            return (filled, Err(error));
        }
    }
    (filled, Ok(Filled::More))
}

pub(super) fn broken(error: &std::io::Error, meter: &Meter, watch: &Watch<'_>) -> Error {
    let seconds = watch.window.unwrap_or_default().as_secs();
    if super::client::is_timeout(error) {
        Error::Stalled { address: watch.address.clone(), found: meter.position, least: 1, seconds }
    } else {
        Error::BrokenOff {
            address: watch.address.clone(),
            expected: meter.size,
            found: meter.position,
            cause: super::client::innermost(error),
        }
    }
}
