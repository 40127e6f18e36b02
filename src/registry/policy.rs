//! `policy.toml`: what may be installed on this machine, beside what signatures say
//! (spec/policy.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::crypto::KeyId;
use crate::explain::{Explain, printable};
use crate::fs;
use crate::package::PackageName;
use crate::package::document::{At, Diagnostics, Form, Problem, Section};

/// The policy's file name.
pub const POLICY_NAME: &str = "policy.toml";

const FORM: Form = Form { kind: "policy", noun: "a policy", longest: 1 << 20 };
const NOT_YET: &str = "rules about rebuilds are not enforced yet";

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
    keys: Option<Ruled<BTreeSet<KeyId>>>,
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

/// An openness class that a policy may ask for, the least open first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Anything, also what has no known class.
    NonFree,
    /// Free weights.
    ToxicCandy,
    /// Free, and something that it needs to be built is not.
    Contrib,
    /// Free in everything.
    Main,
}

impl Class {
    /// Every class, the least open first.
    pub const ALL: &[Self] = &[Self::NonFree, Self::ToxicCandy, Self::Contrib, Self::Main];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonFree => "non-free",
            Self::ToxicCandy => "toxic-candy",
            Self::Contrib => "contrib",
            Self::Main => "main",
        }
    }
}

/// What a policy looks at. What is not known fails every rule that asks for it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The package's name.
    pub name: &'a PackageName,
    /// Why pickle-based files stand in it, where some do.
    pub pickle_reason: Option<&'a str>,
    /// Its class; none where nobody has shown one.
    pub class: Option<Class>,
    /// The publisher keys whose signatures hold.
    pub signed_by: &'a [KeyId],
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
}

impl Explain for Forbidden {
    fn kind(&self) -> &'static str {
        "forbidden-by-policy"
    }

    fn hint(&self) -> Option<String> {
        Some("whoever keeps that file decides; spec/policy.md says what it can state".to_owned())
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

    /// Checks `facts` about `release` against every policy.
    ///
    /// # Errors
    /// [`Forbidden`] with the line that forbids it.
    pub fn check(&self, release: &str, facts: &Facts<'_>) -> Result<(), Forbidden> {
        self.0.iter().try_for_each(|policy| policy.check(release, facts))
    }
}

impl Policy {
    fn parse(text: &str, file: &str) -> Result<Self, Diagnostics> {
        FORM.parse(text, file, |root| {
            let policy = read(&root, text, file);
            root.finish();
            Some(policy)
        })
    }

    fn check(&self, release: &str, facts: &Facts<'_>) -> Result<(), Forbidden> {
        let own = self.packages.get(facts.name);
        let broken = [
            own.and_then(|own| own.pickle.as_ref())
                .or(self.default.pickle.as_ref())
                .and_then(|rule| broken_pickle(rule, facts)),
            own.and_then(|own| own.min_class.as_ref())
                .or(self.default.min_class.as_ref())
                .and_then(|rule| broken_class(rule, facts)),
            own.and_then(|own| own.keys.as_ref())
                .or(self.default.keys.as_ref())
                .and_then(|rule| broken_keys(rule, facts)),
        ];
        match broken.into_iter().flatten().next() {
            None => Ok(()),
            Some(Ruled { value: why, line }) => {
                Err(Forbidden { release: release.to_owned(), file: self.file.clone(), line, why })
            }
        }
    }
}

fn broken_pickle(rule: &Ruled<Pickle>, facts: &Facts<'_>) -> Option<Ruled<String>> {
    let reason = facts.pickle_reason.filter(|_| rule.value == Pickle::Deny)?;
    let why =
        format!("pickle-based files, which can run code, stand in it ({})", printable(reason));
    Some(Ruled { value: why, line: rule.line })
}

