//! Writing a package: one thread reads and cuts, others compress, one writes in order.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::buffers::Buffers;
use super::collect::{collect, from_folder, survey};
use super::cut::{Cut, Cutter, plan};
use super::error::{Error, Fault, Result};
use super::frame::{Compressor, Frame, stored_length};
use super::index::index_bytes;
use super::source::{Digests, Source};
use super::stream::index_record;
use super::table::{Chunk, ChunkTable, encode_seek};
use super::{limits, tar};
use crate::formats::WeightsInfo;
use crate::fs::{self, Staging};
use crate::package::{Digest, Hasher, IndexedFile, PackageIndex, PackagePath};
use crate::progress::{Progress, Task, Unit};

/// How a package is written; the bytes are the same whatever stands here but for the level.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// The zstd level of every frame; without it each has the one that suits it
    /// (spec/container.md, "Levels").
    pub level: Option<i32>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, level: None }
    }
}

/// A package that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The SHA-256 of its index.
    pub package_digest: Digest,
    /// The SHA-256 of the file.
    pub file_digest: Digest,
    /// The file's length.
    pub file_size: u64,
    /// The bytes of all its files together.
    pub unpacked_size: u64,
    /// Where its chunk table stands.
    pub chunks: ChunksPlace,
}

/// Where a package's chunk table stands, for readers that fetch it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunksPlace {
    /// The first byte of its frame.
    pub offset: u64,
    /// The length of its frame.
    pub size: u64,
    /// The SHA-256 of its frame.
    pub sha256: Digest,
}

/// Opens a file's contents.
pub type Contents<'a> = dyn Fn(&IndexedFile) -> fs::Result<Box<dyn Read + Send>> + Sync + 'a;

/// The level of frames that hold no tensors.
const LEVEL: i32 = 9;
/// The level of frames of tensors: higher ones find no more in them.
const WEIGHTS_LEVEL: i32 = 1;
/// The longest index that is stored as it is.
const LONGEST_STORED: usize = 64 << 10;
/// The least bytes of a package's files whose index is stored: reading fewer twice costs little.
const LEAST_STORED: u64 = 16 << 20;
/// How much of a file is read at once where it is cut by content.
const PIECE: usize = 256 << 10;

/// Writes the package that `index` describes to `goal`, whole or not at all. `contents` opens the
/// file that an entry of the index lists.
///
/// # Errors
/// When the index breaks a rule, a file differs from what the index says, or the system refuses
/// to read or write.
pub fn write_package(
    index: &PackageIndex,
    contents: &Contents<'_>,
    goal: &Path,
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<Packed> {
    let index_text = index_bytes(index)?;
    let mut staging = Staging::beside(goal)?;
    let work = Work { index, contents, goal, options, progress, digests: Digests::Listed };
    let first = index_frame(&index_record(&index_text), form_of(index, &index_text), options);
    let writer = Writer::after(staging.file(), &first);
    let writer = writer.map_err(fs::Error::at("write", goal))?;
    let (writer, _) = work.frames(writer)?;
    let written = writer.end().map_err(fs::Error::at("write", goal))?;
    staging.commit()?;
    Ok(Packed {
        package_digest: Digest::of(&index_text),
        unpacked_size: index.unpacked_size(),
        ..written
    })
}

/// Packs `paths` below `root` into the package that `index`, whose files do not matter, describes,
/// and returns the index. Many bytes are read once: their digests are computed while they are
/// packed, and the index put into its place at the end.
///
/// # Errors
/// As [`write_package`], and [`collect`].
pub fn pack_folder(
    mut index: PackageIndex,
    (root, paths): (&Path, &[PackagePath]),
    goal: &Path,
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<(PackageIndex, Packed)> {
    let contents = from_folder(root);
    index.files = survey(root, paths)?;
    // Every digest has the same length, so the index is as long as it will be.
    let draft = index_bytes(&index)?;
    if form_of(&index, &draft) == IndexForm::Compressed {
        index.files = collect(root, paths)?;
        let packed = write_package(&index, &contents, goal, options, progress)?;
        return Ok((index, packed));
    }
    let mut staging = Staging::beside(goal)?;
    let work = Work {
        index: &index,
        contents: &contents,
        goal,
        options,
        progress,
        digests: Digests::Open,
    };
    let length = stored_length(index_record(&draft).len());
    let writer = Writer::leaving(staging.file(), length).map_err(fs::Error::at("write", goal))?;
    let (writer, digests) = work.frames(writer)?;
    for (file, digest) in index.files.iter_mut().zip(digests) {
        file.sha256 = digest;
    }
    let index_text = index_bytes(&index)?;
    let first = index_frame(&index_record(&index_text), IndexForm::Stored, options);
    let written = writer.end_with(&first).map_err(fs::Error::at("write", goal))?;
    staging.commit()?;
    let (package_digest, unpacked_size) = (Digest::of(&index_text), index.unpacked_size());
    Ok((index, Packed { package_digest, unpacked_size, ..written }))
}

/// How the index stands in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IndexForm {
    /// As it is: the frame's length is known before the digests in it.
    Stored,
    /// Compressed.
    Compressed,
}

fn form_of(index: &PackageIndex, text: &[u8]) -> IndexForm {
    if text.len() <= LONGEST_STORED && index.unpacked_size() >= LEAST_STORED {
        IndexForm::Stored
    } else {
        IndexForm::Compressed
    }
}

/// The first frame, which holds the index's record.
fn index_frame(record: &[u8], form: IndexForm, options: &WriteOptions) -> Frame {
    let level = options.level.unwrap_or(LEVEL);
    match form {
        IndexForm::Stored => Compressor::new().store(record, level),
        IndexForm::Compressed => Compressor::new().compress(record, level, Vec::new()),
    }
}

/// Everything that the frames after the first are made from.
#[derive(Clone, Copy)]
struct Work<'a> {
    index: &'a PackageIndex,
    contents: &'a Contents<'a>,
    goal: &'a Path,
    options: &'a WriteOptions,
    progress: &'a dyn Progress,
    digests: Digests,
}

