//! A public key of any kind whose signatures are checked.

use serde_json::Value;

use super::{Error, KeyId, P256Key, PublicKey, Result, canonical};

/// A public key of any kind whose signatures are checked. Two are equal when their values are,
/// whatever ids they go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyingKey {
    /// ed25519.
    Ed25519(PublicKey),
    /// ECDSA on P-256 with SHA-256.
    P256(P256Key),
}

impl VerifyingKey {
    /// Reads the key object of TUF. Members that it does not know are passed over.
    ///
    /// # Errors
    /// [`Error::KeyType`], [`Error::NotAKey`] and [`Error::UnsafeKey`].
    pub fn from_json(object: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let (kind, scheme) = (text(&object["keytype"]), text(&object["scheme"]));
        let public = text(&object["keyval"]["public"]);
        match (kind.as_str(), scheme.as_str()) {
            ("ed25519", "ed25519") => read_ed25519(&public).map(Self::Ed25519),
            // The second type name is what older programs write.
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                P256Key::from_pem(&public).map(Self::P256)
            }
            _ => {
                let words = format!("{kind}/{scheme}");
                Err(Error::KeyType(words.chars().take(80).collect()))
            }
        }
    }

    /// The key object of TUF.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Ed25519(key) => key.to_json(),
            Self::P256(key) => serde_json::json!({
                "keytype": "ecdsa",
                "keyval": {"public": key.to_pem()},
                "scheme": "ecdsa-sha2-nistp256",
            }),
        }
    }

    /// The SHA-256 of the canonical key object.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let object = canonical::to_signed_form(&self.to_json()).expect("no number is in it");
        KeyId::of(&object)
    }

    /// Whether `signature` is this key's over `message`: 64 bytes for ed25519, DER for P-256.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                signature.try_into().is_ok_and(|signature| key.verifies(message, signature))
            }
            Self::P256(key) => key.verifies(message, signature),
        }
    }
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> Self {
        Self::Ed25519(key)
    }
}

fn read_ed25519(text: &str) -> Result<PublicKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Error::NotAKey {
        what: "the public key".to_owned(),
        why: "its value is not 64 hexadecimal digits".to_owned(),
    })?;
    PublicKey::from_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Signer as _;

    use super::*;

    #[test]
    fn a_p256_key_verifies_what_it_signed_and_nothing_else() {
        let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let pem = {
            use p256::pkcs8::{EncodePublicKey as _, LineEnding};
            signing.verifying_key().to_public_key_pem(LineEnding::LF).unwrap()
        };
        let object = serde_json::json!({
            "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem},
            "something": ["else"]
        });
        let key = VerifyingKey::from_json(&object).unwrap();
        let signature: p256::ecdsa::DerSignature = signing.sign(b"message");
        let bytes = signature.as_bytes().to_vec();
        assert!(key.verifies(b"message", &bytes));
        assert!(!key.verifies(b"massage", &bytes));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!key.verifies(b"message", &other), "byte {at}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(!key.verifies(b"message", &longer));
        assert_eq!(VerifyingKey::from_json(&key.to_json()).unwrap(), key);
    }

    #[test]
    fn keys_of_other_kinds_are_named() {
        for (object, why) in [
            (serde_json::json!({"keytype": "rsa", "scheme": "rsassa-pss-sha256"}), "rsa/rsassa"),
            (serde_json::json!({"keytype": "ed25519", "scheme": "ecdsa"}), "ed25519/ecdsa"),
            (serde_json::json!([1]), "/"),
            (
                serde_json::json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}}),
                "64 hexadecimal digits",
            ),
            (
                serde_json::json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "x"}}),
                "not a key",
            ),
        ] {
            let error = VerifyingKey::from_json(&object).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
