//! Which chunks of a package lie on this machine already, and reading them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Home, Result, Store};
use crate::archive::{self, Chunk, ChunkTable, Package, Unpacked};
use crate::fs;
use crate::package::{Digest, INDEX_PATH};

/// The longest chunk table, in bytes: that of as many frames as a package may have.
const LONGEST_TABLE: u64 = 64 << 20;

/// The chunks of one package that lie on this machine, in other packages or in what an
/// interrupted run left of this one. Each is held against its digest when it is read.
#[derive(Debug, Default)]
pub struct ChunksAtHand {
    bases: Vec<Base>,
    places: HashMap<Digest, Place>,
}

/// What chunks are taken from.
#[derive(Debug)]
enum Base {
    /// A package that lies unpacked.
    Folder(Unpacked),
    /// A package file.
    File(Package),
}

/// Where a chunk lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    base: usize,
    /// The chunk's first byte in the stream of a folder; the number of its frame in a file.
    at: u64,
}

impl ChunksAtHand {
    /// Looks in every package below `home`, and then below the homes whose stores it shares, for
    /// the chunks of `wanted`. What cannot be read there is passed over.
    #[must_use]
    pub fn gather(home: &Home, wanted: &ChunkTable) -> Self {
        let mut at_hand = Self::default();
        let wanted = digests(wanted);
        at_hand.look_below(home, &wanted);
        for shared in home.shared() {
            at_hand.look_below(&Home::at(shared), &wanted);
        }
        at_hand
    }

    fn look_below(&mut self, home: &Home, wanted: &HashSet<Digest>) {
        let Ok(tables) = std::fs::read_dir(home.chunk_tables()) else { return };
        let mut packages: Vec<Digest> = tables
            .filter_map(std::result::Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        packages.sort();
        for package in packages {
            for folder in [home.package(package), home.unfinished(package)] {
                if folder.is_dir() {
                    self.look_into(home, package, folder, wanted);
                }
            }
        }
    }

    /// Takes what the unpacked `package` in `folder` has.
    fn look_into(
        &mut self,
        home: &Home,
        package: Digest,
        folder: PathBuf,
        wanted: &HashSet<Digest>,
    ) {
        let Some(table) = read_table(&home.chunk_table(package)) else { return };
        let (mut start, mut found) = (0, Vec::new());
        for chunk in &table.chunks {
            if self.misses(chunk.sha256, wanted) {
                found.push((chunk.sha256, start));
            }
            start += u64::from(chunk.size);
        }
        if found.is_empty() {
            return;
        }
        let unpacked = read_index(&folder, package)
            .and_then(|text| {
                let index = archive::parse_index(&text).ok()?;
                Some(Unpacked::new(folder, index, &text))
            })
            .filter(|unpacked| unpacked.length() == start);
        if let Some(unpacked) = unpacked {
            self.add(Base::Folder(unpacked), found);
        }
    }

    /// Takes what the package file `package` has of `wanted` and lies nowhere else.
    pub fn look_into_file(&mut self, package: Package, wanted: &ChunkTable) {
        let wanted = digests(wanted);
        let chunks = package.chunk_table().chunks.iter().enumerate();
        let found: Vec<_> = chunks
            .filter(|(_, chunk)| self.misses(chunk.sha256, &wanted))
            .map(|(number, chunk)| (chunk.sha256, number as u64))
            .collect();
        if !found.is_empty() {
            self.add(Base::File(package), found);
        }
    }

    fn misses(&self, chunk: Digest, wanted: &HashSet<Digest>) -> bool {
        wanted.contains(&chunk) && !self.places.contains_key(&chunk)
    }

    fn add(&mut self, base: Base, found: Vec<(Digest, u64)>) {
        let number = self.bases.len();
        self.bases.push(base);
        for (digest, at) in found {
            self.places.entry(digest).or_insert(Place { base: number, at });
        }
    }

    /// Whether `chunk` seems to lie here; nothing is read.
    #[must_use]
    pub fn seem_to_have(&self, chunk: &Chunk) -> bool {
        self.places.contains_key(&chunk.sha256)
    }

    /// Puts the bytes of `chunk` into `buffer`; nothing where they are not here, or no longer.
    pub fn read(&self, chunk: &Chunk, buffer: &mut Vec<u8>) -> Option<()> {
        let place = self.places.get(&chunk.sha256)?;
        match &self.bases[place.base] {
            Base::Folder(unpacked) => {
                unpacked.read(place.at..place.at + u64::from(chunk.size), buffer).ok()?;
                (Digest::of(buffer) == chunk.sha256).then_some(())
            }
            Base::File(package) => {
                *buffer = package.read_chunk(usize::try_from(place.at).ok()?).ok()?;
                Some(())
            }
        }
    }
}

/// The chunks that are worth looking for: all but that of the index, which is fetched first.
fn digests(wanted: &ChunkTable) -> HashSet<Digest> {
    wanted.chunks.iter().skip(1).map(|chunk| chunk.sha256).collect()
}

fn read_table(path: &Path) -> Option<ChunkTable> {
    let bytes = fs::read(path, LONGEST_TABLE).ok()?;
    ChunkTable::parse(&bytes).ok()
}

fn read_index(folder: &Path, package: Digest) -> Option<Vec<u8>> {
    let text = fs::read(&folder.join(INDEX_PATH), archive::LARGEST_INDEX).ok()?;
    (Digest::of(&text) == package).then_some(text)
}

impl Store {
    /// Keeps the chunk table of `package`, so that other packages, and the same one where its
    /// unpacking is interrupted, can take chunks from its files.
    pub(super) fn keep_chunk_table(&self, package: &Package) -> Result<()> {
        let path = self.home.chunk_table(package.package_digest());
        Ok(fs::write_atomically(&path, &package.chunk_table().encode())?)
    }

