//! `mpkg list`, `path` and `files`: what is installed, and where.

use std::path::PathBuf;

use crate::package::{PackageIndex, PackageName, ProfileName};
use crate::store::{Error, Home, InstalledPackage, Profile, Result};

/// The installed packages, in the order of their names. Reads one file.
///
/// # Errors
/// [`Error::NoProfile`]; a generation that cannot be read.
pub fn list(home: &Home, profile: &ProfileName) -> Result<Vec<InstalledPackage>> {
    let current = Profile::existing(home, profile)?.current()?;
    Ok(current.map(|generation| generation.packages).unwrap_or_default())
}

/// The installed package called `name`.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::NotInstalled`].
pub fn installed(
    home: &Home,
    profile: &ProfileName,
    name: &PackageName,
) -> Result<InstalledPackage> {
    Profile::existing(home, profile)?.installed(name)
}

/// The folder of an installed package; the same path whatever the version.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::NotInstalled`]; [`Error::PackageGone`].
pub fn path(home: &Home, profile: &ProfileName, name: &PackageName) -> Result<PathBuf> {
    let profile = Profile::existing(home, profile)?;
    let installed = profile.installed(name)?;
    let path = profile.path_of(name);
    match path.is_dir() {
        true => Ok(path),
        false => Err(Error::PackageGone {
            release: installed.release().to_string(),
            name: name.clone(),
            path: home.place_of(installed.package),
        }),
    }
}

/// The index of an installed package.
///
/// # Errors
/// [`Error::NoProfile`], [`Error::NotInstalled`]; a damaged index.
pub fn index(home: &Home, profile: &ProfileName, name: &PackageName) -> Result<PackageIndex> {
    let installed = installed(home, profile, name)?;
    path(home, profile, name)?;
    home.package_index(installed.package)
}
