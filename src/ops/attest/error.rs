//! Why nothing could be said about a package.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::ops::{build, catalogue, rebuild, released};
use crate::package::Release;
use crate::{archive, crypto, fs};

/// A statement that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package cannot be had.
    #[error(transparent)]
    Released(#[from] released::Error),
    /// A registry cannot be read.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// The package is not sound.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// Its source cannot be had.
    #[error(transparent)]
    Source(Box<rebuild::Error>),
    /// What its tests need cannot be had, or a test cannot be run.
    #[error(transparent)]
    Build(#[from] build::BuildError),
    /// The statement cannot be signed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A package that nothing made.
    #[error("{release} names no source, so it has no tests")]
    NoSource {
        /// The package.
        release: Release,
    },
    /// A source without tests.
    #[error("the source of {release} has no [[test]] for this variant")]
    NoTests {
        /// The package.
        release: Release,
    },
    /// A predicate that is none.
    #[error("{} is no JSON object that can be signed", path.display())]
    Predicate {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: crypto::Error,
    },
    /// A statement that another command makes from what it measured.
    #[error("{predicate} is what mpkg itself finds out; it cannot be written by hand")]
    Measured {
        /// The type.
        predicate: String,
    },
    /// A statement about something else.
    #[error("{} is not about {release}: {why}", path.display())]
    OtherPackage {
        /// The envelope.
        path: PathBuf,
        /// The package that was named.
        release: String,
        /// What it is about.
        why: String,
    },
}

impl From<rebuild::Error> for Error {
    fn from(error: rebuild::Error) -> Self {
        Self::Source(Box::new(error))
    }
}

macro_rules! inner {
    ($self:ident, $method:ident, $other:expr) => {
        match $self {
            Self::Released(error) => error.$method(),
            Self::Catalogue(error) => error.$method(),
            Self::Archive(error) => error.$method(),
            Self::Source(error) => error.$method(),
            Self::Build(error) => error.$method(),
            Self::Crypto(error) => error.$method(),
            Self::File(error) => error.$method(),
            _ => $other,
        }
    };
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        let own = match self {
            Self::NoSource { .. } => "no-source",
            Self::NoTests { .. } => "no-tests",
            Self::Predicate { .. } => "bad-predicate",
            Self::Measured { .. } => "measured",
            _ => "other-package",
        };
        inner!(self, kind, own)
    }

    fn hint(&self) -> Option<String> {
        let own = match self {
            Self::Predicate { .. } => Some(
                "numbers have no fraction (write them as text), and no name stands twice"
                    .to_owned(),
            ),
            Self::Measured { .. } => {
                Some("measure it with: mpkg rebuild NAME --attest KEY".to_owned())
            }
            _ => None,
        };
        inner!(self, hint, own)
    }

    fn rendered(&self) -> Option<String> {
        inner!(self, rendered, None)
    }

    fn details(&self) -> Option<serde_json::Value> {
        inner!(self, details, None)
    }
}
