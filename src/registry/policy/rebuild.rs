//! Rules about rebuilds: who must have built a package again, and what must have come of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Facts;
use crate::crypto::statement::Statement;
use crate::crypto::{Envelope, Error, KeyId, PublicKey, RebuildClaim, Rebuildable, Unknown};
use crate::explain::{count, printable};
use crate::package::{Digest, Verdict};

/// The name of this machine's own keys among rebuilders.
pub(super) const SELF: &str = "self";
/// The most remarks that a refusal makes.
const MOST_REMARKS: usize = 12;

/// What a policy asks about rebuilds of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RebuildRule {
    /// Nothing, which is said at every installation.
    Exempt,
    /// That it was built again.
    Asked(Asked),
}

/// What must have been found by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// How many organisations.
    pub(super) count: usize,
    /// The rebuilders that are listened to; no key stands at two of them.
    pub(super) of: Vec<Rebuilder>,
    /// The weakest verdict that counts. One below it is a mismatch.
    pub(super) verdict: Verdict,
    /// What becomes of a mismatch.
    pub(super) on_mismatch: OnMismatch,
}

/// What becomes of a package of which a rebuilder found less than is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMismatch {
    /// It is refused, whatever others found.
    Deny,
    /// It is said.
    Warn,
}

/// Somebody who builds packages again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rebuilder {
    pub(super) name: String,
    /// To whom it belongs: each counts once.
    pub(super) organisation: String,
    pub(super) keys: Keys,
    /// The keys of all rebuilders of the same organisation.
    pub(super) kin: BTreeSet<KeyId>,
}

/// The keys of a rebuilder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    /// Those that the policy names.
    Named(Vec<RebuilderKey>),
    /// Those of this home folder, but for those that the policy gives to somebody else.
    Own { but: BTreeSet<KeyId> },
}

/// A key as a policy names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RebuilderKey {
    /// By its id: this machine must know the key.
    Id(KeyId),
    /// The key itself.
    Whole(PublicKey),
}

impl RebuilderKey {
    pub(super) fn id(&self) -> KeyId {
        match self {
            Self::Id(id) => *id,
            Self::Whole(key) => key.id(),
        }
    }
}

/// A rebuild that a policy takes into account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// Who built it, as the policy calls them.
    pub rebuilder: String,
    /// To whom they belong.
    pub organisation: String,
    /// The key that signed it.
    pub key: KeyId,
    /// What they found.
    pub verdict: Verdict,
}

impl Rebuild {
    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "rebuilder": self.rebuilder,
            "organisation": self.organisation,
            "key": self.key,
            "verdict": self.verdict,
        })
    }
}

/// What the statements about a package come to.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// The rebuilds that count, one an organisation.
    pub(super) counted: Vec<Rebuild>,
    /// Those that found less than is asked for.
    pub(super) mismatches: Vec<Rebuild>,
    /// What else was found, and why it does not count.
    remarks: Vec<String>,
}

/// A key that is listened to.
struct Voice<'a> {
    rebuilder: &'a Rebuilder,
    key: PublicKey,
}

/// A claim that a voice signed; the first to sign one made it.
struct Heard {
    voice: usize,
    claim: RebuildClaim,
    is_first: bool,
}

