//! Where things lie below the home folder.

use std::path::{Path, PathBuf};

use crate::package::ProfileName;

/// The home folder of mpkg: `--home`, `$MPKG_HOME` or the XDG data folder; and the home folders
/// whose stores it may use packages of.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    shared: Vec<PathBuf>,
}

impl Home {
    /// The home folder at `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), shared: Vec::new() }
    }

    /// The same, using packages of the stores below the home folders `shared` in place.
    #[must_use]
    pub fn sharing(mut self, shared: Vec<PathBuf>) -> Self {
        self.shared = shared;
        self
    }

    /// The home folders whose stores this one uses packages of; nothing is ever written there.
    #[must_use]
    pub fn shared(&self) -> &[PathBuf] {
        &self.shared
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Signing keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Public keys that this machine has come to trust, by package name.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// What can be fetched or made again.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Contents and packages that are installed.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Profiles and their generations.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    /// The lock that every change of this home folder holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The folder of a profile.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> PathBuf {
        self.profiles().join(name.as_str())
    }
}
