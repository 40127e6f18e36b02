//! What can be wrong with weights.

use crate::explain::Explain;

/// A format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// GGUF.
    Gguf,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
        })
    }
}

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within the header.
    #[error("the {0} header is cut short")]
    CutShort(Format),
    /// The header breaks a rule; foreign names in the reason are escaped.
    #[error("the {format} header is wrong: {why}")]
    Wrong {
        /// The format.
        format: Format,
        /// The rule.
        why: String,
    },
    /// The header is longer than any that is read.
    #[error("the {format} header is longer than {limit} bytes")]
    TooLong {
        /// The format.
        format: Format,
        /// The most that is read.
        limit: usize,
    },
    /// The file cannot be read.
    #[error("the weights cannot be read: {0}")]
    Unreadable(String),
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A broken rule.
    pub(super) fn wrong(format: Format, why: impl Into<String>) -> Self {
        Self::Wrong { format, why: why.into() }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "file",
            _ => "wrong-weights",
        }
    }
}
