//! Key files as other programs write them.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::SecretDocument;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Error, Passphrase, PublicKey, Result, SigningKey};
use crate::fs;

/// The longest key file that is read, in bytes.
const LONGEST_KEY_FILE: u64 = 1 << 16;

/// A key file in any of the forms that mpkg reads: PKCS#8 PEM, plain or encrypted, OpenSSH
/// private and public keys, public keys in PEM, and the key object of TUF.
pub struct ForeignKey {
    text: Zeroizing<String>,
    what: String,
}

impl ForeignKey {
    /// Reads a file. A private key that others may read is refused, as ssh does.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::OpenMode`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = Zeroizing::new(fs::read_to_string(path, LONGEST_KEY_FILE)?);
        let key = Self { text, what: path.display().to_string() };
        let found = std::fs::metadata(path).map_err(fs::Error::at("open", path))?;
        let mode = found.permissions().mode() & 0o7777;
        if key.form() == Form::Private && mode & 0o077 != 0 {
            return Err(Error::OpenMode { path: path.to_owned(), mode });
        }
        Ok(key)
    }

    /// A key that stands somewhere as text; `what` is how messages name it.
    #[must_use]
    pub fn of_text(text: &str, what: &str) -> Self {
        Self { text: Zeroizing::new(text.to_owned()), what: what.to_owned() }
    }

    /// The text of the file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a passphrase is needed to read it.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match label(&self.text) {
            Some("ENCRYPTED PRIVATE KEY") => true,
            Some("OPENSSH PRIVATE KEY") => {
                parse_ssh_private(&self.text, &self.what).is_ok_and(|key| key.is_encrypted())
            }
            _ => false,
        }
    }

    /// The public key, where the file holds nothing else.
    ///
    /// # Errors
    /// [`Error::NotAKey`], [`Error::UnsafeKey`], and what is wrong with a key object.
    pub fn public(&self) -> Result<Option<PublicKey>> {
        let start = self.text.trim_start();
        let key = match self.form() {
            Form::Private => return Ok(None),
            Form::Unknown => {
                let why = "it is neither PEM nor an OpenSSH key nor a JSON object";
                return Err(not_a_key(&self.what, &why));
            }
            Form::Object => PublicKey::from_json(self.text.as_bytes()),
            Form::SshPublic => read_ssh_public(start, &self.what),
            Form::PemPublic => PublicKey::from_pem(start),
        };
        key.map(Some).map_err(|error| match error {
            Error::NotAKey { why, .. } => not_a_key(&self.what, &why),
            other => other,
        })
    }

    /// The private key.
    ///
    /// # Errors
    /// [`Error::NotAKey`], [`Error::PassphraseNeeded`] and [`Error::WrongPassphrase`].
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<SigningKey> {
        read_private(&self.text, &self.what, passphrase)
    }

    fn form(&self) -> Form {
        let start = self.text.trim_start();
        match label(start) {
            Some("PUBLIC KEY") => Form::PemPublic,
            Some(_) => Form::Private,
            None if start.starts_with('{') => Form::Object,
            None if start.starts_with("ssh-") => Form::SshPublic,
            None => Form::Unknown,
        }
    }
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignKey({})", self.what)
    }
}

/// What a key file seems to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Private,
    PemPublic,
    SshPublic,
    Object,
    Unknown,
}

fn read_private(text: &str, what: &str, passphrase: Option<&Passphrase>) -> Result<SigningKey> {
    match label(text) {
        Some("OPENSSH PRIVATE KEY") => read_ssh_private(text, what, passphrase),
        _ => read_pkcs8(&read_document(text, what, passphrase)?, what),
    }
}

/// The private key in PKCS#8 PEM text, decrypted where it is encrypted.
pub(super) fn read_document(
    text: &str,
    what: &str,
    passphrase: Option<&Passphrase>,
) -> Result<SecretDocument> {
    match label(text) {
        Some("PRIVATE KEY") => {
            let (_, document) =
                SecretDocument::from_pem(text).map_err(|error| not_a_key(what, &error))?;
            Ok(document)
        }
        Some("ENCRYPTED PRIVATE KEY") => decrypt_pkcs8(text, what, passphrase),
        Some("PUBLIC KEY") => Err(not_a_key(what, &"it is a public key, not a private one")),
        Some(other) => Err(not_a_key(
            what,
            &format!("\"{}\" is another kind of key", crate::explain::printable(other)),
        )),
        None => Err(not_a_key(what, &"it is no PEM text")),
    }
}

fn not_a_key(what: &str, why: &dyn ToString) -> Error {
    Error::NotAKey { what: what.to_owned(), why: why.to_string() }
}

/// The words between `-----BEGIN ` and `-----` on the first line.
fn label(text: &str) -> Option<&str> {
    text.trim_start().lines().next()?.trim_end().strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

fn read_pkcs8(document: &SecretDocument, what: &str) -> Result<SigningKey> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| not_a_key(what, &error))?;
    let mut pair =
        KeypairBytes::try_from(info).map_err(|_| not_a_key(what, &"it is not an ed25519 key"))?;
    let key = SigningKey::from_seed(&pair.secret_key);
    pair.secret_key.zeroize();
    match pair.public_key {
        Some(public) if public.0 != *key.public().as_bytes() => {
            Err(not_a_key(what, &"its public half belongs to another key"))
        }
        _ => Ok(key),
    }
}

