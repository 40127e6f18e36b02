//! Signatures of packages: `NAME.mpkg.dsse.json` beside `NAME.mpkg`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::statement::{Predicate, Statement};
use super::{Envelope, Error, KeyId, PublicKey, Result, SigningKey, Unknown};
use crate::package::Digest;

/// The package that a signature is, or should be, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The package digest.
    pub package: Digest,
    /// The digest of the file; none where only the contents are at hand.
    pub file: Option<Digest>,
}

/// A package whose signatures are good.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedPackage {
    /// The distinct trusted keys that signed it.
    pub signers: Vec<KeyId>,
    /// The signatures that did not count.
    pub unknown: Vec<Unknown>,
    /// What they signed.
    pub statement: Statement,
}

/// The place of a package file's signatures.
#[must_use]
pub fn envelope_path(package: &Path) -> PathBuf {
    let mut name = package.as_os_str().to_owned();
    name.push(".dsse.json");
    PathBuf::from(name)
}

/// Signs a package.
///
/// # Errors
/// [`Error::Json`] where a word of the predicate has a control character.
pub fn sign_package(
    package: Digest,
    file: Digest,
    file_name: &str,
    predicate: &Predicate,
    keys: &[&SigningKey],
) -> Result<Envelope> {
    let statement = Statement::about(file_name, file, package, predicate);
    Ok(Envelope::sign(statement.to_payload()?, keys))
}

/// Checks that `threshold` distinct trusted keys signed a statement about `subject`. The bytes
/// come from anywhere.
///
/// # Errors
/// Those of [`Envelope::parse`], [`Envelope::verify`] and [`Statement::parse`], and
/// [`Error::OtherSubject`].
pub fn verify_package(
    envelope: &[u8],
    subject: Subject,
    trusted: &[PublicKey],
    threshold: NonZeroUsize,
) -> Result<VerifiedPackage> {
    let verified = Envelope::parse(envelope)?.verify(trusted, threshold)?;
    let statement = Statement::parse(&verified.payload)?;
    demand("package", &statement.packages(), subject.package)?;
    if let Some(file) = subject.file {
        demand("file", &statement.files(), file)?;
    }
    Ok(VerifiedPackage {
        signers: verified.signers.iter().map(PublicKey::id).collect(),
        unknown: verified.unknown,
        statement,
    })
}

fn demand(what: &'static str, stated: &[Digest], found: Digest) -> Result<()> {
    if stated.contains(&found) {
        return Ok(());
    }
    let stated = stated.iter().take(4).map(Digest::to_string).collect();
    Err(Error::OtherSubject { what, stated, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Release;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn signed(package: Digest, file: Digest, key: &SigningKey) -> Vec<u8> {
        let release = Release {
            name: "tiny-lm".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            variant: None,
        };
        let predicate = Predicate::Release(release);
        sign_package(package, file, "tiny-lm-1.0.0.src.mpkg", &predicate, &[key])
            .unwrap()
            .to_bytes()
    }

    #[test]
    fn a_signature_is_about_one_package() {
        let key = SigningKey::from_seed(&[1; 32]);
        let (package, file, other) = (Digest::of(b"p"), Digest::of(b"f"), Digest::of(b"o"));
        let envelope = signed(package, file, &key);
        let verify = |package, file| {
            verify_package(&envelope, Subject { package, file }, &[*key.public()], ONE)
        };
        assert_eq!(verify(package, Some(file)).unwrap().signers, [key.id()]);
        assert!(verify(package, None).is_ok());
        for (package, file) in [(other, Some(file)), (package, Some(other)), (file, Some(package))]
        {
            let error = verify(package, file).unwrap_err();
            assert!(matches!(error, Error::OtherSubject { .. }), "{error}");
        }
    }

    #[test]
    fn the_envelope_lies_beside_the_package() {
        let path = envelope_path(Path::new("dist/a-1.0.0.f32.mpkg"));
        assert_eq!(path, Path::new("dist/a-1.0.0.f32.mpkg.dsse.json"));
    }
}
