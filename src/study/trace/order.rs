//! The suffixes of one shard in order: how they are put so, and how a pattern is found by halving.
//!
//! Halving touches pages all over the files. A small table with the first bytes of every 256th
//! suffix comes first, so that most of it happens on few pages.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, UncheckedAdvice};

use super::compare::{Compared, Whitespace, compare, fold};
use crate::fs;
use crate::study::{Error, Result};

/// Every so many suffixes one has its first bytes in the table.
const STRIDE: usize = 256;
/// How many bytes of a suffix stand in the table.
const KEY: usize = 8;
/// After so many looks at mapped pages they are let go, which bounds the memory of a query.
const LOOKS: u32 = 1 << 10;

/// Where the files of a shard lie.
pub(super) struct Files {
    pub(super) text: PathBuf,
    order: PathBuf,
    keys: PathBuf,
}

impl Files {
    /// The files of shard `number` in `folder`.
    pub(super) fn of(folder: &Path, number: usize, whitespace: Whitespace) -> Self {
        let word = whitespace.word();
        Self {
            text: folder.join(format!("{number:04}.text")),
            order: folder.join(format!("{number:04}.{word}.order")),
            keys: folder.join(format!("{number:04}.{word}.keys")),
        }
    }

    /// Whether the suffixes are in order already; the keys are written last.
    pub(super) fn are_there(&self) -> bool {
        self.keys.is_file()
    }

    /// Puts the suffixes of the text in order.
    pub(super) fn write(&self, whitespace: Whitespace) -> Result<()> {
        let mapped = map(&self.text)?;
        let text: &[u8] = &mapped;
        match whitespace {
            Whitespace::Exact => self.write_order(text, text, |place| place),
            Whitespace::Folded => {
                let (folded, origins) = fold(text, whitespace);
                let origins: Vec<u32> = origins.into_iter().map(small).collect();
                self.write_order(text, &folded, |place| origins[place as usize])
            }
        }
    }

    /// Puts the suffixes of `compared` in order, and writes where each begins in `text`.
    fn write_order(&self, text: &[u8], compared: &[u8], origin: impl Fn(u32) -> u32) -> Result<()> {
        let suffixes = sorted(compared)?;
        write_whole(&self.order, &mut |file| {
            for part in suffixes.chunks(4096) {
                let bytes: Vec<u8> = part
                    .iter()
                    .flat_map(|suffix| origin(suffix.unsigned_abs()).to_le_bytes())
                    .collect();
                file.write_all(&bytes)?;
            }
            Ok(())
        })?;
        debug_assert!(text.len() >= compared.len());
        write_whole(&self.keys, &mut |file| {
            suffixes.iter().step_by(STRIDE).try_for_each(|suffix| {
                let suffix = suffix.unsigned_abs() as usize;
                file.write_all(&key(&compared[suffix..], 0).to_le_bytes())
            })
        })
    }
}

/// Shards are far shorter than 4 GiB.
fn small(place: usize) -> u32 {
    u32::try_from(place).expect("a shard is shorter than 4 GiB")
}

fn sorted(text: &[u8]) -> Result<Vec<i32>> {
    libsais::SuffixArrayConstruction::for_text(text)
        .in_owned_buffer32()
        .single_threaded()
        .run()
        .map(libsais::suffix_array::SuffixArrayWithText::into_vec)
        .map_err(|error| Error::Order { bytes: text.len(), why: error.to_string() })
}

