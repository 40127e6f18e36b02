//! The four documents that are signed (specification, section 4).

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::role::{Keys, Role, TopLevel};
use super::{Delegations, Envelope, Error, MetaFile, Result, SPECIFICATION, TargetFile};
use crate::crypto::VerifyingKey;

/// What every document of metadata begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    #[serde(rename = "_type")]
    role_type: String,
    spec_version: String,
    /// Its version, from 1 on.
    pub version: u64,
    /// The first moment, in whole seconds, at which it is not believed any more.
    #[serde(with = "seconds")]
    pub expires: jiff::Timestamp,
}

impl Head {
    fn new(role: TopLevel, expires: jiff::Timestamp) -> Self {
        Self {
            role_type: role.as_str().to_owned(),
            spec_version: SPECIFICATION.to_owned(),
            version: 1,
            expires,
        }
    }
}

/// A document of metadata.
pub trait Metadata: Serialize + DeserializeOwned {
    /// The role that signs it; [`TopLevel::Targets`] for delegated roles as well.
    const ROLE: TopLevel;

    /// What every document begins with.
    fn head(&self) -> &Head;

    /// The same, to be changed.
    fn head_mut(&mut self) -> &mut Head;

    /// What the types do not say.
    ///
    /// # Errors
    /// [`Error::Form`].
    fn check(&self) -> Result<()>;

    /// Its version.
    fn version(&self) -> u64 {
        self.head().version
    }

    /// Whether it is not believed any more at `now`.
    fn is_expired(&self, now: jiff::Timestamp) -> bool {
        self.head().expires <= now
    }

    /// Makes it the next version, that expires at `expires`.
    fn advance(&mut self, expires: jiff::Timestamp) {
        let head = self.head_mut();
        head.version += 1;
        head.expires = expires;
    }
}

/// Reads the `signed` part of a document.
pub(super) fn read<T: Metadata>(signed: &Value) -> Result<T> {
    let found = signed["_type"].as_str().unwrap_or_default();
    if found != T::ROLE.as_str() {
        let found = found.chars().take(80).collect();
        return Err(Error::Type { expected: T::ROLE.as_str(), found });
    }
    let metadata = T::deserialize(signed).map_err(|error| Error::Form(error.to_string()))?;
    let head = metadata.head();
    if !is_known(&head.spec_version) {
        return Err(Error::Specification(head.spec_version.chars().take(80).collect()));
    }
    if head.version == 0 {
        return Err(Error::Form("its version is 0".to_owned()));
    }
    metadata.check()?;
    Ok(metadata)
}

/// Whether a version of the specification is 1 with one or two more numbers.
fn is_known(version: &str) -> bool {
    let parts: Vec<&str> = version.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&parts.len()) && parts[0] == "1" && parts.iter().all(is_number)
}

/// Names the keys of the top-level roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    #[serde(flatten)]
    head: Head,
    /// Whether file names carry versions and hashes.
    #[serde(default)]
    pub consistent_snapshot: bool,
    keys: Keys,
    roles: BTreeMap<String, Role>,
}

impl Root {
    /// A first root with consistent snapshots, whose roles are still without keys: give each of
    /// the four its keys with [`Root::set_role`].
    #[must_use]
    pub fn new(expires: jiff::Timestamp) -> Self {
        Self {
            head: Head::new(TopLevel::Root, expires),
            consistent_snapshot: true,
            keys: Keys::default(),
            roles: BTreeMap::new(),
        }
    }

    /// Gives a role these keys and no others. Keys that no role names any more go.
    ///
    /// # Errors
    /// [`Error::Form`] where the threshold is above the number of distinct keys.
    pub fn set_role(
        &mut self,
        role: TopLevel,
        keys: impl IntoIterator<Item = VerifyingKey>,
        threshold: NonZeroU32,
    ) -> Result<()> {
        let mut keyids = self.keys.add(keys);
        keyids.sort();
        keyids.dedup();
        if u64::from(threshold.get()) > keyids.len() as u64 {
            let count = keyids.len();
            return Err(Error::Form(format!(
                "{threshold} signatures cannot be had from the {count} keys of the role {role}"
            )));
        }
        self.roles.insert(role.as_str().to_owned(), Role { keyids, threshold });
        self.keys.keep_only(&self.roles);
        Ok(())
    }

    /// The keys of all roles.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who signs for a role; nobody while it was not set.
    #[must_use]
    pub fn role(&self, role: TopLevel) -> Option<&Role> {
        self.roles.get(role.as_str())
    }

