//! `mpkg remove`: takes packages out of the profile, with what only they needed.

use std::collections::BTreeSet;

use super::catalogue::Result;
use super::generations::lock;
use super::install::{needed, unneeded};
use crate::package::{PackageName, ProfileName};
use crate::progress::Progress;
use crate::store::{Generation, Home, InstalledPackage, Profile, Store};

/// What goes.
pub struct Removal {
    /// The packages that are named.
    pub named: Vec<InstalledPackage>,
    /// The packages that nothing needs any more.
    pub unneeded: Vec<InstalledPackage>,
    store: Store,
    profile: Profile,
    current: Generation,
}

/// What becomes of dependencies that nothing needs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependencies {
    /// They go along.
    RemoveUnneeded,
    /// They stay.
    Keep,
}

/// Finds out what goes; nothing is changed.
///
/// # Errors
/// [`crate::store::Error::NoProfile`], [`crate::store::Error::NotInstalled`]; [`super::catalogue::Error::Needed`] where a package that
/// stays needs one that is named.
pub fn plan(
    home: &Home,
    profile: &ProfileName,
    names: &[PackageName],
    dependencies: Dependencies,
    progress: &dyn Progress,
) -> Result<Removal> {
    let store = lock(home, progress)?;
    let profile = Profile::existing(home, profile)?;
    let gone: BTreeSet<PackageName> = names.iter().cloned().collect();
    let leaving: Vec<InstalledPackage> =
        gone.iter().map(|name| profile.installed(name)).collect::<Result<_, _>>()?;
    let current = profile.generation(profile.current_number()?.unwrap_or(0))?;
    let before = unneeded(&current.packages, &BTreeSet::new());
    let after = unneeded(&current.packages, &gone);
    for package in &leaving {
        let by: Vec<String> = current
            .dependents(package)
            .filter(|other| !gone.contains(&other.name))
            // A dependency that goes along does not hold back what it needs.
            .filter(|other| {
                dependencies == Dependencies::Keep
                    || before.contains(&other.name)
                    || !after.contains(&other.name)
            })
            .map(|other| other.release().to_string())
            .collect();
        if !by.is_empty() {
            return Err(needed(&package.name, by));
        }
    }
    let unneeded = match dependencies {
        Dependencies::Keep => Vec::new(),
        Dependencies::RemoveUnneeded => current
            .packages
            .iter()
            .filter(|package| after.contains(&package.name) && !gone.contains(&package.name))
            .filter(|package| !before.contains(&package.name))
            .cloned()
            .collect(),
    };
    Ok(Removal { named: leaving, unneeded, store, profile, current })
}

impl Removal {
    /// Makes the generation without them.
    ///
    /// # Errors
    /// File errors; then the current generation is as it was.
    pub fn carry_out(&self, command: &str, now: jiff::Timestamp) -> Result<Generation> {
        let gone: BTreeSet<&PackageName> =
            self.named.iter().chain(&self.unneeded).map(|package| &package.name).collect();
        let packages = self
            .current
            .packages
            .iter()
            .filter(|package| !gone.contains(&package.name))
            .cloned()
            .collect();
        Ok(self.store.commit(&self.profile, packages, command, now)?)
    }
}
