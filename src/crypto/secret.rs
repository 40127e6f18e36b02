//! Private keys. They leave memory when dropped and never show in logs.

use std::fmt;

use ed25519_dalek::Signer as _;
use pkcs8::pkcs5::pbes2;
use pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use super::{Error, KeyId, PublicKey, Result};

/// What opens an encrypted key.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase as it was typed.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// An ed25519 private key.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

/// PBKDF2 rounds for new encrypted keys, the number that OWASP recommends.
const ROUNDS: u32 = 600_000;

/// 128 bits from the system's random bytes, as 32 hexadecimal digits.
///
/// # Errors
/// [`Error::Random`].
pub fn draw() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(hex::encode(bytes))
}

impl SigningKey {
    /// Makes a new key from the system's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(Error::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// Takes the 32 secret bytes of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())
            .expect("a clamped scalar times the base point has full order");
        Self { key, public }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The id of the public half.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Writes the key as PKCS#8 PEM text (RFC 8410, version 1), encrypted where there is a
    /// passphrase (PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC).
    ///
    /// # Errors
    /// [`Error::Random`] and [`Error::NotAKey`].
    pub fn to_pem(&self, passphrase: Option<&Passphrase>) -> Result<Zeroizing<String>> {
        pem(|| self.to_pkcs8(), passphrase)
    }

    /// The `PrivateKeyInfo` of RFC 8410, version 1. It is put together here because the crate's
    /// writer leaves a copy of the secret in memory.
    fn to_pkcs8(&self) -> pkcs8::Result<SecretDocument> {
        const START: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        let mut der = Zeroizing::new([0; 48]);
        der[..16].copy_from_slice(&START);
        der[16..].copy_from_slice(self.key.as_bytes());
        Ok(SecretDocument::try_from(der.as_slice())?)
    }
}

/// The PEM text of a PKCS#8 private key, encrypted where there is a passphrase.
pub(super) fn pem(
    plain: impl FnOnce() -> pkcs8::Result<SecretDocument>,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>> {
    let (mut salt, mut vector) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt).map_err(Error::Random)?;
    getrandom::fill(&mut vector).map_err(Error::Random)?;
    let write = || -> pkcs8::Result<Zeroizing<String>> {
        let plain = plain()?;
        let Some(passphrase) = passphrase else {
            return Ok(plain.to_pem("PRIVATE KEY", LineEnding::LF)?);
        };
        let parameters =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, vector)?;
        let encrypted = pkcs8::PrivateKeyInfoRef::try_from(plain.as_bytes())?
            .encrypt_with_params(parameters, passphrase.as_bytes())?;
        Ok(encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)?)
    };
    write().map_err(|error| Error::NotAKey {
        what: "the private key".to_owned(),
        why: error.to_string(),
    })
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let key = SigningKey::from_seed(&[0xab; 32]);
        let shown = format!("{key:?} {key:#?} {:?}", Passphrase::new("hunter2".to_owned()));
        assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    fn read(pem: &str) -> SigningKey {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        crate::fs::write_privately(&file, pem.as_bytes()).unwrap();
        crate::crypto::ForeignKey::load(&file).unwrap().open(None).unwrap()
    }

    #[test]
    fn the_private_key_of_rfc_8410() {
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let key = read(pem);
        assert_eq!(*key.to_pem(None).unwrap(), pem);
        let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        assert!(key.public().to_pem().contains(public));
    }

    #[test]
    fn new_keys_differ() {
        let (one, two) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        assert_ne!(one.id(), two.id());
        assert!(one.public().verifies(b"m", &one.sign(b"m")));
        assert!(!two.public().verifies(b"m", &one.sign(b"m")));
    }
}
