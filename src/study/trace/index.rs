//! The index of one piece of data: its text in shards, and which document lies where in them.

use std::io::{BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compare::Whitespace;
use super::documents::Document;
use super::order::{Files, Order, map};
use super::passages::{outermost, passages};
use super::{END, LONGEST_TEXT, SHORTEST_PASSAGE};
use crate::fs;
use crate::progress::{Progress, Unit};
use crate::study::{Error, Result};

/// The version of the index's files.
const FORMAT: u32 = 1;
/// The description of an index; it is written last.
const RECORD: &str = "index.json";
/// Which document lies where: one JSON object a line.
const DOCUMENTS: &str = "documents.jsonl";
/// The longest description that is read, in bytes.
const LONGEST_RECORD: u64 = 16 << 20;
/// Line ends are counted once for each so many bytes of a shard.
const BLOCK: usize = 64 << 10;
/// How many bytes of the words around a passage are shown on each side.
const AROUND: usize = 72;
/// How many occurrences are looked at for places in other documents.
const MOST_LOOKED_AT: usize = 4096;

/// How long shards are, and how far the pieces of a document that is cut overlap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The longest shard.
    pub shard: usize,
    /// The overlap: as long as the longest passage that must not be missed.
    pub overlap: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { shard: 128 << 20, overlap: LONGEST_TEXT }
    }
}

/// What an index says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// How many documents are in it.
    documents: u64,
    /// How many bytes of text they have.
    bytes: u64,
    /// How many documents are no text.
    others: u64,
    /// The length of each shard.
    shards: Vec<usize>,
}

/// A piece of a document in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    path: String,
    shard: usize,
    start: usize,
    end: usize,
    /// Where the piece begins in its document.
    offset: u64,
    /// The number of the line that it begins in.
    line: u64,
}

/// The index of one piece of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    folder: PathBuf,
    record: Record,
}

/// Where a passage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The document's path in the data; empty where the data is one file.
    pub path: String,
    /// The number of the line in which the passage begins, from 1.
    pub line: u64,
    /// Where it begins in the document, in bytes.
    pub offset: u64,
    /// The words before it.
    pub before: String,
    /// The words behind it.
    pub after: String,
}

/// Where a passage stands, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// How often it stands in the data.
    pub occurrences: u64,
    /// The first place in each of some documents.
    pub places: Vec<Place>,
}

