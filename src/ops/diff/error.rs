//! Why two things cannot be compared.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::ops::released;
use crate::reproduce;

/// A comparison that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A package cannot be had.
    #[error(transparent)]
    Released(#[from] released::Error),
    /// Files of weights cannot be compared.
    #[error(transparent)]
    Compare(#[from] reproduce::Error),
    /// A package and something that is none.
    #[error("{} is no package, and the other is one", path.display())]
    NoPair {
        /// What is no package.
        path: PathBuf,
    },
    /// Two packages of two kinds.
    #[error("{} and {} are packages of two kinds", first.display(), second.display())]
    Kinds {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Released(error) => error.kind(),
            Self::Compare(error) => error.kind(),
            Self::NoPair { .. } | Self::Kinds { .. } => "no-pair",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Released(error) => error.hint(),
            Self::Compare(error) => error.hint(),
            Self::NoPair { .. } | Self::Kinds { .. } => Some(
                "name two packages of one kind, both source or both binary, or two files of weights"
                    .to_owned(),
            ),
        }
    }
}
