//! What can fail in a study.

use std::io;
use std::path::{Path, PathBuf};

use crate::explain::Explain;
use crate::fs;

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A study that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file on this machine.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// An index in the cache that is not what was put there.
    #[error("the index in {} is damaged: {why}", path.display())]
    Damaged {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A compressed document that cannot be read to its end.
    #[error("{document} cannot be read")]
    Document {
        /// The document.
        document: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A text that is too long to be traced.
    #[error("the text has {found} bytes, and at most {limit} can be traced at once")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The longest that can be traced.
        limit: usize,
    },
    /// The suffixes of a text cannot be put in order.
    #[error("the suffixes of {bytes} bytes of text cannot be put in order: {why}")]
    Order {
        /// How long the text is.
        bytes: usize,
        /// What the library says.
        why: String,
    },
}

impl Error {
    /// Says that the index in `path` is damaged.
    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Damaged { .. } => "damaged-index",
            Self::Document { .. } => "bad-document",
            Self::TooLong { .. } => "text-too-long",
            Self::Order { .. } => "order",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Damaged { path, .. } => {
                Some(format!("remove it; it is made again: rm -r {}", path.display()))
            }
            Self::TooLong { .. } => Some("trace it in pieces".to_owned()),
            Self::Document { .. } | Self::Order { .. } => None,
        }
    }
}