fn broken_class(rule: &Ruled<Class>, facts: &Facts<'_>) -> Option<Ruled<String>> {
    if facts.class.unwrap_or(Class::NonFree) >= rule.value {
        return None;
    }
    let found = facts.class.map_or("not known", Class::as_str);
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

fn read(root: &Section<'_>, text: &str, file: &str) -> Policy {
    let mut policy = Policy { file: printable(file), ..Policy::default() };
    if let Some(section) = root.section("default", "[default]") {
        policy.default = rules(section, text);
    }
    let Some(packages) = root.section("package", "[package.NAME]") else { return policy };
    for (key, value) in packages.entries() {
        let name: Option<At<PackageName>> = packages.reader.name(&key);
        let Some(section) = packages.table_of("[package.NAME]", value) else {
            let message = format!("`package.{}` is a table", key.value);
            packages.reader.report(Problem::at(key.span, message));
            continue;
        };
        let rules = rules(section, text);
        if let Some(name) = name {
            policy.packages.insert(name.value, rules);
        }
    }
    policy
}

fn rules(section: Section<'_>, text: &str) -> Rules {
    let line = |key: &str| text[..section.key_span(key).start].matches('\n').count() + 1;
    // Signatures are always required; the word is there for people to read.
    section.word("publisher", &["required"], |word| word);
    let pickle = section.word("pickle", &[Pickle::Deny, Pickle::Ask], |word| match word {
        Pickle::Deny => "deny",
        Pickle::Ask => "ask",
    });
    let min_class = section.word("min-class", Class::ALL, Class::as_str);
    let keys = section.strings("keys");
    let keys = keys.iter().filter_map(|found| section.reader.parse(found));
    let keys: BTreeSet<KeyId> = keys.map(|key| key.value).collect();
    // A rule that is read and not held would be worse than none.
    section.refuse("rebuild", NOT_YET);
    let rules = Rules {
        pickle: pickle.map(|value| Ruled { value, line: line("pickle") }),
        min_class: min_class.map(|value| Ruled { value, line: line("min-class") }),
        keys: section.has("keys").then(|| Ruled { value: keys, line: line("keys") }),
    };
    section.finish();
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PackageName {
        text.parse().unwrap()
    }

    fn facts(name: &PackageName, class: Option<Class>) -> Facts<'_> {
        Facts { name, pickle_reason: None, class, signed_by: &[] }
    }

    fn policies(texts: &[&str]) -> Policies {
        let parse = |(place, text): (usize, &&str)| {
            Policy::parse(text, &format!("p{place}")).unwrap_or_else(|e| panic!("{e}"))
        };
        Policies(texts.iter().enumerate().map(parse).collect())
    }

    #[test]
    fn an_unknown_class_meets_only_non_free() {
        let lm = name("lm");
        for (word, least) in [("non-free", None), ("toxic-candy", Some(Class::ToxicCandy))] {
            let policy = policies(&[&format!("[default]\nmin-class = \"{word}\"")]);
            assert_eq!(policy.check("lm 1.0.0", &facts(&lm, None)).is_ok(), least.is_none());
            assert!(policy.check("lm 1.0.0", &facts(&lm, least.or(Some(Class::Main)))).is_ok());
        }
    }

    #[test]
    fn one_policy_does_not_loosen_another() {
        let strict = "[default]\nmin-class = \"main\"";
        let loose = "[default]\nmin-class = \"non-free\"\n[package.lm]\nmin-class = \"non-free\"";
        for order in [[strict, loose], [loose, strict]] {
            let lm = name("lm");
            let refused = policies(&order).check("lm 1.0.0", &facts(&lm, None)).unwrap_err();
            assert!(
                refused
                    .to_string()
                    .ends_with("line 2: its class must be main or better, and is not known")
            );
        }
        // Within one file the package's own section counts.
        let one = policies(&[&format!("{strict}\n[package.lm]\nmin-class = \"non-free\"")]);
        assert!(one.check("lm 1.0.0", &facts(&name("lm"), None)).is_ok());
        assert!(one.check("xy 1.0.0", &facts(&name("xy"), None)).is_err());
    }

    #[test]
    fn no_keys_at_all_accept_nobody() {
        let refused = policies(&["[default]\nkeys = []"]).check("lm", &facts(&name("lm"), None));
        assert!(refused.unwrap_err().why.starts_with("it is signed by nobody"));
    }
}
