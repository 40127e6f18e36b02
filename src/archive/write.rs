//! Writing a package: one thread reads and cuts, others compress, one writes in order.

use std::io::{Read, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cut::{Cut, Cutter, plan};
use super::error::{Error, Fault, Result};
use super::frame::{Compressor, Frame};
use super::index::index_bytes;
use super::source::Source;
use super::stream::index_record;
use super::table::{Chunk, ChunkTable, encode_seek};
use super::{limits, tar};
use crate::formats::WeightsInfo;
use crate::fs::{self, Staging};
use crate::package::{Digest, Hasher, IndexedFile, PackageIndex};
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
    let label = format!("Packing {}", index.name);
    let task = progress.start(&label, Some(index.unpacked_size()), Unit::Bytes);
    let (jobs, work) = bounded::<Job>(options.threads.get());
    let (order, turns) = bounded::<Receiver<Frame>>(2 * options.threads.get());
    let file = staging.file();
    let written = std::thread::scope(|scope| {
        for _ in 0..options.threads.get() {
            let work = work.clone();
            scope.spawn(move || {
                let mut compressor = Compressor::new();
                for job in work {
                    // Nobody waits for the frame where the writer has failed.
                    let _ = job.done.send(compressor.compress(&job.contents, job.level));
                }
            });
        }
        drop(work);
        let writer = scope.spawn(move || Writer::new(file).run(turns));
        let queue = Queue { jobs, order, level: options.level };
        let read = read_all(index, &index_text, contents, &queue, &*task);
        drop(queue);
        let written = writer.join().expect("the writer does not panic");
        // A writer that failed closes the queue; what it met comes before what that caused.
        match written {
            Ok(written) => read.map(|()| written),
            Err(error) => Err(fs::Error::at("write", goal)(error).into()),
        }
    })?;
    staging.commit()?;
    Ok(Packed {
        package_digest: Digest::of(&index_text),
        unpacked_size: index.unpacked_size(),
        ..written
    })
}

/// A frame to make.
struct Job {
    contents: Vec<u8>,
    level: i32,
    done: Sender<Frame>,
}

/// Where the reading thread puts what it has cut.
struct Queue {
    jobs: Sender<Job>,
    order: Sender<Receiver<Frame>>,
    level: Option<i32>,
}

impl Queue {
    fn put(&self, contents: Vec<u8>, level: i32) -> Result<()> {
        let level = self.level.unwrap_or(level);
        let (done, frame) = bounded(1);
        // A closed queue means that the writer failed, which is reported in place of this.
        let closed = || Error::from(Fault::NotAPackage);
        self.order.send(frame).map_err(|_| closed())?;
        self.jobs.send(Job { contents, level, done }).map_err(|_| closed())
    }
}

/// Reads every file in order and cuts the stream.
fn read_all(
    index: &PackageIndex,
    index_text: &[u8],
    contents: &Contents<'_>,
    queue: &Queue,
    task: &dyn Task,
) -> Result<()> {
    queue.put(index_record(index_text), LEVEL)?;
    let mut run = Run { cutter: Cutter::new(), frame: Vec::new(), queue };
    for file in &index.files {
        let mut source = Source::open(index, file, contents, task)?;
        match source.weights()? {
            Some(weights) => {
                run.end()?;
                put_weights(&weights, &mut source, queue)?;
            }
            None => run.record(&mut source)?,
        }
        source.finish()?;
    }
    run.end()?;
    queue.put(vec![0; 2 * tar::BLOCK], LEVEL)
}

/// Cuts a record of weights at its tensors.
fn put_weights(weights: &WeightsInfo, source: &mut Source<'_>, queue: &Queue) -> Result<()> {
    let (lengths, head) = plan(weights, source.file().size);
    let last = lengths.len() - 1;
    for (number, length) in lengths.into_iter().enumerate() {
        let length = usize::try_from(length).expect("plans have no frame longer than 8 MiB");
        let mut frame = Vec::with_capacity(length);
        if number == 0 {
            frame.extend_from_slice(&source.header());
        }
        let padding = if number == last { source.padding() } else { 0 };
        source.fill(&mut frame, length - padding)?;
        frame.resize(length, 0);
        queue.put(frame, if number < head { LEVEL } else { WEIGHTS_LEVEL })?;
    }
    Ok(())
}

/// A run of records that is cut by content.
struct Run<'a> {
    cutter: Cutter,
    frame: Vec<u8>,
    queue: &'a Queue,
}

impl Run<'_> {
    fn record(&mut self, source: &mut Source<'_>) -> Result<()> {
        self.add(&source.header())?;
        let mut buffer = vec![0; PIECE];
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                length => self.add(&buffer[..length])?,
            }
        }
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
        self.queue.put(std::mem::take(&mut self.frame), LEVEL)
    }
}

/// Writes frames in order, then the tables.
struct Writer<'a> {
    file: &'a mut std::fs::File,
    hasher: Hasher,
    table: ChunkTable,
    checksums: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a mut std::fs::File) -> Self {
        let table = ChunkTable { chunks: Vec::new() };
        Self { file, hasher: Hasher::new(), table, checksums: Vec::new() }
    }

    fn run(mut self, turns: Receiver<Receiver<Frame>>) -> std::io::Result<Packed> {
        for turn in turns {
            // A frame that never comes was not made because reading failed, which is reported.
            let Ok(frame) = turn.recv() else { break };
            self.frame(&frame)?;
        }
        let frame = self.table.encode();
        let chunks = ChunksPlace {
            offset: self.hasher.length(),
            size: frame.len() as u64,
            sha256: Digest::of(&frame),
        };
        self.put(&frame)?;
        let seek = encode_seek(&self.table, &self.checksums, frame.len());
        self.put(&seek)?;
        let file_size = self.hasher.length();
        Ok(Packed {
            package_digest: chunks.sha256,
            file_digest: self.hasher.finish(),
            file_size,
            unpacked_size: 0,
            chunks,
        })
    }

    fn frame(&mut self, frame: &Frame) -> std::io::Result<()> {
        if self.table.chunks.len() >= limits::MOST_FRAMES as usize {
            return Err(std::io::Error::other("a package has at most 2^20 frames"));
        }
        self.table.chunks.push(Chunk {
            sha256: frame.sha256,
            offset: self.hasher.length(),
            compressed: u32::try_from(frame.bytes.len()).map_err(std::io::Error::other)?,
            size: u32::try_from(frame.size).map_err(std::io::Error::other)?,
            crc32: frame.crc32,
        });
        self.checksums.push(frame.checksum());
        self.put(&frame.bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}
