//! How the publishers of a name change: a signed statement from the old to the new, kept in the
//! name's index, so that a machine which remembers the old ones can follow (spec/registry.md).

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::Publishers;
use crate::crypto::canonical;
use crate::crypto::statement::{Digests, Statement, StatementSubject};
use crate::crypto::{self, Envelope, PublicKey, SigningKey};
use crate::package::{Digest, PackageName};

/// The predicate type of such a statement.
pub const CHANGE_TYPE: &str = "urn:mpkg:publishers:1";

/// What is said: from now on these keys publish the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherChange {
    /// The name.
    pub name: PackageName,
    /// Who could publish it until now.
    pub from: Publishers,
    /// Who can from now on.
    pub to: Publishers,
    /// When it was said.
    pub time: jiff::Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who stands for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// A threshold of the old publishers.
    Publishers,
    /// A threshold of the registry's offline targets keys.
    Registry,
}

/// Keys of which a number must sign: the registry's targets role, as far as it signs changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetsRole {
    /// Its ed25519 keys.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: NonZeroUsize,
}

impl PublisherChange {
    /// The in-toto statement that says so.
    ///
    /// # Errors
    /// [`crypto::Error::Json`] where the reason has a control character.
    pub fn to_payload(&self) -> crypto::Result<Vec<u8>> {
        let to = canonical::to_vec(&json(&self.to)).expect("keys are canonical");
        let subject = StatementSubject {
            name: format!("publishers of {}", self.name),
            digest: Digests { sha256: Digest::of(&to) },
        };
        Statement::new(vec![subject], CHANGE_TYPE, json(self)).to_payload()
    }

    /// Reads a payload whose signatures hold.
    ///
    /// # Errors
    /// [`crypto::Error::Json`] and [`crypto::Error::Statement`].
    pub fn parse(payload: &[u8]) -> crypto::Result<Self> {
        let statement = Statement::parse(payload)?;
        if statement.predicate_type != CHANGE_TYPE {
            return Err(crypto::Error::Statement(format!("it is not a {CHANGE_TYPE}")));
        }
        let change: Self = serde_json::from_value(statement.predicate)
            .map_err(|error| crypto::Error::Statement(error.to_string()))?;
        match change.from.fault().or(change.to.fault()) {
            Some(why) => Err(crypto::Error::Statement(why.to_owned())),
            None => Ok(change),
        }
    }

    /// Puts the signatures of `keys` under it.
    ///
    /// # Errors
    /// Those of [`PublisherChange::to_payload`].
    pub fn sign(&self, keys: &[&SigningKey]) -> crypto::Result<Envelope> {
        Ok(Envelope::sign(self.to_payload()?, keys))
    }

    /// Finds who stands for a change, the publishers until now or the registry's targets role, and
    /// reads it.
    ///
    /// # Errors
    /// [`crypto::Error::TooFewSignatures`] and its kin; [`crypto::Error::Statement`] where it is no
    /// change from these publishers.
    pub fn verify(
        envelope: &Envelope,
        until_now: &Publishers,
        role: &TargetsRole,
    ) -> crypto::Result<(Self, Authority)> {
        let (verified, authority) = match envelope.verify(&until_now.list(), until_now.threshold) {
            Ok(verified) => (verified, Authority::Publishers),
            Err(error) => match envelope.verify(&role.keys, role.threshold) {
                Ok(verified) => (verified, Authority::Registry),
                Err(_) => return Err(error),
            },
        };
        let change = Self::parse(&verified.payload)?;
        if change.from != *until_now {
            let why = "it is a change from other publishers than those of now";
            return Err(crypto::Error::Statement(why.to_owned()));
        }
        Ok((change, authority))
    }
}

