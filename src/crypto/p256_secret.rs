//! Private keys on the curve P-256, for the one format that takes no ed25519: OpenSSF Model
//! Signing. Each belongs to an ed25519 key and lies beside it.

use std::fmt;

use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey as EcdsaKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use zeroize::Zeroizing;

use super::foreign::read_document;
use super::secret::pem;
use super::{Error, P256Key, Passphrase, Result};

/// An ECDSA private key on P-256.
#[derive(Clone)]
pub struct P256SigningKey {
    key: SecretKey,
    public: P256Key,
}

impl P256SigningKey {
    /// Makes a new key from the system's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Self> {
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut()).map_err(Error::Random)?;
            // Zero and what is not below the group's order are no keys: one in 2^32 draws.
            if let Ok(key) = SecretKey::from_slice(seed.as_ref()) {
                return Ok(Self::of(key));
            }
        }
    }

    fn of(key: SecretKey) -> Self {
        let public = P256Key::of(&key.public_key());
        Self { key, public }
    }

    /// Reads PKCS#8 PEM text; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::NotAKey`], [`Error::PassphraseNeeded`] and [`Error::WrongPassphrase`].
    pub fn from_pem(text: &str, what: &str, passphrase: Option<&Passphrase>) -> Result<Self> {
        let document = read_document(text, what, passphrase)?;
        let key = SecretKey::from_pkcs8_der(document.as_bytes()).map_err(|_| Error::NotAKey {
            what: what.to_owned(),
            why: "it is not a P-256 key".to_owned(),
        })?;
        Ok(Self::of(key))
    }

    /// Writes the key as PKCS#8 PEM text, encrypted where there is a passphrase.
    ///
    /// # Errors
    /// [`Error::Random`] and [`Error::NotAKey`].
    pub fn to_pem(&self, passphrase: Option<&Passphrase>) -> Result<Zeroizing<String>> {
        pem(|| self.key.to_pkcs8_der(), passphrase)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &P256Key {
        &self.public
    }

    /// Signs the SHA-256 of `message`; DER. The same message gives the same signature (RFC 6979).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = EcdsaKey::from(&self.key).sign(message);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for P256SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P256SigningKey({:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes_and_signs_for_its_public_half() {
        let key = P256SigningKey::generate().unwrap();
        let secret = Passphrase::new("hunter2".to_owned());
        for passphrase in [None, Some(&secret)] {
            let text = key.to_pem(passphrase).unwrap();
            let back = P256SigningKey::from_pem(&text, "it", passphrase).unwrap();
            assert_eq!(back.public(), key.public());
            assert_eq!(back.sign(b"m"), key.sign(b"m"));
        }
        assert!(key.public().verifies(b"m", &key.sign(b"m")));
        assert!(!key.public().verifies(b"n", &key.sign(b"m")));
        let other = P256SigningKey::generate().unwrap();
        assert!(!other.public().verifies(b"m", &key.sign(b"m")));
        let closed = key.to_pem(Some(&secret)).unwrap();
        let wrong = Passphrase::new("hunter3".to_owned());
        let open = |passphrase| P256SigningKey::from_pem(&closed, "it", passphrase).unwrap_err();
        assert!(matches!(open(Some(&wrong)), Error::WrongPassphrase(_)));
        assert!(matches!(open(None), Error::PassphraseNeeded(_)));
    }
}
