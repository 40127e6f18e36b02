//! Makes the file or folder that `{data.NAME}` stands for; the network is not needed.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::entries::Source;
use super::fetch::Contents;
use super::select::Selection;
use super::{Error, Exclusions, FetchedData, Fetcher, Receipt, Result, exclusions, tree, unpack};
use crate::fs;
use crate::package::manifest::{DataReference, Unpack};
use crate::package::{Digest, Hasher};
use crate::progress::{Progress, Unit};

fn key_of(reference: &DataReference, digest: Digest, exclusions: &Exclusions) -> Digest {
    let mut text = format!("mpkg data 1\ndigest {digest}\n");
    let _ = writeln!(text, "unpack {}", reference.unpack.as_str());
    for glob in &reference.select {
        let _ = writeln!(text, "select {glob}");
    }
    if let Some(kind) = reference.records.filter(|_| !exclusions.is_empty()) {
        let _ = write!(text, "records {}\n{}", kind.as_str(), exclusions.words());
    }
    Digest::of(text.as_bytes())
}

impl FetchedData {
    /// What the data is after unpacking, selecting and withdrawing: equal keys, equal files. Step caches use
    /// it.
    #[must_use]
    pub fn key(&self) -> Digest {
        key_of(&self.reference, self.digest, &self.exclusions)
    }

    /// Whether the bytes can be used where they are.
    fn is_as_it_is(&self) -> bool {
        if !self.exclusions.is_empty() {
            return false;
        }
        let whole = self.reference.unpack == Unpack::None && self.reference.select.is_empty();
        match self.contents {
            Contents::File(_) => self.reference.unpack == Unpack::None,
            Contents::Folder(_) => whole,
            Contents::Shards(_) => false,
        }
    }
}

impl Fetcher<'_> {
    /// The [`FetchedData::key`] that `reference` will have once it is fetched. Only data in the
    /// tree is read.
    ///
    /// # Errors
    /// When data in the tree or a list of shards cannot be read.
    pub fn key(&self, reference: &DataReference) -> Result<Digest> {
        let survey = self.survey(reference).map_err(Error::of(&reference.name))?;
        let exclusions =
            Exclusions::read(self.tree(), reference).map_err(Error::of(&reference.name))?;
        Ok(key_of(reference, survey.digest(reference), &exclusions))
    }

    /// The digest of the file that `reference` is about; of a folder or a sharded set, of its
    /// listing. Only data in the tree is read.
    ///
    /// # Errors
    /// When data in the tree or a list of shards cannot be read.
    pub fn digest(&self, reference: &DataReference) -> Result<Digest> {
        let survey = self.survey(reference).map_err(Error::of(&reference.name))?;
        Ok(survey.digest(reference))
    }

    /// What was withdrawn from data that [`Fetcher::materialise`] has made; none where nothing is
    /// to be.
    ///
    /// # Errors
    /// When it is not there.
    pub fn receipt(&self, data: &FetchedData) -> Result<Option<Receipt>> {
        if data.exclusions.is_empty() {
            return Ok(None);
        }
        let path = self.facts(data.key());
        let facts = facts_in(&path).ok_or_else(|| Error::Exclusions {
            list: path.display().to_string(),
            why: "it says nothing about what was withdrawn".to_owned(),
        })?;
        Ok(Some(data.exclusions.receipt(&facts)))
    }

    fn facts(&self, key: Digest) -> PathBuf {
        self.client.cache().root().join("unpacked").join(format!("{key}.records.json"))
    }

    /// Gives the read-only file or folder for `{data.NAME}`: unpacked, selected and withdrawn from, made once
    /// and kept in the cache. What was changed there since is made anew.
    ///
    /// # Errors
    /// When an archive is broken or refused, a glob of `select` chooses nothing, or a file cannot
    /// be written; then nothing of it stays.
    pub fn materialise(&self, data: &FetchedData, progress: &dyn Progress) -> Result<PathBuf> {
        self.make(data, progress).map_err(Error::of(&data.reference.name))
    }

    fn make(&self, data: &FetchedData, progress: &dyn Progress) -> Result<PathBuf> {
        if data.is_as_it_is()
            && let Contents::File(path) | Contents::Folder(path) = &data.contents
        {
            return Ok(path.clone());
        }
        let whole = if data.exclusions.is_empty() {
            None
        } else {
            let exclusions = Exclusions::default();
            Some(self.make(&FetchedData { exclusions, ..data.clone() }, progress)?)
        };
        let folder = self.client.cache().root().join("unpacked");
        let key = data.key();
        let goal = folder.join(key.to_string());
        let stamp = folder.join(format!("{key}.stamp"));
        let _lock = fs::Lock::acquire(&folder.join(format!("{key}.lock")), || {
            progress
                .note(&format!("Waiting for another mpkg that unpacks {}", data.reference.name));
        })?;
        if let Some(found) = stamp_of(&goal)? {
            let is_whole = whole.is_none() || facts_in(&self.facts(key)).is_some();
            if is_whole
                && fs::read_to_string(&stamp, 256).is_ok_and(|text| text == found.to_string())
            {
                return Ok(goal);
            }
            remove(&goal)?;
        }
        let staging = folder.join(format!("{key}.new"));
        remove(&staging)?;
        let made = match &whole {
            None => fill(data, &staging, progress),
            Some(whole) => self.withdraw(data, whole, &staging, progress),
        };
        if let Err(error) = made {
            remove(&staging)?;
            return Err(error);
        }
        sync(&folder)?;
        std::fs::rename(&staging, &goal).map_err(fs::Error::at("rename a folder to", &goal))?;
        if let Some(found) = stamp_of(&goal)? {
            fs::write_atomically(&stamp, found.to_string().as_bytes())?;
        }
        Ok(goal)
    }
}