impl Index {
    /// Opens the index in `folder`; none where nothing or another format is.
    ///
    /// # Errors
    /// When its description cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path, LONGEST_RECORD)?;
        let record: Record = serde_json::from_str(&text)
            .map_err(|error| Error::damaged(folder, format!("{RECORD}: {error}")))?;
        if record.format != FORMAT {
            return Ok(None);
        }
        for (number, length) in record.shards.iter().enumerate() {
            let text = Files::of(folder, number, Whitespace::Exact).text;
            let found = text.metadata().map_err(fs::Error::at("look at", &text))?.len();
            if found != *length as u64 {
                let why = format!("{} has {found} bytes and not {length}", text.display());
                return Err(Error::damaged(folder, why));
            }
        }
        Ok(Some(Self { folder: folder.to_owned(), record }))
    }

    /// Lays out the text of `documents` in `folder`, which is new.
    ///
    /// # Errors
    /// When a document cannot be read or a file not be written; then the folder is worth nothing.
    pub fn build(
        folder: &Path,
        documents: &[Document],
        sizes: Sizes,
        progress: &dyn Progress,
    ) -> Result<Self> {
        fs::create_folder(folder)?;
        let list = folder.join(DOCUMENTS);
        let mut staging = fs::Staging::beside(&list)?;
        let task = progress.start("Reading text", Some(documents.len() as u64), Unit::Items);
        let mut layout = Layout {
            folder,
            sizes,
            list: BufWriter::new(staging.file()),
            shard: Vec::new(),
            record: Record { format: FORMAT, ..Record::default() },
        };
        for document in documents {
            match document.open()? {
                Some(text) => layout.add(document, text)?,
                None => layout.record.others += 1,
            }
            task.advance(1);
        }
        let record = layout.finish()?;
        staging.commit()?;
        let text = serde_json::to_vec(&record).expect("a record of numbers is JSON");
        fs::write_atomically(&folder.join(RECORD), &text)?;
        Ok(Self { folder: folder.to_owned(), record })
    }

    /// How many documents are in it.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.record.documents
    }

    /// How many documents of the data are no text.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.record.others
    }

    /// How many bytes of text are in it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.record.bytes
    }

    fn files(&self, whitespace: Whitespace) -> impl Iterator<Item = Files> + '_ {
        (0..self.record.shards.len()).map(move |number| Files::of(&self.folder, number, whitespace))
    }

    /// Whether it can be searched so without being put in order first.
    #[must_use]
    pub fn is_ordered(&self, whitespace: Whitespace) -> bool {
        self.files(whitespace).all(|files| files.are_there())
    }

    /// Puts the suffixes of every shard in order, where they are not yet.
    ///
    /// # Errors
    /// When there is too little memory or a file cannot be written.
    pub fn put_in_order(&self, whitespace: Whitespace, progress: &dyn Progress) -> Result<()> {
        let total = self.record.shards.iter().map(|length| *length as u64).sum();
        let task = progress.start("Indexing", Some(total), Unit::Bytes);
        for (files, length) in self.files(whitespace).zip(&self.record.shards) {
            if !files.are_there() {
                files.write(whitespace)?;
            }
            task.advance(*length as u64);
        }
        Ok(())
    }

    /// The passages of at least `shortest` bytes of `text` that stand in the data, none within
    /// another. `text` is folded already where `whitespace` says so.
    ///
    /// # Errors
    /// When the suffixes are not in order or a file is damaged.
    pub fn passages(
        &self,
        text: &[u8],
        shortest: usize,
        whitespace: Whitespace,
    ) -> Result<Vec<Range<usize>>> {
        let shortest = shortest.max(SHORTEST_PASSAGE);
        let mut found = Vec::new();
        for files in self.files(whitespace) {
            found.extend(passages(&Order::open(&files, whitespace)?, text, shortest));
        }
        Ok(outermost(found))
    }

    /// Where `passage` stands: in at most `most` documents.
    ///
    /// # Errors
    /// As [`Index::passages`].
    pub fn places(&self, passage: &[u8], whitespace: Whitespace, most: usize) -> Result<Places> {
        let mut found = Places::default();
        let mut seen: Vec<String> = Vec::new();
        for (number, files) in self.files(whitespace).enumerate() {
            let order = Order::open(&files, whitespace)?;
            let ranks = order.ranks(passage);
            if ranks.is_empty() {
                continue;
            }
            found.occurrences += ranks.len() as u64;
            let (pieces, lines) = (self.pieces(number)?, map(&lines_of(&self.folder, number))?);
            let mut starts: Vec<usize> =
                ranks.take(MOST_LOOKED_AT).map(|rank| order.suffix(rank)).collect();
            starts.sort_unstable();
            for start in starts {
                let Some(piece) = piece_at(&pieces, start) else { continue };
                if found.places.len() < most && !seen.contains(&piece.path) {
                    seen.push(piece.path.clone());
                    found.places.push(place(&order, &lines, piece, start, passage));
                }
            }
        }
        Ok(found)
    }

    /// The pieces of documents in a shard, in the order of their starts.
    fn pieces(&self, shard: usize) -> Result<Vec<Piece>> {
        let path = self.folder.join(DOCUMENTS);
        let file = std::fs::File::open(&path).map_err(fs::Error::at("open", &path))?;
        let mut pieces = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(fs::Error::at("read", &path))?;
            let piece: Piece = serde_json::from_str(&line)
                .map_err(|error| Error::damaged(&self.folder, format!("{DOCUMENTS}: {error}")))?;
            if piece.shard == shard {
                pieces.push(piece);
            }
        }
        Ok(pieces)
    }
}

fn piece_at(pieces: &[Piece], start: usize) -> Option<&Piece> {
    let behind = pieces.partition_point(|piece| piece.start <= start);
    pieces.get(behind.checked_sub(1)?).filter(|piece| start < piece.end)
}

/// Which side of a passage words stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// `text` from or up to the border of a word, where there is one.
fn words(text: &[u8], side: Side, whole: usize) -> String {
    let is_cut = text.len() == whole;
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let text = match side {
        Side::Before if is_cut => &text[text.iter().position(blank).map_or(0, |at| at + 1)..],
        Side::After if is_cut => &text[..text.iter().rposition(blank).unwrap_or(text.len())],
        _ => text,
    };
    String::from_utf8_lossy(text).into_owned()
}