impl Asked {
    /// Looks at every statement about a package.
    pub(super) fn examine(&self, facts: &Facts<'_>) -> Finding {
        let mut finding = Finding::default();
        let voices = self.voices(facts, &mut finding);
        let heard = hear(&voices, facts, &mut finding);
        let published: BTreeSet<KeyId> =
            facts.publishers.ids().into_iter().chain(facts.signed_by.iter().copied()).collect();
        let mut silent: Vec<&str> = self.of.iter().map(|one| one.name.as_str()).collect();
        for (place, voice) in voices.iter().enumerate() {
            let own = heard.iter().filter(|one| one.voice == place);
            // A rebuilder can correct itself: what it began last is what it says.
            let last = own.max_by_key(|one| (one.claim.started, Reverse(one.claim.verdict)));
            let Some(Heard { claim, is_first, .. }) = last else { continue };
            let Rebuilder { name, organisation, kin, .. } = voice.rebuilder;
            silent.retain(|one| one != name);
            let rebuild = Rebuild {
                rebuilder: name.clone(),
                organisation: organisation.clone(),
                key: voice.key.id(),
                verdict: claim.verdict,
            };
            let earlier = finding.counted.iter().find(|one| one.organisation == *organisation);
            if claim.verdict < self.verdict {
                finding.mismatches.push(rebuild);
            } else if !kin.is_disjoint(&published) || published.contains(&voice.key.id()) {
                let package = &facts.release.name;
                finding.remark(format!("{name} publishes {package} and does not count"));
            } else if !is_first {
                finding.remark(format!("{name} only signed what somebody else found"));
            } else if let Some(earlier) = earlier {
                let remark = match earlier.rebuilder == *name {
                    true => format!("{name} counts once, whatever the number of its keys"),
                    false => format!("{name} and {} are both {organisation}", earlier.rebuilder),
                };
                finding.remark(remark);
            } else {
                finding.counted.push(rebuild);
            }
        }
        for name in silent {
            finding.remark(format!("nothing by {name} counts"));
        }
        finding
    }

    /// The keys that are listened to.
    fn voices<'a>(&'a self, facts: &Facts<'_>, finding: &mut Finding) -> Vec<Voice<'a>> {
        let mut voices = Vec::new();
        for rebuilder in &self.of {
            let keys = match &rebuilder.keys {
                Keys::Own { but } => {
                    let own = facts.own_keys.iter().filter(|key| !but.contains(&key.id()));
                    own.copied().collect()
                }
                Keys::Named(keys) => known(rebuilder, keys, facts, finding),
            };
            voices.extend(keys.into_iter().map(|key| Voice { rebuilder, key }));
        }
        voices
    }

    /// Why a package is refused of which this was found, where it is.
    pub(super) fn refusal(&self, finding: &Finding) -> Option<String> {
        if let (OnMismatch::Deny, [first, ..]) = (self.on_mismatch, &finding.mismatches[..]) {
            return Some(format!("{}, below the {} asked for", first.in_words(), self.verdict));
        }
        let found = finding.counted.len();
        if found >= self.count {
            return None;
        }
        let asked = count(self.count, "rebuild", "rebuilds");
        let names: Vec<&str> = self.of.iter().map(|one| one.name.as_str()).collect();
        let weakest = match self.verdict {
            Verdict::Identical => "identical".to_owned(),
            weaker => format!("{weaker} or better"),
        };
        let mut parts = vec![format!(
            "{asked} that came out {weakest} must be signed by {}, and {found} {}",
            names.join(", "),
            if found == 1 { "is" } else { "are" }
        )];
        parts.extend(finding.counted.iter().chain(&finding.mismatches).map(Rebuild::in_words));
        parts.extend(finding.remarks.iter().cloned());
        Some(parts.join("; "))
    }

    /// What was asked for and what was found, for programs.
    pub(super) fn details(&self, finding: &Finding) -> Value {
        let list = |rebuilds: &[Rebuild]| rebuilds.iter().map(Rebuild::to_json).collect::<Value>();
        json!({
            "rebuilds": {
                "count": self.count,
                "verdict": self.verdict,
                "counted": list(&finding.counted),
                "mismatches": list(&finding.mismatches),
                "remarks": finding.remarks,
            }
        })
    }
}

impl Rebuild {
    /// Who found what.
    pub(super) fn in_words(&self) -> String {
        format!("{} ({}) found it {}", self.rebuilder, self.key.short(), self.verdict)
    }
}

