//! DSSE envelopes: bytes and the signatures over them.
//!
//! Signed are the payload's bytes as they are; they are verified before anything parses them and
//! are never written anew. Follows DSSE 1.0 (envelope.md, protocol.md), narrowed as
//! `spec/signatures.md` says.

use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Limits};
use super::statement::Statement;
use super::{Error, KeyId, PublicKey, Result, SigningKey};
use crate::package::Digest;

/// The payload type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
/// The longest envelope that is read, in bytes.
pub const ENVELOPE_LIMIT: usize = 16 << 20;
/// The most signatures that an envelope may have.
const MOST_SIGNATURES: usize = 32;
/// The longest key id that an envelope may claim, in bytes.
const LONGEST_KEY_ID: usize = 256;
/// The longest signature of any kind, in bytes of base64.
const LONGEST_SIGNATURE: usize = 16 << 10;

/// A statement's bytes with signatures over them.
///
/// Inside another file it is the same object that a file of its own holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key, as the envelope claims it: a hint, not a fact.
    pub key_id: String,
    /// The signature's bytes; those of other algorithms have other lengths.
    pub bytes: Vec<u8>,
}

/// What verifying an envelope found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The payload, now believed.
    pub payload: Vec<u8>,
    /// The distinct trusted keys that signed it.
    pub signers: Vec<PublicKey>,
    /// The signatures that did not count.
    pub unknown: Vec<Unknown>,
}

/// A signature that did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// No trusted key made it; this is the key id that it claims.
    Key(String),
    /// It claims this trusted key, and does not fit the payload.
    Bad(KeyId),
}

/// The envelope as it stands in a file. Members that DSSE does not know are passed over, as it
/// demands.
#[derive(Serialize, Deserialize)]
struct Document {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<DocumentSignature>,
}

#[derive(Serialize, Deserialize)]
struct DocumentSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs a statement's bytes.
    #[must_use]
    pub fn sign(payload: Vec<u8>, keys: &[&SigningKey]) -> Self {
        let mut envelope = Self { payload, signatures: Vec::new() };
        for key in keys {
            envelope.add(key);
        }
        envelope
    }

    /// Adds the signature of one more key; a key signs once.
    pub fn add(&mut self, key: &SigningKey) {
        let key_id = key.id().to_string();
        let bytes = key.sign(&pre_authentication(STATEMENT_TYPE, &self.payload)).to_vec();
        self.signatures.retain(|signature| signature.key_id != key_id);
        self.signatures.push(Signature { key_id, bytes });
    }

    /// Reads an envelope; nothing in it is believed yet.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Envelope`] and [`Error::PayloadType`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let limits = Limits { bytes: ENVELOPE_LIMIT, depth: 8, values: 1000 };
        let document: Document = canonical::read(bytes, limits)
            .map_err(|source| Error::Json { what: "the envelope", source })?;
        document.try_into()
    }

    /// Writes the envelope, with a last newline.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document::from(self.clone());
        let mut text = serde_json::to_vec(&document).expect("strings are JSON");
        text.push(b'\n');
        text
    }

    /// The signatures, none of them checked.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// What is signed, not verified: only for finding out what a statement claims to be about.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether both envelopes hold the very same payload bytes.
    #[must_use]
    pub fn has_payload(&self, payload: &[u8]) -> bool {
        self.payload == payload
    }

    /// Whether the payload, not yet verified, claims to be about this package in this file.
    #[must_use]
    pub fn claims(&self, package: Digest, file: Digest) -> bool {
        Statement::parse(&self.payload).is_ok_and(|statement| {
            statement.packages().contains(&package) && statement.files().contains(&file)
        })
    }

    /// Demands signatures of `threshold` distinct keys among `trusted`. Keys are told apart by
    /// their bytes: one key under two ids counts once.
    ///
    /// # Errors
    /// [`Error::BadSignature`] and [`Error::TooFewSignatures`].
    pub fn verify(&self, trusted: &[PublicKey], threshold: NonZeroUsize) -> Result<Verified> {
        let message = pre_authentication(STATEMENT_TYPE, &self.payload);
        let mut signers: Vec<PublicKey> = Vec::new();
        let mut unknown = Vec::new();
        for signature in &self.signatures {
            match signature.find_signer(&message, trusted) {
                Ok(key) if signers.contains(&key) => {}
                Ok(key) => signers.push(key),
                Err(why) => unknown.push(why),
            }
        }
        if signers.len() >= threshold.get() {
            return Ok(Verified { payload: self.payload.clone(), signers, unknown });
        }
        for why in &unknown {
            if let Unknown::Bad(key) = why {
                return Err(Error::BadSignature(*key));
            }
        }
        Err(Error::TooFewSignatures {
            needed: threshold.get(),
            found: signers.len(),
            signed_by: self.signatures.iter().map(|signature| signature.key_id.clone()).collect(),
        })
    }
}

