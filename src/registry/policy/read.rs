//! Reading `policy.toml`.

use std::collections::{BTreeMap, BTreeSet};

use super::class::ClassVoices;
use super::rebuild::{Asked, Keys, OnMismatch, RebuildRule, Rebuilder, RebuilderKey, SELF};
use super::{FORM, Pickle, Policy, Ruled, Rules};
use crate::crypto::{ForeignKey, KeyId, KeyName};
use crate::explain::printable;
use crate::package::document::{At, Diagnostics, Problem, Section};
use crate::package::{Class, PackageName, Verdict};

/// The rebuilders that a policy names, by their names.
type Rebuilders = BTreeMap<String, Rebuilder>;

impl Policy {
    /// Reads a policy; `file` is how messages name it.
    pub(super) fn parse(text: &str, file: &str) -> Result<Self, Diagnostics> {
        FORM.parse(text, file, |root| {
            let policy = read(&root, text, file);
            root.finish();
            Some(policy)
        })
    }
}

fn read(root: &Section<'_>, text: &str, file: &str) -> Policy {
    let mut policy = Policy { file: printable(file), ..Policy::default() };
    let rebuilders = rebuilders(root);
    if let Some(section) = root.section("default", "[default]") {
        policy.default = rules(section, text, &rebuilders);
    }
    let Some(packages) = root.section("package", "[package.NAME]") else { return policy };
    for (key, value) in packages.entries() {
        let name: Option<At<PackageName>> = packages.reader.name(&key);
        let Some(section) = packages.table_of("[package.NAME]", value) else {
            let message = format!("`package.{}` is a table", key.value);
            packages.reader.report(Problem::at(key.span, message));
            continue;
        };
        let rules = rules(section, text, &rebuilders);
        if let Some(name) = name {
            policy.packages.insert(name.value, rules);
        }
    }
    policy
}

fn rules(section: Section<'_>, text: &str, rebuilders: &Rebuilders) -> Rules {
    let line = |key: &str| text[..section.key_span(key).start].matches('\n').count() + 1;
    // Signatures are always required; the word is there for people to read.
    section.word("publisher", &["required"], |word| word);
    let pickle = section.word("pickle", &[Pickle::Deny, Pickle::Ask], |word| match word {
        Pickle::Deny => "deny",
        Pickle::Ask => "ask",
    });
    let min_class = section.word("min-class", Class::ALL, Class::as_str);
    let class_by = class_by(&section);
    let keys = section.strings("keys");
    let keys = keys.iter().filter_map(|found| section.reader.parse(found));
    let keys: BTreeSet<KeyId> = keys.map(|key| key.value).collect();
    let rebuild = rebuild(&section, rebuilders);
    let rules = Rules {
        pickle: pickle.map(|value| Ruled { value, line: line("pickle") }),
        min_class: min_class.map(|value| Ruled { value, line: line("min-class") }),
        class_by: class_by.map(|value| Ruled { value, line: line("class-by") }),
        keys: section.has("keys").then(|| Ruled { value: keys, line: line("keys") }),
        rebuild: rebuild.map(|value| Ruled { value, line: line("rebuild") }),
    };
    section.finish();
    rules
}

/// Whose word for a class is taken: key ids, and `self`.
fn class_by(section: &Section<'_>) -> Option<ClassVoices> {
    section.has("class-by").then(|| {
        let mut voices = ClassVoices { own: false, keys: BTreeSet::new() };
        for found in section.strings("class-by") {
            if found.value == SELF {
                voices.own = true;
            } else if let Some(key) = section.reader.parse::<KeyId>(&found) {
                voices.keys.insert(key.value);
            }
        }
        voices
    })
}

/// The rule about rebuilds: the word `exempt`, or a table.
fn rebuild(section: &Section<'_>, rebuilders: &Rebuilders) -> Option<RebuildRule> {
    if section.is_string("rebuild") {
        section.word("rebuild", &["exempt"], |word| word)?;
        return Some(RebuildRule::Exempt);
    }
    let table = section.section("rebuild", "[default.rebuild] or [package.NAME.rebuild]")?;
    let number = table.integer("count");
    let count = number.as_ref().map_or(1, |number| usize::try_from(number.value).unwrap_or(0));
    let of = listened_to(&table, rebuilders);
    if !table.has("of") {
        table.missing("of", "[\"NAME\", \"self\"]");
    }
    let organisations: BTreeSet<&str> = of.iter().map(|one| one.organisation.as_str()).collect();
    let place = number.map_or_else(|| table.key_span("of"), |number| number.span);
    if count == 0 || table.has("of") && count > organisations.len() {
        let most = organisations.len();
        let message = format!("`count` is from 1 to the number of organisations in `of`, {most}");
        table.reader.report(Problem::at(place, message));
    }
    let verdicts = &Verdict::ALL[1..];
    let verdict = table.word("verdict", verdicts, Verdict::as_str).unwrap_or(Verdict::Identical);
    let mismatches = [OnMismatch::Deny, OnMismatch::Warn];
    let on_mismatch = table.word("on-mismatch", &mismatches, |word| match word {
        OnMismatch::Deny => "deny",
        OnMismatch::Warn => "warn",
    });
    let on_mismatch = on_mismatch.unwrap_or(OnMismatch::Deny);
    table.finish();
    Some(RebuildRule::Asked(Asked { count, of, verdict, on_mismatch }))
}

