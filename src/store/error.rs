//! What can fail in the store.

use std::path::PathBuf;

use crate::crypto::canonical;
use crate::explain::Explain;
use crate::package::{Digest, PackageName, ProfileName};
use crate::{archive, fs};

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed action on the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A package is not what it should be.
    #[error(transparent)]
    Package(#[from] archive::Error),
    /// An unpacked package's index was changed.
    #[error("{} is damaged: its digest is {found}, it should be {expected}", path.display())]
    DamagedIndex {
        /// The index.
        path: PathBuf,
        /// The package digest.
        expected: Digest,
        /// What it hashes to.
        found: Digest,
    },
    /// A generation's list cannot be read.
    #[error("{} is damaged", path.display())]
    DamagedGeneration {
        /// The list.
        path: PathBuf,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// Somebody asks for a package that is not installed.
    #[error("{name} is not installed")]
    NotInstalled {
        /// The package.
        name: PackageName,
        /// The nearest name that is.
        nearest: Option<PackageName>,
    },
    /// Somebody asks for a profile that is not there.
    #[error("there is no profile {name}")]
    NoProfile {
        /// Its name.
        name: ProfileName,
        /// The nearest name that there is.
        nearest: Option<ProfileName>,
    },
    /// The folder of an installed package is gone.
    #[error("{release} is listed, but its folder {} is gone", path.display())]
    PackageGone {
        /// The package.
        release: String,
        /// Its name.
        name: PackageName,
        /// The folder, in the shared store if it was there.
        path: PathBuf,
    },
    /// What is named as a shared store is none.
    #[error("{} is no home folder with a store: it has no folder store/packages", path.display())]
    NoSharedStore {
        /// What is named.
        path: PathBuf,
    },
    /// The list of shared stores cannot be read.
    #[error("{} is wrong: {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A build uses the cache that is to be cleared.
    #[error("the cache {} is in use by another mpkg", path.display())]
    CacheInUse {
        /// The cache.
        path: PathBuf,
    },
    /// Somebody asks for a generation that is not there.
    #[error("there is no generation {number}")]
    NoGeneration {
        /// Its number.
        number: u64,
        /// Those that are there.
        existing: Vec<u64>,
    },
    /// The package holds pickle-based files, which run code when they are loaded.
    #[error(
        "{release} holds pickle-based files, which can run code when loaded; its maintainer says: {reason}"
    )]
    Pickle {
        /// The package.
        release: String,
        /// What its manifest says for it.
        reason: String,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Package(error) => error.kind(),
            Self::DamagedIndex { .. } => "damaged-package",
            Self::DamagedGeneration { .. } => "damaged-generation",
            Self::NotInstalled { .. } => "not-installed",
            Self::NoGeneration { .. } => "no-generation",
            Self::NoProfile { .. } => "no-profile",
            Self::PackageGone { .. } => "package-gone",
            Self::NoSharedStore { .. } => "no-shared-store",
            Self::Settings { .. } => "store-settings",
            Self::CacheInUse { .. } => "cache-in-use",
            Self::Pickle { .. } => "pickle-refused",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Package(error) => error.hint(),
            Self::DamagedIndex { .. } => Some("mend it with: mpkg reinstall NAME".to_owned()),
            Self::DamagedGeneration { .. } => {
                Some("go back to the generation before with: mpkg rollback".to_owned())
            }
            Self::NotInstalled { nearest: Some(name), .. } => Some(format!("{name} is installed")),
            Self::NotInstalled { nearest: None, .. } => {
                Some("see what is installed with: mpkg list".to_owned())
            }
            Self::NoGeneration { existing, .. } => {
                let numbers: Vec<String> = existing.iter().map(ToString::to_string).collect();
                Some(format!("there are: {}", numbers.join(", ")))
            }
            Self::NoProfile { nearest: Some(name), .. } => {
                Some(format!("there is a profile {name}"))
            }
            Self::NoProfile { name, nearest: None } => {
                Some(format!("it is made by: mpkg install --profile {name} NAME"))
            }
            Self::PackageGone { name, .. } => Some(format!("mend it with: mpkg reinstall {name}")),
            Self::NoSharedStore { .. } => {
                Some("name a folder that somebody installs to with --home".to_owned())
            }
            Self::Settings { .. } => {
                Some("it may hold one line such as: shared = [\"/srv/mpkg\"]".to_owned())
            }
            Self::CacheInUse { .. } => Some("repeat it when that build has ended".to_owned()),
            Self::Pickle { .. } => {
                Some("if you trust whoever made it, repeat with --allow-pickle".to_owned())
            }
        }
    }
}