impl TryFrom<Document> for Envelope {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.payload_type != STATEMENT_TYPE {
            return Err(Error::PayloadType(document.payload_type.chars().take(80).collect()));
        }
        if document.signatures.is_empty() {
            return Err(Error::Envelope("it has no signature".to_owned()));
        }
        if document.signatures.len() > MOST_SIGNATURES {
            return Err(Error::Envelope(format!("it has more than {MOST_SIGNATURES} signatures")));
        }
        Ok(Self {
            payload: decode("payload", &document.payload)?,
            signatures: document
                .signatures
                .into_iter()
                .map(Signature::from_document)
                .collect::<Result<_>>()?,
        })
    }
}

impl From<Envelope> for Document {
    fn from(envelope: Envelope) -> Self {
        let signatures = envelope.signatures.iter().map(|signature| DocumentSignature {
            keyid: signature.key_id.clone(),
            sig: BASE64_STANDARD.encode(&signature.bytes),
        });
        Document {
            payload: BASE64_STANDARD.encode(&envelope.payload),
            payload_type: STATEMENT_TYPE.to_owned(),
            signatures: signatures.collect(),
        }
    }
}

impl Signature {
    fn from_document(document: DocumentSignature) -> Result<Self> {
        if document.keyid.len() > LONGEST_KEY_ID {
            return Err(Error::Envelope("a key id is too long".to_owned()));
        }
        if document.sig.len() > LONGEST_SIGNATURE {
            return Err(Error::Envelope("a signature is too long".to_owned()));
        }
        Ok(Self { bytes: decode("signature", &document.sig)?, key_id: document.keyid })
    }

    /// The trusted key that made this signature. A key that the id names is tried alone; where
    /// it names none, it is another program's id, or none, and every key is tried.
    fn find_signer(&self, message: &[u8], trusted: &[PublicKey]) -> Result<PublicKey, Unknown> {
        let unknown = || Unknown::Key(self.key_id.clone());
        let bytes: &[u8; 64] = self.bytes.as_slice().try_into().map_err(|_| unknown())?;
        if let Ok(id) = self.key_id.parse::<KeyId>()
            && let Some(key) = trusted.iter().find(|key| key.id() == id)
        {
            return if key.verifies(message, bytes) { Ok(*key) } else { Err(Unknown::Bad(id)) };
        }
        trusted.iter().find(|key| key.verifies(message, bytes)).copied().ok_or_else(unknown)
    }
}

