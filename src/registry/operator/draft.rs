//! A change that several people must sign, in a file that is carried between their machines.
//!
//! A draft holds the root that it follows, so that a machine without the registry can tell who
//! must sign it and what it changes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::commit::{KeySource, role_of};
use super::settings::Lifetimes;
use super::{Error, Result};
use crate::crypto::canonical::{self, Limits};
use crate::crypto::{self, PublicKey, SigningKey, VerifyingKey};
use crate::fs;
use crate::registry::tuf::{self, Envelope, Keys, Metadata as _, Role, Root, Targets, TopLevel};
use crate::registry::{PublisherChange, Publishers, TargetsRole};

const FORMAT: u32 = 1;
const LARGEST: u64 = 16 << 20;

/// A change that is being signed. At least one of its documents is there.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Where it was read from.
    pub(super) path: PathBuf,
    /// The root that it follows; none for a new registry.
    pub(super) before: Option<Envelope>,
    /// A new root.
    pub(super) root: Option<Envelope>,
    /// A new document of the targets role.
    pub(super) targets: Option<Envelope>,
    /// Other publishers of a name.
    pub(super) publishers: Option<PublishersDraft>,
    /// The lifetimes of a new registry.
    pub(super) lifetimes: Option<Lifetimes>,
}

/// A change of publishers and the signatures under it so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishersDraft {
    pub(super) change: PublisherChange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signed: Option<crypto::Envelope>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publishers: Option<PublishersDraft>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifetimes: Option<Lifetimes>,
}

/// Who must still sign one document of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The document: `the root`, `the targets role` or `the change of publishers`.
    pub what: &'static str,
    /// Whose signatures are missing, in words.
    pub role: &'static str,
    /// How many signatures there are.
    pub found: u32,
    /// How many there must be.
    pub needed: u32,
    /// The ids of the keys that may give them.
    pub keys: Vec<String>,
}

impl Missing {
    /// How many more it takes.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.needed.saturating_sub(self.found)
    }
}

