//! OpenSSF Model Signing 1.0: a model's files by digest, signed in a Sigstore bundle 0.3, as the
//! program `model_signing` reads it. It says nothing of modes, names and versions, so mpkg itself
//! never believes one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::envelope::pre_authentication;
use super::statement::STATEMENT_V1;
use super::{P256SigningKey, STATEMENT_TYPE};
use crate::package::{Digest, Hasher};

/// The predicate of a signed model.
pub const MODEL_SIGNATURE_V1: &str = "https://model_signing/signature/v1.0";
/// What every verifier passes over at the root of a model, unless it is told not to.
pub const GIT_PATHS: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// A model as it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedModel {
    /// Its name, for people.
    pub name: String,
    /// Its files' paths, with `/` between their parts, and digests.
    pub files: Vec<(String, Digest)>,
    /// The paths at its root that are passed over.
    pub ignored: Vec<String>,
}

impl SignedModel {
    /// The text of `model.sig`.
    #[must_use]
    pub fn sign(&self, key: &P256SigningKey) -> String {
        let payload = self.statement().to_string().into_bytes();
        let signature = key.sign(&pre_authentication(STATEMENT_TYPE, &payload));
        let hint = Digest::of(key.public().to_pem().as_bytes());
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": hint }, "tlogEntries": [] },
            "dsseEnvelope": {
                "payload": BASE64_STANDARD.encode(&payload),
                "payloadType": STATEMENT_TYPE,
                "signatures": [{ "sig": BASE64_STANDARD.encode(signature), "keyid": "" }],
            },
        });
        format!("{bundle}\n")
    }

    /// The statement: its subject is the SHA-256 of the files' raw digests in the order of their
    /// paths, compared part by part.
    fn statement(&self) -> serde_json::Value {
        let mut files: Vec<&(String, Digest)> = self.files.iter().collect();
        files.sort_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
        let mut root = Hasher::new();
        let mut resources = Vec::with_capacity(files.len());
        for (name, digest) in files {
            root.update(digest.as_bytes());
            resources.push(json!({ "name": name, "algorithm": "sha256", "digest": digest }));
        }
        json!({
            "_type": STATEMENT_V1,
            "subject": [{ "name": self.name, "digest": { "sha256": root.finish() } }],
            "predicateType": MODEL_SIGNATURE_V1,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": false,
                    "ignore_paths": self.ignored,
                },
                "resources": resources,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_in_the_order_of_their_parts_and_the_subject_is_their_digest() {
        let (one, two, three) = (Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3"));
        let model = SignedModel {
            name: "m".to_owned(),
            files: vec![("a.b".to_owned(), one), ("a/b".to_owned(), two), ("B".to_owned(), three)],
            ignored: vec![],
        };
        let statement = model.statement();
        let names: Vec<_> = statement["predicate"]["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| resource["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["B", "a/b", "a.b"]);
        let root = Digest::of(&[three, two, one].map(|digest| *digest.as_bytes()).concat());
        assert_eq!(statement["subject"][0]["digest"]["sha256"], root.to_string());
    }
}
