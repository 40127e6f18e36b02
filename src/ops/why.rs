//! `mpkg why`: what leads to an installed package.

use std::collections::{BTreeSet, VecDeque};

use crate::build::inputs::{Inputs, LONGEST_INPUTS, PackageInput};
use crate::fs::read_to_string;
use crate::package::{Dependency, INPUTS_PATH, PackageName, ProfileName};
use crate::store::{Home, InstalledPackage, Profile, Result};

/// One link of a chain: a package, and what it asks of the next one.
pub type Link = (InstalledPackage, Option<Dependency>);

/// The shortest chain from each package that somebody asked for to the one called `name`.
///
/// # Errors
/// [`crate::store::Error::NoProfile`], [`crate::store::Error::NotInstalled`].
pub fn why(home: &Home, profile: &ProfileName, name: &PackageName) -> Result<Vec<Vec<Link>>> {
    let profile = Profile::existing(home, profile)?;
    let goal = profile.installed(name)?;
    let packages = profile.current()?.map(|current| current.packages).unwrap_or_default();
    let requested = packages.iter().filter(|package| package.requested.is_some());
    Ok(requested.filter_map(|start| chain(&packages, start, &goal)).collect())
}

/// The installed packages that were built with one called `name`, and which one that was. Only
/// what the packages themselves say is read: one that says nothing is left out.
///
/// # Errors
/// [`crate::store::Error::NoProfile`].
pub fn built_with(
    home: &Home,
    profile: &ProfileName,
    name: &PackageName,
) -> Result<Vec<(InstalledPackage, PackageInput)>> {
    let profile = Profile::existing(home, profile)?;
    let packages = profile.current()?.map(|current| current.packages).unwrap_or_default();
    let mut found = Vec::new();
    for package in packages {
        let inputs = inputs_of(home, &package).map(|inputs| inputs.dependencies);
        let mut inputs = inputs.unwrap_or_default().into_iter();
        if let Some(input) = inputs.find(|input| input.name == *name) {
            found.push((package, input));
        }
    }
    Ok(found)
}

/// What an installed package says went into it; nothing where it says nothing.
#[must_use]
pub fn inputs_of(home: &Home, package: &InstalledPackage) -> Option<Inputs> {
    let path = home.package(package.package).join(INPUTS_PATH);
    Inputs::parse(read_to_string(&path, LONGEST_INPUTS).ok()?.as_bytes()).ok()
}

fn chain(
    packages: &[InstalledPackage],
    start: &InstalledPackage,
    goal: &InstalledPackage,
) -> Option<Vec<Link>> {
    let mut seen = BTreeSet::from([&start.name]);
    let mut open: VecDeque<(&InstalledPackage, Vec<Link>)> = VecDeque::from([(start, Vec::new())]);
    while let Some((package, before)) = open.pop_front() {
        if package.name == goal.name {
            return Some([before, vec![(package.clone(), None)]].concat());
        }
        for need in &package.dependencies {
            for next in packages.iter().filter(|other| other.meets(need)) {
                if seen.insert(&next.name) {
                    let link = (package.clone(), Some(need.clone()));
                    open.push_back((next, [before.clone(), vec![link]].concat()));
                }
            }
        }
    }
    None
}
