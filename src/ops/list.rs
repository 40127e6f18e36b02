//! `mpkg list`, `path` and `files`: what is installed, and where.

use std::path::PathBuf;

use crate::package::{PackageIndex, PackageName};
use crate::store::{DEFAULT_PROFILE, Home, InstalledPackage, Profile, Result};

/// The installed packages, in the order of their names. Reads one file.
///
/// # Errors
/// A generation that cannot be read.
pub fn list(home: &Home) -> Result<Vec<InstalledPackage>> {
    let current = Profile::of(home, DEFAULT_PROFILE).current()?;
    Ok(current.map(|generation| generation.packages).unwrap_or_default())
}

/// The folder of an installed package; the same path whatever the version.
///
/// # Errors
/// [`crate::store::Error::NotInstalled`].
pub fn path(home: &Home, name: &PackageName) -> Result<PathBuf> {
    let profile = Profile::of(home, DEFAULT_PROFILE);
    profile.installed(name)?;
    Ok(profile.path_of(name))
}

/// The index of an installed package.
///
/// # Errors
/// [`crate::store::Error::NotInstalled`]; a damaged index.
pub fn index(home: &Home, name: &PackageName) -> Result<PackageIndex> {
    let installed = Profile::of(home, DEFAULT_PROFILE).installed(name)?;
    home.package_index(installed.package)
}