impl Draft {
    /// Reads a draft.
    ///
    /// # Errors
    /// [`Error::Draft`]; files that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path, LARGEST)?;
        let refused = |why: String| Error::Draft { path: path.to_owned(), why };
        let document: Document = canonical::read(text.as_bytes(), Limits::of_bytes(text.len()))
            .map_err(|error| refused(with_cause(&error)))?;
        if document.format != FORMAT {
            return Err(refused(format!("it has format {}", document.format)));
        }
        let envelope = |value: Option<Value>| {
            let parse = |value: Value| {
                let text = value.to_string();
                Envelope::parse(text.as_bytes(), text.len())
                    .map_err(|error| refused(with_cause(&error)))
            };
            value.map(parse).transpose()
        };
        let draft = Self {
            path: path.to_owned(),
            before: envelope(document.before)?,
            root: envelope(document.root)?,
            targets: envelope(document.targets)?,
            publishers: document.publishers,
            lifetimes: document.lifetimes,
        };
        // What it says must at least be readable before anybody signs it.
        draft.missing()?;
        Ok(draft)
    }

    /// Writes it.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let value = |envelope: &Option<Envelope>| {
            envelope.as_ref().map(|envelope| {
                serde_json::from_slice(&envelope.to_bytes()).expect("it was written as JSON")
            })
        };
        let document = Document {
            format: FORMAT,
            before: value(&self.before),
            root: value(&self.root),
            targets: value(&self.targets),
            publishers: self.publishers.clone(),
            lifetimes: self.lifetimes,
        };
        let mut text = serde_json::to_vec_pretty(&document).expect("a draft is JSON");
        text.push(b'\n');
        Ok(fs::write_atomically(path, &text)?)
    }

    pub(super) fn refused(&self, why: &str) -> Error {
        Error::Draft { path: self.path.clone(), why: why.to_owned() }
    }

    pub(super) fn not_believed(&self, source: &tuf::Error) -> Error {
        Error::Draft { path: self.path.clone(), why: with_cause(source) }
    }

    fn read_root(&self, envelope: Option<&Envelope>) -> Result<Option<Root>> {
        let read = |envelope: &Envelope| envelope.read().map_err(|error| self.not_believed(&error));
        envelope.map(read).transpose()
    }

    pub(super) fn before(&self) -> Result<Option<Root>> {
        self.read_root(self.before.as_ref())
    }

    pub(super) fn new_root(&self) -> Result<Option<Root>> {
        self.read_root(self.root.as_ref())
    }

    pub(super) fn new_targets(&self) -> Result<Option<Targets>> {
        let read = |envelope: &Envelope| envelope.read().map_err(|error| self.not_believed(&error));
        self.targets.as_ref().map(read).transpose()
    }

    /// Who must sign what, with the signatures that are there; documents that are finished too.
    fn demands(&self) -> Result<Vec<Missing>> {
        let (before, root) = (self.before()?, self.new_root()?);
        let mut demands = Vec::new();
        if let Some(envelope) = &self.root {
            for (who, root) in [("the old root", &before), ("the new root", &root)] {
                let Some(root) = root else { continue };
                let role = role_of(root, TopLevel::Root);
                demands.push(demand("the root", who, envelope, root.keys(), role));
            }
        }
        if let Some(envelope) = &self.targets {
            self.new_targets()?;
            let root = root.as_ref().or(before.as_ref());
            let root = root.ok_or_else(|| self.refused("it names no root"))?;
            let role = role_of(root, TopLevel::Targets);
            let who = "the targets role";
            demands.push(demand("the targets role", who, envelope, root.keys(), role));
        }
        if let Some(publishers) = &self.publishers {
            let root = before.as_ref().ok_or_else(|| self.refused("it names no root"))?;
            demands.push(publishers.demand(&targets_role(root)));
        }
        if demands.is_empty() {
            return Err(self.refused("there is nothing in it to sign"));
        }
        Ok(demands)
    }

    /// The signatures that are still missing.
    ///
    /// # Errors
    /// [`Error::Draft`].
    pub fn missing(&self) -> Result<Vec<Missing>> {
        Ok(self.demands()?.into_iter().filter(|one| one.count() > 0).collect())
    }

    /// What it changes, a line each, for whoever is asked to sign it.
    ///
    /// # Errors
    /// [`Error::Draft`].
    pub fn changes(&self) -> Result<Vec<String>> {
        let (before, root) = (self.before()?, self.new_root()?);
        let mut lines = Vec::new();
        if let Some(root) = &root {
            let (version, end) = (root.version(), root.head().expires);
            lines.push(format!("Root {version}, good until {end}"));
            for role in TopLevel::ALL {
                let old = before.as_ref().map(|before| (before.keys(), role_of(before, role)));
                let new = role_of(root, role);
                lines.extend(key_changes(role.as_str(), old, (root.keys(), new)));
            }
        }
        if let Some(targets) = self.new_targets()? {
            let (version, end) = (targets.version(), targets.head().expires);
            lines.push(format!("Targets role {version}, good until {end}"));
            if let Some(all) = &targets.delegations
                && let Some(bins) = &all.succinct_roles
            {
                let ids: Vec<&str> = bins.role.keyids.iter().map(String::as_str).collect();
                let threshold = bins.role.threshold;
                lines.push(format!("bins: {threshold} of {}", ids.join(", ")));
            }
        }
        if let Some(PublishersDraft { change, .. }) = &self.publishers {
            let words = |publishers: &Publishers| {
                let ids: Vec<String> = publishers.ids().iter().map(ToString::to_string).collect();
                format!("{} of {}", publishers.threshold, ids.join(", "))
            };
            lines.push(format!("Publishers of {} until now: {}", change.name, words(&change.from)));
            lines.push(format!("Publishers of {} from now on: {}", change.name, words(&change.to)));
        }
        Ok(lines)
    }

    /// Demands that nobody has to sign any more.
    pub(super) fn demand_finished(&self) -> Result<()> {
        match self.missing()?.into_iter().next() {
            None => Ok(()),
            Some(one) => {
                let missing = one.count();
                Err(Error::Unfinished { what: one.what, role: one.role.to_owned(), missing })
            }
        }
    }

    /// The same of a change that stands in no file yet.
    ///
    /// # Errors
    /// [`Error::Undrafted`].
    pub fn demand_signed_here(&self) -> Result<()> {
        self.demand_finished().map_err(|error| match error {
            Error::Unfinished { what, role, missing } => Error::Undrafted { what, role, missing },
            error => error,
        })
    }

    /// Signs with `key` whatever it may sign, and says what that was.
    ///
    /// # Errors
    /// [`Error::Draft`] where the key has no say in it.
    pub fn sign(&mut self, key: &SigningKey) -> Result<Vec<&'static str>> {
        let id = key.id().to_string();
        let mut signed: Vec<&'static str> = Vec::new();
        for demand in self.demands()? {
            if demand.keys.contains(&id) && !signed.contains(&demand.what) {
                signed.push(demand.what);
            }
        }
        for what in &signed {
            match *what {
                "the root" => self.root.iter_mut().for_each(|one| one.sign(key)),
                "the targets role" => self.targets.iter_mut().for_each(|one| one.sign(key)),
                _ => self.publishers.iter_mut().try_for_each(|one| one.sign(key))?,
            }
        }
        if signed.is_empty() {
            return Err(self.refused(&format!("the key {id} has no say in it")));
        }
        Ok(signed)
    }

    /// Signs with every key of this machine that may.
    ///
    /// # Errors
    /// Keys that cannot be opened.
    pub fn sign_with_all(&mut self, keys: &KeySource<'_>) -> Result<()> {
        let mut ids: Vec<String> =
            self.demands()?.into_iter().flat_map(|demand| demand.keys).collect();
        ids.sort();
        ids.dedup();
        for id in ids.iter().filter_map(|id| id.parse().ok()) {
            if let Some(key) = keys(id)? {
                self.sign(&key)?;
            }
        }
        Ok(())
    }
}

