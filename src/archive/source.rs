//! One file that is packed: its bytes, held against the index and looked at as they are read.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::{Fault, Result};
use super::tar;
use super::write::Contents;
use crate::formats::{Inspector, WeightsInfo};
use crate::fs;
use crate::package::{Digest, Hasher, IndexedFile, PackageIndex, PackageType};
use crate::progress::Task;

/// A file on its way into a package.
pub(super) struct Source<'a> {
    file: &'a IndexedFile,
    reader: Box<dyn Read + Send>,
    /// What was read ahead to find the header of weights, and how much of it was handed on.
    ahead: Vec<u8>,
    handed: usize,
    hasher: Hasher,
    inspection: Inspection,
    task: &'a dyn Task,
}

/// What is known of a file's digest before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digests {
    /// The index says it, and the file must have it.
    Listed,
    /// Nothing: it is computed.
    Open,
}

/// Looks at a package's file for what may not stand in the package.
pub(super) struct Inspection {
    inspector: Option<Inspector>,
    strictness: Strictness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// A source package: what is wrong with weights does not matter.
    Lenient,
    /// A binary package that says why it has pickles.
    Weights,
    /// A binary package.
    WeightsAndPickle,
}

impl Inspection {
    /// Begins to look at `file`, which `index` lists.
    pub(super) fn new(index: &PackageIndex, file: &IndexedFile) -> Self {
        let strictness = match (index.package_type, &index.pickle_reason) {
            (PackageType::Source, _) => Strictness::Lenient,
            (PackageType::Binary, Some(_)) => Strictness::Weights,
            (PackageType::Binary, None) => Strictness::WeightsAndPickle,
        };
        Self { inspector: Some(Inspector::new(file.path.as_str(), file.size)), strictness }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, file: &IndexedFile, bytes: &[u8]) -> Result<()> {
        let Some(inspector) = &mut self.inspector else { return Ok(()) };
        match inspector.feed(bytes) {
            Ok(()) => {}
            Err(_) if self.strictness == Strictness::Lenient => self.inspector = None,
            Err(error) => return Err(Fault::Weights { path: file.path.clone(), error }.into()),
        }
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(self, file: &IndexedFile) -> Result<()> {
        let (Some(inspector), true) = (self.inspector, self.strictness != Strictness::Lenient)
        else {
            return Ok(());
        };
        let path = || file.path.clone();
        let findings =
            inspector.finish().map_err(|error| Fault::Weights { path: path(), error })?;
        match findings.pickle {
            Some(form) if self.strictness == Strictness::WeightsAndPickle => {
                Err(Fault::Pickle { path: path(), form }.into())
            }
            _ => Ok(()),
        }
    }
}

/// How much is read at once to find the header of weights.
const AHEAD: usize = 64 << 10;

impl<'a> Source<'a> {
    pub(super) fn open(
        index: &PackageIndex,
        file: &'a IndexedFile,
        contents: &Contents<'_>,
        task: &'a dyn Task,
    ) -> Result<Self> {
        Ok(Self {
            file,
            reader: contents(file)?,
            ahead: Vec::new(),
            handed: 0,
            hasher: Hasher::new(),
            inspection: Inspection::new(index, file),
            task,
        })
    }

    pub(super) const fn file(&self) -> &'a IndexedFile {
        self.file
    }

    /// The tar header before the file.
    pub(super) fn header(&self) -> [u8; tar::BLOCK] {
        let IndexedFile { path, size, mode, .. } = self.file;
        tar::header(path.as_str(), *size, *mode).expect("the index was checked")
    }

    /// How many zeros follow the file.
    pub(super) fn padding(&self) -> usize {
        usize::try_from(tar::padding(self.file.size)).expect("it is below 512")
    }

    /// Reads ahead until it is known whether the file holds sound weights.
    pub(super) fn weights(&mut self) -> Result<Option<WeightsInfo>> {
        let mut buffer = Vec::new();
        loop {
            match &self.inspection.inspector {
                Some(inspector) if inspector.is_collecting() => {}
                Some(inspector) => {
                    let weights = inspector.weights().cloned();
                    if self.inspection.strictness == Strictness::Lenient {
                        self.inspection.inspector = None;
                    }
                    return Ok(weights);
                }
                None => return Ok(None),
            }
            buffer.resize(AHEAD, 0);
            match self.read_on(&mut buffer)? {
                0 => return Ok(None),
                length => self.ahead.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// Reads the next bytes; none at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.handed < self.ahead.len() {
            let ahead = &self.ahead[self.handed..];
            let length = ahead.len().min(buffer.len());
            buffer[..length].copy_from_slice(&ahead[..length]);
            self.handed += length;
            return Ok(length);
        }
        self.read_on(buffer)
    }

    /// Fills `buffer` with the next bytes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut have = 0;
        while have < buffer.len() {
            match self.read(&mut buffer[have..])? {
                0 => return Err(self.other_size()),
                more => have += more,
            }
        }
        Ok(())
    }

    /// Ends the file: its length, its digest where one is known, and what was seen in it must be
    /// right. Returns the digest.
    pub(super) fn finish(mut self, digests: Digests) -> Result<Digest> {
        if self.read(&mut [0])? > 0 {
            return Err(self.other_size());
        }
        let (expected, found) = (self.file.sha256, self.hasher.finish());
        if digests == Digests::Listed && found != expected {
            return Err(Fault::Digest { path: self.file.path.clone(), expected, found }.into());
        }
        self.inspection.finish(self.file)?;
        Ok(found)
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => {
                    let path = Path::new(self.file.path.as_str());
                    break other.map_err(fs::Error::at("read", path))?;
                }
            }
        };
        self.hasher.update(&buffer[..length]);
        self.task.advance(length as u64);
        let seen = self.hasher.length();
        if seen > self.file.size || length == 0 && seen < self.file.size {
            return Err(self.other_size());
        }
        self.inspection.feed(self.file, &buffer[..length])?;
        Ok(length)
    }

    fn other_size(&self) -> super::Error {
        Fault::Size { path: self.file.path.clone(), expected: self.file.size }.into()
    }
}
