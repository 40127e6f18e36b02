//! Public keys and the ids by which they are known.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Result, canonical};
use crate::package::{Digest, InvalidDigest};

/// The id of a key: the SHA-256 of its canonical key object, as in TUF. It is a name, never a
/// proof: signatures are counted by key, not by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id of the key with this canonical key object.
    pub(super) fn of(object: &[u8]) -> Self {
        Self(Digest::of(object))
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// An ed25519 public key, known to be safe: of full order and in its only encoding.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeyObject", into = "KeyObject")]
pub struct PublicKey(VerifyingKey);

/// The key object of TUF.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyObject {
    keytype: String,
    keyval: KeyValue,
    scheme: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    public: String,
}

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`Error::UnsafeKey`] for bytes that are no point, for a point of small order, under which
    /// one signature fits many messages, and for a second encoding of the same point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        let unsafe_key = |why| Error::UnsafeKey(hex::encode(bytes), why);
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| unsafe_key("it is no point on the curve"))?;
        if key.is_weak() {
            return Err(unsafe_key("it has small order"));
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(unsafe_key("it is not in its canonical encoding"));
        }
        Ok(Self(key))
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Reads `-----BEGIN PUBLIC KEY-----` text.
    ///
    /// # Errors
    /// [`Error::NotAKey`] and [`Error::UnsafeKey`].
    pub fn from_pem(text: &str) -> Result<Self> {
        let key = VerifyingKey::from_public_key_pem(text).map_err(|error| Error::NotAKey {
            what: "the public key".to_owned(),
            why: error.to_string(),
        })?;
        Self::from_bytes(key.as_bytes())
    }

    /// Writes `-----BEGIN PUBLIC KEY-----` text, with a last newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("32 bytes fit a PEM text")
    }

    /// Reads the key object of TUF.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::KeyType`] and [`Error::UnsafeKey`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let limits = canonical::Limits::of_bytes(1 << 16);
        canonical::read::<KeyObject>(bytes, limits)
            .map_err(|source| Error::Json { what: "the public key", source })?
            .try_into()
    }

    /// The key object of TUF.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(KeyObject::from(*self)).expect("strings are JSON")
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let object = canonical::to_vec(&self.to_json()).expect("hexadecimal digits are canonical");
        KeyId::of(&object)
    }

    /// Whether `signature` is this key's over `message`, by RFC 8032 with no leniency: the scalar
    /// reduced, no point of small order, no cofactor.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.as_bytes()))
    }
}

impl From<PublicKey> for KeyObject {
    fn from(key: PublicKey) -> Self {
        Self {
            keytype: "ed25519".to_owned(),
            keyval: KeyValue { public: hex::encode(key.as_bytes()) },
            scheme: "ed25519".to_owned(),
        }
    }
}

impl TryFrom<KeyObject> for PublicKey {
    type Error = Error;

    fn try_from(object: KeyObject) -> Result<Self> {
        if object.keytype != "ed25519" || object.scheme != "ed25519" {
            let words = format!("{}/{}", object.keytype, object.scheme);
            return Err(Error::KeyType(words.chars().take(80).collect()));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(&object.keyval.public, &mut bytes).map_err(|_| Error::NotAKey {
            what: "the public key".to_owned(),
            why: "its value is not 64 hexadecimal digits".to_owned(),
        })?;
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8032, section 7.1, test 1.
    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key(text: &str) -> Result<PublicKey> {
        PublicKey::from_bytes(&hex::decode(text).unwrap().try_into().unwrap())
    }

    #[test]
    fn the_id_is_that_of_tuf() {
        let object =
            format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{KEY}"}},"scheme":"ed25519"}}"#);
        let key = PublicKey::from_json(object.as_bytes()).unwrap();
        assert_eq!(
            key.id().to_string(),
            "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916"
        );
        assert_eq!(key.to_json().to_string(), object);
        assert_eq!(PublicKey::from_pem(&key.to_pem()).unwrap(), key);
    }

    #[test]
    fn the_signature_of_rfc_8032() {
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        let signature: [u8; 64] = hex::decode(signature).unwrap().try_into().unwrap();
        assert!(key(KEY).unwrap().verifies(b"", &signature));
        assert!(!key(KEY).unwrap().verifies(b"x", &signature));
    }

    #[test]
    fn case_15_small_order_keys() {
        // The eight points of small order, and some of their other encodings.
        for text in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert!(matches!(key(text), Err(Error::UnsafeKey(..))), "{text}");
        }
        // Encodings with y >= p of points of full order: y = p + 3 and so on, where they exist.
        for low in 0xf0..=0xff_u8 {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = 0x7f;
            assert!(matches!(PublicKey::from_bytes(&bytes), Err(Error::UnsafeKey(..))), "{low:x}");
        }
    }

    #[test]
    fn case_15_malleated_signatures() {
        let signing = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = PublicKey::from_bytes(signing.verifying_key().as_bytes()).unwrap();
        let good = ed25519_dalek::Signer::sign(&signing, b"message").to_bytes();
        assert!(key.verifies(b"message", &good));
        // s + L, where L is the order of the group: the same residue, another spelling.
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
            .unwrap();
        let mut other = good;
        let mut carry = 0;
        for (byte, add) in other[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!key.verifies(b"message", &other));
        // R of small order, s = 0.
        let mut small = [0; 64];
        small[0] = 1;
        assert!(!key.verifies(b"message", &small));
        // Every single bit counts.
        for bit in 0..512 {
            let mut flipped = good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies(b"message", &flipped), "bit {bit}");
        }
    }

    #[test]
    fn other_key_types_are_named() {
        let object = format!(
            r#"{{"keytype":"ecdsa","keyval":{{"public":"{KEY}"}},"scheme":"ecdsa-sha2-nistp256"}}"#
        );
        let error = PublicKey::from_json(object.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ecdsa/ecdsa-sha2-nistp256 keys are not supported, only ed25519 ones"
        );
    }
}
