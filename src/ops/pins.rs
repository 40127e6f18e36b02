//! Installing what a lock file pins, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalogue::{Catalogue, Error, Result};
use super::install::Planned;
use crate::explain::printable;
use crate::fs;
use crate::package::{Digest, LONGEST_LOCK, LockFile, LockedPackage, PackageName};
use crate::progress::Progress;
use crate::resolve::Wish;
use crate::store::InstalledPackage;

/// A lock file that is held to.
#[derive(Debug, Clone)]
pub struct Pins {
    /// The file.
    pub path: PathBuf,
    /// What it pins.
    pub lock: LockFile,
}

impl Pins {
    /// Reads a lock file.
    ///
    /// # Errors
    /// [`Error::BadLock`]; file errors.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path, LONGEST_LOCK)?;
        let bad = |source| Error::BadLock { path: path.to_owned(), source };
        Ok(Self { path: path.to_owned(), lock: LockFile::parse(&text).map_err(bad)? })
    }

    /// Wishes for every package that is pinned, for the very one.
    #[must_use]
    pub fn wishes(&self) -> Vec<Wish> {
        let wish =
            |pin: &LockedPackage| Wish { exact: Some(pin.digest), ..Wish::any(pin.name.clone()) };
        self.lock.packages().iter().map(wish).collect()
    }

    pub(super) fn digests(&self) -> BTreeMap<PackageName, Digest> {
        self.lock.packages().iter().map(|pin| (pin.name.clone(), pin.digest)).collect()
    }

    /// Demands that nothing comes in that is not pinned; says what was withdrawn and comes in.
    pub(super) fn demand(
        &self,
        packages: &[Planned],
        catalogue: &Catalogue<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        for planned in packages.iter().filter(|planned| planned.vouched.is_some()) {
            let release = planned.package.release().to_string();
            let pin = self.lock.get(&planned.package.name);
            if pin.is_none_or(|pin| pin.digest != planned.package.package) {
                return Err(Error::NotPinned { release, path: self.path.clone() });
            }
            if let Some(reason) = catalogue.withdrawn(planned.package.package) {
                let (reason, path) = (printable(&reason), self.path.display());
                progress
                    .warn(&format!("{release} was yanked: {reason}; it is used as {path} pins it"));
            }
        }
        Ok(())
    }
}

/// The lock file that pins `packages`. Those without a variant cannot be pinned, and none of what
/// is installed is without one.
#[must_use]
pub fn lock_of(packages: &[InstalledPackage]) -> LockFile {
    let pin = |package: &InstalledPackage| {
        let (name, version) = (package.name.clone(), package.version.clone());
        let variant = package.variant.clone()?;
        Some(LockedPackage { name, version, variant, digest: package.package })
    };
    LockFile::of(packages.iter().filter_map(pin).collect())
}
