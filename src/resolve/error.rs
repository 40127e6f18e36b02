//! What can fail in resolving.

use super::explain::Conflict;
use crate::explain::Explain;
use crate::package::{InvalidName, InvalidRequirement};

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No set of releases meets the request.
    #[error("{0}")]
    Unsolvable(Box<Conflict>),
    /// The search took more rounds than is allowed.
    #[error("no answer was found within {0} rounds of search")]
    TooHard(u64),
    /// The search took longer than is allowed.
    #[error("no answer was found within {0} seconds")]
    TooSlow(u64),
    /// What could be needed is more than is looked at.
    #[error("more than {most} {what} could be needed, and so many are not looked at")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// The most.
        most: usize,
    },
    /// The system gives no thread to solve in.
    #[error("the system gives no thread to solve in: {0}")]
    NoThread(String),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unsolvable(_) => "unsolvable",
            Self::TooHard(_) | Self::TooSlow(_) => "too-hard",
            Self::TooLarge { .. } => "too-large",
            Self::NoThread(_) => "no-thread",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsolvable(conflict) => conflict.hint(),
            Self::TooHard(_) | Self::TooSlow(_) | Self::TooLarge { .. } => {
                Some("ask for exact versions of some packages".to_owned())
            }
            Self::NoThread(_) => None,
        }
    }
}

/// A text that is not `NAME[@REQUIREMENT][:VARIANT]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWish {
    /// The name or the variant is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The requirement is none.
    #[error(transparent)]
    Requirement(#[from] InvalidRequirement),
}

impl Explain for InvalidWish {
    fn kind(&self) -> &'static str {
        "invalid-wish"
    }

    fn hint(&self) -> Option<String> {
        Some(
            "write NAME, NAME@REQUIREMENT or NAME@REQUIREMENT:VARIANT, as in docs-lm@^1:f32".into(),
        )
    }
}
