//! Other keys for a role: the draft that says so.

use std::num::NonZeroU32;

use super::commit::{Signing, role_of};
use super::draft::Draft;
use super::init::bins;
use super::repository::Repository;
use super::settings::Lifetimes;
use super::{Error, Result};
use crate::crypto::{KeyId, PublicKey, VerifyingKey};
use crate::registry::tuf::{Envelope, Metadata as _, Root, Targets, TopLevel};

/// A role whose keys can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotatedRole {
    /// One that the root names.
    TopLevel(TopLevel),
    /// Bins, which the targets role names.
    Bins,
}

/// Other keys for a role. Without any the role's document is signed anew, with a new end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The role.
    pub role: RotatedRole,
    /// Keys that come in.
    pub add: Vec<PublicKey>,
    /// Keys that go.
    pub remove: Vec<KeyId>,
    /// How many must sign from now on, where that changes.
    pub threshold: Option<NonZeroU32>,
}

impl Rotation {
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.threshold.is_none()
    }

    /// The role's keys and threshold from now on.
    fn apply(&self, keys: Vec<VerifyingKey>, before: NonZeroU32) -> Result<NewKeys> {
        let mut keys = keys;
        for id in &self.remove {
            let known: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
            let count = keys.len();
            keys.retain(|key| key.id() != *id);
            if keys.len() == count {
                return Err(Error::NoSuch { what: format!("key {id} in that role"), known });
            }
        }
        for key in &self.add {
            let key = VerifyingKey::from(*key);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(NewKeys { keys, threshold: self.threshold.unwrap_or(before) })
    }
}

struct NewKeys {
    keys: Vec<VerifyingKey>,
    threshold: NonZeroU32,
}

impl Repository<'_> {
    /// Drafts other keys for a role, signed by whatever keys this machine has.
    ///
    /// # Errors
    /// [`Error::NoSuch`] and [`Error::Role`].
    pub fn draft_rotation(
        &self,
        rotation: &Rotation,
        lifetimes: Lifetimes,
        signing: &Signing<'_>,
    ) -> Result<Draft> {
        let before = Envelope::parse(self.root_bytes(), self.root_bytes().len())
            .expect("it was read before");
        let mut draft = Draft { before: Some(before), ..Draft::default() };
        let targets_end = lifetimes.targets.after(signing.now)?;
        let root_end = lifetimes.root.after(signing.now)?;
        match rotation.role {
            RotatedRole::Bins => {
                let targets = self.with_other_bins(rotation, targets_end)?;
                draft.targets = Some(Envelope::unsigned(&targets));
            }
            RotatedRole::TopLevel(TopLevel::Targets) => {
                if !rotation.is_empty() {
                    let root = self.with_other_keys(TopLevel::Targets, rotation, root_end)?;
                    draft.root = Some(Envelope::unsigned(&root));
                }
                let mut targets = self.targets.document.clone();
                targets.advance(targets_end);
                draft.targets = Some(Envelope::unsigned(&targets));
            }
            RotatedRole::TopLevel(role) => {
                let root = self.with_other_keys(role, rotation, root_end)?;
                draft.root = Some(Envelope::unsigned(&root));
            }
        }
        draft.sign_with_all(signing.keys)?;
        Ok(draft)
    }

    fn with_other_keys(
        &self,
        role: TopLevel,
        rotation: &Rotation,
        end: jiff::Timestamp,
    ) -> Result<Root> {
        let mut root = self.root().clone();
        let threshold = role_of(&root, role).threshold;
        let new = rotation.apply(root.keys_of(role), threshold)?;
        root.advance(end);
        root.set_role(role, new.keys, new.threshold)
            .map_err(|source| Error::Role { role: role.as_str(), source })?;
        Ok(root)
    }

    fn with_other_bins(&self, rotation: &Rotation, end: jiff::Timestamp) -> Result<Targets> {
        let mut targets = self.targets.document.clone();
        let role = self.bins_role(&targets)?.clone();
        let bits = self.succinct()?.bit_length;
        let keys = targets.delegations.as_ref().map(|all| all.keys.of(&role)).unwrap_or_default();
        let new = rotation.apply(keys, role.threshold)?;
        targets.delegations = Some(bins(bits, new.keys, new.threshold)?);
        targets.advance(end);
        Ok(targets)
    }
}