impl Fetcher<'_> {
    /// Writes what is left of the data at `whole` to the new path `goal`.
    fn withdraw(
        &self,
        data: &FetchedData,
        whole: &Path,
        goal: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let name = &data.reference.name;
        let _task = progress.start(&format!("Withdrawing from {name}"), None, Unit::Items);
        let facts = exclusions::filter(&data.exclusions, &data.reference, whole, goal)?;
        let text = serde_json::to_vec(&facts).expect("numbers and digests are JSON");
        Ok(fs::write_atomically(&self.facts(data.key()), &text)?)
    }
}

fn facts_in(path: &Path) -> Option<exclusions::Facts> {
    serde_json::from_slice(&fs::read(path, 1 << 20).ok()?).ok()
}

/// Writes the data to the new path `goal`.
fn fill(data: &FetchedData, goal: &Path, progress: &dyn Progress) -> Result<()> {
    let reference = &data.reference;
    let label = format!("Unpacking {}", reference.name);
    match &data.contents {
        Contents::File(path) => {
            let shown = reference.name.to_string();
            let source = Source { path, shown: &shown };
            let task = progress.start(&label, None, Unit::Items);
            match unpack::kind(reference.unpack) {
                Some(kind) => unpack::archive(&source, kind, &reference.select, goal, &*task),
                None => unpack::gz(&source, goal),
            }
        }
        Contents::Folder(path) => {
            let mut selection = Selection::of(&reference.select)?;
            let mut files = tree::files(path)?;
            files.retain(|(name, _)| selection.takes(name.as_str()));
            selection.finish()?;
            let mut folder = unpack::Folder::new(goal)?;
            for (name, from) in &files {
                folder.copy(name, from)?;
            }
            folder.finish()
        }
        Contents::Shards(files) => {
            let mut folder = unpack::Folder::new(goal)?;
            for (name, from) in files {
                folder.link(name, from)?;
            }
            folder.finish()
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(fs::remove_folder(path)?),
        Ok(_) => Ok(std::fs::remove_file(path).map_err(fs::Error::at("remove", path))?),
        Err(_) => Ok(()),
    }
}

/// One call for all files, instead of one each.
fn sync(folder: &Path) -> Result<()> {
    std::fs::File::open(folder)
        .and_then(|handle| Ok(rustix::fs::syncfs(handle)?))
        .map_err(|error| fs::Error::at("sync", folder)(error).into())
}

/// What the names, sizes and dates below `path` come to; `None` where nothing is.
fn stamp_of(path: &Path) -> Result<Option<Digest>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let mut hasher = Hasher::new();
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let unreadable = |error: walkdir::Error| fs::Error::at("read", path)(error.into());
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().is_dir() {
            continue;
        }
        let metadata = entry.metadata().map_err(unreadable)?;
        let relative = entry.path().strip_prefix(path).unwrap_or(entry.path());
        hasher.update(relative.as_os_str().as_encoded_bytes());
        let (size, ino) = (metadata.len(), metadata.ino());
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        hasher.update(format!("\0{size} {ino} {seconds}.{nanoseconds}\n").as_bytes());
    }
    Ok(Some(hasher.finish()))
}
