//! What a step left in its output folder: regular files in folders, and nothing else.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::fs::Error as FileError;
use crate::package::{Digest, FileMode, Hasher, IndexedFile, PackagePath};

/// The most files that a step may leave.
pub const MOST_FILES: usize = 1_000_000;

/// An output that may not be.
#[derive(Debug, thiserror::Error)]
pub enum OddOutput {
    /// It cannot be looked at.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is a link, a device or another thing that is no file.
    #[error("{} is {what}, and an output holds files and folders alone", path.display())]
    Special {
        /// Where it is, below the output folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Its name cannot stand in a package.
    #[error("an output has a name that a package cannot hold")]
    Name(#[from] crate::package::InvalidPath),
    /// There are too many.
    #[error("there are more than {MOST_FILES} files")]
    TooMany,
}

/// The digest of the regular file at `path`, with its length.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(path: &Path) -> Result<(Digest, u64), FileError> {
    let mut file = File::open(path).map_err(FileError::at("open", path))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).map_err(FileError::at("read", path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let length = hasher.length();
    Ok((hasher.finish(), length))
}

/// Lists and hashes every file below `folder`, in the byte order of the paths. Empty folders
/// leave no trace.
///
/// # Errors
/// When something below it is neither a file nor a folder, has a name that no package can hold,
/// or cannot be read.
pub fn list(folder: &Path) -> Result<Vec<IndexedFile>, OddOutput> {
    let mut found: Vec<(PackagePath, FileMode)> = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).follow_links(false) {
        let entry = entry.map_err(|error| walk_error(folder, error))?;
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
        if !kind.is_file() {
            return Err(OddOutput::Special { path: relative, what: special(kind) });
        }
        let metadata = entry.metadata().map_err(|error| walk_error(folder, error))?;
        let executable = metadata.permissions().mode() & 0o100 != 0;
        let mode = if executable { FileMode::Executable } else { FileMode::Plain };
        found.push((relative.to_string_lossy().parse()?, mode));
        if found.len() > MOST_FILES {
            return Err(OddOutput::TooMany);
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    hash_all(folder, found).map_err(OddOutput::File)
}

/// Hashes `files` below `folder`, several at once.
///
/// # Errors
/// When one cannot be read.
pub fn hash_all(
    folder: &Path,
    files: Vec<(PackagePath, FileMode)>,
) -> Result<Vec<IndexedFile>, FileError> {
    files
        .into_par_iter()
        .map(|(path, mode)| {
            let (sha256, size) = hash_file(&path.below(folder))?;
            Ok(IndexedFile { path, size, mode, sha256 })
        })
        .collect()
}

fn special(kind: fs::FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn walk_error(folder: &Path, error: walkdir::Error) -> OddOutput {
    let path = error.path().unwrap_or(folder).to_owned();
    let source =
        error.into_io_error().unwrap_or_else(|| std::io::Error::other("the folder holds itself"));
    OddOutput::File(FileError { action: "read", path, source })
}

/// One digest over a list of files: paths, modes and contents.
#[must_use]
pub fn digest_of(files: &[IndexedFile]) -> Digest {
    let mut hasher = Hasher::new();
    for file in files {
        let line = format!("{} {:o} {} {}\n", file.sha256, file.mode.bits(), file.size, file.path);
        hasher.update(line.as_bytes());
    }
    hasher.finish()
}

/// Takes the right to write from everything below `folder`, and leaves each file one of the two
/// modes that packages know.
///
/// # Errors
/// When a permission cannot be changed.
pub fn make_read_only(folder: &Path) -> Result<(), FileError> {
    let mut folders = Vec::new();
    for entry in walkdir::WalkDir::new(folder).follow_links(false) {
        let entry = match entry.map_err(|error| walk_error(folder, error)) {
            Ok(entry) => entry,
            Err(OddOutput::File(error)) => return Err(error),
            Err(_) => continue,
        };
        if entry.file_type().is_dir() {
            folders.push(entry.into_path());
            continue;
        }
        let mode = entry.metadata().map_or(0o644, |metadata| metadata.permissions().mode());
        let bits = if mode & 0o100 == 0 { 0o444 } else { 0o555 };
        set_mode(entry.path(), bits)?;
    }
    // The innermost first: a folder that is read-only lets nobody change what is in it.
    folders.iter().rev().try_for_each(|path| set_mode(path, 0o555))
}

/// Gives `folder` itself the right to write back: a folder that is moved elsewhere needs it.
///
/// # Errors
/// When the permission cannot be changed.
pub fn make_movable(folder: &Path) -> Result<(), FileError> {
    set_mode(folder, 0o755)
}

fn set_mode(path: &Path, bits: u32) -> Result<(), FileError> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .map_err(FileError::at("change the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_files_in_byte_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/empty")).unwrap();
        for name in ["b", "a/c", "a.txt"] {
            crate::fs::write_atomically(&folder.path().join(name), name.as_bytes()).unwrap();
        }
        let files = list(folder.path()).unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a.txt", "a/c", "b"]);
        assert_eq!(files[2].sha256, Digest::of(b"b"));
    }

    #[test]
    fn links_and_pipes_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("l")).unwrap();
        let error = list(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "l is a symbolic link, and an output holds files and folders alone");
        fs::remove_file(folder.path().join("l")).unwrap();
        let pipe = folder.path().join("p");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(list(folder.path()).unwrap_err().to_string().contains("p is a named pipe"));
    }

    #[test]
    fn the_digest_sees_modes_and_names() {
        let file = |path: &str, mode| IndexedFile {
            path: path.parse().unwrap(),
            size: 1,
            mode,
            sha256: Digest::of(b"x"),
        };
        let one = digest_of(&[file("a", FileMode::Plain)]);
        assert_ne!(one, digest_of(&[file("a", FileMode::Executable)]));
        assert_ne!(one, digest_of(&[file("b", FileMode::Plain)]));
    }
}
