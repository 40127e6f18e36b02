//! `dist/`: where the results of a build appear, all or none.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fs::{
    Error, Result, create_folder, read_to_string, remove_folder, sync_folder, write_atomically,
};

const PREFIX: &str = ".staging-";
/// The list of the files of a build that is being put in place, in its staging folder.
const COMMIT: &str = ".commit";
/// The longest such list that is read, in bytes.
const LONGEST_COMMIT: u64 = 1 << 20;

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
    /// there is removed; what it had begun to put in place is put in place.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn stage(goal: &Path) -> Result<Self> {
        create_folder(goal)?;
        let entries = fs::read_dir(goal).map_err(Error::at("read", goal))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                finish(&entry.path(), goal)?;
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

    /// Puts `files` in their place, each with one rename, in the order that is given. A list of
    /// them is written first, so that the next build ends what one that was killed has begun.
    ///
    /// # Errors
    /// When one cannot be moved.
    pub fn commit(self, files: &[String]) -> Result<Vec<PathBuf>> {
        write_atomically(&self.folder().join(COMMIT), files.join("\n").as_bytes())?;
        let moved = put_in_place(self.folder(), &self.goal, files);
        if moved.is_err() {
            // Kept for the next build, as after a kill.
            let _ = self.staging.keep();
        }
        moved
    }
}

/// Ends what a build that was killed while it put its results in place has begun in `staging`.
fn finish(staging: &Path, goal: &Path) -> Result<()> {
    let list = staging.join(COMMIT);
    if !list.is_file() {
        return Ok(());
    }
    let files = read_to_string(&list, LONGEST_COMMIT)?;
    let is_left = |name: &&str| staging.join(name).is_file();
    let left: Vec<String> = files.lines().filter(is_left).map(str::to_owned).collect();
    put_in_place(staging, goal, &left).map(drop)
}

fn put_in_place(staging: &Path, goal: &Path, files: &[String]) -> Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    for name in files {
        let place = goal.join(name);
        fs::rename(staging.join(name), &place).map_err(Error::at("rename a file to", &place))?;
        places.push(place);
    }
    sync_folder(goal)?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_was_begun_is_ended() {
        let world = tempfile::tempdir().unwrap();
        let goal = world.path().join("dist");
        let files = ["a".to_owned(), "b".to_owned()];
        for before in files.iter().chain(["mine".to_owned()].iter()) {
            create_folder(&goal).unwrap();
            write_atomically(&goal.join(before), b"old").unwrap();
        }
        let dist = Dist::stage(&goal).unwrap();
        for name in &files {
            write_atomically(&dist.folder().join(name), b"new").unwrap();
        }
        // Killed after the first of two renames.
        write_atomically(&dist.folder().join(COMMIT), files.join("\n").as_bytes()).unwrap();
        put_in_place(dist.folder(), &goal, &files[..1]).unwrap();
        let _ = dist.staging.keep();
        drop(Dist::stage(&goal).unwrap());
        assert_eq!(names(&goal), ["a", "b", "mine"]);
        for (name, text) in [("a", "new"), ("b", "new"), ("mine", "old")] {
            assert_eq!(fs::read_to_string(goal.join(name)).unwrap(), text);
        }
    }
}
