//! One at a time, across processes.

use std::fs::{File, TryLockError};
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
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::at("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(Error::at("lock", path))?;
            }
            Err(TryLockError::Error(error)) => return Err(Error::at("lock", path)(error)),
        }
        Ok(Self { _file: file })
    }
}