/// The pre-authentication encoding of DSSE: what is really signed.
pub(super) fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// Decodes base64 in its one spelling: standard alphabet, padded, no stray bits.
fn decode(what: &str, text: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD
        .decode(text)
        .map_err(|error| Error::Envelope(format!("its {what} is not padded base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;
    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn envelope(seeds: &[u8]) -> Envelope {
        let keys: Vec<SigningKey> = seeds.iter().map(|seed| key(*seed)).collect();
        Envelope::sign(b"{\"a\":1}".to_vec(), &keys.iter().collect::<Vec<_>>())
    }

    /// The envelope as JSON with one member changed.
    fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Envelope> {
        let mut document = serde_json::from_slice(&envelope(&[1]).to_bytes()).unwrap();
        change(&mut document);
        Envelope::parse(document.to_string().as_bytes())
    }

    #[test]
    fn the_encoding_of_the_specification() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn what_is_signed_verifies() {
        let read = Envelope::parse(&envelope(&[1, 2]).to_bytes()).unwrap();
        let trusted = [*key(2).public(), *key(1).public(), *key(3).public()];
        let verified = read.verify(&trusted, TWO).unwrap();
        assert_eq!(verified.payload, b"{\"a\":1}");
        assert_eq!(verified.signers, [*key(1).public(), *key(2).public()]);
        assert_eq!(verified.unknown, []);
    }

    #[test]
    fn a_key_signs_once() {
        let mut twice = envelope(&[1]);
        twice.add(&key(1));
        assert_eq!(twice.signatures().len(), 1);
    }

    #[test]
    fn case_8_one_key_counts_once() {
        // Under its own id twice, and under another id.
        let mut again = envelope(&[1]);
        let mut signature = again.signatures[0].clone();
        again.signatures.push(signature.clone());
        signature.key_id = "0".repeat(64);
        again.signatures.push(signature);
        let trusted = [*key(1).public(), *key(1).public(), *key(2).public()];
        let error = again.verify(&trusted, TWO).unwrap_err();
        assert!(matches!(error, Error::TooFewSignatures { needed: 2, found: 1, .. }), "{error}");
    }

    #[test]
    fn case_36_a_changed_payload() {
        let read = changed(|document| document["payload"] = "eyJhIjoyfQ==".into()).unwrap();
        let error = read.verify(&[*key(1).public()], ONE).unwrap_err();
        assert!(matches!(error, Error::BadSignature(id) if id == key(1).id()), "{error}");
    }

    #[test]
    fn case_36_a_changed_type() {
        for other in ["application/json", "application/vnd.in-toto+json ", "", "\u{1b}[2J"] {
            let error = changed(|document| document["payloadType"] = other.into()).unwrap_err();
            assert!(matches!(error, Error::PayloadType(_)), "{error}");
            assert!(!error.to_string().contains('\u{1b}'), "{error}");
        }
        // A signature over the payload under another type does not fit.
        let mut lifted = envelope(&[1]);
        let message = pre_authentication("text/plain", &lifted.payload);
        lifted.signatures[0].bytes = key(1).sign(&message).to_vec();
        assert!(matches!(lifted.verify(&[*key(1).public()], ONE), Err(Error::BadSignature(_))));
        // So does one over the bare payload.
        lifted.signatures[0].bytes = key(1).sign(&lifted.payload).to_vec();
        assert!(matches!(lifted.verify(&[*key(1).public()], ONE), Err(Error::BadSignature(_))));
    }

    #[test]
    fn case_36_a_changed_encoding() {
        // The payload {"a":1} is eyJhIjoxfQ== in the one spelling that is read.
        for other in
            ["eyJhIjoxfQ", "eyJhIjoxfQ=", "eyJhIjoxfR==", " eyJhIjoxfQ==", "eyJhIjox\nfQ=="]
        {
            let error = changed(|document| document["payload"] = other.into()).unwrap_err();
            assert!(matches!(error, Error::Envelope(_)), "{other:?}: {error}");
        }
        let error = changed(|document| {
            let url_safe = document["signatures"][0]["sig"].as_str().unwrap();
            let url_safe = url_safe.replace('+', "-").replace('/', "_").replace('=', "");
            document["signatures"][0]["sig"] = url_safe.into();
        });
        assert!(matches!(error, Err(Error::Envelope(_))));
    }

    #[test]
    fn case_36_an_envelope_of_another_shape() {
        for text in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"payload":"","payloadType":"application/vnd.in-toto+json"}"#,
            r#"{"payload":"","payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}"#,
            r#"{"payload":1,"payloadType":"application/vnd.in-toto+json","signatures":[]}"#,
        ] {
            let error = Envelope::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Json { .. }), "{text}: {error}");
        }
        let none = changed(|document| document["signatures"] = serde_json::json!([]));
        assert!(matches!(none, Err(Error::Envelope(_))));
        let many = changed(|document| {
            document["signatures"] = vec![document["signatures"][0].clone(); 33].into();
        });
        assert!(matches!(many, Err(Error::Envelope(_))));
    }

    #[test]
    fn signatures_of_others_do_not_count_and_do_not_harm() {
        let mut mixed = envelope(&[1, 9]);
        mixed.signatures.push(Signature { key_id: "x".to_owned(), bytes: vec![0; 70] });
        let trusted = [*key(1).public()];
        let verified = mixed.verify(&trusted, ONE).unwrap();
        let nine = key(9).id().to_string();
        assert_eq!(verified.unknown, [Unknown::Key(nine), Unknown::Key("x".to_owned())]);
        let error = mixed.verify(&[], ONE).unwrap_err();
        assert!(matches!(error, Error::TooFewSignatures { found: 0, .. }), "{error}");
    }

    #[test]
    fn a_key_id_of_another_program_is_only_a_hint() {
        let mut foreign = envelope(&[1]);
        for id in ["", "some-key", "\u{1b}"] {
            foreign.signatures[0].key_id = id.to_owned();
            assert!(foreign.verify(&[*key(2).public(), *key(1).public()], ONE).is_ok());
        }
    }
}
