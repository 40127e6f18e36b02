//! Folders whose entries a command finds the other way round.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::settings::{Failure, Made};

/// The most files that are shown in another order: each takes a mount of its own.
const MOST_FILES: usize = 20_000;

/// Lays folders out again in a file system whose order is that of the making, or its reverse.
pub(super) struct Reversal {
    newest_first: bool,
}

impl Reversal {
    /// Finds out which of the two it is, in the empty folder `folder`.
    pub(super) fn try_on(folder: &Path) -> Made<Self> {
        let names = ["1", "2"].map(|name| folder.join(name));
        let found = || -> io::Result<bool> {
            for name in &names {
                fs::File::create(name)?;
            }
            let newest_first = entries(folder)?.first() == Some(&names[1]);
            for name in &names {
                fs::remove_file(name)?;
            }
            Ok(newest_first)
        };
        let failed = Failure::when(format!("list the folder {}", folder.display()));
        Ok(Self { newest_first: found().map_err(failed)? })
    }

    /// Lays `folder` out in `goal` with every list of entries the other way round; `show` puts one
    /// file in the place of an empty one.
    pub(super) fn of(
        &self,
        folder: &Path,
        goal: &Path,
        show: &mut dyn FnMut(&Path, &Path) -> io::Result<()>,
    ) -> Made<()> {
        let mut left = MOST_FILES;
        self.lay_out(folder, goal, &mut left, show).map_err(Failure::when(format!(
            "show the files of {} in another order",
            folder.display()
        )))
    }

    fn lay_out(
        &self,
        folder: &Path,
        goal: &Path,
        left: &mut usize,
        show: &mut dyn FnMut(&Path, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut entries = entries(folder)?;
        if !self.newest_first {
            entries.reverse();
        }
        *left = left
            .checked_sub(entries.len())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))?;
        for entry in entries {
            let place = goal.join(entry.file_name().unwrap_or_default());
            if fs::symlink_metadata(&entry)?.is_dir() {
                fs::create_dir(&place)?;
                self.lay_out(&entry, &place, left, show)?;
            } else {
                fs::File::create(&place)?;
                show(&entry, &place)?;
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_files_are_refused() {
        let (world, goal) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::File::create(world.path().join("a")).unwrap();
        let mut left = 0;
        let found = Reversal { newest_first: false }.lay_out(
            world.path(),
            goal.path(),
            &mut left,
            &mut |_, _| Ok(()),
        );
        assert_eq!(found.unwrap_err().raw_os_error(), Some(libc::EMFILE));
    }
}