impl PublishersDraft {
    fn sign(&mut self, key: &SigningKey) -> crypto::Result<()> {
        match &mut self.signed {
            Some(envelope) => envelope.add(key),
            None => self.signed = Some(self.change.sign(&[key])?),
        }
        Ok(())
    }

    /// Either a threshold of the old publishers or one of the targets role: whichever is nearer.
    fn demand(&self, role: &TargetsRole) -> Missing {
        let signed = |keys: &[PublicKey]| {
            let signed = |key: &&PublicKey| {
                let one = std::num::NonZeroUsize::MIN;
                self.signed.as_ref().is_some_and(|envelope| envelope.verify(&[**key], one).is_ok())
            };
            keys.iter().filter(signed).count()
        };
        let from: &Publishers = &self.change.from;
        let (old, offline) = (from.list(), role.keys.clone());
        let by = |who, keys: &[PublicKey], threshold: usize| Missing {
            what: "the change of publishers",
            role: who,
            found: u32::try_from(signed(keys)).unwrap_or(u32::MAX),
            needed: u32::try_from(threshold).unwrap_or(u32::MAX),
            keys: old.iter().chain(&offline).map(|key| key.id().to_string()).collect(),
        };
        let publishers = by("the old publishers", &old, from.threshold.get());
        let registry = by("the targets role", &offline, role.threshold.get());
        let is_by_registry =
            registry.found > 0 && registry.count() < publishers.count() && !offline.is_empty();
        if is_by_registry { registry } else { publishers }
    }
}

/// The ed25519 keys of a root's targets role.
#[must_use]
pub fn targets_role(root: &Root) -> TargetsRole {
    let role = role_of(root, TopLevel::Targets);
    let keys = root.keys_of(TopLevel::Targets).into_iter().filter_map(|key| match key {
        VerifyingKey::Ed25519(key) => Some(key),
        VerifyingKey::P256(_) => None,
    });
    let threshold =
        std::num::NonZeroUsize::try_from(role.threshold).expect("an address holds 32 bits");
    TargetsRole { keys: keys.collect(), threshold }
}

/// The keys that come in and go, and the threshold where it is another.
fn key_changes(name: &str, old: Option<(&Keys, &Role)>, new: (&Keys, &Role)) -> Vec<String> {
    let ids = |(keys, role): (&Keys, &Role)| -> Vec<String> {
        keys.of(role).iter().map(|key| key.id().to_string()).collect()
    };
    let (before, after) = (old.map(ids).unwrap_or_default(), ids(new));
    let gone = before.iter().filter(|id| !after.contains(id));
    let come = after.iter().filter(|id| !before.contains(id));
    let mut lines: Vec<String> = gone.map(|id| format!("{name}: without key {id}")).collect();
    lines.extend(come.map(|id| format!("{name}: with key {id}")));
    let threshold = new.1.threshold;
    if old.is_none_or(|(_, role)| role.threshold != threshold) {
        lines.push(format!("{name}: {threshold} of {} keys must sign", after.len()));
    }
    lines
}

fn demand(
    what: &'static str,
    who: &'static str,
    envelope: &Envelope,
    keys: &Keys,
    role: &Role,
) -> Missing {
    Missing {
        what,
        role: who,
        found: u32::try_from(envelope.signers(keys, role).len()).unwrap_or(u32::MAX),
        needed: role.threshold.get(),
        keys: role.keyids.clone(),
    }
}

/// An error in one line with what caused it.
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_cause(cause)),
        None => error.to_string(),
    }
}
