//! The advisories of a registry: a signed target that lists them all with what they are about, and
//! beside it each in a file of its own (spec/advisories.md).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{INDEX_FORMAT, layout};
use crate::crypto::canonical::{self, Limits};
use crate::crypto::statement::{Digests, Statement, StatementSubject};
use crate::crypto::{self, Envelope, KeyId, PublicKey, SigningKey};
use crate::explain::Explain;
use crate::package::advisory::{Advisory, AdvisoryId, Fault, LONGEST_ADVISORY, Vex};
use crate::package::{Digest, PackageName};

/// The predicate type of a statement that an advisory was issued.
pub const ADVISORY_TYPE: &str = "urn:mpkg:advisory:1";
/// The predicate type of a statement that a document of VEX statements was issued.
pub const VEX_TYPE: &str = "urn:mpkg:vex:1";

/// Why an advisory, or a document of VEX statements, is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// It is no JSON.
    #[error("{what} is no JSON that can be read")]
    Json {
        /// The file.
        what: String,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// Something in it is not as it should be.
    #[error("{what} is no {form}:{}", listed(faults))]
    Faulty {
        /// The file.
        what: String,
        /// What it should be.
        form: &'static str,
        /// What is wrong.
        faults: Vec<Fault>,
    },
    /// Its signatures are over something else, or not those of who may say so.
    #[error("the signatures of {what} do not hold")]
    Signature {
        /// The file.
        what: String,
        /// Why.
        #[source]
        source: crypto::Error,
    },
    /// The signatures are over other bytes.
    #[error("the signatures of {what} are over something else")]
    OtherBytes {
        /// The file.
        what: String,
    },
    /// It has another digest than its registry says.
    #[error("{what} has the SHA-256 {found}, not {expected}")]
    Digest {
        /// The file.
        what: String,
        /// What the registry says.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
}

fn listed(faults: &[Fault]) -> String {
    let lines =
        faults.iter().map(|fault| format!("\n  {}", crate::explain::printable(&fault.to_string())));
    lines.collect()
}

impl Explain for NoticeError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Json { .. } | Self::Faulty { .. } => "bad-advisory",
            Self::Signature { source, .. } => source.kind(),
            Self::OtherBytes { .. } => "other-statement",
            Self::Digest { .. } => "wrong-digest",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Signature { .. } | Self::OtherBytes { .. } => {
                Some("sign it as it is now with: mpkg advisory sign FILE".to_owned())
            }
            _ => None,
        }
    }

    fn details(&self) -> Option<Value> {
        let Self::Faulty { faults, .. } = self else { return None };
        let one = |fault: &Fault| serde_json::json!({"place": fault.place, "why": fault.why});
        Some(faults.iter().map(one).collect())
    }
}

/// What a file of advisories says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An advisory.
    Advisory(Box<Advisory>),
    /// Statements that packages are not affected.
    Vex(Vex),
}

impl Notice {
    /// Reads an OSV record or an OpenVEX document; `what` names it in errors.
    ///
    /// # Errors
    /// [`NoticeError::Json`] and [`NoticeError::Faulty`].
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, NoticeError> {
        let limit = usize::try_from(LONGEST_ADVISORY).unwrap_or(usize::MAX);
        let value: Value = canonical::read(bytes, Limits::of_bytes(limit))
            .map_err(|source| NoticeError::Json { what: what.to_owned(), source })?;
        let faulty =
            |form| move |faults| NoticeError::Faulty { what: what.to_owned(), form, faults };
        match Vex::is_meant(&value) {
            true => Vex::read(&value).map(Self::Vex).map_err(faulty("OpenVEX document")),
            false => Advisory::read(&value)
                .map(|advisory| Self::Advisory(Box::new(advisory)))
                .map_err(faulty("OSV record of mpkg")),
        }
    }

    /// The name that its file and its signatures have: the advisory's id, or `vex`.
    #[must_use]
    pub fn stem(&self) -> &str {
        match self {
            Self::Advisory(advisory) => advisory.id.as_str(),
            Self::Vex(_) => "vex",
        }
    }

