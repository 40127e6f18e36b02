//! A package that lies unpacked in a folder, read again as the stream that it came in.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::stream::{index_record, stream_length};
use super::tar;
use crate::fs;
use crate::package::PackageIndex;

/// An unpacked package. Headers and padding are made again from its index, so that any part of
/// its stream can be read; nothing that is read from its files is checked here.
#[derive(Debug)]
pub struct Unpacked {
    root: PathBuf,
    index: PackageIndex,
    /// The index's own record.
    first: Vec<u8>,
    /// Where the record of each file begins in the stream.
    starts: Vec<u64>,
    length: u64,
}

impl Unpacked {
    /// The package in the folder `root`, whose index is `index`, written as `text`.
    #[must_use]
    pub fn new(root: PathBuf, index: PackageIndex, text: &[u8]) -> Self {
        let first = index_record(text);
        let mut starts = Vec::with_capacity(index.files.len());
        let mut at = first.len() as u64;
        for file in &index.files {
            starts.push(at);
            at += tar::record_length(file.size);
        }
        let length = stream_length(&index, text.len() as u64);
        Self { root, index, first, starts, length }
    }

    /// The length of its stream.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Puts a part of its stream into `buffer`. Folders on the way to a file are not looked at:
    /// whoever reads here holds what comes against a digest.
    ///
    /// # Errors
    /// When a file cannot be read or is too short.
    pub fn read(&self, part: Range<u64>, buffer: &mut Vec<u8>) -> fs::Result<()> {
        buffer.clear();
        buffer.resize(length_of(&part), 0);
        let mut put = |at: u64, bytes: &[u8]| {
            let inside = at.max(part.start)..(at + bytes.len() as u64).min(part.end);
            if inside.start < inside.end {
                let from = length_of(&(at..inside.start));
                let to = length_of(&(part.start..inside.start));
                let length = length_of(&inside);
                buffer[to..to + length].copy_from_slice(&bytes[from..from + length]);
            }
        };
        put(0, &self.first);
        let begin = self.starts.partition_point(|start| *start <= part.start).saturating_sub(1);
        let end = self.starts.partition_point(|start| *start < part.end);
        for (file, start) in self.index.files.iter().zip(&self.starts).take(end).skip(begin) {
            let header = tar::header(file.path.as_str(), file.size, file.mode);
            put(*start, &header.expect("the index was checked"));
        }
        for (file, start) in self.index.files.iter().zip(&self.starts).take(end).skip(begin) {
            let contents = start + tar::BLOCK as u64;
            let inside = contents.max(part.start)..(contents + file.size).min(part.end);
            if inside.start < inside.end {
                let path = file.path.below(&self.root);
                let to = length_of(&(part.start..inside.start));
                let into = &mut buffer[to..to + length_of(&inside)];
                let handle = File::open(&path).map_err(fs::Error::at("open", &path))?;
                handle
                    .read_exact_at(into, inside.start - contents)
                    .map_err(fs::Error::at("read", &path))?;
            }
        }
        Ok(())
    }
}

/// How long a part is; parts are as long as a frame, and lie in memory.
fn length_of(part: &Range<u64>) -> usize {
    usize::try_from(part.end.saturating_sub(part.start)).expect("a part lies in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{index, tree};
    use crate::archive::{Package, WriteOptions, collect, from_folder, index_bytes, write_package};
    use crate::package::Digest;
    use crate::progress::Silent;
    use std::num::NonZeroUsize;

    #[test]
    fn an_unpacked_package_gives_the_chunks_that_it_came_in() {
        let world = tempfile::tempdir().unwrap();
        let (source, out) = (world.path().join("source"), world.path().join("out"));
        let index = index(collect(&source, &tree(&source)).unwrap());
        let goal = world.path().join("a.mpkg");
        let (contents, options) = (from_folder(&source), WriteOptions::default());
        write_package(&index, &contents, &goal, &options, &Silent).unwrap();
        let package = Package::open(&goal).unwrap();
        std::fs::create_dir(&out).unwrap();
        package.extract(&out, NonZeroUsize::MIN, &Silent).unwrap();

        let text = index_bytes(&index).unwrap();
        let unpacked = Unpacked::new(out, index, &text);
        let (mut at, mut buffer) = (0, Vec::new());
        for chunk in &package.chunk_table().chunks {
            let end = at + u64::from(chunk.size);
            unpacked.read(at..end, &mut buffer).unwrap();
            assert_eq!(Digest::of(&buffer), chunk.sha256, "{at}");
            at = end;
        }
        assert_eq!(at, unpacked.length());
        for part in [0..3, 511..513, 1000..5000, at - 1025..at] {
            let whole = part.clone();
            unpacked.read(part, &mut buffer).unwrap();
            let mut all = Vec::new();
            unpacked.read(0..at, &mut all).unwrap();
            assert_eq!(buffer, all[length_of(&(0..whole.start))..length_of(&(0..whole.end))]);
        }
    }
}
