//! What can fail in looking for licences.

use crate::build::environment;
use crate::build::tree::TreeError;
use crate::explain::Explain;
use crate::ops::lineage;
use crate::{fs, study};

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can fail in looking for licences.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lineage.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// A source tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A lock file or a wheel.
    #[error(transparent)]
    Environment(#[from] environment::Error),
    /// The facts in the cache.
    #[error(transparent)]
    Study(#[from] study::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
}

impl Error {
    fn inner(&self) -> &dyn Explain {
        match self {
            Self::Lineage(error) => error,
            Self::Tree(error) => error,
            Self::Environment(error) => error,
            Self::Study(error) => error,
            Self::File(error) => error,
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        self.inner().kind()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }

    fn rendered(&self) -> Option<String> {
        self.inner().rendered()
    }

    fn details(&self) -> Option<serde_json::Value> {
        self.inner().details()
    }
}
