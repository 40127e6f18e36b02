//! Gives a file of the store a second place: a reflink, else a hard link, else a copy.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

use super::Result;
use super::contents::seal;
use crate::fs;
use crate::package::FileMode;

/// Links the files of one package, and remembers what the file system cannot do.
#[derive(Debug)]
pub(super) struct Linker {
    /// Whether reflinks are worth trying: not after the file system has refused one for good.
    reflinks: Cell<bool>,
    /// Whether files were made whose bytes or permissions are not synced yet.
    unsynced: Cell<bool>,
}

impl Linker {
    pub(super) fn new() -> Self {
        Self { reflinks: Cell::new(true), unsynced: Cell::new(false) }
    }

    /// Makes `to`, which must not be there, the same file as `from`.
    ///
    /// A reflink shares the blocks and nothing else, so that writing to one place leaves the other
    /// as it was; a hard link is the same file; a copy is made where the file system has neither,
    /// or no more links to a file.
    pub(super) fn link(&self, from: &Path, to: &Path, mode: FileMode) -> Result<()> {
        if self.reflinks.get() && self.reflink(from, to)? {
            self.unsynced.set(true);
            return seal(to, mode);
        }
        match std::fs::hard_link(from, to) {
            Ok(()) => Ok(()),
            Err(error) if is_final(&error) => Err(fs::Error::at("link", to)(error).into()),
            Err(_) => {
                std::fs::copy(from, to).map_err(fs::Error::at("copy to", to))?;
                self.unsynced.set(true);
                seal(to, mode)
            }
        }
    }

    /// Whether `to` is a reflink of `from` now; where it is not, it is not there.
    fn reflink(&self, from: &Path, to: &Path) -> Result<bool> {
        let source = File::open(from).map_err(fs::Error::at("open", from))?;
        let goal = File::create_new(to).map_err(fs::Error::at("create", to))?;
        let Err(errno) = rustix::fs::ioctl_ficlone(&goal, &source) else { return Ok(true) };
        std::fs::remove_file(to).map_err(fs::Error::at("remove", to))?;
        let error = IoError::from(errno);
        if is_final(&error) {
            return Err(fs::Error::at("copy to", to)(error).into());
        }
        // Any other refusal may be of this file alone.
        let for_good = [Errno::OPNOTSUPP, Errno::NOTTY, Errno::NOSYS, Errno::XDEV, Errno::PERM];
        self.reflinks.set(!for_good.contains(&errno));
        Ok(false)
    }

    /// Makes the bytes of what was linked below `folder` survive a power cut.
    pub(super) fn sync(&self, folder: &Path) -> Result<()> {
        if !self.unsynced.get() {
            return Ok(());
        }
        let handle = File::open(folder).map_err(fs::Error::at("open", folder))?;
        rustix::fs::syncfs(&handle).map_err(|error| fs::Error::at("sync", folder)(error.into()))?;
        Ok(())
    }
}

/// Whether another way to make the same file would fail as well.
fn is_final(error: &IoError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
    ) || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}