/// The rebuilders that `of` names.
fn listened_to(table: &Section<'_>, rebuilders: &Rebuilders) -> Vec<Rebuilder> {
    let mut found = Vec::new();
    for name in table.names::<KeyName>("of") {
        let text = name.value.to_string();
        if text == SELF {
            found.push(own_keys(rebuilders));
        } else if let Some(rebuilder) = rebuilders.get(&text) {
            found.push(rebuilder.clone());
        } else {
            let message = format!("no rebuilder is called `{text}`");
            let known = rebuilders.keys().map(String::as_str).chain([SELF]);
            let known: Vec<&str> = known.collect();
            let problem = Problem::at(name.span, message)
                .help(format!("name its keys in [rebuilder.{text}]"))
                .suggest(&text, known);
            table.reader.report(problem);
        }
    }
    found
}

/// The keys of this home folder as a rebuilder.
fn own_keys(rebuilders: &Rebuilders) -> Rebuilder {
    let but = rebuilders.values().flat_map(|one| one.kin.iter().copied()).collect();
    Rebuilder {
        name: SELF.to_owned(),
        organisation: SELF.to_owned(),
        keys: Keys::Own { but },
        kin: BTreeSet::new(),
    }
}

/// The tables `[rebuilder.NAME]`.
fn rebuilders(root: &Section<'_>) -> Rebuilders {
    let mut all = Rebuilders::new();
    let Some(tables) = root.section("rebuilder", "[rebuilder.NAME]") else { return all };
    let mut owners: BTreeMap<KeyId, String> = BTreeMap::new();
    for (key, value) in tables.entries() {
        let name: Option<At<KeyName>> = tables.reader.name(&key);
        let Some(section) = tables.table_of("[rebuilder.NAME]", value) else {
            let message = format!("`rebuilder.{}` is a table", key.value);
            tables.reader.report(Problem::at(key.span, message));
            continue;
        };
        let organisation = section.string("organisation").map(|found| found.value.to_owned());
        let keys = keys(&section, key.value, &mut owners);
        section.finish();
        if key.value == SELF {
            let message = "`self` are the keys of this home folder; it has no table";
            tables.reader.report(Problem::at(key.span, message));
        } else if let Some(name) = name {
            let name = name.value.to_string();
            let organisation = printable(&organisation.unwrap_or_else(|| name.clone()));
            let (keys, kin) = (Keys::Named(keys), BTreeSet::new());
            all.insert(name.clone(), Rebuilder { name, organisation, keys, kin });
        }
    }
    know_kin(&mut all);
    all
}

/// The keys of one rebuilder; `owners` says whose each key is.
fn keys(
    section: &Section<'_>,
    name: &str,
    owners: &mut BTreeMap<KeyId, String>,
) -> Vec<RebuilderKey> {
    let mut keys = Vec::new();
    for found in section.strings("keys") {
        let id = found.value.parse().ok().map(RebuilderKey::Id);
        let whole = || ForeignKey::of_text(found.value, "this").public().ok().flatten();
        let Some(key) = id.or_else(|| whole().map(RebuilderKey::Whole)) else {
            let message = "this is neither the id of a key nor a public key";
            let help = "`mpkg key list` shows ids, `mpkg key export NAME` a public key";
            section.reader.report(Problem::at(found.span, message).help(help));
            continue;
        };
        match owners.insert(key.id(), name.to_owned()) {
            None => keys.push(key),
            Some(owner) => {
                let message = format!("this key stands at `{}` already", printable(&owner));
                section.reader.report(Problem::at(found.span, message));
            }
        }
    }
    if !section.has("keys") || section.is_empty_array("keys") {
        section.missing("keys", "[\"KEYID\"]");
    }
    keys
}

/// Tells every rebuilder the keys of its organisation.
fn know_kin(all: &mut Rebuilders) {
    let mut kin: BTreeMap<String, BTreeSet<KeyId>> = BTreeMap::new();
    for one in all.values() {
        if let Keys::Named(keys) = &one.keys {
            let ids = keys.iter().map(RebuilderKey::id);
            kin.entry(one.organisation.clone()).or_default().extend(ids);
        }
    }
    for one in all.values_mut() {
        one.kin = kin.get(&one.organisation).cloned().unwrap_or_default();
    }
}
