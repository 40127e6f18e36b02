//! A document of metadata with its signatures.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::role::{Keys, Role};
use super::{Error, Metadata, Result};
use crate::crypto::canonical::{self, Limits};
use crate::crypto::{SigningKey, VerifyingKey};
use crate::explain::printable;

/// More signatures than anybody needs.
const MOST_SIGNATURES: usize = 1024;

/// A document of metadata with its signatures, not believed before [`Envelope::demand`].
///
/// What is signed is the canonical form of the `signed` part, whatever its spelling in the file,
/// so members that are not known are signed as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signed: Value,
    message: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
struct Document {
    signed: Value,
    signatures: Vec<Signature>,
}

/// A signature as it stands in a file. One that is no hexadecimal text fits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Reads a file of at most `limit` bytes: strict JSON, in canonical form or not.
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::Form`].
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self> {
        let limits = Limits { bytes: limit, depth: 32, values: bytes.len() / 2 + 16 };
        let document: Document = canonical::read(bytes, limits)?;
        if document.signatures.len() > MOST_SIGNATURES {
            return Err(Error::Form(format!("it has more than {MOST_SIGNATURES} signatures")));
        }
        // The specification (section 4.2) has each id once, even where enough keys signed.
        let mut ids = HashSet::new();
        if let Some(twice) =
            document.signatures.iter().find(|signature| !ids.insert(&signature.keyid))
        {
            let id = printable(&twice.keyid);
            return Err(Error::Form(format!("it has two signatures with the key id {id}")));
        }
        let message = canonical::to_signed_form(&document.signed)?;
        Ok(Self { signed: document.signed, message, signatures: document.signatures })
    }

    /// Puts metadata into an envelope without signatures.
    #[must_use]
    pub fn unsigned<T: Metadata>(metadata: &T) -> Self {
        let signed = serde_json::to_value(metadata).expect("metadata is JSON");
        let message = canonical::to_signed_form(&signed).expect("metadata has integers alone");
        Self { signed, message, signatures: Vec::new() }
    }

    /// Puts metadata into an envelope and signs it.
    #[must_use]
    pub fn signed<'a, T: Metadata>(
        metadata: &T,
        keys: impl IntoIterator<Item = &'a SigningKey>,
    ) -> Self {
        let mut envelope = Self::unsigned(metadata);
        keys.into_iter().for_each(|key| envelope.sign(key));
        envelope
    }

    /// Adds a signature; one of the same key is replaced.
    pub fn sign(&mut self, key: &SigningKey) {
        let keyid = key.id().to_string();
        self.signatures.retain(|signature| signature.keyid != keyid);
        let sig = hex::encode(key.sign(&self.message));
        self.signatures.push(Signature { keyid, sig });
        self.signatures.sort_by(|one, other| one.keyid.cmp(&other.keyid));
    }

    /// The bytes of the file, in canonical form; where a key stands in PEM its line ends are
    /// escaped.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = serde_json::json!({"signatures": self.signatures, "signed": self.signed});
        canonical::to_json(&document).expect("it was written in the signed form before")
    }

    /// The ids of the keys that claim to have signed.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|signature| signature.keyid.as_str())
    }

    /// The keys of `role` that signed, each value once.
    #[must_use]
    pub fn signers(&self, keys: &Keys, role: &Role) -> Vec<VerifyingKey> {
        let mut signers: Vec<VerifyingKey> = Vec::new();
        for signature in &self.signatures {
            if !role.keyids.contains(&signature.keyid) {
                continue;
            }
            let Some(key) = keys.get(&signature.keyid).and_then(|key| key.verifying()) else {
                continue;
            };
            let Ok(bytes) = hex::decode(&signature.sig) else { continue };
            if !signers.contains(key) && key.verifies(&self.message, &bytes) {
                signers.push(*key);
            }
        }
        signers
    }

    /// Demands signatures of the threshold of distinct keys of `role`. One key under two ids
    /// counts once.
    ///
    /// # Errors
    /// [`Error::Threshold`].
    pub fn demand(&self, keys: &Keys, role: &Role) -> Result<()> {
        let found = self.signers(keys, role).len();
        match u64::from(role.threshold.get()) <= found as u64 {
            true => Ok(()),
            false => Err(Error::Threshold { needed: role.threshold.get(), found }),
        }
    }

    /// Reads the metadata in it as that of `T`. Only what [`Envelope::demand`] let pass is to be
    /// believed; a root is read before, because it names its own keys.
    ///
    /// # Errors
    /// [`Error::Form`], [`Error::Type`] and [`Error::Specification`].
    pub fn read<T: Metadata>(&self) -> Result<T> {
        super::metadata::read(&self.signed)
    }
}
