//! `mpkg verify NAME…`: hashes what is installed again.

use crate::package::{Digest, PackageName, ProfileName, Release};
use crate::progress::Progress;
use crate::store::{DamagedFile, Home, Profile, Result, check_package};

/// What was found of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// The files that are not as they were installed.
    pub damaged: Vec<DamagedFile>,
}

/// Checks the installed packages called `names`, or all of them where none is named.
///
/// # Errors
/// [`crate::store::Error::NoProfile`], [`crate::store::Error::NotInstalled`]; file errors.
pub fn verify(
    home: &Home,
    profile: &ProfileName,
    names: &[PackageName],
    progress: &dyn Progress,
) -> Result<Vec<Checked>> {
    let profile = Profile::existing(home, profile)?;
    let packages = if names.is_empty() {
        profile.current()?.map(|current| current.packages).unwrap_or_default()
    } else {
        names.iter().map(|name| profile.installed(name)).collect::<Result<_>>()?
    };
    packages
        .iter()
        .map(|package| {
            let damaged = check_package(home, package.package, progress)?;
            Ok(Checked { release: package.release(), package: package.package, damaged })
        })
        .collect()
}
