//! What vouches for the bytes of a file: its length and its hashes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use super::{Error, Result};
use crate::package::Digest;

/// Hashes of a file by the names of their algorithms. SHA-256 and SHA-512 are checked; where
/// neither stands among them the file cannot be checked, and is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Digest::of(bytes).into()
    }

    /// The SHA-256, where it is given in its one spelling.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        self.0.get("sha256")?.parse().ok()
    }

    /// Every hash with the name of its algorithm.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), hash.as_str()))
    }

    /// Demands that `bytes` have every hash that is known, and that one is.
    ///
    /// # Errors
    /// [`Error::Bytes`] and [`Error::Form`].
    pub fn demand(&self, bytes: &[u8]) -> Result<()> {
        let mut checked = false;
        for (name, expected) in self.iter() {
            let found = match name {
                "sha256" => Digest::of(bytes).to_string(),
                "sha512" => hex::encode(Sha512::digest(bytes)),
                _ => continue,
            };
            if found != expected {
                let expected = expected.chars().take(128).collect();
                return Err(Error::Bytes { what: name.to_owned(), expected, found });
            }
            checked = true;
        }
        match checked {
            true => Ok(()),
            false => Err(Error::Form("a file has no hash of a kind that is known".to_owned())),
        }
    }
}

impl From<Digest> for Hashes {
    fn from(digest: Digest) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), digest.to_string())]))
    }
}

fn demand_length(expected: u64, bytes: &[u8]) -> Result<()> {
    match bytes.len() as u64 {
        found if found == expected => Ok(()),
        found => Err(Error::Bytes {
            what: "length".to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}

/// What a timestamp or snapshot says about a metadata file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFile {
    /// Its version.
    pub version: u64,
    /// Its length in bytes, where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its hashes, where they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

impl MetaFile {
    /// The version alone.
    #[must_use]
    pub const fn version(version: u64) -> Self {
        Self { version, length: None, hashes: None }
    }

    /// The version, length and SHA-256 of a file with these `bytes`.
    #[must_use]
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self { version, length: Some(bytes.len() as u64), hashes: Some(Hashes::of(bytes)) }
    }

    /// Demands the length and hashes that are given.
    ///
    /// # Errors
    /// [`Error::Bytes`] and [`Error::Form`].
    pub fn demand(&self, bytes: &[u8]) -> Result<()> {
        self.length.map_or(Ok(()), |length| demand_length(length, bytes))?;
        self.hashes.as_ref().map_or(Ok(()), |hashes| hashes.demand(bytes))
    }
}

/// What a targets role says about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Its length in bytes.
    pub length: u64,
    /// Its hashes.
    pub hashes: Hashes,
    /// Whatever else its role says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

impl TargetFile {
    /// The length and SHA-256 of a file with these `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, hashes: Hashes::of(bytes), custom: None }
    }

    /// Demands the length and the hashes.
    ///
    /// # Errors
    /// [`Error::Bytes`] and [`Error::Form`].
    pub fn demand(&self, bytes: &[u8]) -> Result<()> {
        demand_length(self.length, bytes)?;
        self.hashes.demand(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_hash_counts() {
        let file = TargetFile::of(b"abc");
        assert!(file.demand(b"abc").is_ok());
        assert!(matches!(file.demand(b"abcd"), Err(Error::Bytes { .. })));
        assert!(matches!(file.demand(b"abd"), Err(Error::Bytes { .. })));
        let hashes = |text: &str| serde_json::from_str::<Hashes>(text).unwrap();
        let sha512 = hex::encode(Sha512::digest(b"abc"));
        let sha256 = Digest::of(b"abc");
        assert!(hashes(&format!(r#"{{"sha512":"{sha512}","md5":""}}"#)).demand(b"abc").is_ok());
        let one_wrong = format!(r#"{{"sha256":"{sha256}","sha512":"00"}}"#);
        assert!(hashes(&one_wrong).demand(b"abc").is_err());
        assert!(matches!(hashes(r#"{"md5":"x"}"#).demand(b"abc"), Err(Error::Form(_))));
        assert!(matches!(hashes("{}").demand(b"abc"), Err(Error::Form(_))));
    }
}