/// Writes a file that is whole or not there.
fn write_whole(
    path: &Path,
    write: &mut dyn FnMut(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<()> {
    let mut staging = fs::Staging::beside(path)?;
    let mut buffered = BufWriter::with_capacity(1 << 20, staging.file());
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(fs::Error::at("write", path))?;
    drop(buffered);
    Ok(staging.commit()?)
}

/// The first bytes of `suffix` as a number that orders as they do, with `pad` where it is shorter.
fn key(suffix: &[u8], pad: u8) -> u64 {
    let mut first = [pad; KEY];
    let count = suffix.len().min(KEY);
    first[..count].copy_from_slice(&suffix[..count]);
    u64::from_be_bytes(first)
}

pub(super) fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(fs::Error::at("open", path))?;
    // SAFETY: nobody changes these files once they have their names; were one cut short all the
    // same, the process would end with a signal, and nothing else would happen.
    let mapped = unsafe { Mmap::map(&file) }.map_err(fs::Error::at("map", path))?;
    // A hint alone: without it more is read than is needed.
    let _ = mapped.advise(Advice::Random);
    Ok(mapped)
}

/// A shard, opened for searching.
pub(super) struct Order {
    text: Mmap,
    suffixes: Mmap,
    keys: Mmap,
    whitespace: Whitespace,
    looks: Cell<u32>,
}

impl Order {
    /// Opens a shard whose suffixes are in order.
    pub(super) fn open(files: &Files, whitespace: Whitespace) -> Result<Self> {
        let (text, suffixes, keys) = (map(&files.text)?, map(&files.order)?, map(&files.keys)?);
        let count = suffixes.len() / 4;
        let fits = match whitespace {
            Whitespace::Exact => count == text.len(),
            Whitespace::Folded => (1..=text.len()).contains(&count),
        };
        if !fits || keys.len() != count.div_ceil(STRIDE) * KEY {
            let folder = files.text.parent().unwrap_or(&files.text);
            return Err(Error::damaged(folder, "its files do not have the sizes that they should"));
        }
        Ok(Self { text, suffixes, keys, whitespace, looks: Cell::new(0) })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    fn count(&self) -> usize {
        self.suffixes.len() / 4
    }

    /// Where the suffix at `rank` begins in the text.
    pub(super) fn suffix(&self, rank: usize) -> usize {
        let bytes = self.suffixes[rank * 4..].first_chunk().copied().unwrap_or_default();
        u32::from_le_bytes(bytes) as usize
    }

    fn key(&self, place: usize) -> u64 {
        u64::from_le_bytes(self.keys[place * KEY..].first_chunk().copied().unwrap_or_default())
    }

    fn compared(&self, rank: usize, pattern: &[u8]) -> Compared {
        self.look();
        // A suffix from beyond the text can only come from a damaged file: it is like no pattern.
        let suffix = self.text.get(self.suffix(rank)..).unwrap_or_default();
        compare(suffix, pattern, self.whitespace)
    }

    /// Counts a look at the mapped pages, and lets them go from time to time.
    fn look(&self) {
        let looks = self.looks.get() + 1;
        self.looks.set(looks % LOOKS);
        if looks == LOOKS {
            for mapped in [&self.text, &self.suffixes, &self.keys] {
                // SAFETY: the map is of a file and nothing is ever written to it, so that pages
                // that are let go come back as they were.
                let _ = unsafe { mapped.unchecked_advise(UncheckedAdvice::DontNeed) };
            }
        }
    }

    /// The first place in the table whose key is at least `wanted`.
    fn first_key(&self, wanted: u64) -> usize {
        first(0..self.keys.len() / KEY, |place| self.key(place) >= wanted)
    }

    /// The first rank whose suffix does not come before all that begin with `pattern`.
    fn lower(&self, pattern: &[u8]) -> usize {
        let start = self.first_key(key(pattern, 0)).saturating_sub(1) * STRIDE;
        let end = self.end_of(pattern);
        first(start..end, |rank| self.compared(rank, pattern).order != Ordering::Less)
    }

    /// A rank at or behind the last suffix that begins with `pattern`.
    fn end_of(&self, pattern: &[u8]) -> usize {
        match key(pattern, u8::MAX).checked_add(1) {
            Some(above) => (self.first_key(above) * STRIDE).min(self.count()),
            None => self.count(),
        }
    }

    /// The ranks of the suffixes that begin with `pattern`.
    pub(super) fn ranks(&self, pattern: &[u8]) -> Range<usize> {
        let start = self.lower(pattern);
        let end = self.end_of(pattern).max(start);
        let is_behind = |rank| self.compared(rank, pattern).order == Ordering::Greater;
        start..first(start..end, is_behind)
    }

    /// How many bytes the longest beginning of `pattern` has that stands in the text.
    pub(super) fn longest(&self, pattern: &[u8]) -> usize {
        let rank = self.lower(pattern);
        let beside = [rank.checked_sub(1), (rank < self.count()).then_some(rank)];
        let common = beside.into_iter().flatten().map(|rank| self.compared(rank, pattern).common);
        common.max().unwrap_or(0)
    }

    /// How many bytes of the text from `place` on `pattern` takes.
    pub(super) fn extent(&self, place: usize, pattern: &[u8]) -> usize {
        let suffix = self.text.get(place..).unwrap_or_default();
        compare(suffix, pattern, self.whitespace).extent
    }
}

/// The first in `range` for which `holds` is true, where it is true for all behind it; the end of
/// the range if it is for none.
fn first(range: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end.max(range.start));
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
