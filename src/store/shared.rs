//! Packages of a shared store, used in place: `store/packages/DIGEST` is a link to the folder there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::check::check_folder;
use super::{Error, Home, Result, Store};
use crate::fs;
use crate::package::Digest;
use crate::progress::Progress;

/// Where packages lie below a home folder.
const PACKAGES: &str = "store/packages";

impl Home {
    /// Where the package really lies: here, or in the shared store that its link leads to. It need
    /// not be there any more.
    #[must_use]
    pub fn place_of(&self, package: Digest) -> PathBuf {
        let folder = self.package(package);
        std::fs::read_link(&folder).unwrap_or(folder)
    }

    /// The folder of `package` in the first shared store that has it; nothing in it was checked.
    ///
    /// # Errors
    /// [`Error::NoSharedStore`].
    pub fn shared_package(&self, package: Digest) -> Result<Option<PathBuf>> {
        for shared in self.shared() {
            let packages = shared.join(PACKAGES);
            if !packages.is_dir() {
                return Err(Error::NoSharedStore { path: shared.clone() });
            }
            let folder = packages.join(package.to_string());
            if folder.is_dir() {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }
}

/// What [`Store::adopt`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// The package is used where it lies, in this folder of a shared store.
    InPlace(PathBuf),
    /// A shared store has it, damaged; it is not used.
    Damaged(PathBuf),
    /// No shared store has it.
    Nowhere,
}

impl Store {
    /// Uses the package of a shared store, every byte of it checked; nothing is written there.
    ///
    /// # Errors
    /// [`Error::NoSharedStore`]; file errors.
    pub fn adopt(&self, package: Digest, progress: &dyn Progress) -> Result<Adopted> {
        let Some(folder) = self.home.shared_package(package)? else { return Ok(Adopted::Nowhere) };
        if !check_folder(&folder, package, progress)?.is_empty() {
            return Ok(Adopted::Damaged(folder));
        }
        self.link_to(package, &folder)?;
        Ok(Adopted::InPlace(folder))
    }

    /// Puts the link in its place by one rename; it takes the place of one that leads nowhere.
    fn link_to(&self, package: Digest, folder: &Path) -> Result<()> {
        let staged = self.staging().join("shared");
        fs::remove_folder(&staged)?;
        let real = std::fs::canonicalize(folder).map_err(fs::Error::at("find", folder))?;
        symlink(&real, &staged).map_err(fs::Error::at("create the link", &staged))?;
        let goal = self.home.package(package);
        std::fs::rename(&staged, &goal).map_err(fs::Error::at("rename a link to", &goal))?;
        Ok(fs::sync_folder(&self.home.packages())?)
    }
}
