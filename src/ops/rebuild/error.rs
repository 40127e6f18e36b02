//! Why a package cannot be built again.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::ops::{build, catalogue, released, sign};
use crate::package::{Digest, Release};
use crate::{archive, crypto, fs, reproduce};

/// A rebuild that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package cannot be had.
    #[error(transparent)]
    Released(#[from] released::Error),
    /// The source package cannot be had.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// The package is not sound.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The build failed.
    #[error(transparent)]
    Build(#[from] build::BuildError),
    /// The two packages cannot be compared.
    #[error(transparent)]
    Compare(#[from] reproduce::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The rebuilt package cannot be signed.
    #[error(transparent)]
    Sign(#[from] sign::Error),
    /// The verdict cannot be signed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A source package.
    #[error("{} is a source package: there is nothing that it was built from", path.display())]
    NotBuilt {
        /// The file.
        path: PathBuf,
    },
    /// A package that does not say what went into it.
    #[error("{} does not say what it was built with: it has no .mpkg/inputs.json", path.display())]
    NoInputs {
        /// The file.
        path: PathBuf,
    },
    /// A package whose index and inputs name two sources.
    #[error("{} contradicts itself: its index and its .mpkg/inputs.json name two sources", path.display())]
    TwoSources {
        /// The file.
        path: PathBuf,
    },
    /// The source package is nowhere.
    #[error("the source package of {release}, {expected}, is not to be had")]
    NoSource {
        /// The release.
        release: Release,
        /// The digest that it names.
        expected: Digest,
    },
    /// Another source package.
    #[error("{} is not the source: its package digest is {found}, and {expected} is named", path.display())]
    OtherSource {
        /// The file.
        path: PathBuf,
        /// The digest that the package names.
        expected: Digest,
        /// That of the file.
        found: Digest,
    },
    /// The results would overwrite what they are compared with.
    #[error("the package lies in {}, where the rebuild would be written", folder.display())]
    SameFolder {
        /// The folder.
        folder: PathBuf,
    },
}

macro_rules! inner {
    ($self:ident, $method:ident, $other:expr) => {
        match $self {
            Self::Released(error) => error.$method(),
            Self::Catalogue(error) => error.$method(),
            Self::Archive(error) => error.$method(),
            Self::Build(error) => error.$method(),
            Self::Compare(error) => error.$method(),
            Self::File(error) => error.$method(),
            Self::Sign(error) => error.$method(),
            Self::Crypto(error) => error.$method(),
            _ => $other,
        }
    };
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        let own = match self {
            Self::NotBuilt { .. } => "source-package",
            Self::NoInputs { .. } => "no-inputs",
            Self::TwoSources { .. } => "two-sources",
            Self::NoSource { .. } => "no-source",
            Self::OtherSource { .. } => "other-source",
            _ => "same-folder",
        };
        inner!(self, kind, own)
    }

    fn hint(&self) -> Option<String> {
        let own = match self {
            Self::NotBuilt { .. } => {
                Some("name a binary package that was built from it".to_owned())
            }
            Self::NoSource { .. } => Some(
                "name its file with --source, or a registry that has it with --registry".to_owned(),
            ),
            Self::OtherSource { .. } => Some("name the right file with --source".to_owned()),
            Self::SameFolder { .. } => Some("name another folder with --out".to_owned()),
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
