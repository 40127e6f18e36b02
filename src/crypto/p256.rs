//! Public keys on the curve P-256, with which others sign their metadata and we sign models.

use std::fmt;

use p256::PublicKey;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

use super::{Error, Result};

/// An ECDSA public key on P-256; never the point at infinity, always on the curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct P256Key(VerifyingKey);

impl P256Key {
    /// The key of a point.
    pub(super) fn of(point: &PublicKey) -> Self {
        Self(VerifyingKey::from(*point))
    }

    /// Reads `-----BEGIN PUBLIC KEY-----` text.
    ///
    /// # Errors
    /// [`Error::NotAKey`].
    pub fn from_pem(text: &str) -> Result<Self> {
        let key = PublicKey::from_public_key_pem(text).map_err(|error| Error::NotAKey {
            what: "the public key".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self(VerifyingKey::from(key)))
    }

    /// Writes `-----BEGIN PUBLIC KEY-----` text, with a last newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("a point fits a PEM text")
    }

    /// Whether `signature` (DER) is this key's over the SHA-256 of `message`. Either sign of `s`
    /// is taken: programs that sign with P-256 make no difference.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P256Key({})", hex::encode(self.0.to_sec1_point(true)))
    }
}