    const fn predicate(&self) -> &'static str {
        match self {
            Self::Advisory(_) => ADVISORY_TYPE,
            Self::Vex(_) => VEX_TYPE,
        }
    }

    /// What is signed: an in-toto statement about the file's bytes.
    ///
    /// # Errors
    /// None in practice: nothing in it can be spelt wrongly.
    pub fn payload(&self, bytes: &[u8]) -> crypto::Result<Vec<u8>> {
        let subject = StatementSubject {
            name: format!("{}.json", self.stem()),
            digest: Digests { sha256: Digest::of(bytes) },
        };
        Statement::new(vec![subject], self.predicate(), serde_json::json!({})).to_payload()
    }

    /// Signs the file's bytes.
    ///
    /// # Errors
    /// Those of [`Notice::payload`].
    pub fn sign(&self, bytes: &[u8], keys: &[&SigningKey]) -> crypto::Result<Envelope> {
        Ok(Envelope::sign(self.payload(bytes)?, keys))
    }

    /// The keys among `trusted` that signed the file's bytes; at least one.
    ///
    /// # Errors
    /// [`NoticeError::OtherBytes`] and [`NoticeError::Signature`].
    pub fn signers(
        &self,
        bytes: &[u8],
        envelope: &Envelope,
        trusted: &[PublicKey],
        what: &str,
    ) -> Result<Vec<PublicKey>, NoticeError> {
        let refused = |source| NoticeError::Signature { what: what.to_owned(), source };
        if !envelope.has_payload(&self.payload(bytes).map_err(refused)?) {
            return Err(NoticeError::OtherBytes { what: what.to_owned() });
        }
        Ok(envelope.verify(trusted, NonZeroUsize::MIN).map_err(refused)?.signers)
    }
}

/// `advisories/index.json`: every advisory of a registry, with what it is about, so that a reader
/// fetches only those that concern it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryList {
    /// [`INDEX_FORMAT`].
    pub format: u32,
    /// The keys that signed what is listed, by their ids.
    pub issuers: BTreeMap<KeyId, PublicKey>,
    /// The advisories, in the order of their ids.
    pub advisories: Vec<AdvisoryEntry>,
    /// Statements that packages are not affected, in the order of their digests.
    pub statements: Vec<VexEntry>,
}

/// One advisory of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryEntry {
    /// Its id.
    pub id: AdvisoryId,
    /// When it was last changed.
    pub modified: jiff::Timestamp,
    /// Since when it counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<jiff::Timestamp>,
    /// One line that says what is wrong.
    pub summary: String,
    /// The packages that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageName>,
    /// The data that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Digest>,
    /// The digest of the record's file.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The issuer's signatures.
    pub signatures: Envelope,
}

/// One document of VEX statements of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VexEntry {
    /// The advisories that it speaks of.
    pub advisories: Vec<AdvisoryId>,
    /// The packages that it speaks of.
    pub packages: Vec<PackageName>,
    /// The digest of its file.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The signatures of who says so.
    pub signatures: Envelope,
}

impl AdvisoryEntry {
    /// Where the record stands in the registry.
    #[must_use]
    pub fn place(&self) -> String {
        layout::notice(self.id.as_str(), self.sha256)
    }
}

impl VexEntry {
    /// Where the document stands in the registry.
    #[must_use]
    pub fn place(&self) -> String {
        layout::notice("vex", self.sha256)
    }
}

impl AdvisoryList {
    /// A list of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { format: INDEX_FORMAT, ..Self::default() }
    }

    /// The keys of all issuers.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.issuers.values().copied().collect()
    }

    /// Every file that it names, with its digest and size.
    pub fn files(&self) -> impl Iterator<Item = (String, Digest, u64)> + '_ {
        let advisories = self.advisories.iter().map(|one| (one.place(), one.sha256, one.size));
        advisories.chain(self.statements.iter().map(|one| (one.place(), one.sha256, one.size)))
    }

    /// What is wrong with it, if something is.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.format != INDEX_FORMAT {
            return Some("its format is not one that this mpkg knows");
        }
        if self.issuers.iter().any(|(id, key)| key.id() != *id) {
            return Some("an issuer's key stands under the id of another");
        }
        let ids: BTreeSet<&AdvisoryId> = self.advisories.iter().map(|one| &one.id).collect();
        if ids.len() != self.advisories.len() {
            return Some("an advisory stands twice");
        }
        if self.files().any(|(_, _, size)| size > LONGEST_ADVISORY) {
            return Some("an advisory is longer than one may be");
        }
        None
    }
}
