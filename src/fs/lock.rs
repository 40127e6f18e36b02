//! One at a time, across processes.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::{Error, Result, create_folder};

/// An exclusive lock on a file; it ends when this is dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, creating the file. Where somebody else holds it, `waiting` is
    /// called once and the lock is waited for.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let file = open(path)?;
        wait(file, path, File::try_lock, File::lock, waiting)
    }

    /// Takes the lock at `path` together with others who share it, creating the file. Where
    /// somebody holds it alone, `waiting` is called once and the lock is waited for.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn share(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let file = open(path)?;
        wait(file, path, File::try_lock_shared, File::lock_shared, waiting)
    }

    /// Takes the lock at `path`, creating the file; `None` where somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::at("lock", path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::at("open", path))
}

fn wait(
    file: File,
    path: &Path,
    attempt: fn(&File) -> Result<(), TryLockError>,
    lock: fn(&File) -> io::Result<()>,
    waiting: impl FnOnce(),
) -> Result<Lock> {
    match attempt(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            lock(&file).map_err(Error::at("lock", path))?;
        }
        Err(TryLockError::Error(error)) => return Err(Error::at("lock", path)(error)),
    }
    Ok(Lock { _file: file })
}
