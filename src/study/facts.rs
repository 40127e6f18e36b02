//! Facts that were found out once and are kept in the cache, with their dates: what a text says
//! about licences, when evidence was read, when an address answered (spec/facts.md, "The cache").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Result;
use super::licences::{RECOGNISER, Sighting, recognise};
use crate::fs;
use crate::package::Digest;

/// The file below the cache.
const NAME: &str = "facts.json";
/// The longest that it may be, in bytes.
const LONGEST: u64 = 64 << 20;
/// The most entries of one kind; beyond them the oldest go.
const MOST: usize = 200_000;
/// The version of its format.
const FORMAT: u32 = 1;

/// Evidence that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The digest of its text.
    pub sha256: Digest,
    /// When it was read.
    pub date: Timestamp,
}

/// What an address said when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When.
    pub date: Timestamp,
    /// What was wrong; none where it had the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether all of its bytes were held against the digest.
    #[serde(default)]
    pub whole: bool,
}

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    format: u32,
    recogniser: u32,
    texts: BTreeMap<Digest, Vec<Sighting>>,
    evidence: BTreeMap<String, Read>,
    addresses: BTreeMap<String, Answer>,
}

/// The facts in the cache. What is added is written by [`FactStore::save`].
#[derive(Debug)]
pub struct FactStore {
    path: PathBuf,
    kept: Kept,
    added: Kept,
}

impl FactStore {
    /// Reads the facts in `cache`. A file that cannot be read, or is of another version, counts as
    /// none: everything in it can be found out again.
    #[must_use]
    pub fn open(cache: &Path) -> Self {
        let path = cache.join(NAME);
        let kept = Self::read(&path);
        Self { path, kept, added: Kept::default() }
    }

    fn read(path: &Path) -> Kept {
        let text = fs::read_to_string(path, LONGEST).unwrap_or_default();
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        if kept.format == FORMAT && kept.recogniser == RECOGNISER {
            return kept;
        }
        // What addresses said stays true whatever texts are taken for.
        let addresses = if kept.format == FORMAT { kept.addresses } else { BTreeMap::new() };
        Kept { format: FORMAT, recogniser: RECOGNISER, addresses, ..Kept::default() }
    }

    /// What the text with this digest says about licences, if that is known.
    #[must_use]
    pub fn sightings(&self, digest: Digest) -> Option<&[Sighting]> {
        self.added.texts.get(&digest).or_else(|| self.kept.texts.get(&digest)).map(Vec::as_slice)
    }

    /// What `text` says about licences; found out now if that is not known.
    pub fn recognise(&mut self, text: &[u8]) -> (Digest, Vec<Sighting>) {
        let digest = Digest::of(text);
        if let Some(known) = self.sightings(digest) {
            return (digest, known.to_vec());
        }
        let found = recognise(&String::from_utf8_lossy(text));
        self.added.texts.insert(digest, found.clone());
        (digest, found)
    }

    /// Takes over what was found out elsewhere about the text with this digest.
    pub fn add_text(&mut self, digest: Digest, sightings: Vec<Sighting>) {
        self.added.texts.insert(digest, sightings);
    }

    /// When the evidence called `key` was read, and what it was.
    #[must_use]
    pub fn evidence(&self, key: &str) -> Option<Read> {
        self.added.evidence.get(key).or_else(|| self.kept.evidence.get(key)).copied()
    }

    /// Notes that the evidence called `key` was read.
    pub fn add_evidence(&mut self, key: String, read: Read) {
        self.added.evidence.insert(key, read);
    }

    /// What an address said when it was last asked for the file with this digest.
    #[must_use]
    pub fn address(&self, address: &str, digest: Digest) -> Option<&Answer> {
        let key = address_key(address, digest);
        self.added.addresses.get(&key).or_else(|| self.kept.addresses.get(&key))
    }

    /// Notes what an address said.
    pub fn add_address(&mut self, address: &str, digest: Digest, answer: Answer) {
        self.added.addresses.insert(address_key(address, digest), answer);
    }

    /// Writes what was added, beside what others have added since.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&mut self) -> Result<()> {
        if self.added == Kept::default() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_folder(folder)?;
        }
        let _lock = fs::Lock::acquire(&self.path.with_extension("lock"), || {})?;
        let mut kept = Self::read(&self.path);
        let added = std::mem::take(&mut self.added);
        kept.texts.extend(added.texts);
        kept.evidence.extend(added.evidence);
        kept.addresses.extend(added.addresses);
        shorten(&mut kept);
        let text = serde_json::to_vec(&kept).expect("its keys are strings");
        fs::write_atomically(&self.path, &text)?;
        self.kept = kept;
        Ok(())
    }
}

fn address_key(address: &str, digest: Digest) -> String {
    format!("{address} {digest}")
}

/// Forgets the oldest where there is too much.
fn shorten(kept: &mut Kept) {
    while kept.texts.len() > MOST {
        kept.texts.pop_first();
    }
    let mut dates: Vec<Timestamp> = kept.evidence.values().map(|read| read.date).collect();
    if dates.len() > MOST {
        dates.sort_unstable();
        let since = dates[dates.len() - MOST];
        kept.evidence.retain(|_, read| read.date >= since);
    }
    let mut dates: Vec<Timestamp> = kept.addresses.values().map(|answer| answer.date).collect();
    if dates.len() > MOST {
        dates.sort_unstable();
        let since = dates[dates.len() - MOST];
        kept.addresses.retain(|_, answer| answer.date >= since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stay_and_add_up() {
        let cache = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"file");
        let answer = Answer { date: Timestamp::UNIX_EPOCH, fault: None, whole: true };
        let mut one = FactStore::open(cache.path());
        let mut other = FactStore::open(cache.path());
        let (text, seen) = one.recognise(b"SPDX-License-Identifier: MIT");
        one.save().unwrap();
        other.add_address("https://h/a", digest, answer.clone());
        other.save().unwrap();
        let again = FactStore::open(cache.path());
        assert_eq!(again.sightings(text), Some(&seen[..]));
        assert_eq!(again.address("https://h/a", digest), Some(&answer));
        assert_eq!(again.address("https://h/a", text), None);
    }

    #[test]
    fn a_damaged_file_counts_as_none() {
        let cache = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"format\":9}", "[1]"] {
            fs::write_atomically(&cache.path().join(NAME), text.as_bytes()).unwrap();
            let mut store = FactStore::open(cache.path());
            assert_eq!(store.evidence("x"), None);
            store.add_evidence(
                "x".to_owned(),
                Read { sha256: Digest::of(b""), date: Timestamp::UNIX_EPOCH },
            );
            store.save().unwrap();
            assert!(FactStore::open(cache.path()).evidence("x").is_some());
        }
    }
}
