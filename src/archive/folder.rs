//! Writing a package's files below a folder, one name at a time beneath open folder handles, so
//! that no link and no `..` can lead elsewhere.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::package::Sink;
use crate::fs;
use crate::package::IndexedFile;

/// A sink that makes each file below a folder: new, regular, its mode exact whatever the umask.
/// Folders have mode 0755.
#[derive(Debug)]
pub struct FolderSink {
    root: PathBuf,
    handle: OwnedFd,
    /// The open folders that lead to the current file.
    open: Vec<(String, OwnedFd)>,
    file: Option<File>,
    path: PathBuf,
    /// How many bytes of the current file are on their way to the disk, and how many were written.
    under_way: u64,
    written: u64,
}

/// After so many bytes of a file the system begins to write them to the disk.
const WRITEBACK: u64 = 16 << 20;

impl FolderSink {
    /// Writes below `root`, an existing folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new(root: &Path) -> fs::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|errno| fs::Error::at("open the folder", root)(errno.into()))?;
        let root = root.to_owned();
        let path = root.clone();
        Ok(Self { root, handle, open: Vec::new(), file: None, path, under_way: 0, written: 0 })
    }

    fn error(&self, action: &'static str) -> impl FnOnce(Errno) -> fs::Error + use<> {
        let at = fs::Error::at(action, &self.path);
        move |errno| at(errno.into())
    }

    fn current(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.handle.as_fd(), |(_, handle)| handle.as_fd())
    }

    /// Opens the folders `parts` below the root, keeping those that are open already.
    fn enter(&mut self, parts: &[&str]) -> fs::Result<()> {
        let shared =
            self.open.iter().zip(parts).take_while(|((name, _), part)| name == *part).count();
        self.open.truncate(shared);
        for part in &parts[shared..] {
            let mode = Mode::from_raw_mode(0o755);
            let creation = rustix::fs::mkdirat(self.current(), *part, mode);
            match creation {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.error("create the folder of")(errno)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let handle = open_beneath(self.current(), part, flags, Mode::empty())
                .map_err(self.error("open the folder of"))?;
            if creation.is_ok() {
                rustix::fs::fchmod(&handle, mode).map_err(self.error("set the mode of"))?;
            }
            self.open.push(((*part).to_owned(), handle));
        }
        Ok(())
    }
}

/// Opens `name`, one part, in `folder`, following no link.
fn open_beneath(
    folder: BorrowedFd<'_>,
    name: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(folder, name, flags, mode, resolve) {
        // Kernels before 5.6, and sandboxes that do not know the call: for one part without a
        // slash NOFOLLOW says the same.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(folder, name, flags, mode),
        result => result,
    }
}

impl Sink for FolderSink {
    fn begin(&mut self, file: &IndexedFile) -> fs::Result<()> {
        self.path = file.path.below(&self.root);
        let mut parts: Vec<&str> = file.path.as_str().split('/').collect();
        let name = parts.pop().unwrap_or_default();
        self.enter(&parts)?;
        let mode = Mode::from_raw_mode(file.mode.bits());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let handle =
            open_beneath(self.current(), name, flags, mode).map_err(self.error("create"))?;
        rustix::fs::fchmod(&handle, mode).map_err(self.error("set the mode of"))?;
        self.file = Some(File::from(handle));
        (self.under_way, self.written) = (0, 0);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> fs::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(fs::Error::at("write", &self.path))?;
        self.written += bytes.len() as u64;
        let waiting = self.written - self.under_way;
        if waiting >= WRITEBACK {
            fs::begin_writeback(file, self.under_way, waiting);
            self.under_way = self.written;
        }
        Ok(())
    }

    fn finish(&mut self, _: &IndexedFile) -> fs::Result<()> {
        self.file = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::{Digest, FileMode};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn file(path: &str, mode: FileMode) -> IndexedFile {
        IndexedFile { path: path.parse().unwrap(), size: 1, mode, sha256: Digest::of(b"x") }
    }

    fn put(sink: &mut FolderSink, file: &IndexedFile) -> fs::Result<()> {
        sink.begin(file)?;
        sink.write(b"x")?;
        sink.finish(file)
    }

    #[test]
    fn files_stand_where_they_should_with_their_modes() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = FolderSink::new(folder.path()).unwrap();
        put(&mut sink, &file("a/b/c", FileMode::Executable)).unwrap();
        put(&mut sink, &file("a/d", FileMode::Plain)).unwrap();
        for (path, mode) in [("a", 0o755), ("a/b", 0o755), ("a/b/c", 0o755), ("a/d", 0o644)] {
            let found = std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "{path}");
        }
    }

    #[test]
    fn links_lead_nowhere_and_nothing_is_overwritten() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), folder.path().join("link")).unwrap();
        symlink(outside.path().join("new"), folder.path().join("file")).unwrap();
        let mut sink = FolderSink::new(folder.path()).unwrap();
        assert!(put(&mut sink, &file("link/x", FileMode::Plain)).is_err());
        assert!(put(&mut sink, &file("file", FileMode::Plain)).is_err());
        put(&mut sink, &file("once", FileMode::Plain)).unwrap();
        assert!(put(&mut sink, &file("once", FileMode::Plain)).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
