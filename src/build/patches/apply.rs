//! Applies patches exactly: every line that a hunk names stands where it says, or the patch is
//! refused.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Action, Elsewhere, Error, FileChange, Hunk, LONGEST_FILE, Misfit, Patch, Result};
use crate::fs;
use crate::package::{Digest, FileMode, IndexedFile, PackagePath};

/// The most places at which a hunk that does not fit is tried, for the message.
const MOST_TRIES: usize = 100_000;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub mode: FileMode,
}

impl Contents {
    /// The file at `path` with these contents, as an index lists it.
    #[must_use]
    pub fn indexed(&self, path: &PackagePath) -> IndexedFile {
        IndexedFile {
            path: path.clone(),
            size: self.bytes.len() as u64,
            mode: self.mode,
            sha256: Digest::of(&self.bytes),
        }
    }
}

/// The files that patches are applied to, as they are before.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Their folder.
    pub root: &'a Path,
    /// Which files there are, sorted by their paths.
    pub files: &'a [IndexedFile],
}

impl Base<'_> {
    /// What is known of the file at `path`.
    #[must_use]
    pub fn get(&self, path: &PackagePath) -> Option<&IndexedFile> {
        let found = self.files.binary_search_by(|file| file.path.cmp(path));
        found.ok().and_then(|place| self.files.get(place))
    }

    fn read(&self, path: &PackagePath) -> Result<Option<Contents>> {
        let Some(file) = self.get(path) else { return Ok(None) };
        if file.size > LONGEST_FILE {
            return Err(Error::LongFile { path: path.clone() });
        }
        let bytes = fs::read(&path.below(self.root), LONGEST_FILE)?;
        Ok(Some(Contents { bytes, mode: file.mode }))
    }
}

/// What patches make of a [`Base`]: the files that are not as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Each with what it holds now; none where it is gone.
    pub files: BTreeMap<PackagePath, Option<Contents>>,
}

impl Overlay {
    /// Applies `patches` in order.
    ///
    /// # Errors
    /// The first hunk that does not fit.
    pub fn of(base: Base<'_>, patches: &[Patch]) -> Result<Self> {
        let mut overlay = Self::default();
        for patch in patches {
            overlay.apply(base, patch)?;
        }
        Ok(overlay)
    }

    /// Applies one more patch.
    ///
    /// # Errors
    /// When a hunk does not fit, or a file is there that should not be, or the other way round.
    pub fn apply(&mut self, base: Base<'_>, patch: &Patch) -> Result<()> {
        for change in &patch.changes {
            let before = self.read(base, &change.path)?;
            let after = changed(patch, change, before)?;
            self.files.insert(change.path.clone(), after);
        }
        Ok(())
    }

    /// The file at `path` as it is now.
    ///
    /// # Errors
    /// When it cannot be read, or is too long.
    pub fn read(&self, base: Base<'_>, path: &PackagePath) -> Result<Option<Contents>> {
        match self.files.get(path) {
            Some(known) => Ok(known.clone()),
            None => base.read(path),
        }
    }

    /// All files as they are now, sorted by their paths.
    #[must_use]
    pub fn index(&self, base: Base<'_>) -> Vec<IndexedFile> {
        let mut files: BTreeMap<&PackagePath, IndexedFile> =
            base.files.iter().map(|file| (&file.path, file.clone())).collect();
        for (path, contents) in &self.files {
            match contents {
                Some(contents) => files.insert(path, contents.indexed(path)),
                None => files.remove(path),
            };
        }
        files.into_values().collect()
    }

    /// Writes into the folder `root`, which holds the files of the base, what is different now.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, root: &Path) -> Result<()> {
        // A file may go where a folder of its name comes.
        for (path, _) in self.files.iter().filter(|(_, contents)| contents.is_none()) {
            remove(root, path)?;
        }
        for (path, contents) in &self.files {
            if let Some(contents) = contents {
                put(root, path, contents)?;
            }
        }
        Ok(())
    }
}

