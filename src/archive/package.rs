//! Reading a package: nothing in it is believed before it was checked.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, bounded};

use super::error::{Error, Fault, Result};
use super::folder::FolderSink;
use super::frame::Decompressor;
use super::limits::LARGEST_INDEX;
use super::stream::{Walk, index_record, stream_length};
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
    file: File,
    file_size: u64,
    index: PackageIndex,
    index_size: u64,
    digest: Digest,
    table: ChunkTable,
    checksums: Vec<u32>,
    chunks: ChunksPlace,
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
        Self::read(path, file, metadata.len()).map_err(|error| error.of_package(path))
    }

    fn read(path: &Path, file: File, file_size: u64) -> Result<Self> {
        let before = |end: u64, length: u64| -> Result<(u64, Vec<u8>)> {
            let start = end.checked_sub(length).ok_or(Fault::NotAPackage)?;
            Ok((start, read_at(&file, path, start, length)?))
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
        let bytes = read_at(&file, path, 0, u64::from(first.compressed))?;
        let record = Decompressor::new().decompress(0, first, checksums[0], &bytes)?;
        let (index, index_size, digest) = read_index(&record)?;
        let (expected, found) = (stream_length(&index, index_size), table.unpacked());
        if expected != found {
            return Err(Fault::Length { expected, found }.into());
        }
        let path = path.to_owned();
        Ok(Self { path, file, file_size, index, index_size, digest, table, checksums, chunks })
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
            hasher.update(&read_at(&self.file, &self.path, at, length)?);
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
        self.extract_with(&mut FolderSink::new(into)?, threads, progress)
    }

    /// Checks everything and hands it to `sink`.
    ///
    /// # Errors
    /// As [`Package::extract`]; or what the sink says.
    pub fn extract_with(
        &self,
        sink: &mut dyn Sink,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<()> {
        let label = format!("Unpacking {}", self.index.name);
        let task = progress.start(&label, Some(self.table.unpacked()), Unit::Bytes);
        let mut walk = Walk::new(&self.index);
        self.each_frame(1..self.table.chunks.len(), threads, |bytes| {
            task.advance(bytes.len() as u64);
            walk.take(bytes, sink)
        })
        .and_then(|()| walk.end())
        .map_err(|error| error.of_package(&self.path))
    }

    /// Checks everything and keeps nothing.
    ///
    /// # Errors
    /// When anything in the package breaks a rule.
    pub fn verify(&self, progress: &dyn Progress) -> Result<()> {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.extract_with(&mut Nowhere, threads, progress)
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

    /// What frame `number` unpacks to.
    fn frame(&self, number: usize, decompressor: &mut Decompressor) -> Result<Vec<u8>> {
        let chunk = &self.table.chunks[number];
        let bytes = read_at(&self.file, &self.path, chunk.offset, u64::from(chunk.compressed))?;
        Ok(decompressor.decompress(number, chunk, self.checksums[number], &bytes)?)
    }

    /// Unpacks frames on `threads` and hands them to `take` in order.
    fn each_frame(
        &self,
        frames: std::ops::Range<usize>,
        threads: NonZeroUsize,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        type Unpacked = Result<Vec<u8>>;
        let (jobs, work) = bounded::<(usize, crossbeam_channel::Sender<Unpacked>)>(threads.get());
        let (order, turns) = bounded::<Receiver<Unpacked>>(2 * threads.get());
        std::thread::scope(|scope| {
            for _ in 0..threads.get() {
                let work = work.clone();
                scope.spawn(move || {
                    let mut decompressor = Decompressor::new();
                    for (number, done) in work {
                        // Nobody waits where the taker has failed.
                        let _ = done.send(self.frame(number, &mut decompressor));
                    }
                });
            }
            drop(work);
            scope.spawn(move || {
                for number in frames {
                    let (done, turn) = bounded(1);
                    if order.send(turn).is_err() || jobs.send((number, done)).is_err() {
                        break;
                    }
                }
            });
            for turn in turns {
                take(&turn.recv().expect("a worker answers every job")?)?;
            }
            Ok(())
        })
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

fn read_at(file: &File, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
    // Every length was capped by a table's own limits before it came here.
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, offset).map_err(fs::Error::at("read", path))?;
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