impl Work<'_> {
    /// Reads, cuts, compresses and writes. Returns the digests of the files, in their order.
    fn frames<'a>(&self, writer: Writer<'a>) -> Result<(Writer<'a>, Vec<Digest>)> {
        let label = format!("Packing {}", self.index.name);
        let task = self.progress.start(&label, Some(self.index.unpacked_size()), Unit::Bytes);
        let threads = self.options.threads.get();
        let (jobs, work) = bounded::<Job>(threads);
        let (order, turns) = bounded::<Receiver<Frame>>(2 * threads);
        let (plain, packed) = (Buffers::new(), Buffers::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (work, plain, packed) = (work.clone(), &plain, &packed);
                scope.spawn(move || {
                    let mut compressor = Compressor::new();
                    for Job { contents, level, done } in work {
                        let frame = compressor.compress(&contents, level, packed.take());
                        plain.give(contents);
                        // Nobody waits for the frame where the writer has failed.
                        let _ = done.send(frame);
                    }
                });
            }
            drop(work);
            let written = scope.spawn(|| writer.run(turns, &packed));
            let queue = Queue { jobs, order, level: self.options.level, plain: &plain };
            let read = self.read_all(&queue, &*task);
            drop(queue);
            let written = written.join().expect("the writer does not panic");
            // A writer that failed closes the queue; what it met comes before what that caused.
            match written {
                Ok(writer) => read.map(|digests| (writer, digests)),
                Err(error) => Err(fs::Error::at("write", self.goal)(error).into()),
            }
        })
    }

    /// Reads every file in order and cuts the stream.
    fn read_all(&self, queue: &Queue<'_>, task: &dyn Task) -> Result<Vec<Digest>> {
        let mut run = Run::new(queue);
        let mut digests = Vec::with_capacity(self.index.files.len());
        for file in &self.index.files {
            let mut source = Source::open(self.index, file, self.contents, task)?;
            match source.weights()? {
                Some(weights) => {
                    run.end()?;
                    put_weights(&weights, &mut source, queue)?;
                }
                None => run.record(&mut source)?,
            }
            digests.push(source.finish(self.digests)?);
        }
        run.end()?;
        queue.put(vec![0; 2 * tar::BLOCK], LEVEL)?;
        Ok(digests)
    }
}

/// A frame to make.
struct Job {
    contents: Vec<u8>,
    level: i32,
    done: Sender<Frame>,
}

/// Where the reading thread puts what it has cut.
struct Queue<'a> {
    jobs: Sender<Job>,
    order: Sender<Receiver<Frame>>,
    level: Option<i32>,
    plain: &'a Buffers,
}

impl Queue<'_> {
    fn put(&self, contents: Vec<u8>, level: i32) -> Result<()> {
        let level = self.level.unwrap_or(level);
        let (done, frame) = bounded(1);
        // A closed queue means that the writer failed, which is reported in place of this.
        let closed = || Error::from(Fault::NotAPackage);
        self.order.send(frame).map_err(|_| closed())?;
        self.jobs.send(Job { contents, level, done }).map_err(|_| closed())
    }
}

/// Cuts a record of weights at its tensors.
fn put_weights(weights: &WeightsInfo, source: &mut Source<'_>, queue: &Queue<'_>) -> Result<()> {
    let (lengths, head) = plan(weights, source.file().size);
    let last = lengths.len() - 1;
    for (number, length) in lengths.into_iter().enumerate() {
        let length = usize::try_from(length).expect("plans have no frame longer than 8 MiB");
        let mut frame = queue.plain.take();
        frame.resize(length, 0);
        let mut place = frame.as_mut_slice();
        if number == 0 {
            let (header, rest) = place.split_at_mut(tar::BLOCK);
            header.copy_from_slice(&source.header());
            place = rest;
        }
        if number == last {
            let (rest, padding) = place.split_at_mut(place.len() - source.padding());
            padding.fill(0);
            place = rest;
        }
        source.fill(place)?;
        queue.put(frame, if number < head { LEVEL } else { WEIGHTS_LEVEL })?;
    }
    Ok(())
}