    /// The keys of a role whose signatures can be checked.
    #[must_use]
    pub fn keys_of(&self, role: TopLevel) -> Vec<VerifyingKey> {
        self.role(role).map(|role| self.keys.of(role)).unwrap_or_default()
    }

    /// Demands that `envelope` is signed for a role.
    ///
    /// # Errors
    /// [`Error::Threshold`].
    pub fn demand(&self, role: TopLevel, envelope: &Envelope) -> Result<()> {
        let who = self.role(role).ok_or_else(|| missing(role))?;
        envelope.demand(&self.keys, who)
    }
}

fn missing(role: TopLevel) -> Error {
    Error::Form(format!("the root does not say who signs for the role {role}"))
}

impl Metadata for Root {
    const ROLE: TopLevel = TopLevel::Root;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn check(&self) -> Result<()> {
        match TopLevel::ALL.into_iter().find(|role| self.role(*role).is_none()) {
            Some(role) => Err(missing(role)),
            None => Ok(()),
        }
    }
}

/// Vouches for the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    #[serde(flatten)]
    head: Head,
    meta: SnapshotMeta,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SnapshotMeta {
    #[serde(rename = "snapshot.json")]
    snapshot: MetaFile,
}

impl Timestamp {
    /// A first timestamp.
    #[must_use]
    pub fn new(expires: jiff::Timestamp, snapshot: MetaFile) -> Self {
        Self { head: Head::new(TopLevel::Timestamp, expires), meta: SnapshotMeta { snapshot } }
    }

    /// The snapshot that it vouches for.
    #[must_use]
    pub const fn snapshot(&self) -> &MetaFile {
        &self.meta.snapshot
    }

    /// Makes it vouch for another snapshot.
    pub fn set_snapshot(&mut self, snapshot: MetaFile) {
        self.meta.snapshot = snapshot;
    }
}

impl Metadata for Timestamp {
    const ROLE: TopLevel = TopLevel::Timestamp;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn check(&self) -> Result<()> {
        check_version("snapshot.json", &self.meta.snapshot)
    }
}

/// Vouches for the versions of all targets roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(flatten)]
    head: Head,
    meta: BTreeMap<String, MetaFile>,
}

impl Snapshot {
    /// A first snapshot, of no file.
    #[must_use]
    pub fn new(expires: jiff::Timestamp) -> Self {
        Self { head: Head::new(TopLevel::Snapshot, expires), meta: BTreeMap::new() }
    }

    /// What it says about the role named `role`.
    #[must_use]
    pub fn get(&self, role: &str) -> Option<&MetaFile> {
        self.meta.get(&format!("{role}.json"))
    }

    /// Vouches for a version of the role named `role`.
    pub fn set(&mut self, role: &str, file: MetaFile) {
        self.meta.insert(format!("{role}.json"), file);
    }

    /// Every file that it vouches for, by its name without a version, as in `targets.json`.
    pub fn files(&self) -> impl Iterator<Item = (&str, &MetaFile)> {
        self.meta.iter().map(|(name, file)| (name.as_str(), file))
    }
}

impl Metadata for Snapshot {
    const ROLE: TopLevel = TopLevel::Snapshot;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn check(&self) -> Result<()> {
        self.files().try_for_each(|(name, file)| check_version(name, file))
    }
}

fn check_version(name: &str, file: &MetaFile) -> Result<()> {
    match file.version {
        0 => Err(Error::Form(format!("the version of {name} is 0"))),
        _ => Ok(()),
    }
}

/// Vouches for files, or for roles that do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    #[serde(flatten)]
    head: Head,
    /// The files by their paths.
    pub targets: BTreeMap<String, TargetFile>,
    /// To whom it hands on which paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

impl Targets {
    /// A first document of no file, of the role `targets` or of a delegated one.
    #[must_use]
    pub fn new(expires: jiff::Timestamp) -> Self {
        let head = Head::new(TopLevel::Targets, expires);
        Self { head, targets: BTreeMap::new(), delegations: None }
    }

    /// The same, handing on to others.
    #[must_use]
    pub fn delegating(expires: jiff::Timestamp, delegations: Delegations) -> Self {
        Self { delegations: Some(delegations), ..Self::new(expires) }
    }
}

impl Metadata for Targets {
    const ROLE: TopLevel = TopLevel::Targets;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn check(&self) -> Result<()> {
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
    }
}

/// Times as metadata spells them: `2030-01-31T23:59:59Z`.
mod seconds {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &jiff::Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<jiff::Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let shape = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 20 || !text.bytes().enumerate().all(shape) {
            return Err(D::Error::custom("a time is not of the form 2030-01-31T23:59:59Z"));
        }
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
