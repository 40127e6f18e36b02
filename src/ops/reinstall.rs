//! `mpkg reinstall`: writes installed packages anew, byte for byte the same release.

use std::path::PathBuf;

use super::catalogue::{Catalogue, Error, Result};
use super::generations::lock;
use super::install::trust;
use super::local::LocalPackage;
use super::transfer::Transfers;
use crate::net::Client;
use crate::package::{PackageName, ProfileName, Release};
use crate::progress::Progress;
use crate::registry::{Policies, Selection};
use crate::store::{Existing, Home, PicklePolicy, Profile};

/// Where packages are taken from, and what of them is let in.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The registries that are asked.
    pub registries: &'a Selection,
    /// What this machine's policies forbid.
    pub policies: &'a Policies,
}

/// Fetches the very packages that are installed as `names`, from `with` or from a registry, and
/// puts them in the place of what is there by one exchange each. Gives what was written.
///
/// # Errors
/// [`crate::store::Error::NotInstalled`]; [`Error::Gone`] where nobody has such a package any more;
/// what a policy forbids; what fails in fetching and unpacking.
pub fn reinstall(
    home: &Home,
    profile: &ProfileName,
    names: &[PackageName],
    sources: &Sources<'_>,
    with: &[PathBuf],
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Release>> {
    let store = lock(home, progress)?;
    let profile = Profile::existing(home, profile)?;
    let files = LocalPackage::open_all(with)?;
    let mut catalogue = Catalogue::open(sources.registries, files, trust(home)?, client)?;
    let mut written = Vec::new();
    for name in names {
        let installed = profile.installed(name)?;
        if !catalogue.seek(name, installed.package)? {
            return Err(Error::Gone {
                release: installed.release().to_string(),
                package: installed.package,
            });
        }
        let vouched = catalogue.vouch(installed.package)?;
        let allowed = catalogue.demand_allowed(installed.package, &vouched, sources.policies)?;
        allowed.warnings.iter().for_each(|warning| progress.warn(warning));
        // Of a damaged package all that is not damaged can be used again.
        Transfers::prepare(&catalogue, &[installed.package], home)?.carry_out(
            &catalogue,
            progress,
            |package| {
                // Whoever installed it has allowed it already.
                store.add(package, Existing::Replace, PicklePolicy::Allow, progress)?;
                Ok(())
            },
        )?;
        written.push(installed.release());
    }
    Ok(written)
}