/// A run of records that is cut by content.
struct Run<'a> {
    cutter: Cutter,
    frame: Vec<u8>,
    buffer: Vec<u8>,
    queue: &'a Queue<'a>,
}

impl<'a> Run<'a> {
    fn new(queue: &'a Queue<'a>) -> Self {
        Self { cutter: Cutter::new(), frame: Vec::new(), buffer: vec![0; PIECE], queue }
    }

    fn record(&mut self, source: &mut Source<'_>) -> Result<()> {
        self.add(&source.header())?;
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                length => self.add(&buffer[..length])?,
            }
        }
        self.buffer = buffer;
        self.add(&[0; tar::BLOCK][..source.padding()])
    }

    fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (taken, cut) = self.cutter.take(bytes);
            self.frame.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if cut == Cut::Here {
                self.end()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.cutter.end();
        if self.frame.is_empty() {
            return Ok(());
        }
        let mut next = self.queue.plain.take();
        next.clear();
        self.queue.put(std::mem::replace(&mut self.frame, next), LEVEL)
    }
}

/// Writes frames in order, then the tables.
struct Writer<'a> {
    file: &'a mut File,
    /// The digest of what was written; of a file whose first frame is missing there is none.
    hasher: Option<Hasher>,
    offset: u64,
    table: ChunkTable,
    checksums: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a mut File, hasher: Option<Hasher>, offset: u64) -> Self {
        let table = ChunkTable { chunks: Vec::new() };
        Self { file, hasher, offset, table, checksums: Vec::new() }
    }

    /// Begins with the frame `first`.
    fn after(file: &'a mut File, first: &Frame) -> std::io::Result<Self> {
        let mut writer = Self::new(file, Some(Hasher::new()), 0);
        writer.frame(first)?;
        Ok(writer)
    }

    /// Leaves room for a first frame of `length` bytes, for [`Writer::end_with`].
    fn leaving(file: &'a mut File, length: u64) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(length))?;
        Ok(Self::new(file, None, length))
    }

    fn run(mut self, turns: Receiver<Receiver<Frame>>, packed: &Buffers) -> std::io::Result<Self> {
        for turn in turns {
            // A frame that never comes was not made because reading failed, which is reported.
            let Ok(frame) = turn.recv() else { break };
            self.frame(&frame)?;
            packed.give(frame.bytes);
        }
        Ok(self)
    }

    /// Writes the tables. The package digest is the caller's to fill in.
    fn end(mut self) -> std::io::Result<Packed> {
        let frame = self.table.encode();
        let (size, sha256) = (frame.len() as u64, Digest::of(&frame));
        let chunks = ChunksPlace { offset: self.offset, size, sha256 };
        self.put(&frame)?;
        let seek = encode_seek(&self.table, &self.checksums, frame.len());
        self.put(&seek)?;
        let file_digest = match self.hasher {
            Some(hasher) => hasher.finish(),
            None => digest(self.file, self.offset)?,
        };
        Ok(Packed {
            package_digest: sha256,
            file_digest,
            file_size: self.offset,
            unpacked_size: 0,
            chunks,
        })
    }

    /// Puts `first` into the room that was left for it and ends the file.
    fn end_with(mut self, first: &Frame) -> std::io::Result<Packed> {
        self.file.write_all_at(&first.bytes, 0)?;
        let chunk = Self::chunk(first, 0)?;
        self.table.chunks.insert(0, chunk);
        self.checksums.insert(0, first.checksum());
        self.end()
    }

    fn frame(&mut self, frame: &Frame) -> std::io::Result<()> {
        if self.table.chunks.len() >= limits::MOST_FRAMES as usize {
            return Err(std::io::Error::other("a package has at most 2^20 frames"));
        }
        self.table.chunks.push(Self::chunk(frame, self.offset)?);
        self.checksums.push(frame.checksum());
        self.put(&frame.bytes)
    }

    fn chunk(frame: &Frame, offset: u64) -> std::io::Result<Chunk> {
        Ok(Chunk {
            sha256: frame.sha256,
            offset,
            compressed: u32::try_from(frame.bytes.len()).map_err(std::io::Error::other)?,
            size: u32::try_from(frame.size).map_err(std::io::Error::other)?,
            crc32: frame.crc32,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.offset += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// The digest of the first `length` bytes.
fn digest(file: &File, length: u64) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE];
    while hasher.length() < length {
        let left = usize::try_from(length - hasher.length()).unwrap_or(PIECE).min(PIECE);
        file.read_exact_at(&mut buffer[..left], hasher.length())?;
        hasher.update(&buffer[..left]);
    }
    Ok(hasher.finish())
}
