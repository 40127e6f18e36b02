//! Who said what about a package: the statements that registries store beside it.

use std::num::NonZeroUsize;

use serde_json::Value;

use super::catalogue::{Catalogue, Result};
use super::key::{KnownKey, Owner};
use super::verify::Signer;
use crate::crypto::statement::{
    PROVENANCE_V1, REBUILD_V1, RELEASE_V01, SEGMENTS_V1, Statement, TEST_RESULT_V01,
};
use crate::crypto::{Envelope, PublicKey, RebuildClaim};
use crate::explain::printable;
use crate::package::{Digest, PackageName};
use crate::registry::{AttachmentRole, Publishers};

/// One signed statement about a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether the publisher said it, or somebody else.
    pub role: AttachmentRole,
    /// What kind of statement it is, an address; it is only a claim where nobody known signed.
    pub predicate: String,
    /// What it says, in short, where its type is known.
    pub summary: Option<String>,
    /// What it says.
    pub said: Value,
    /// Keys that this machine knows, or that publish the package, and whose signatures hold.
    pub signers: Vec<Signer>,
    /// The key ids that further signatures claim: keys that nobody here knows.
    pub unknown: Vec<String>,
    /// Keys that are known and whose signatures do not hold.
    pub bad: Vec<Signer>,
}

/// The statements about the package `package` called `name`: those that registries store, and
/// `beside`, envelopes that lie elsewhere. None of a registry where none has it.
///
/// A signature counts for the key that made it. That a statement is about the package is checked;
/// what it says is not.
///
/// # Errors
/// What keeps a registry or a statement from being read.
pub fn said(
    catalogue: &Catalogue<'_>,
    name: &PackageName,
    package: Digest,
    known: &[KnownKey],
    beside: &[(AttachmentRole, Vec<u8>)],
) -> Result<Vec<Said>> {
    let found = catalogue.name(name)?;
    let mut keys = known.to_vec();
    for key in found.iter().flat_map(|(index, _)| &index.publishers).flat_map(Publishers::list) {
        if keys.iter().all(|known| known.public != key) {
            let name = format!("the publisher of {name}");
            keys.push(KnownKey { name, public: key, owner: Owner::Other });
        }
    }
    let mut papers: Vec<(AttachmentRole, Vec<u8>)> = Vec::new();
    if let Some((index, registry)) = &found
        && let Some(entry) = index.by_digest(package)
    {
        for attachment in &entry.attachments {
            if attachment.role != AttachmentRole::BuildRecord {
                papers.push((attachment.role, registry.attachment(package, attachment)?));
            }
        }
    }
    for paper in beside {
        if papers.iter().all(|(_, stored)| *stored != paper.1) {
            papers.push(paper.clone());
        }
    }
    Ok(papers.iter().filter_map(|(role, bytes)| read(bytes, *role, package, &keys)).collect())
}

/// A statement and its signers; nothing where it is none about this package.
fn read(bytes: &[u8], role: AttachmentRole, package: Digest, keys: &[KnownKey]) -> Option<Said> {
    let envelope = Envelope::parse(bytes).ok()?;
    let statement = Statement::parse(envelope.payload()).ok()?;
    if !statement.packages().contains(&package) {
        return None;
    }
    let signed = |key: &PublicKey| envelope.verify(&[*key], NonZeroUsize::MIN).is_ok();
    let claims: Vec<&str> =
        envelope.signatures().iter().map(|signature| signature.key_id.as_str()).collect();
    let (mut signers, mut bad) = (Vec::new(), Vec::new());
    for key in keys {
        let signer = Signer { name: key.name.clone(), id: key.public.id() };
        if signed(&key.public) {
            signers.push(signer);
        } else if claims.contains(&signer.id.to_string().as_str()) {
            bad.push(signer);
        }
    }
    let is_unknown = |id: &&&str| {
        signers.iter().chain(&bad).all(|signer: &Signer| signer.id.to_string() != ***id)
    };
    let unknown = claims.iter().filter(is_unknown).map(|id| (*id).to_owned()).collect();
    let summary = summary(&statement);
    let Statement { predicate_type: predicate, predicate: said, .. } = statement;
    Some(Said { role, predicate, summary, said, signers, unknown, bad })
}

/// What a statement says, in a few words that are safe to print.
fn summary(statement: &Statement) -> Option<String> {
    let said = &statement.predicate;
    let text = |value: &Value| {
        value.as_str().map(|text| printable(text).chars().take(120).collect::<String>())
    };
    let number = |value: &Value| value.as_array().map_or(0, Vec::len);
    match statement.predicate_type.as_str() {
        REBUILD_V1 => {
            let claim = RebuildClaim::of(statement).ok()??;
            Some(format!("{}, rebuilt {}", claim.verdict, claim.started.strftime("%Y-%m-%d")))
        }
        SEGMENTS_V1 => {
            let share = &said["share"];
            let (some, all) = (share["segments"].as_u64()?, share["of-segments"].as_u64()?);
            Some(format!("{} in {some} of {all} segments", text(&said["verdict"])?))
        }
        TEST_RESULT_V01 => Some(format!(
            "{}, {} passed and {} failed",
            text(&said["result"])?,
            number(&said["passedTests"]),
            number(&said["failedTests"])
        )),
        PROVENANCE_V1 => {
            text(&said["runDetails"]["builder"]["id"]).map(|id| format!("built by {id}"))
        }
        RELEASE_V01 => text(&said["purl"]),
        _ => text(&said["verdict"]),
    }
}
