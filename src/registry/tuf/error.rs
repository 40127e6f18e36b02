//! What can be wrong with signed metadata.

use crate::crypto::canonical;
use crate::explain::{Explain, printable};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Metadata that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Text that is no JSON of the kind that is read, or cannot be written.
    #[error("the metadata is not well-formed")]
    Json(#[from] canonical::Error),
    /// JSON that says something that metadata cannot say.
    #[error("the metadata is not well-formed: {}", printable(.0))]
    Form(String),
    /// Metadata of another role than was asked for.
    #[error("the metadata is of type \"{}\", not \"{expected}\"", printable(found))]
    Type {
        /// What was asked for.
        expected: &'static str,
        /// What it says it is.
        found: String,
    },
    /// Metadata of a specification that is not known.
    #[error("the metadata follows specification {}; version 1 is known", printable(.0))]
    Specification(String),
    /// Too few signatures by distinct keys.
    #[error("{found} of {needed} signatures by distinct keys of the role were found")]
    Threshold {
        /// How many keys must sign.
        needed: u32,
        /// How many did.
        found: usize,
    },
    /// Bytes that are not the ones that were vouched for.
    #[error("the {what} is {found}; expected {expected}")]
    Bytes {
        /// `length`, or the name of a hash.
        what: String,
        /// What was vouched for.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Json(error) => error.kind(),
            Self::Form(_) => "metadata-form",
            Self::Type { .. } => "metadata-type",
            Self::Specification(_) => "metadata-specification",
            Self::Threshold { .. } => "too-few-signatures",
            Self::Bytes { .. } => "metadata-bytes",
        }
    }
}
