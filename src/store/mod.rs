//! What lies on this machine: contents, packages, profiles, generations (spec/store.md).

mod add;
mod cache;
mod check;
mod chunks;
mod contents;
mod error;
mod generation;
mod home;
mod link;
mod profile;
mod settings;
mod shared;
mod sweep;

use std::path::{Path, PathBuf};

use crate::archive;
use crate::crypto::canonical::Limits;
use crate::fs;
use crate::package::{Digest, INDEX_PATH, PackageIndex};

pub use add::{Added, Existing, PicklePolicy};
pub use cache::{CacheLimits, CachePart, CacheSweep, CacheUse};
pub use check::{Damage, DamagedFile, check_package};
pub use chunks::ChunksAtHand;
pub use error::{Error, Result};
pub use generation::{Asked, GENERATION_FORMAT, Generation, InstalledPackage};
pub use home::Home;
pub use profile::Profile;
pub use settings::Settings;
pub use shared::Adopted;
pub use sweep::{Sweep, Unneeded};

/// The store below a home folder, locked: only one program changes it at a time.
#[derive(Debug)]
pub struct Store {
    home: Home,
    _lock: fs::Lock,
}

impl Store {
    /// Takes the lock of `home` and clears what an interrupted run left in staging. Where another
    /// program holds the lock, `waiting` is called once and the lock is waited for.
    ///
    /// # Errors
    /// When the folders cannot be made or the lock not be taken.
    pub fn lock(home: &Home, waiting: impl FnOnce()) -> Result<Self> {
        let lock = fs::Lock::acquire(&home.lock(), waiting)?;
        let store = Self { home: home.clone(), _lock: lock };
        store.set_unfinished_aside()?;
        fs::remove_folder(&store.staging())?;
        fs::create_folder(&store.staging())?;
        fs::create_folder(&home.packages())?;
        fs::create_folder(&home.contents())?;
        Ok(store)
    }

    /// The home folder that this store is in.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The folder for what is not whole yet; emptied by whoever takes the lock next.
    fn staging(&self) -> PathBuf {
        self.home.store().join("staging")
    }

    /// Whether the package is unpacked here.
    #[must_use]
    pub fn holds(&self, package: Digest) -> bool {
        self.home.package(package).is_dir()
    }
}

impl Home {
    /// Where single files lie by their digest.
    #[must_use]
    pub fn contents(&self) -> PathBuf {
        self.store().join("contents")
    }

    /// Where packages lie unpacked by their digest.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.store().join("packages")
    }

    /// The folder of the unpacked package with this digest.
    #[must_use]
    pub fn package(&self, package: Digest) -> PathBuf {
        self.packages().join(package.to_string())
    }

    /// The index of an unpacked package, checked against its digest.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] where it has another digest; file errors.
    pub fn package_index(&self, package: Digest) -> Result<PackageIndex> {
        read_index(&self.package(package), package)
    }
}

/// The index of the package that lies unpacked in `folder`, checked against its digest.
fn read_index(folder: &Path, package: Digest) -> Result<PackageIndex> {
    let path = folder.join(INDEX_PATH);
    let text = fs::read_to_string(&path, archive::LARGEST_INDEX)?;
    let found = Digest::of(text.as_bytes());
    if found != package {
        return Err(Error::DamagedIndex { path, expected: package, found });
    }
    Ok(archive::parse_index(text.as_bytes())?)
}

/// What a file of the store's own may cost to read.
const fn limits() -> Limits {
    Limits { bytes: 64 << 20, depth: 16, values: 4 << 20 }
}
