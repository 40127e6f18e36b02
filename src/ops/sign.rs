//! `mpkg sign`: a package's signatures, beside it.

use std::path::{Path, PathBuf};

use super::provenance::provenance;
use crate::archive::{self, Package};
use crate::crypto::statement::{Predicate, Statement};
use crate::crypto::{self, ENVELOPE_LIMIT, Envelope, SigningKey, envelope_path};
use crate::explain::Explain;
use crate::fs;
use crate::package::{Digest, PackageType, Release};
use crate::progress::Progress;

/// How to sign.
#[derive(Debug)]
pub struct SignOptions<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// Who built the package, an address; used for built packages.
    pub builder: &'a str,
    /// What becomes of signatures that are there already and over another statement.
    pub others: Others,
}

/// What becomes of signatures over another statement about the same package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They stay, and signing is refused.
    Keep,
    /// They go.
    Replace,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The package file.
    pub file: PathBuf,
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// Where the signatures are.
    pub envelope: PathBuf,
    /// The kind of statement that was signed, an address.
    pub predicate: String,
    /// The ids of all keys that the envelope now names.
    pub signers: Vec<String>,
}

/// Why a package was not signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is not sound.
    #[error(transparent)]
    Package(#[from] archive::Error),
    /// The key or the statement.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// What the package or the file beside it says of its build cannot be read.
    #[error("{} does not say how the package was built", path.display())]
    Record {
        /// The file, or the package that it is in.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Others signed another statement about the same package.
    #[error("{} holds another statement about this package, signed by {}", path.display(), by.join(", "))]
    OtherStatement {
        /// The envelope.
        path: PathBuf,
        /// The key ids that it names.
        by: Vec<String>,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Package(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Record { .. } => "bad-build-record",
            Self::OtherStatement { .. } => "other-statement",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Package(error) => error.hint(),
            Self::Crypto(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Record { .. } => None,
            Self::OtherStatement { .. } => {
                Some("drop their signatures with --replace, or sign on their machine".to_owned())
            }
        }
    }
}

/// Checks a package in full, then signs it.
///
/// A second key that signs the same statement is added to the first. Signatures that are over
/// another file, or made by this key alone, are replaced.
///
/// # Errors
/// See [`Error`]; then the signatures are as they were.
pub fn sign(
    file: &Path,
    options: &SignOptions<'_>,
    progress: &dyn Progress,
) -> Result<Signed, Error> {
    let package = Package::open(file)?;
    package.verify(progress)?;
    let release = package.index().release();
    let predicate = match package.index().package_type {
        PackageType::Source => Predicate::Release(release.clone()),
        PackageType::Binary => {
            Predicate::Provenance(provenance(&package, options.builder, progress)?)
        }
    };
    let (file_digest, package_digest) = (package.file_digest()?, package.package_digest());
    let payload = Statement::about(&release.file_name(), file_digest, package_digest, &predicate)
        .to_payload()?;
    let path = envelope_path(file);
    let envelope = match existing(&path)? {
        Some(mut envelope) if envelope.has_payload(&payload) => {
            envelope.add(options.key);
            envelope
        }
        Some(envelope) => {
            let by = claimed(&envelope);
            let mine = |id: &String| *id == options.key.id().to_string();
            let is_stale = !envelope.claims(package_digest, file_digest);
            if options.others == Others::Keep && !is_stale && !by.iter().all(mine) {
                return Err(Error::OtherStatement { path, by });
            }
            Envelope::sign(payload, &[options.key])
        }
        None => Envelope::sign(payload, &[options.key]),
    };
    fs::write_atomically(&path, &envelope.to_bytes())?;
    Ok(Signed {
        file: file.to_owned(),
        release,
        package: package_digest,
        envelope: path,
        predicate: predicate.address().to_owned(),
        signers: claimed(&envelope),
    })
}

/// The signatures at `path`, if there are any.
fn existing(path: &Path) -> Result<Option<Envelope>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path, ENVELOPE_LIMIT as u64)?;
    Ok(Some(Envelope::parse(text.as_bytes())?))
}

fn claimed(envelope: &Envelope) -> Vec<String> {
    envelope.signatures().iter().map(|signature| signature.key_id.clone()).collect()
}
