//! Finds the source package that a released package names.

use std::path::{Path, PathBuf};

use super::Error;
use crate::archive::Package;
use crate::ops::build::Setting;
use crate::ops::catalogue::{Catalogue, open};
use crate::ops::install;
use crate::package::{Digest, Release};

/// The file of the source package with the digest `expected`: the one that is `named`, else the
/// one beside the package, else a registry's.
///
/// # Errors
/// When there is none, or the named one is another.
pub(in crate::ops) fn find(
    package: &Package,
    expected: Digest,
    named: Option<&Path>,
    setting: &Setting<'_>,
) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return demand(path, expected).map(|()| path.to_owned());
    }
    let index = package.index();
    let release =
        Release { name: index.name.clone(), version: index.version.clone(), variant: None };
    let beside = package.path().with_file_name(release.file_name());
    let mut wrong = None;
    if beside.is_file() {
        match demand(&beside, expected) {
            Ok(()) => return Ok(beside),
            Err(error) => wrong = Some(error),
        }
    }
    let trust = install::trust(setting.home)?;
    let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
    if catalogue.seek(&index.name, expected)? {
        catalogue.vouch(expected)?;
        return Ok(catalogue.fetch(expected, setting.progress)?.path().to_owned());
    }
    Err(wrong.unwrap_or(Error::NoSource { release: index.release(), expected }))
}

fn demand(path: &Path, expected: Digest) -> Result<(), Error> {
    let found = open(path)?.package_digest();
    if found == expected {
        return Ok(());
    }
    Err(Error::OtherSource { path: path.to_owned(), expected, found })
}
