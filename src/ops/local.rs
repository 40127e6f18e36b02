//! A package file on this machine, with its signatures beside it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::catalogue::{Error, Result, Vouched, open};
use crate::archive::Package;
use crate::crypto::{Envelope, PublicKey, Subject, envelope_path, verify_package};
use crate::fs;
use crate::package::PackageType;
use crate::registry::{self, Publishers, Remembered};
use crate::resolve::Candidate;

/// The longest file of signatures that is read.
const LARGEST_ENVELOPE: u64 = crate::crypto::ENVELOPE_LIMIT as u64;

/// A binary package in a file.
#[derive(Debug)]
pub struct LocalPackage {
    /// The package, its index checked.
    pub package: Package,
}

impl LocalPackage {
    /// Opens a binary package file.
    ///
    /// # Errors
    /// [`Error::Package`] and [`Error::SourcePackage`].
    pub fn open(path: &Path) -> Result<Self> {
        let package = open(path)?;
        match package.index().package_type {
            PackageType::Binary => Ok(Self { package }),
            PackageType::Source => Err(Error::SourcePackage { path: path.to_owned() }),
        }
    }

    /// Opens binary package files, and those in folders.
    ///
    /// # Errors
    /// Those of [`LocalPackage::open`]; folders that cannot be read.
    pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut packages = Vec::new();
        for path in paths {
            if !path.is_dir() {
                packages.push(Self::open(path)?);
                continue;
            }
            for file in files_in(path)? {
                let package = open(&file)?;
                if package.index().package_type == PackageType::Binary {
                    packages.push(Self { package });
                }
            }
        }
        Ok(packages)
    }

    /// The release, for the resolver.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        let index = self.package.index();
        Candidate {
            release: index.release(),
            digest: self.package.package_digest(),
            default_variant: index.default_variant,
            dependencies: index.dependencies.clone(),
            provides: index.provides.clone(),
            conflicts: index.conflicts.clone(),
            yanked: None,
        }
    }

    /// Checks the signatures beside the file: by the keys that a registry names for the name, which
    /// must be in accord with what this machine remembers, else by those that it remembers, else
    /// by any key of this machine.
    ///
    /// # Errors
    /// [`registry::Error::Unsigned`], [`registry::Error::UnknownSigner`] and their kin.
    pub fn vouch(
        &self,
        trust: &Path,
        in_registry: Option<Publishers>,
        known_keys: &[PublicKey],
    ) -> registry::Result<Vouched> {
        let path = self.package.path();
        let index = self.package.index();
        let beside = envelope_path(path);
        let envelope = match fs::read_to_string(&beside, LARGEST_ENVELOPE) {
            Ok(text) => text.into_bytes(),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                let path = path.to_owned();
                return Err(registry::Error::Unsigned { path, envelope: beside });
            }
            Err(error) => return Err(error.into()),
        };
        let release = index.release().to_string();
        let refused = |expected, source: crate::crypto::Error| registry::Error::Signature {
            release: release.clone(),
            expected,
            source: Box::new(source),
        };
        let file = self
            .package
            .file_digest()
            .map_err(|source| registry::Error::Package { path: path.to_owned(), source })?;
        let subject = Subject { package: self.package.package_digest(), file: Some(file) };
        let remembered = Remembered::recall(trust, &index.name)?.map(|known| known.publishers);
        let publishers = match in_registry.or(remembered) {
            None => self.signers_among(known_keys, &envelope, subject)?,
            Some(publishers) => publishers,
        };
        let verified = verify_package(&envelope, subject, &publishers.list(), publishers.threshold)
            .map_err(|source| refused(publishers.ids(), source))?;
        Ok(Vouched {
            signed_by: verified.signers,
            publishers,
            origin: path.display().to_string(),
            fetch_size: 0,
            unpacked_size: index.unpacked_size(),
        })
    }
}

impl LocalPackage {
    /// The keys of this machine that signed it, as publishers.
    fn signers_among(
        &self,
        known_keys: &[PublicKey],
        envelope: &[u8],
        subject: Subject,
    ) -> registry::Result<Publishers> {
        let signed =
            |key: &PublicKey| verify_package(envelope, subject, &[*key], NonZeroUsize::MIN).is_ok();
        let publishers = Publishers::any_of(known_keys.iter().copied().filter(signed));
        if !publishers.keys.is_empty() {
            return Ok(publishers);
        }
        let parsed = Envelope::parse(envelope).map_err(|source| registry::Error::Signature {
            release: self.package.index().release().to_string(),
            expected: Vec::new(),
            source: Box::new(source),
        })?;
        Err(registry::Error::UnknownSigner {
            path: self.package.path().to_owned(),
            found: parsed.signatures().iter().map(|one| one.key_id.clone()).collect(),
        })
    }
}

/// The `.mpkg` files of a folder, sorted.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(fs::Error::at("read the folder", folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(fs::Error::at("read the folder", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "mpkg") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
