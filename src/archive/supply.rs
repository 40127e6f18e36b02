//! Where the bytes of a package's frames come from: a file here, or somewhere else.

use std::fmt::Debug;
use std::fs::File;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::error::Result;
use super::table::Chunk;
use crate::fs;

/// Gives the bytes of a package file.
///
/// An extraction cuts the frames that it needs into *runs* of frames that follow each other, and
/// several threads take one run after another, in order. So a supply that is far away opens few
/// connections, and reads each in order.
pub trait Supply: Debug + Send + Sync {
    /// Fills `buffer` with the bytes of the file from `offset` on.
    ///
    /// # Errors
    /// What keeps them from being read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// How long the run is that begins with the first of `chunks`; all that are left are given.
    fn run_length(&self, chunks: &[Chunk]) -> usize;

    /// Begins to read a run.
    fn open(&self, run: Range<usize>) -> Box<dyn Run + '_>;

    /// How many runs are read at a time, where `threads` would unpack them.
    fn readers(&self, threads: NonZeroUsize) -> NonZeroUsize;

    /// Whether the file is on this machine.
    fn reach(&self) -> Reach;
}

/// Where a package file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On this machine.
    Here,
    /// Elsewhere, so that what is here of it already is worth keeping.
    Elsewhere,
}

/// A run that is being read.
pub trait Run {
    /// Puts the next frame, or what it unpacks to, into `buffer`, and says which.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn next(&mut self, chunk: &Chunk, buffer: &mut Vec<u8>) -> Result<Form>;
}

/// In which form a frame was supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The frame's own bytes, not checked yet.
    Frame,
    /// What it unpacks to, held against its digest already.
    Contents,
}

/// A package file on this machine.
#[derive(Debug)]
pub(super) struct LocalFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Supply for LocalFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        Ok(self.file.read_exact_at(buffer, offset).map_err(fs::Error::at("read", &self.path))?)
    }

    fn run_length(&self, _: &[Chunk]) -> usize {
        1
    }

    fn open(&self, _: Range<usize>) -> Box<dyn Run + '_> {
        Box::new(self)
    }

    fn readers(&self, threads: NonZeroUsize) -> NonZeroUsize {
        threads
    }

    fn reach(&self) -> Reach {
        Reach::Here
    }
}

impl Run for &LocalFile {
    fn next(&mut self, chunk: &Chunk, buffer: &mut Vec<u8>) -> Result<Form> {
        // The table's own limits have capped the length.
        buffer.resize(chunk.compressed as usize, 0);
        self.read_at(chunk.offset, buffer)?;
        Ok(Form::Frame)
    }
}
