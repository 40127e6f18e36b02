//! Why records cannot be withdrawn.

use crate::build::data;
use crate::build::source::SourceError;
use crate::build::tree::TreeError;
use crate::explain::Explain;
use crate::fs;
use crate::package::{Digest, PartName};

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Records that cannot be withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data cannot be had, or has no such records.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its patches.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// No data reference of that name.
    #[error("the manifest has no data reference `{name}`")]
    NoData {
        /// What was named.
        name: String,
        /// The nearest that there is.
        near: Option<String>,
        /// All that there are.
        exist: Vec<String>,
    },
    /// The manifest does not say what a record is.
    #[error("the manifest does not say what a record of `{name}` is")]
    NoRecords {
        /// The data reference.
        name: PartName,
    },
    /// The manifest says something else.
    #[error("the manifest says that a record of `{name}` is one of its {stated}")]
    OtherRecords {
        /// The data reference.
        name: PartName,
        /// What it says.
        stated: &'static str,
    },
    /// An expression that is none.
    #[error("the expression cannot be used: {why}")]
    Expression {
        /// What is wrong with it.
        why: String,
    },
    /// No record is meant.
    #[error("none of the {records} records of `{name}` is meant")]
    Nothing {
        /// The data reference.
        name: PartName,
        /// How many records it has.
        records: u64,
    },
    /// A record that is not there.
    #[error("`{name}` has no record {digest}")]
    NoSuchRecord {
        /// The data reference.
        name: PartName,
        /// The digest.
        digest: Digest,
    },
    /// All records are meant.
    #[error("all {records} of {records} records of `{name}` would be withdrawn")]
    Everything {
        /// The data reference.
        name: PartName,
        /// How many records it has.
        records: u64,
    },
    /// The manifest or a list cannot be changed.
    #[error("{file} cannot be changed: {why}")]
    Edit {
        /// Which.
        file: String,
        /// Why not.
        why: String,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Data(error) => error.kind(),
            Self::Tree(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::NoData { .. } => "no-such-data",
            Self::NoRecords { .. } | Self::OtherRecords { .. } => "records",
            Self::Expression { .. } => "bad-expression",
            Self::Nothing { .. } | Self::NoSuchRecord { .. } => "no-such-record",
            Self::Everything { .. } => "everything",
            Self::Edit { .. } => "edit",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Tree(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::NoData { near: Some(near), .. } => Some(format!("did you mean {near}?")),
            Self::NoData { exist, .. } if !exist.is_empty() => {
                Some(format!("there is {}", exist.join(", ")))
            }
            Self::NoRecords { .. } => Some(
                "say it with --records lines, paragraphs, jsonl, csv or files; it comes to stand in the manifest"
                    .to_owned(),
            ),
            Self::OtherRecords { .. } => {
                Some("leave --records out, or change the manifest".to_owned())
            }
            Self::Everything { .. } => Some(
                "look at what is meant with --dry-run; --yes withdraws all, and leaves the data empty"
                    .to_owned(),
            ),
            Self::NoSuchRecord { .. } => {
                Some("--match REGEX --dry-run shows records with their digests".to_owned())
            }
            _ => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.rendered(),
            Self::Source(error) => error.rendered(),
            _ => None,
        }
    }
}