fn decrypt_pkcs8(
    text: &str,
    what: &str,
    passphrase: Option<&Passphrase>,
) -> Result<SecretDocument> {
    let (_, document) = SecretDocument::from_pem(text).map_err(|error| not_a_key(what, &error))?;
    let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| not_a_key(what, &error))?;
    if !is_affordable(&info.encryption_algorithm) {
        return Err(not_a_key(what, &"its passphrase would cost too much time or memory to try"));
    }
    let passphrase = passphrase.ok_or_else(|| Error::PassphraseNeeded(what.to_owned()))?;
    info.decrypt(passphrase.as_bytes()).map_err(|error| match error {
        pkcs8::Error::ParametersMalformed => not_a_key(what, &error),
        _ => Error::WrongPassphrase(what.to_owned()),
    })
}

/// Whether turning a passphrase into a key takes at most some seconds and 256 MiB.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    match scheme {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            pbes2::Kdf::Pbkdf2(kdf) => kdf.iteration_count <= 10_000_000,
            pbes2::Kdf::Scrypt(kdf) => {
                let memory = kdf.cost_parameter.saturating_mul(u64::from(kdf.block_size) * 128);
                let work = memory.saturating_mul(u64::from(kdf.parallelization));
                memory <= 256 << 20 && work <= 1 << 30
            }
            _ => false,
        },
        _ => false,
    }
}

/// Decodes the lines between the first and the last, whose lengths differ from program to program.
fn parse_ssh_private(text: &str, what: &str) -> Result<ssh_key::PrivateKey> {
    let end = "-----END OPENSSH PRIVATE KEY-----";
    let body = text.trim().lines().skip(1).map(str::trim);
    let body: Zeroizing<String> = Zeroizing::new(body.take_while(|line| *line != end).collect());
    let bytes = BASE64_STANDARD
        .decode(body.as_bytes())
        .map(Zeroizing::new)
        .map_err(|error| not_a_key(what, &error))?;
    ssh_key::PrivateKey::from_bytes(&bytes).map_err(|error| not_a_key(what, &error))
}

fn read_ssh_private(text: &str, what: &str, passphrase: Option<&Passphrase>) -> Result<SigningKey> {
    let mut key = parse_ssh_private(text, what)?;
    if key.is_encrypted() {
        if matches!(key.kdf(), ssh_key::Kdf::Bcrypt { rounds, .. } if *rounds > 1000) {
            return Err(not_a_key(what, &"its passphrase would cost too much time to try"));
        }
        let passphrase = passphrase.ok_or_else(|| Error::PassphraseNeeded(what.to_owned()))?;
        key = key
            .decrypt(passphrase.as_bytes())
            .map_err(|_| Error::WrongPassphrase(what.to_owned()))?;
    }
    let pair =
        key.key_data().ed25519().ok_or_else(|| not_a_key(what, &"it is not an ed25519 key"))?;
    let seed = Zeroizing::new(pair.private.to_bytes());
    let key = SigningKey::from_seed(&seed);
    if pair.public.0 != *key.public().as_bytes() {
        return Err(not_a_key(what, &"its public half belongs to another key"));
    }
    Ok(key)
}

fn read_ssh_public(text: &str, what: &str) -> Result<PublicKey> {
    let line = text.lines().next().unwrap_or_default();
    let key = ssh_key::PublicKey::from_openssh(line).map_err(|error| not_a_key(what, &error))?;
    let key =
        key.key_data().ed25519().ok_or_else(|| not_a_key(what, &"it is not an ed25519 key"))?;
    PublicKey::from_bytes(&key.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ForeignKey {
        ForeignKey { text: Zeroizing::new(text.to_owned()), what: "it".to_owned() }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_alone() {
        let passphrase = Passphrase::new("correct horse".to_owned());
        let signing = SigningKey::from_seed(&[3; 32]);
        let file = key(&signing.to_pem(Some(&passphrase)).unwrap());
        assert!(file.is_encrypted());
        assert_eq!(file.open(Some(&passphrase)).unwrap().id(), signing.id());
        let wrong = Passphrase::new("correct house".to_owned());
        assert!(matches!(file.open(Some(&wrong)), Err(Error::WrongPassphrase(_))));
        assert!(matches!(file.open(None), Err(Error::PassphraseNeeded(_))));
    }

    #[test]
    fn a_passphrase_that_costs_gigabytes_is_not_tried() {
        // scrypt with N = 2^20, r = 64: 8 GiB.
        let scrypt = pkcs8::pkcs5::scrypt::Params::new(20, 64, 1).unwrap();
        let parameters =
            pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &[1; 16], [2; 16]).unwrap();
        assert!(!is_affordable(&EncryptionScheme::Pbes2(parameters)));
        let scrypt = pkcs8::pkcs5::scrypt::Params::new(17, 8, 1).unwrap();
        let parameters =
            pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &[1; 16], [2; 16]).unwrap();
        assert!(is_affordable(&EncryptionScheme::Pbes2(parameters)));
    }

    #[test]
    fn what_is_no_key_says_so() {
        for (text, why) in [
            ("", "neither PEM"),
            ("hello", "neither PEM"),
            ("-----BEGIN PUBLIC KEY-----\n", "PEM"),
            ("ssh-rsa AAAA", "is not a key"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is not a key"),
        ] {
            let error = key(text).public().unwrap_err();
            assert!(error.to_string().contains(why), "{text:?}: {error}");
        }
        for text in ["-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAAAA"] {
            assert!(matches!(key(text).open(None), Err(Error::NotAKey { .. })), "{text:?}");
        }
    }
}
