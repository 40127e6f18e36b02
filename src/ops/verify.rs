//! `mpkg verify FILE`: is this package what its publisher signed?

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::key::KnownKey;
use crate::archive::{self, Package};
use crate::crypto::{
    self, ENVELOPE_LIMIT, KeyId, PublicKey, Subject, Unknown, envelope_path, verify_package,
};
use crate::explain::Explain;
use crate::fs;
use crate::package::{Digest, Release};
use crate::progress::Progress;

/// What is asked of a package's signatures.
#[derive(Debug, Clone, Copy)]
pub enum Signatures<'a> {
    /// Nothing: its contents alone are checked.
    Ignored,
    /// That enough of these keys have signed it.
    Required {
        /// The keys that count.
        keys: &'a [KnownKey],
        /// How many of them must have signed.
        threshold: NonZeroUsize,
    },
}

/// What was found of one package file.
#[derive(Debug)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// What it is, where that could be read.
    pub identity: Option<Identity>,
    /// Each check that was made, in order. After a failed one there are no more.
    pub checks: Vec<Check>,
}

/// What a package file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// The SHA-256 of the file.
    pub file: Digest,
}

/// One check.
#[derive(Debug)]
pub struct Check {
    /// What was checked.
    pub what: What,
    /// What was found, or what is wrong.
    pub found: Result<Found, Error>,
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The container, and the digest of each file in it.
    Contents,
    /// Who signed it.
    Signatures,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Sound contents.
    Contents {
        /// How many files.
        files: usize,
        /// Their bytes together.
        bytes: u64,
    },
    /// Good signatures.
    Signatures {
        /// Who signed.
        signers: Vec<Signer>,
        /// The signatures that did not count.
        unknown: Vec<Unknown>,
        /// What kind of statement they signed, an address.
        predicate: String,
    },
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key's name here.
    pub name: String,
    /// The key's id.
    pub id: KeyId,
}

/// Why a package is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is not sound.
    #[error(transparent)]
    Package(#[from] archive::Error),
    /// There are no signatures.
    #[error("{} is not signed: there is no {}", package.display(), envelope.display())]
    NotSigned {
        /// The package file.
        package: PathBuf,
        /// Where signatures would be.
        envelope: PathBuf,
    },
    /// The signatures are not good.
    #[error("the signatures of {} are not believed", package.display())]
    Signatures {
        /// The package file.
        package: PathBuf,
        /// Why not.
        source: crypto::Error,
    },
    /// The signatures cannot be read.
    #[error(transparent)]
    File(#[from] fs::Error),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Package(error) => error.kind(),
            Self::NotSigned { .. } => "not-signed",
            Self::Signatures { source, .. } => source.kind(),
            Self::File(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Package(error) => error.hint(),
            Self::NotSigned { .. } => {
                Some("check its contents alone with --contents-only".to_owned())
            }
            Self::Signatures { source, .. } => source.hint(),
            Self::File(error) => error.hint(),
        }
    }
}

impl Report {
    /// Whether every check went well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.found.is_ok())
    }
}

/// Checks a package file: the container in full with every digest, then the signatures beside it.
#[must_use]
pub fn verify_file(file: &Path, signatures: Signatures<'_>, progress: &dyn Progress) -> Report {
    let mut report = Report { file: file.to_owned(), identity: None, checks: Vec::new() };
    let contents = verify_contents(file, progress).map(|(identity, found)| {
        report.identity = Some(identity);
        found
    });
    report.checks.push(Check { what: What::Contents, found: contents });
    if let Some(identity) = &report.identity
        && let Signatures::Required { keys, threshold } = signatures
    {
        let found = verify_signatures(file, identity, keys, threshold);
        report.checks.push(Check { what: What::Signatures, found });
    }
    report
}

fn verify_contents(file: &Path, progress: &dyn Progress) -> Result<(Identity, Found), Error> {
    let package = Package::open(file)?;
    let (verified, file) = std::thread::scope(|scope| {
        let file = scope.spawn(|| package.file_digest());
        (package.verify(progress), file.join().expect("hashing does not panic"))
    });
    verified?;
    let index = package.index();
    let identity =
        Identity { release: index.release(), package: package.package_digest(), file: file? };
    Ok((identity, Found::Contents { files: index.files.len(), bytes: index.unpacked_size() }))
}

fn verify_signatures(
    file: &Path,
    identity: &Identity,
    keys: &[KnownKey],
    threshold: NonZeroUsize,
) -> Result<Found, Error> {
    let path = envelope_path(file);
    if !path.exists() {
        return Err(Error::NotSigned { package: file.to_owned(), envelope: path });
    }
    let envelope = fs::read_to_string(&path, ENVELOPE_LIMIT as u64)?;
    let trusted: Vec<PublicKey> = keys.iter().map(|key| key.public).collect();
    let subject = Subject { package: identity.package, file: Some(identity.file) };
    let verified = verify_package(envelope.as_bytes(), subject, &trusted, threshold)
        .map_err(|source| Error::Signatures { package: file.to_owned(), source })?;
    let name_of = |id: KeyId| {
        let known = keys.iter().find(|key| key.public.id() == id);
        known.map_or_else(|| id.short(), |key| key.name.clone())
    };
    let signers = verified.signers.iter().map(|id| Signer { name: name_of(*id), id: *id });
    Ok(Found::Signatures {
        signers: signers.collect(),
        unknown: verified.unknown,
        predicate: verified.statement.predicate_type,
    })
}
