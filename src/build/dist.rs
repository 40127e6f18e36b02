//! `dist/`: where the results of a build appear, all or none.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fs::{Error, Result, create_folder, remove_folder, sync_folder};

const PREFIX: &str = ".staging-";

/// Makes sure that results can be written to `goal`, before hours of work are spent on them;
/// leaves no trace.
///
/// # Errors
/// When the folder cannot be made or written.
pub fn demand_writable(goal: &Path) -> Result<()> {
    let was_there = goal.exists();
    drop(Dist::stage(goal)?);
    if !was_there {
        // What somebody else has put there in the meantime stays.
        let _ = fs::remove_dir(goal);
    }
    Ok(())
}

/// The results of a build before they are in place. Dropped without [`Dist::commit`] they are
/// removed.
#[derive(Debug)]
pub struct Dist {
    goal: PathBuf,
    staging: tempfile::TempDir,
}

impl Dist {
    /// Begins to write into `goal`, which is made if need be. What a build that was killed left
    /// there is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn stage(goal: &Path) -> Result<Self> {
        create_folder(goal)?;
        let entries = fs::read_dir(goal).map_err(Error::at("read", goal))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                remove_folder(&entry.path())?;
            }
        }
        let staging = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(goal)
            .map_err(Error::at("create a folder in", goal))?;
        Ok(Self { goal: goal.to_owned(), staging })
    }

    /// The folder that results are written to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.staging.path()
    }

    /// Puts `files` in their place, each with one rename, in the order that is given; the build
    /// record comes last, so a record in `dist/` tells that all that it names is there.
    ///
    /// # Errors
    /// When one cannot be moved.
    pub fn commit(self, files: &[String]) -> Result<Vec<PathBuf>> {
        let mut places = Vec::new();
        for name in files {
            let place = self.goal.join(name);
            fs::rename(self.staging.path().join(name), &place)
                .map_err(Error::at("rename a file to", &place))?;
            places.push(place);
        }
        sync_folder(&self.goal)?;
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write_atomically;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn all_or_nothing() {
        let world = tempfile::tempdir().unwrap();
        let goal = world.path().join("dist");
        let dist = Dist::stage(&goal).unwrap();
        write_atomically(&dist.folder().join("a"), b"half").unwrap();
        drop(dist);
        assert_eq!(names(&goal), Vec::<String>::new());
        fs::remove_dir(&goal).unwrap();
        demand_writable(&goal).unwrap();
        assert!(!goal.exists());
        create_folder(&goal.join(".staging-killed")).unwrap();
        let dist = Dist::stage(&goal).unwrap();
        write_atomically(&dist.folder().join("a"), b"whole").unwrap();
        dist.commit(&["a".to_owned()]).unwrap();
        assert_eq!(names(&goal), ["a"]);
    }
}
