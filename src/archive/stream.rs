//! The tar stream as the index asks for it, held against the bytes that the frames unpack to.

use std::ops::Range;

use super::error::{Fault, Result};
use super::source::Inspection;
use super::tar;
use crate::package::{FileMode, Hasher, INDEX_PATH, IndexedFile, PackageIndex};

/// The length of the whole stream for an index of `index_size` bytes.
pub(super) fn stream_length(index: &PackageIndex, index_size: u64) -> u64 {
    // The index's own check keeps the sum within bounds.
    index.files.iter().fold(tar::record_length(index_size) + tar::TRAILER, |sum, file| {
        sum + tar::record_length(file.size)
    })
}

/// The first member's record: header, index, padding.
pub(super) fn index_record(index: &[u8]) -> Vec<u8> {
    let size = index.len() as u64;
    let header = tar::header(INDEX_PATH, size, FileMode::Plain).expect("its path is short");
    let padded = index.len().next_multiple_of(tar::BLOCK);
    let mut record = Vec::with_capacity(tar::BLOCK + padded);
    record.extend_from_slice(&header);
    record.extend_from_slice(index);
    record.resize(tar::BLOCK + padded, 0);
    record
}

/// Takes the stream after the index's record piece by piece and refuses the first byte that is
/// not as the index says.
pub(super) struct Walk<'a> {
    index: &'a PackageIndex,
    files: &'a [IndexedFile],
    next: usize,
    state: State,
    hasher: Hasher,
    inspection: Option<Inspection>,
}

/// What is to be done with the bytes that [`Walk::take`] was given last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The file at this place of the index begins.
    Begin(usize),
    /// These of the bytes belong to it; they are not checked yet.
    Write(Range<usize>),
    /// It is whole, and its size and digest are those of the index.
    Finish(usize),
}

#[derive(Clone, Copy)]
enum State {
    /// Within the header of file `next`: how many bytes of it were seen.
    Header(usize),
    /// Within its contents: how many are left.
    Contents(u64),
    /// Within its padding: how many zeros are left.
    Padding(u64),
    /// Within the two zero blocks: how many zeros are left.
    Trailer(u64),
}

impl<'a> Walk<'a> {
    pub(super) fn new(index: &'a PackageIndex) -> Self {
        let mut walk = Self {
            index,
            files: &index.files,
            next: 0,
            state: State::Header(0),
            hasher: Hasher::new(),
            inspection: None,
        };
        walk.begin_record();
        walk
    }

    /// Takes the next bytes and says what is to be done with them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Step>> {
        let (mut steps, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.state {
                State::Header(seen) => self.header(seen, rest, &mut steps)?,
                State::Contents(left) => {
                    let piece = &rest[..shorter(left, rest)];
                    self.hasher.update(piece);
                    if let Some(inspection) = &mut self.inspection {
                        inspection.feed(&self.files[self.next], piece)?;
                    }
                    steps.push(Step::Write(at..at + piece.len()));
                    self.contents(left - piece.len() as u64, &mut steps)?;
                    piece.len()
                }
                State::Padding(left) => {
                    let taken = self.zeros(left, rest)?;
                    self.padding(left - taken as u64);
                    taken
                }
                State::Trailer(left) => {
                    let taken = self.zeros(left, rest)?;
                    self.state = State::Trailer(left - taken as u64);
                    taken
                }
            };
        }
        Ok(steps)
    }

    /// Ends the stream; it must be whole.
    pub(super) fn end(self) -> Result<()> {
        match self.state {
            State::Trailer(0) => Ok(()),
            _ => Err(Box::new(Fault::Padding { path: self.current() }).into()),
        }
    }

    fn header(&mut self, seen: usize, bytes: &[u8], steps: &mut Vec<Step>) -> Result<usize> {
        let file = &self.files[self.next];
        let header = tar::header(file.path.as_str(), file.size, file.mode);
        let header = header.expect("the index was checked");
        let taken = (tar::BLOCK - seen).min(bytes.len());
        let differs = |at: &usize| header[*at] != bytes[*at - seen];
        // A wrong checksum follows from a wrong field, which says more.
        let different = (seen..seen + taken).filter(differs);
        let first = different.clone().next();
        if let Some(at) = different.clone().find(|at| tar::field(*at) != "checksum").or(first) {
            let path = file.path.to_string();
            return Err(Box::new(Fault::Header { path, at, field: tar::field(at) }).into());
        }
        if seen + taken < tar::BLOCK {
            self.state = State::Header(seen + taken);
        } else {
            steps.push(Step::Begin(self.next));
            self.hasher = Hasher::new();
            self.inspection = Some(Inspection::new(self.index, file));
            self.contents(file.size, steps)?;
        }
        Ok(taken)
    }

    /// Goes on with `left` bytes of contents to come.
    fn contents(&mut self, left: u64, steps: &mut Vec<Step>) -> Result<()> {
        self.state = State::Contents(left);
        if left > 0 {
            return Ok(());
        }
        let file = &self.files[self.next];
        let (expected, found) = (file.sha256, std::mem::take(&mut self.hasher).finish());
        if found != expected {
            return Err(Box::new(Fault::Digest { path: file.path.clone(), expected, found }).into());
        }
        if let Some(inspection) = self.inspection.take() {
            inspection.finish(file)?;
        }
        steps.push(Step::Finish(self.next));
        self.padding(tar::padding(file.size));
        Ok(())
    }

    fn padding(&mut self, left: u64) {
        self.state = State::Padding(left);
        if left == 0 {
            self.next += 1;
            self.begin_record();
        }
    }

    fn begin_record(&mut self) {
        self.state = if self.next < self.files.len() {
            State::Header(0)
        } else {
            State::Trailer(tar::TRAILER)
        };
    }

    fn zeros(&self, left: u64, bytes: &[u8]) -> Result<usize> {
        let taken = shorter(left, bytes);
        // No room is left where the stream should have ended.
        if taken == 0 || bytes[..taken].iter().any(|byte| *byte != 0) {
            return Err(Box::new(Fault::Padding { path: self.current() }).into());
        }
        Ok(taken)
    }

    /// The member that the walk is at, or the last one.
    fn current(&self) -> String {
        match self.files.get(self.next).or(self.files.last()) {
            Some(file) => file.path.to_string(),
            None => INDEX_PATH.to_owned(),
        }
    }
}

fn shorter(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}