/// How many lines end in `text`.
fn line_ends(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// How many lines end before each block of a shard.
fn line_table(text: &[u8]) -> Vec<u8> {
    let mut sum = 0;
    text.chunks(BLOCK)
        .flat_map(|block| {
            let before = sum;
            sum += line_ends(block);
            before.to_le_bytes()
        })
        .collect()
}

/// How many lines end in the shard before `place`.
fn lines_before(order: &Order, table: &[u8], place: usize) -> u64 {
    let block = place / BLOCK;
    let counted = table.get(block * 8..).and_then(<[u8]>::first_chunk).copied();
    let rest = order.text().get(block * BLOCK..place).unwrap_or_default();
    u64::from_le_bytes(counted.unwrap_or_default()) + line_ends(rest)
}

fn place(order: &Order, lines: &[u8], piece: &Piece, start: usize, passage: &[u8]) -> Place {
    let text = order.text();
    let end = start + order.extent(start, passage);
    let before = text.get(piece.start.max(start.saturating_sub(AROUND))..start);
    let after = text.get(end..piece.end.min(end.saturating_add(AROUND)));
    let above =
        lines_before(order, lines, start).saturating_sub(lines_before(order, lines, piece.start));
    Place {
        path: piece.path.clone(),
        line: piece.line + above,
        offset: piece.offset + (start - piece.start) as u64,
        before: words(before.unwrap_or_default(), Side::Before, AROUND),
        after: words(after.unwrap_or_default(), Side::After, AROUND),
    }
}

/// Lays text out in shards.
struct Layout<'a> {
    folder: &'a Path,
    sizes: Sizes,
    list: BufWriter<&'a mut std::fs::File>,
    shard: Vec<u8>,
    record: Record,
}

impl Layout<'_> {
    fn add(&mut self, document: &Document, mut text: Box<dyn Read>) -> Result<()> {
        let mut overlap: Vec<u8> = Vec::new();
        let (mut offset, mut line) = (0, 1);
        self.record.documents += 1;
        loop {
            if self.shard.len() + 2 * self.sizes.overlap >= self.sizes.shard {
                self.end_shard()?;
            }
            let start = self.shard.len();
            self.shard.extend_from_slice(&overlap);
            let room = (self.sizes.shard - self.shard.len() - 1) as u64;
            let read = (&mut text).take(room).read_to_end(&mut self.shard);
            let read = read.map_err(document.unreadable())? as u64;
            if read == 0 {
                self.shard.truncate(start);
                return Ok(());
            }
            let end = self.shard.len();
            self.note(&Piece {
                path: document.path.clone(),
                shard: self.record.shards.len(),
                start,
                end,
                offset,
                line,
            })?;
            self.record.bytes += read;
            let cut = end - self.sizes.overlap.min(end - start);
            offset += (cut - start) as u64;
            line += line_ends(&self.shard[start..cut]);
            overlap = self.shard[cut..].to_vec();
            self.shard.push(END);
            if read < room {
                return Ok(());
            }
        }
    }

    fn note(&mut self, piece: &Piece) -> Result<()> {
        let path = self.folder.join(DOCUMENTS);
        let mut line = serde_json::to_vec(piece).expect("a piece is JSON");
        line.push(b'\n');
        Ok(self.list.write_all(&line).map_err(fs::Error::at("write", &path))?)
    }

    fn end_shard(&mut self) -> Result<()> {
        if self.shard.is_empty() {
            return Ok(());
        }
        let number = self.record.shards.len();
        fs::write_atomically(&lines_of(self.folder, number), &line_table(&self.shard))?;
        let text = Files::of(self.folder, number, Whitespace::Exact).text;
        fs::write_atomically(&text, &self.shard)?;
        self.record.shards.push(self.shard.len());
        self.shard.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Record> {
        self.end_shard()?;
        self.list.flush().map_err(fs::Error::at("write", &self.folder.join(DOCUMENTS)))?;
        Ok(self.record)
    }
}

/// Where the table of a shard's lines lies.
fn lines_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:04}.lines"))
}