impl Finding {
    fn remark(&mut self, remark: String) {
        if self.remarks.len() < MOST_REMARKS && !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// Those of `keys` whose values are known.
fn known(
    rebuilder: &Rebuilder,
    keys: &[RebuilderKey],
    facts: &Facts<'_>,
    finding: &mut Finding,
) -> Vec<PublicKey> {
    let mut found = Vec::new();
    for key in keys {
        match key {
            RebuilderKey::Whole(key) => found.push(*key),
            RebuilderKey::Id(id) => match facts.known_keys.iter().find(|key| key.id() == *id) {
                Some(key) => found.push(*key),
                None => finding.remark(format!(
                    "the key {} of {} is not known here; take it in with `mpkg key import`",
                    id.short(),
                    rebuilder.name
                )),
            },
        }
    }
    found
}

/// The claims about the package that `voices` signed, each statement once.
fn hear(voices: &[Voice<'_>], facts: &Facts<'_>, finding: &mut Finding) -> Vec<Heard> {
    let keys: Vec<PublicKey> = voices.iter().map(|voice| voice.key).collect();
    let ids: BTreeMap<KeyId, &str> =
        voices.iter().map(|voice| (voice.key.id(), voice.rebuilder.name.as_str())).collect();
    let mut heard: Vec<Heard> = Vec::new();
    let mut payloads: BTreeSet<Digest> = BTreeSet::new();
    for bytes in facts.statements {
        let verified = Envelope::parse(bytes)
            .and_then(|envelope| envelope.verify(&keys, std::num::NonZeroUsize::MIN));
        let verified = match verified {
            Ok(verified) => verified,
            // Strangers may say what they like.
            Err(Error::TooFewSignatures { .. }) => continue,
            Err(Error::BadSignature(key)) => {
                finding.remark(bad_signature(&ids, key));
                continue;
            }
            Err(error) => {
                let why = printable(&error.to_string());
                finding.remark(format!("a statement is not read: {why}"));
                continue;
            }
        };
        for unknown in &verified.unknown {
            if let Unknown::Bad(key) = unknown {
                finding.remark(bad_signature(&ids, *key));
            }
        }
        let by = ids.get(&verified.signers[0].id()).copied().unwrap_or_default();
        match claim(&verified.payload, facts) {
            Ok(None) => {}
            Ok(Some(claim)) => {
                let is_new = payloads.insert(Digest::of(&verified.payload));
                for (place, signer) in verified.signers.iter().enumerate() {
                    let voice = keys.iter().position(|key| key == signer);
                    let voice = voice.expect("only these keys were tried");
                    let is_first = is_new && place == 0;
                    heard.push(Heard { voice, claim: claim.clone(), is_first });
                }
            }
            Err(why) => finding.remark(format!("a statement by {by} does not count: {why}")),
        }
    }
    heard
}

fn bad_signature(ids: &BTreeMap<KeyId, &str>, key: KeyId) -> String {
    let name = ids.get(&key).copied().unwrap_or_default();
    format!("a signature in the name of {name} ({}) does not hold", key.short())
}

/// The claim in a statement whose signature holds; nothing where it is about something else than
/// a rebuild.
fn claim(payload: &[u8], facts: &Facts<'_>) -> Result<Option<RebuildClaim>, String> {
    let statement = Statement::parse(payload).map_err(|error| error.to_string())?;
    let claim = match RebuildClaim::of(&statement) {
        Ok(None) => RebuildClaim::of_different_parts(&statement),
        whole => whole,
    };
    let claim = claim.map_err(|error| printable(&error.to_string()))?;
    let Some(claim) = claim else { return Ok(None) };
    // A statement about two packages at once would leave open which one was built.
    if statement.packages() != [facts.package] {
        return Err("it is about another package".to_owned());
    }
    let Facts { release, package, source, .. } = *facts;
    match claim.fault(Rebuildable { release, package, source }) {
        None => Ok(Some(claim)),
        Some(fault) => Err(fault.to_owned()),
    }
}
