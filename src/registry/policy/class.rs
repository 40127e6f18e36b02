//! The rule about openness classes: whose word for a class is taken.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use super::Facts;
use crate::crypto::statement::Statement;
use crate::crypto::{ClassClaim, Envelope, KeyId, PublicKey, Rebuildable};
use crate::package::Class;

/// Whose word for the class of a package is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassVoices {
    /// Whether the keys of this home folder are listened to.
    pub(super) own: bool,
    /// Further keys, which this machine must know.
    pub(super) keys: BTreeSet<KeyId>,
}

impl Default for ClassVoices {
    /// This home folder's own keys: what its owner computed and signed.
    fn default() -> Self {
        Self { own: true, keys: BTreeSet::new() }
    }
}

impl ClassVoices {
    /// The class that those who are listened to have said: of each what it computed last, and of
    /// all the worst. None where nobody said one.
    pub(super) fn class(&self, facts: &Facts<'_>) -> Option<Class> {
        self.voices(facts).into_iter().filter_map(|key| last_word(key, facts)).min()
    }

    fn voices(&self, facts: &Facts<'_>) -> Vec<PublicKey> {
        let own = facts.own_keys.iter().filter(|_| self.own);
        let named = facts.known_keys.iter().filter(|key| self.keys.contains(&key.id()));
        own.chain(named).copied().collect()
    }
}

/// The class that `key` computed last for the package.
fn last_word(key: PublicKey, facts: &Facts<'_>) -> Option<Class> {
    let Facts { release, package, source, .. } = *facts;
    let about = Rebuildable { release, package, source };
    let claims = facts.statements.iter().filter_map(|bytes| {
        let envelope = Envelope::parse(bytes).ok()?;
        envelope.verify(&[key], NonZeroUsize::MIN).ok()?;
        let statement = Statement::parse(envelope.payload()).ok()?;
        if statement.packages() != [package] {
            return None;
        }
        ClassClaim::of(&statement).ok()?.filter(|claim| claim.is_about(about))
    });
    // Of two at the same time the worse counts.
    let last = claims.max_by_key(|claim| (claim.computed, std::cmp::Reverse(claim.class)));
    last.map(|claim| claim.class)
}
