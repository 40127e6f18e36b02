//! Who said what about a package: the statements that registries store beside it.

use std::num::NonZeroUsize;

use super::catalogue::{Catalogue, Result};
use super::key::KnownKey;
use super::verify::Signer;
use crate::crypto::statement::Statement;
use crate::crypto::{Envelope, PublicKey};
use crate::package::{Digest, PackageName};
use crate::registry::{Attachment, AttachmentRole, NameIndex, Publishers};

/// One signed statement about a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether the publisher said it, or somebody else.
    pub role: AttachmentRole,
    /// What kind of statement it is, an address; it is only a claim where nobody known signed.
    pub predicate: String,
    /// Keys that this machine knows, or that publish the package, and whose signatures hold.
    pub signers: Vec<Signer>,
    /// The key ids that further signatures claim: keys that nobody here knows.
    pub unknown: Vec<String>,
    /// Keys that are known and whose signatures do not hold.
    pub bad: Vec<Signer>,
}

/// The statements that registries store about the package `package` called `name`; none where no
/// registry has it.
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
) -> Result<Vec<Said>> {
    let Some((index, registry)) = catalogue.name(name)? else { return Ok(Vec::new()) };
    let Some(entry) = index.by_digest(package) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for attachment in &entry.attachments {
        if attachment.role != AttachmentRole::BuildRecord {
            let bytes = registry.attachment(package, attachment)?;
            all.extend(read(&bytes, attachment, package, &index, known));
        }
    }
    Ok(all)
}

/// A statement and its signers; nothing where it is none about this package.
fn read(
    bytes: &[u8],
    attachment: &Attachment,
    package: Digest,
    index: &NameIndex,
    known: &[KnownKey],
) -> Option<Said> {
    let envelope = Envelope::parse(bytes).ok()?;
    let statement = Statement::parse(envelope.payload()).ok()?;
    if !statement.packages().contains(&package) {
        return None;
    }
    let signed = |key: &PublicKey| envelope.verify(&[*key], NonZeroUsize::MIN).is_ok();
    let mut keys: Vec<(String, PublicKey)> =
        known.iter().map(|key| (key.name.clone(), key.public)).collect();
    for key in index.publishers.iter().flat_map(Publishers::list) {
        if keys.iter().all(|(_, known)| *known != key) {
            keys.push((format!("the publisher of {}", index.name), key));
        }
    }
    let claims: Vec<&str> =
        envelope.signatures().iter().map(|signature| signature.key_id.as_str()).collect();
    let (mut signers, mut bad) = (Vec::new(), Vec::new());
    for (name, key) in keys {
        let signer = Signer { name, id: key.id() };
        if signed(&key) {
            signers.push(signer);
        } else if claims.contains(&signer.id.to_string().as_str()) {
            bad.push(signer);
        }
    }
    let is_unknown = |id: &&&str| {
        signers.iter().chain(&bad).all(|signer: &Signer| signer.id.to_string() != ***id)
    };
    let unknown = claims.iter().filter(is_unknown).map(|id| (*id).to_owned()).collect();
    let (role, predicate) = (attachment.role, statement.predicate_type);
    Some(Said { role, predicate, signers, unknown, bad })
}
