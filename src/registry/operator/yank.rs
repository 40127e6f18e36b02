//! Withdrawing a release, and taking that back.

use std::path::Path;

use super::commit::{Change, Signing};
use super::repository::Repository;
use super::settings::Lifetimes;
use super::write::{Writer, to_json};
use super::{Error, Result};
use crate::net::{Address, Client};
use crate::package::{PackageName, PackageVersion, Release, VariantName};
use crate::progress::Progress;
use crate::registry::{NameIndex, layout};

/// What is to be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The package.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// One variant; without it all of the version, and its source package.
    pub variant: Option<VariantName>,
    /// Why; nothing takes a withdrawal back.
    pub reason: Option<String>,
}

/// Withdraws a version, or one variant of it, or takes that back. A withdrawn release is installed
/// only where it is locked or installed already; none of its files goes.
///
/// Gives the releases that changed by it.
///
/// # Errors
/// [`Error::NoSuch`], [`Error::KeyMissing`], and whatever is wrong with the registry.
pub fn yank(
    folder: &Path,
    wish: &Withdrawal,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Release>> {
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let writer = Writer::lock(folder, progress)?;
    let mut repository = Repository::open(&address, client)?;
    let Some(mut index) = repository.name(&wish.name)? else {
        return Err(Error::NoSuch { what: format!("package {}", wish.name), known: Vec::new() });
    };
    let changed = mark(&mut index, wish)?;
    if !changed.is_empty() {
        let path = layout::index(&wish.name);
        let mut change =
            Change { targets: repository.search_lists([&index])?, ..Change::default() };
        change.targets.insert(path.clone(), to_json(&path, &index)?);
        repository.commit(&writer, change, Lifetimes::of(folder)?, signing)?;
    }
    Ok(changed)
}

/// Marks the releases of the wish, and gives those that were marked otherwise before.
fn mark(index: &mut NameIndex, wish: &Withdrawal) -> Result<Vec<Release>> {
    let known: Vec<String> = index
        .releases
        .iter()
        .map(|entry| match &entry.variant {
            Some(variant) => format!("{}:{variant}", entry.version),
            None => format!("{} (source)", entry.version),
        })
        .collect();
    let (mut found, mut changed) = (false, Vec::new());
    for entry in &mut index.releases {
        let is_meant = entry.version == wish.version
            && (wish.variant.is_none() || wish.variant == entry.variant);
        if !is_meant {
            continue;
        }
        found = true;
        if entry.yanked != wish.reason {
            entry.yanked.clone_from(&wish.reason);
            changed.push(entry.release(&index.name));
        }
    }
    if found {
        return Ok(changed);
    }
    let variant = wish.variant.as_ref().map(|variant| format!(":{variant}")).unwrap_or_default();
    Err(Error::NoSuch { what: format!("{} {}{variant}", wish.name, wish.version), known })
}