/// Writes one file of a tree, its mode included.
///
/// # Errors
/// When the system refuses.
pub fn put(root: &Path, path: &PackagePath, contents: &Contents) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let place = path.below(root);
    fs::write_atomically(&place, &contents.bytes)?;
    let mode = std::fs::Permissions::from_mode(contents.mode.bits());
    Ok(std::fs::set_permissions(&place, mode)
        .map_err(fs::Error::at("change the mode of", &place))?)
}

/// Removes one file of a tree, and the folders that it leaves empty.
///
/// # Errors
/// When the system refuses.
pub fn remove(root: &Path, path: &PackagePath) -> Result<()> {
    let place = path.below(root);
    match std::fs::remove_file(&place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(fs::Error::at("remove", &place)(error).into());
        }
        _ => {}
    }
    let folders = place.ancestors().skip(1).take_while(|folder| *folder != root);
    for folder in folders {
        // One that is not empty stays.
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

fn changed(
    patch: &Patch,
    change: &FileChange,
    before: Option<Contents>,
) -> Result<Option<Contents>> {
    let presence =
        |why| Error::Presence { name: patch.name.clone(), path: change.path.clone(), why };
    let before = match (change.action, before) {
        (Action::Add, Some(_)) => return Err(presence("is there already")),
        (Action::Add, None) => Contents { bytes: Vec::new(), mode: FileMode::Plain },
        (_, None) => return Err(presence("is not there")),
        (_, Some(before)) => before,
    };
    let bytes = patched(patch, change, &before.bytes)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Error::LongFile { path: change.path.clone() });
    }
    if change.action == Action::Remove {
        return match bytes.is_empty() {
            true => Ok(None),
            false => Err(presence("is removed and has more lines than the patch names")),
        };
    }
    Ok(Some(Contents { bytes, mode: change.mode.unwrap_or(before.mode) }))
}

fn patched(patch: &Patch, change: &FileChange, bytes: &[u8]) -> Result<Vec<u8>> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut result = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (number, hunk) in (1..).zip(&change.hunks) {
        if let Some(misfit) = misfit(&lines, hunk, hunk.start) {
            return Err(Error::Hunk(Box::new(Misfit {
                name: patch.name.clone(),
                path: change.path.clone(),
                hunk: number,
                line: hunk.start + misfit + 1,
                expected: hunk.before.get(misfit).cloned(),
                found: lines
                    .get(hunk.start + misfit)
                    .map(|line| String::from_utf8_lossy(line).into_owned()),
                elsewhere: elsewhere(&lines, hunk),
            })));
        }
        lines[done..hunk.start].iter().for_each(|line| result.extend_from_slice(line));
        hunk.after.iter().for_each(|line| result.extend_from_slice(line.as_bytes()));
        done = hunk.start + hunk.before.len();
    }
    lines[done..].iter().for_each(|line| result.extend_from_slice(line));
    Ok(result)
}

/// The first line of `hunk` that is not there, where it begins at `start`; none where it fits.
fn misfit(lines: &[&[u8]], hunk: &Hunk, start: usize) -> Option<usize> {
    if start > lines.len() {
        return Some(0);
    }
    let is_there = |place: usize, line: &String| lines.get(start + place) == Some(&line.as_bytes());
    // A hunk that adds after a line without a line end would join two lines.
    if hunk.before.is_empty()
        && !hunk.after.is_empty()
        && start > 0
        && !lines[start - 1].ends_with(b"\n")
    {
        return Some(0);
    }
    hunk.before.iter().enumerate().find(|(place, line)| !is_there(*place, line)).map(|(at, _)| at)
}

fn elsewhere(lines: &[&[u8]], hunk: &Hunk) -> Elsewhere {
    let after = Hunk { before: hunk.after.clone(), ..hunk.clone() };
    if !hunk.after.is_empty() && misfit(lines, &after, hunk.start).is_none() {
        return Elsewhere::Applied;
    }
    if hunk.before.is_empty() {
        return Elsewhere::Nowhere;
    }
    let fits = |start: &usize| misfit(lines, hunk, *start).is_none();
    let found = (0..lines.len()).take(MOST_TRIES).find(fits);
    found.map_or(Elsewhere::Nowhere, |start| Elsewhere::Line(start + 1))
}
