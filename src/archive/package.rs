//! Reading a package: nothing in it is believed before it was checked.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::error::{Error, Fault, Result};
use super::folder::FolderSink;
use super::frame::{ChunkDigests, Decompressor};
use super::limits::LARGEST_INDEX;
use super::stream::{index_record, stream_length};
use super::supply::{LocalFile, Reach, Supply};
use super::table::{self, ChunkTable, SEEK_FOOTER};
use super::write::ChunksPlace;
use super::{index, tar};
use crate::fs;
use crate::package::{Digest, Hasher, INDEX_PATH, IndexedFile, PackageIndex, PackagePath};
use crate::progress::{Progress, Unit};

/// Where the files of a package go, in the order of its index.
pub trait Sink {
    /// A file begins.
    ///
    /// # Errors
    /// Ends the extraction.
    fn begin(&mut self, file: &IndexedFile) -> fs::Result<()>;

    /// More of its contents; they are not checked yet.
    ///
    /// # Errors
    /// Ends the extraction.
    fn write(&mut self, bytes: &[u8]) -> fs::Result<()>;

    /// The file is whole, and its size and digest are those of the index.
    ///
    /// # Errors
    /// Ends the extraction.
    fn finish(&mut self, file: &IndexedFile) -> fs::Result<()>;
}

/// An open package file whose tables and index were checked. Its files are checked as they are
/// read.
#[derive(Debug)]
pub struct Package {
    path: PathBuf,
    file_size: u64,
    index_size: u64,
    digest: Digest,
    chunks: ChunksPlace,
    pub(super) supply: Box<dyn Supply>,
    pub(super) index: PackageIndex,
    pub(super) table: ChunkTable,
    pub(super) checksums: Vec<u32>,
}