/// Whether `changes` lead from the publishers `known` of `name` to those of `now`.
///
/// They are followed in their order; one that nobody in authority signed leads nowhere, and one
/// whose old publishers are not those reached so far is passed over.
#[must_use]
pub fn leads_to(
    name: &PackageName,
    changes: &[Envelope],
    known: &Publishers,
    now: &Publishers,
    role: &TargetsRole,
) -> bool {
    let mut reached = known.clone();
    for envelope in changes {
        if let Ok((change, _)) = PublisherChange::verify(envelope, &reached, role)
            && change.name == *name
        {
            reached = change.to;
        }
    }
    reached == *now
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("the words of a registry are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn publishers(seeds: &[u8], threshold: usize) -> Publishers {
        let keys = seeds.iter().map(|seed| *key(*seed).public());
        let threshold = NonZeroUsize::new(threshold).unwrap();
        Publishers { threshold, ..Publishers::any_of(keys) }
    }

    fn role() -> TargetsRole {
        TargetsRole { keys: vec![*key(100).public()], threshold: NonZeroUsize::MIN }
    }

    fn change(from: &Publishers, to: &Publishers, signers: &[u8]) -> Envelope {
        let change = PublisherChange {
            name: "lm".parse().unwrap(),
            from: from.clone(),
            to: to.clone(),
            time: "2026-11-26T12:00:00Z".parse().unwrap(),
            reason: None,
        };
        let keys: Vec<SigningKey> = signers.iter().map(|seed| key(*seed)).collect();
        change.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
    }

    fn leads(known: &Publishers, changes: &[Envelope], now: &Publishers) -> bool {
        leads_to(&"lm".parse().unwrap(), changes, known, now, &role())
    }

    #[test]
    fn a_chain_is_followed_from_any_of_its_links() {
        let (a, b, c) = (publishers(&[1], 1), publishers(&[2, 3], 2), publishers(&[4], 1));
        let changes = [change(&a, &b, &[1]), change(&b, &c, &[2, 3])];
        for known in [&a, &b, &c] {
            assert!(leads(known, &changes, &c));
        }
        assert!(!leads(&publishers(&[9], 1), &changes, &c));
        assert!(!leads(&b, &changes, &a), "no way back was signed");
    }

    #[test]
    fn case_38_a_change_needs_the_old_keys_or_the_offline_role() {
        let (old, new) = (publishers(&[1, 2], 2), publishers(&[7], 1));
        let holds = |signers: &[u8]| leads(&old, &[change(&old, &new, signers)], &new);
        assert!(holds(&[1, 2]) && holds(&[100]) && holds(&[1, 7, 100]));
        assert!(!holds(&[1]) && !holds(&[7]) && !holds(&[1, 1]) && !holds(&[1, 7]));
        let none = TargetsRole { keys: Vec::new(), threshold: NonZeroUsize::MIN };
        let by_role = [change(&old, &new, &[100])];
        assert!(!leads_to(&"lm".parse().unwrap(), &by_role, &old, &new, &none));
        // Whoever names himself as the old publisher leads from nobody else.
        let thief = publishers(&[7], 1);
        assert!(!leads(&old, &[change(&thief, &new, &[7])], &new));
    }

    #[test]
    fn a_change_is_about_one_name() {
        let (old, new) = (publishers(&[1], 1), publishers(&[2], 1));
        let changes = [change(&old, &new, &[1])];
        assert!(!leads_to(&"other".parse().unwrap(), &changes, &old, &new, &role()));
    }

    #[test]
    fn case_36_a_changed_statement() {
        let (old, new) = (publishers(&[1], 1), publishers(&[2], 1));
        let good = change(&old, &new, &[1]);
        let other = change(&old, &publishers(&[3], 1), &[9]);
        let mut document: serde_json::Value = serde_json::from_slice(&good.to_bytes()).unwrap();
        let theirs: serde_json::Value = serde_json::from_slice(&other.to_bytes()).unwrap();
        document["payload"] = theirs["payload"].clone();
        let forged = Envelope::parse(document.to_string().as_bytes()).unwrap();
        assert!(PublisherChange::verify(&forged, &old, &role()).is_err());
        let (_, authority) = PublisherChange::verify(&good, &old, &role()).unwrap();
        assert_eq!(authority, Authority::Publishers);
        assert!(PublisherChange::verify(&good, &new, &role()).is_err());
        assert!(PublisherChange::parse(b"{}").is_err());
    }
}
