//! Single files, each once, by their digest: `contents/ab/DIGEST`, with `-x` for programs.

use std::fs::{File, FileTimes, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Home, Result};
use crate::fs;
use crate::package::{FileMode, IndexedFile};

/// Every file of the store was last changed one second after 1970 began: another time shows that
/// somebody wrote to it.
const STORED_SECONDS: u64 = 1;

/// The permission bits of a folder in an unpacked package.
pub(super) const FOLDER_BITS: u32 = 0o755;

/// The permission bits of a file in the store.
pub(super) const fn stored_bits(mode: FileMode) -> u32 {
    match mode {
        FileMode::Plain => 0o444,
        FileMode::Executable => 0o555,
    }
}

/// Where the contents of `file` lie.
pub(super) fn place(home: &Home, file: &IndexedFile) -> PathBuf {
    let digest = file.sha256.to_string();
    let suffix = match file.mode {
        FileMode::Plain => "",
        FileMode::Executable => "-x",
    };
    home.contents().join(&digest[..2]).join(format!("{digest}{suffix}"))
}

/// Whether what lies at `path` looks untouched: a file of the right length and permissions that
/// nobody has written to since it was stored.
pub(super) fn looks_whole(path: &Path, file: &IndexedFile) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| {
        found.is_file()
            && found.len() == file.size
            && bits(&found) == stored_bits(file.mode)
            && found.mtime() == i64::try_from(STORED_SECONDS).unwrap_or(0)
    })
}

/// The permission bits of a file.
pub(super) fn bits(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Gives a finished file the permissions and the time that files of the store have.
pub(super) fn seal(path: &Path, mode: FileMode) -> Result<()> {
    let file = File::open(path).map_err(fs::Error::at("open", path))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(STORED_SECONDS);
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time))
        .and_then(|()| file.set_permissions(Permissions::from_mode(stored_bits(mode))))
        .map_err(fs::Error::at("set the permissions of", path))?;
    Ok(())
}

/// How many files are synced one by one; more are synced with the whole file system at once.
const MOST_SINGLE_SYNCS: usize = 64;

/// Makes the bytes of `files`, all below `folder`, survive a power cut.
pub(super) fn sync_all(
    folder: &Path,
    files: impl ExactSizeIterator<Item: AsRef<Path>>,
) -> Result<()> {
    if files.len() > MOST_SINGLE_SYNCS {
        let handle = File::open(folder).map_err(fs::Error::at("open", folder))?;
        rustix::fs::syncfs(&handle).map_err(|error| fs::Error::at("sync", folder)(error.into()))?;
        return Ok(());
    }
    for path in files {
        let path = path.as_ref();
        File::open(path).and_then(|file| file.sync_all()).map_err(fs::Error::at("sync", path))?;
    }
    Ok(())
}