    /// Sets aside what an interrupted run left of packages that were being fetched.
    pub(super) fn set_unfinished_aside(&self) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(self.staging()) else { return Ok(()) };
        for entry in entries.filter_map(std::result::Result::ok) {
            let Some(package) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if self.holds(package) || !self.home.chunk_table(package).exists() {
                continue;
            }
            let goal = self.home.unfinished(package);
            fs::remove_folder(&goal)?;
            if let Some(folder) = goal.parent() {
                fs::create_folder(folder)?;
            }
            std::fs::rename(entry.path(), &goal)
                .map_err(fs::Error::at("rename a folder to", &goal))?;
        }
        Ok(())
    }

    /// Removes what an interrupted run left of `package`.
    pub(super) fn forget_unfinished(&self, package: Digest) -> Result<()> {
        Ok(fs::remove_folder(&self.home.unfinished(package))?)
    }

    /// Removes everything unfinished, and the chunk tables of packages that are not here.
    pub(super) fn sweep_chunks(&self) -> Result<()> {
        fs::remove_folder(&self.home.store().join("unfinished"))?;
        let Ok(entries) = std::fs::read_dir(self.home.chunk_tables()) else { return Ok(()) };
        for entry in entries.filter_map(std::result::Result::ok) {
            let package = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !package.is_some_and(|package| self.holds(package)) {
                let path = entry.path();
                std::fs::remove_file(&path).map_err(fs::Error::at("remove", &path))?;
            }
        }
        Ok(())
    }
}

impl Home {
    /// The chunk tables of the packages that lie unpacked.
    #[must_use]
    pub fn chunk_tables(&self) -> PathBuf {
        self.store().join("chunks")
    }

    /// The chunk table of one of them.
    #[must_use]
    pub fn chunk_table(&self, package: Digest) -> PathBuf {
        self.chunk_tables().join(package.to_string())
    }

    /// What an interrupted run left of the package with this digest.
    #[must_use]
    pub fn unfinished(&self, package: Digest) -> PathBuf {
        self.store().join("unfinished").join(package.to_string())
    }
}
