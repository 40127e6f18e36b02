//! Keys, and who of them must sign for a role.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crypto::VerifyingKey;

/// The roles that a root names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopLevel {
    /// Names the keys of all four.
    Root,
    /// Vouches for the snapshot; signed often.
    Timestamp,
    /// Vouches for the versions of all targets roles.
    Snapshot,
    /// Vouches for files, or for those who do.
    Targets,
}

impl TopLevel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// The role's name in metadata and in file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// The role named `name`, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for TopLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key object. One of a kind that is not known, or one that is not safe, stays in its place and
/// verifies nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct Key {
    object: Value,
    key: Option<VerifyingKey>,
}

impl Key {
    /// The key, where its signatures can be checked.
    #[must_use]
    pub const fn verifying(&self) -> Option<&VerifyingKey> {
        self.key.as_ref()
    }

    /// The key object as it was read.
    #[must_use]
    pub const fn object(&self) -> &Value {
        &self.object
    }
}

impl From<Value> for Key {
    fn from(object: Value) -> Self {
        let key = VerifyingKey::from_json(&object).ok();
        Self { object, key }
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        key.object
    }
}

impl From<VerifyingKey> for Key {
    fn from(key: VerifyingKey) -> Self {
        Self { object: key.to_json(), key: Some(key) }
    }
}

/// Key objects by their ids. An id is a name that metadata gives a key, nothing more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// The key that goes by `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }

    /// Every key with its id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.0.iter().map(|(id, key)| (id.as_str(), key))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts keys in, and gives their ids.
    pub fn add(&mut self, keys: impl IntoIterator<Item = VerifyingKey>) -> Vec<String> {
        let ids = keys.into_iter().map(|key| {
            let id = key.id().to_string();
            self.0.insert(id.clone(), key.into());
            id
        });
        ids.collect()
    }

    /// Drops every key that none of `roles` names.
    pub(super) fn keep_only(&mut self, roles: &BTreeMap<String, Role>) {
        self.0.retain(|id, _| roles.values().any(|role| role.keyids.contains(id)));
    }

    /// The keys of `role` whose signatures can be checked, each value once.
    #[must_use]
    pub fn of(&self, role: &Role) -> Vec<VerifyingKey> {
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for key in role.keyids.iter().filter_map(|id| self.get(id)?.verifying()) {
            if !keys.contains(key) {
                keys.push(*key);
            }
        }
        keys
    }
}

/// Who must sign: `threshold` of these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The ids of the keys.
    pub keyids: Vec<String>,
    /// How many distinct ones must sign; at least one.
    pub threshold: NonZeroU32,
}
