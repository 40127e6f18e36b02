//! `policy.toml`: what may be installed on this machine, beside what signatures say
//! (spec/policy.md).

mod class;
mod read;
mod rebuild;
#[cfg(test)]
mod tests;

pub use rebuild::Rebuild;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::Publishers;
use crate::crypto::{KeyId, PublicKey};
use crate::explain::{Explain, printable};
use crate::fs;
use crate::package::document::{Diagnostics, Form};
use crate::package::{Class, Digest, PackageName, Release};
use class::ClassVoices;
use rebuild::RebuildRule;

/// The policy's file name.
pub const POLICY_NAME: &str = "policy.toml";

const FORM: Form = Form { kind: "policy", noun: "a policy", longest: 1 << 20 };

/// Every policy of a machine; a package must pass all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(Vec<Policy>);

/// One policy file. What it does not say it leaves to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Policy {
    file: String,
    default: Rules,
    packages: BTreeMap<PackageName, Rules>,
}

/// What holds for a package, each rule with the line that states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rules {
    pickle: Option<Ruled<Pickle>>,
    min_class: Option<Ruled<Class>>,
    class_by: Option<Ruled<ClassVoices>>,
    keys: Option<Ruled<BTreeSet<KeyId>>>,
    rebuild: Option<Ruled<RebuildRule>>,
}

/// A rule and the line that states it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ruled<T> {
    value: T,
    line: usize,
}

/// Whether pickle-based files are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pickle {
    /// Never.
    Deny,
    /// Where the command says so.
    Ask,
}

/// What a policy looks at. What is not known fails every rule that asks for it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The package's name, version and variant.
    pub release: &'a Release,
    /// Its package digest.
    pub package: Digest,
    /// The package digest of its source.
    pub source: Option<Digest>,
    /// Why pickle-based files stand in it, where some do.
    pub pickle_reason: Option<&'a str>,
    /// The publisher keys whose signatures hold.
    pub signed_by: &'a [KeyId],
    /// The keys that may publish the name.
    pub publishers: &'a Publishers,
    /// The keys whose private halves are this home folder's.
    pub own_keys: &'a [PublicKey],
    /// Every key that this machine knows.
    pub known_keys: &'a [PublicKey],
    /// The envelopes of statements about the package, from anywhere, none of them believed. They
    /// are looked at where [`Policies::ask_others`].
    pub statements: &'a [Vec<u8>],
}

/// What is to be said of a package that every policy lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The rebuilds that counted.
    pub rebuilds: Vec<Rebuild>,
    /// The places of the rules that exempt it from being rebuilt.
    pub exempted_by: Vec<String>,
    /// What rebuilders found that would have been reason enough to refuse it.
    pub warnings: Vec<String>,
}

/// A package that a policy forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{release} is forbidden by {file}, line {line}: {why}")]
pub struct Forbidden {
    /// The release.
    pub release: String,
    /// The policy file.
    pub file: String,
    /// The line that forbids it, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
    /// What was asked for and what was found, where the rule is about rebuilds.
    pub details: Option<Value>,
}

impl Explain for Forbidden {
    fn kind(&self) -> &'static str {
        "forbidden-by-policy"
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.details {
            Some(_) => "`mpkg attest show` says who said what about it; spec/policy.md what counts",
            None => "whoever keeps that file decides; spec/policy.md says what it can state",
        };
        Some(hint.to_owned())
    }

    fn details(&self) -> Option<Value> {
        self.details.clone()
    }
}

/// A policy that cannot be read. Then nothing is installed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// It says something that it may not say.
    #[error(transparent)]
    Document(#[from] Diagnostics),
}

impl Explain for PolicyError {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Document(error) => error.kind(),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::File(error) => error.rendered(),
            Self::Document(error) => error.rendered(),
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::File(error) => error.details(),
            Self::Document(error) => error.details(),
        }
    }
}