impl Package {
    /// Opens the package file `path`.
    ///
    /// # Errors
    /// When it cannot be read, or its tables, first frame or index break a rule.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(fs::Error::at("open", path))?;
        let metadata = file.metadata().map_err(fs::Error::at("read", path))?;
        if !metadata.is_file() {
            return Err(Error::from(Fault::NotAPackage).of_package(path));
        }
        let supply = Box::new(LocalFile { file, path: path.to_owned() });
        Self::supplied(path, metadata.len(), supply)
    }

    /// Opens the package file of `file_size` bytes that `supply` gives; `path` is what it is
    /// called in messages.
    ///
    /// # Errors
    /// As [`Package::open`].
    pub fn supplied(path: &Path, file_size: u64, supply: Box<dyn Supply>) -> Result<Self> {
        Self::read(path, supply, file_size).map_err(|error| error.of_package(path))
    }

    fn read(path: &Path, supply: Box<dyn Supply>, file_size: u64) -> Result<Self> {
        let before = |end: u64, length: u64| -> Result<(u64, Vec<u8>)> {
            let start = end.checked_sub(length).ok_or(Fault::NotAPackage)?;
            Ok((start, read_at(&*supply, start, length)?))
        };
        let (_, footer) = before(file_size, SEEK_FOOTER as u64)?;
        let (seek_start, seek) = before(file_size, table::seek_length(&footer)?)?;
        let length = table::chunk_table_length(&seek)?;
        let (offset, frame) = before(seek_start, length)?;
        let table = ChunkTable::parse(&frame)?;
        let checksums = table::check_seek(&seek, &table, frame.len())?;
        if table.end() != offset {
            return Err(Fault::table("chunk table", "it does not follow the last frame").into());
        }
        let chunks = ChunksPlace { offset, size: length, sha256: Digest::of(&frame) };
        let first = &table.chunks[0];
        let bytes = read_at(&*supply, 0, u64::from(first.compressed))?;
        let mut record = Vec::new();
        Decompressor::new().decompress(0, first, checksums[0], &bytes, &mut record)?;
        ChunkDigests::Check.check(0, first, &record)?;
        let (index, index_size, digest) = read_index(&record)?;
        let (expected, found) = (stream_length(&index, index_size), table.unpacked());
        if expected != found {
            return Err(Fault::Length { expected, found }.into());
        }
        let path = path.to_owned();
        Ok(Self { path, file_size, index_size, digest, chunks, supply, index, table, checksums })
    }

    /// The package file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The package file's length.
    #[must_use]
    pub const fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What is in it.
    #[must_use]
    pub const fn index(&self) -> &PackageIndex {
        &self.index
    }

    /// The SHA-256 of its index.
    #[must_use]
    pub const fn package_digest(&self) -> Digest {
        self.digest
    }

    /// Its data frames.
    #[must_use]
    pub const fn chunk_table(&self) -> &ChunkTable {
        &self.table
    }

    /// Whether its file is on this machine.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.supply.reach()
    }

    /// Where its chunk table stands.
    #[must_use]
    pub const fn chunks_place(&self) -> ChunksPlace {
        self.chunks
    }

    /// The SHA-256 of the whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file_digest(&self) -> Result<Digest> {
        let mut hasher = Hasher::new();
        let mut at = 0;
        while at < self.file_size {
            let length = (self.file_size - at).min(1 << 20);
            hasher.update(&read_at(&*self.supply, at, length)?);
            at += length;
        }
        Ok(hasher.finish())
    }

    /// Unpacks everything into `into`, an existing and empty folder, and checks it all. What was
    /// written is worth nothing where this fails, and is not synced where it does not.
    ///
    /// # Errors
    /// When anything in the package breaks a rule, or the system refuses to read or write.
    pub fn extract(
        &self,
        into: &Path,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.check_all(&mut FolderSink::new(into)?, threads, ChunkDigests::Check, progress)
    }

    /// Checks everything but the digests of chunks, and hands it to `sink`: the digests of whole
    /// files say as much of what is unpacked. Whoever calls knows the chunk table, or the whole
    /// file, by a digest that somebody has signed.
    ///
    /// # Errors
    /// As [`Package::extract`]; or what the sink says.
    pub fn extract_with(
        &self,
        sink: &mut dyn Sink,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.check_all(sink, threads, ChunkDigests::Leave, progress)
    }

    /// Checks everything, the digests of chunks included, and keeps nothing.
    ///
    /// # Errors
    /// When anything in the package breaks a rule.
    pub fn verify(&self, progress: &dyn Progress) -> Result<()> {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.check_all(&mut Nowhere, threads, ChunkDigests::Check, progress)
    }

    fn check_all(
        &self,
        sink: &mut dyn Sink,
        threads: NonZeroUsize,
        digests: ChunkDigests,
        progress: &dyn Progress,
    ) -> Result<()> {
        let verb = match self.reach() {
            Reach::Here => "Unpacking",
            Reach::Elsewhere => "Fetching",
        };
        let label = format!("{verb} {}", self.index.name);
        let task = progress.start(&label, Some(self.table.unpacked()), Unit::Bytes);
        self.pour(sink, threads, digests, &*task).map_err(|error| error.of_package(&self.path))
    }

    /// One file's contents, checked, without unpacking more than the frames that it stands in.
    ///
    /// # Errors
    /// When there is no such file, it is longer than `limit`, or a frame of it is wrong.
    pub fn read_member(&self, path: &PackagePath, limit: u64) -> Result<Vec<u8>> {
        self.member(path, limit).map_err(|error| error.of_package(&self.path))
    }

    fn member(&self, path: &PackagePath, limit: u64) -> Result<Vec<u8>> {
        let found = self.index.files.binary_search_by(|file| file.path.cmp(path));
        let place = found.map_err(|_| Fault::NoSuchFile { path: path.clone() })?;
        let file = &self.index.files[place];
        if file.size > limit {
            return Err(Fault::TooLarge { what: "the file", found: file.size, limit }.into());
        }
        let before = &self.index.files[..place];
        let record = before.iter().fold(tar::record_length(self.index_size), |sum, file| {
            sum + tar::record_length(file.size)
        });
        let start = record + tar::BLOCK as u64;
        let end = start + file.size;
        let mut contents = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
        let mut at = 0;
        for (number, chunk) in self.table.chunks.iter().enumerate() {
            let (from, to) = (at, at + u64::from(chunk.size));
            at = to;
            if to <= start || from >= end {
                continue;
            }
            let bytes = self.frame(number, &mut Decompressor::new())?;
            let inside = |at: u64| {
                usize::try_from(at.clamp(from, to) - from).expect("frames are at most 8 MiB")
            };
            contents.extend_from_slice(&bytes[inside(start)..inside(end)]);
        }
        let (expected, found) = (file.sha256, Digest::of(&contents));
        if found != expected {
            return Err(Fault::Digest { path: path.clone(), expected, found }.into());
        }
        Ok(contents)
    }

    /// What frame `number` unpacks to, held against the digest in the chunk table.
    ///
    /// # Errors
    /// When it cannot be read or is wrong.
    pub fn read_chunk(&self, number: usize) -> Result<Vec<u8>> {
        let contents = self.frame(number, &mut Decompressor::new())?;
        ChunkDigests::Check.check(number, &self.table.chunks[number], &contents)?;
        Ok(contents)
    }

    /// What frame `number` unpacks to; its digest is not checked.
    fn frame(&self, number: usize, decompressor: &mut Decompressor) -> Result<Vec<u8>> {
        let chunk = &self.table.chunks[number];
        let bytes = read_at(&*self.supply, chunk.offset, u64::from(chunk.compressed))?;
        let mut contents = Vec::new();
        decompressor.decompress(number, chunk, self.checksums[number], &bytes, &mut contents)?;
        Ok(contents)
    }
}

fn read_index(record: &[u8]) -> Result<(PackageIndex, u64, Digest)> {
    let shape = |why: &str| Fault::IndexShape(why.to_owned());
    let field = record.get(124..135).and_then(|field| std::str::from_utf8(field).ok());
    let size = field.and_then(|field| usize::from_str_radix(field, 8).ok());
    let size = size.filter(|size| *size as u64 <= LARGEST_INDEX);
    let size = size.ok_or_else(|| shape("the first member's header does not say its length"))?;
    let text = record.get(tar::BLOCK..tar::BLOCK + size);
    let text = text.ok_or_else(|| shape("the first frame ends before it does"))?;
    if index_record(text) != record {
        return Err(Fault::Header { path: INDEX_PATH.to_owned(), at: 0, field: "form" }.into());
    }
    Ok((index::parse(text)?, size as u64, Digest::of(text)))
}

fn read_at(supply: &dyn Supply, offset: u64, length: u64) -> Result<Vec<u8>> {
    // Every length was capped by a table's own limits before it came here.
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    supply.read_at(offset, &mut bytes)?;
    Ok(bytes)
}

/// A sink that keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _: &IndexedFile) -> fs::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> fs::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &IndexedFile) -> fs::Result<()> {
        Ok(())
    }
}
