//! Patches of a source tree: a series of unified diffs with headers, read, applied exactly, and
//! made (spec/patches.md).

mod apply;
mod error;
mod header;
mod make;
mod parse;
mod series;
#[cfg(test)]
mod tests;

pub use apply::{Base, Contents, Overlay, put, remove};
pub use error::{Elsewhere, Error, Misfit, Result};
pub use header::{Forwarded, Header, PatchKind};
pub use make::difference;
pub use series::Series;

use crate::package::{Digest, FileMode, PackagePath};

/// The folder of a tree that holds its patches.
pub const PATCHES_FOLDER: &str = "patches/";
/// The list of a tree's patches, in the order in which they are applied.
pub const SERIES_NAME: &str = "patches/series";
/// The longest patch, in bytes.
pub const LONGEST_PATCH: u64 = 16 << 20;
/// The longest file that a patch may touch, in bytes.
pub const LONGEST_FILE: u64 = 16 << 20;
/// The most patches of one series.
pub const MOST_PATCHES: usize = 1000;

/// A patch that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its place below `patches/`, as the series names it.
    pub name: PackagePath,
    /// What it says of itself.
    pub header: Header,
    /// The SHA-256 of its file.
    pub digest: Digest,
    /// The files that it changes, in its own order.
    pub changes: Vec<FileChange>,
}

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PackagePath,
    /// Whether it is there before and after.
    pub action: Action,
    /// The mode that it has afterwards, where the patch says one.
    pub mode: Option<FileMode>,
    /// The places that change, from the top down.
    pub hunks: Vec<Hunk>,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It comes to be.
    Add,
    /// Its contents or its mode change.
    Change,
    /// It goes.
    Remove,
}

impl Action {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "added",
            Self::Change => "changed",
            Self::Remove => "removed",
        }
    }
}

/// One place of a file that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first line that it is about, counted from 0, in the file before.
    pub start: usize,
    /// The lines before, each with its line end.
    pub before: Vec<String>,
    /// The lines after.
    pub after: Vec<String>,
}

impl Patch {
    /// Reads the text of the patch called `name`.
    ///
    /// # Errors
    /// [`Error::Malformed`], with the line.
    pub fn parse(name: &PackagePath, text: &str) -> Result<Self> {
        let (header, changes) = parse::patch(name, text)?;
        Ok(Self { name: name.clone(), header, digest: Digest::of(text.as_bytes()), changes })
    }
}
