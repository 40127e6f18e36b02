//! What can fail when weights and packages are compared.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::{formats, fs};

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A file of weights is not sound.
    #[error("{} holds no sound weights", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: formats::Error,
    },
    /// A file that is neither safetensors nor GGUF by its name.
    #[error("{} is no file of weights: its name ends in neither .safetensors nor .gguf", path.display())]
    NotWeights {
        /// The file.
        path: PathBuf,
    },
    /// The list of a model's shards does not fit its shards.
    #[error("{} does not describe its shards: {why}", path.display())]
    Shards {
        /// The list, `….safetensors.index.json`.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Weights { source, .. } => source.kind(),
            Self::NotWeights { .. } => "not-weights",
            Self::Shards { .. } => "wrong-shards",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Weights { source, .. } => source.hint(),
            Self::NotWeights { .. } => {
                Some("name two packages, or two files of weights of one format".to_owned())
            }
            Self::Shards { .. } => None,
        }
    }
}