impl Policies {
    /// Reads those of `files` that are there.
    ///
    /// # Errors
    /// A file that is there and cannot be read, or says something that it may not say.
    pub fn read(files: &[PathBuf]) -> Result<Self, PolicyError> {
        let mut policies = Vec::new();
        for file in files {
            match fs::read_to_string(file, FORM.longest) {
                Ok(text) => policies.push(Policy::parse(&text, &file.to_string_lossy())?),
                Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self(policies))
    }

    /// Whether a policy asks for what others found out about `name`: rebuilds, or its class.
    #[must_use]
    pub fn ask_others(&self, name: &PackageName) -> bool {
        let asks = |policy: &Policy| {
            let rebuild = policy.rule(name, |rules| rules.rebuild.as_ref());
            let class = policy.rule(name, |rules| rules.min_class.as_ref());
            rebuild.is_some_and(|rule| matches!(rule.value, RebuildRule::Asked(_)))
                || class.is_some_and(|rule| rule.value > Class::NonFree)
        };
        self.0.iter().any(asks)
    }

    /// Checks a package against every policy.
    ///
    /// # Errors
    /// [`Forbidden`] with the line that forbids it.
    pub fn check(&self, facts: &Facts<'_>) -> Result<Allowed, Forbidden> {
        let mut allowed = Allowed::default();
        for policy in &self.0 {
            policy.check(facts)?;
            policy.check_rebuilds(facts, &mut allowed)?;
        }
        Ok(allowed)
    }
}

impl Policy {
    /// The rule for a package: its own, or else the one for all.
    fn rule<'a, T>(
        &'a self,
        name: &PackageName,
        of: impl Fn(&'a Rules) -> Option<&'a Ruled<T>>,
    ) -> Option<&'a Ruled<T>> {
        self.packages.get(name).and_then(&of).or_else(|| of(&self.default))
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), Forbidden> {
        let name = &facts.release.name;
        let broken = [
            self.rule(name, |rules| rules.pickle.as_ref())
                .and_then(|rule| broken_pickle(rule, facts)),
            self.rule(name, |rules| rules.min_class.as_ref())
                .and_then(|rule| broken_class(rule, self.class(facts))),
            self.rule(name, |rules| rules.keys.as_ref()).and_then(|rule| broken_keys(rule, facts)),
        ];
        match broken.into_iter().flatten().next() {
            None => Ok(()),
            Some(broken) => Err(self.forbids(facts, broken, None)),
        }
    }

    /// The class of a package, in the words of those whom this policy listens to.
    fn class(&self, facts: &Facts<'_>) -> Option<Class> {
        let by = self.rule(&facts.release.name, |rules| rules.class_by.as_ref());
        match by {
            Some(by) => by.value.class(facts),
            None => ClassVoices::default().class(facts),
        }
    }

    fn check_rebuilds(&self, facts: &Facts<'_>, allowed: &mut Allowed) -> Result<(), Forbidden> {
        let rule = self.rule(&facts.release.name, |rules| rules.rebuild.as_ref());
        let Some(Ruled { value: rule, line }) = rule else { return Ok(()) };
        let RebuildRule::Asked(asked) = rule else {
            allowed.exempted_by.push(format!("{}, line {line}", self.file));
            return Ok(());
        };
        let finding = asked.examine(facts);
        if let Some(why) = asked.refusal(&finding) {
            let broken = Ruled { value: why, line: *line };
            return Err(self.forbids(facts, broken, Some(asked.details(&finding))));
        }
        let warnings = finding.mismatches.iter().map(Rebuild::in_words);
        allowed.warnings.extend(warnings.map(|found| format!("{}: {found}", facts.release)));
        for rebuild in finding.counted {
            if !allowed.rebuilds.contains(&rebuild) {
                allowed.rebuilds.push(rebuild);
            }
        }
        Ok(())
    }

    fn forbids(
        &self,
        facts: &Facts<'_>,
        broken: Ruled<String>,
        details: Option<Value>,
    ) -> Forbidden {
        let Ruled { value: why, line } = broken;
        let (release, file) = (facts.release.to_string(), self.file.clone());
        Forbidden { release, file, line, why, details }
    }
}

fn broken_pickle(rule: &Ruled<Pickle>, facts: &Facts<'_>) -> Option<Ruled<String>> {
    let reason = facts.pickle_reason.filter(|_| rule.value == Pickle::Deny)?;
    let why =
        format!("pickle-based files, which can run code, stand in it ({})", printable(reason));
    Some(Ruled { value: why, line: rule.line })
}

fn broken_class(rule: &Ruled<Class>, class: Option<Class>) -> Option<Ruled<String>> {
    if class.unwrap_or(Class::NonFree) >= rule.value {
        return None;
    }
    let found = class.map_or("not known", Class::as_str);
    let why = format!("its class must be {} or better, and is {found}", rule.value.as_str());
    Some(Ruled { value: why, line: rule.line })
}

fn broken_keys(rule: &Ruled<BTreeSet<KeyId>>, facts: &Facts<'_>) -> Option<Ruled<String>> {
    if facts.signed_by.iter().any(|key| rule.value.contains(key)) {
        return None;
    }
    let keys: Vec<String> = facts.signed_by.iter().map(ToString::to_string).collect();
    let signers = if keys.is_empty() { "nobody".to_owned() } else { keys.join(", ") };
    let why = format!("it is signed by {signers}, and by none of the keys that are accepted");
    Some(Ruled { value: why, line: rule.line })
}
