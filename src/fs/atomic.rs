//! Whole files or none: staging beside the goal, fsync, one rename.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// Creates `folder` and what leads to it.
///
/// # Errors
/// When the system refuses; a file in the way is one reason.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::at("create the folder", folder))
}

/// Removes `folder` with all that is in it, read-only folders as well; that it is not there is
/// no error.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_folder(folder: &Path) -> Result<()> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    match fs::remove_dir_all(folder) {
        Ok(()) => return Ok(()),
        Err(error) if gone(&error) => return Ok(()),
        Err(_) => make_folders_writable(folder),
    }
    match fs::remove_dir_all(folder) {
        Err(error) if !gone(&error) => Err(Error::at("remove the folder", folder)(error)),
        _ => Ok(()),
    }
}

fn make_folders_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(std::result::Result::ok) {
        if entry.file_type().is_dir() {
            // A failure shows when the removal is tried again.
            let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700));
        }
    }
}

/// Renames the folder `staged` to its place `goal`. One that is there already changes places with
/// it in one call, so at every moment one of the two is there whole.
///
/// # Errors
/// When the system refuses.
pub fn put_folder(staged: &Path, goal: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    if goal.exists() {
        match renameat_with(CWD, staged, CWD, goal, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Some network file systems cannot.
            Err(Errno::INVAL | Errno::NOSYS) => remove_folder(goal)?,
            Err(errno) => return Err(Error::at("replace", goal)(errno.into())),
        }
    }
    fs::rename(staged, goal).map_err(Error::at("rename a folder to", goal))
}

/// Makes the names in `folder` survive a power cut.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(Error::at("sync", folder))
}

/// Notes in the time of change of `path` that it was used now. Where that cannot be written, as on
/// a disk that is read-only, nothing happens.
pub fn touch(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
    let time = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
    let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is longer, or is not UTF-8.
pub fn read_to_string(path: &Path, limit: u64) -> Result<String> {
    use std::io::{Error as IoError, ErrorKind};
    String::from_utf8(read(path, limit)?).map_err(|_| {
        Error::at("read", path)(IoError::new(ErrorKind::InvalidData, "it is not UTF-8"))
    })
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::{Error as IoError, ErrorKind, Read as _};
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::at("open", path))?;
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    match read.map_err(Error::at("read", path))? as u64 > limit {
        true => Err(Error::at("read", path)(IoError::new(
            ErrorKind::FileTooLarge,
            format!("it is longer than {limit} bytes"),
        ))),
        false => Ok(bytes),
    }
}

/// Writes `bytes` to `path`: after a crash there are the old contents or the new.
///
/// # Errors
/// When a file cannot be written or renamed there; then nothing of it stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staging = Staging::beside(path)?;
    staging.file().write_all(bytes).map_err(Error::at("write", path))?;
    staging.commit()
}

/// Writes `bytes` to `path` so that nobody but its owner can ever read them (mode 0600).
///
/// # Errors
/// As [`write_atomically`].
pub fn write_privately(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staging = Staging::with_mode(path, 0o600)?;
    staging.file().write_all(bytes).map_err(Error::at("write", path))?;
    staging.commit()
}

/// A file under a temporary name beside its goal; dropped without [`Staging::commit`] it is
/// removed.
#[derive(Debug)]
pub struct Staging {
    file: tempfile::NamedTempFile,
    goal: PathBuf,
}

impl Staging {
    /// Opens a temporary file in the folder of `goal`, creating the folder.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn beside(goal: &Path) -> Result<Self> {
        Self::with_mode(goal, 0o644)
    }

    fn with_mode(goal: &Path, mode: u32) -> Result<Self> {
        let folder = match goal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        create_folder(folder)?;
        let file = tempfile::Builder::new()
            .prefix(".mpkg-staging-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
            .tempfile_in(folder)
            .map_err(Error::at("create a file in", folder))?;
        Ok(Self { file, goal: goal.to_owned() })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// The temporary file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs the file, renames it to its goal and syncs the folder.
    ///
    /// # Errors
    /// When one of these fails; then the goal is as it was.
    pub fn commit(self) -> Result<()> {
        let Self { file, goal } = self;
        file.as_file().sync_all().map_err(Error::at("sync", &goal))?;
        file.persist(&goal).map_err(|error| Error::at("rename a file to", &goal)(error.error))?;
        match goal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
            _ => sync_folder(Path::new(".")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_staging_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let goal = folder.path().join("a/b");
        let mut staging = Staging::beside(&goal).unwrap();
        staging.file().write_all(b"half").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
        write_atomically(&goal, b"whole").unwrap();
        assert_eq!(read_to_string(&goal, 5).unwrap(), "whole");
        assert!(read_to_string(&goal, 4).is_err());
    }

    #[test]
    fn private_files_are_for_their_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let goal = folder.path().join("secret");
        write_privately(&goal, b"x").unwrap();
        assert_eq!(fs::metadata(&goal).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn errors_carry_the_path() {
        let error = read_to_string(Path::new("/nowhere/at/all"), 1).unwrap_err();
        assert_eq!(error.to_string(), "cannot open /nowhere/at/all");
    }
}
