//! The bill of materials of a lineage: its packages, their data, code and wheels, each with its
//! licence.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Licences;
use crate::build::data::shown;
use crate::crypto::statement::package_url;
use crate::ops::lineage::{Part, Relation as Needed};
use crate::package::Kind;
use crate::package::manifest::{DataReference, DataRole, DataSource};
use crate::study::bill::{Bill, Item, ItemKind, Link, Relation};
use crate::study::licences::{LicenceFact, What};

/// The bill of `licences`, made at `created`.
#[must_use]
pub fn bill(licences: &Licences, created: Timestamp) -> Bill {
    let mut items = Vec::new();
    let mut links = Vec::new();
    // The packages come first, in their own order, so that a part's place is its item's.
    for (number, part) in licences.parts.iter().enumerate() {
        let fact = licences.facts.iter().find(|it| it.part == number && it.what == What::Package);
        items.push(package(part, fact));
    }
    let mut wheels: BTreeMap<String, usize> = BTreeMap::new();
    for fact in &licences.facts {
        let part = &licences.parts[fact.part];
        let (item, relation) = match &fact.what {
            What::Package => continue,
            What::Code => (code(part, fact), Relation::MadeFrom),
            What::Data(name) => data(part, name, fact),
            What::Wheel { name, version } => (wheel(name, version, fact), Relation::BuiltWith),
        };
        // Packages share wheels, and nothing else.
        let is_known = wheels.get(&item.id).copied();
        let to = is_known.unwrap_or(items.len());
        if is_known.is_none() {
            if item.kind == ItemKind::Library {
                wheels.insert(item.id.clone(), to);
            }
            items.push(item);
        }
        links.push(Link { from: fact.part, relation, to });
    }
    links.extend(needs(&licences.parts));
    links.sort_unstable();
    links.dedup();
    Bill { items, links, created }
}

/// What packages need of each other.
fn needs(parts: &[Part]) -> Vec<Link> {
    let mut links = Vec::new();
    for (from, part) in parts.iter().enumerate() {
        for need in &part.needs {
            let Some(to) = need.part else { continue };
            let relation = match (parts[to].package.kind, need.relation) {
                (Kind::Dataset, _) if part.package.kind != Kind::Dataset => Relation::TrainedOn,
                (Kind::Dataset | Kind::Model | Kind::Adapter | Kind::Tokenizer, Needed::Build) => {
                    Relation::MadeFrom
                }
                (_, Needed::Use) => Relation::DependsOn,
                (_, Needed::Build) => Relation::BuiltWith,
            };
            links.push(Link { from, relation, to });
        }
    }
    links
}

/// An item with the licence that `fact` states.
fn item(kind: ItemKind, id: String, name: String, fact: Option<&LicenceFact>) -> Item {
    Item {
        kind,
        id,
        name,
        version: None,
        summary: None,
        url: None,
        sha256: None,
        size: None,
        addresses: Vec::new(),
        maintainers: Vec::new(),
        tasks: Vec::new(),
        license: fact.and_then(|fact| fact.license.clone()),
        level: fact.map_or(crate::study::licences::Level::Unknown, |fact| fact.level),
        evidence: fact.and_then(|fact| fact.evidence.place().map(str::to_owned)),
        findings: fact
            .map(|fact| fact.findings.iter().map(|one| one.message.clone()).collect())
            .unwrap_or_default(),
        properties: Vec::new(),
    }
}

fn identity(part: &Part) -> String {
    let package = &part.package;
    let variant = package.variant.as_ref().map(|variant| format!(":{variant}")).unwrap_or_default();
    format!("{}:{}{variant}", package.name, package.version)
}

fn package(part: &Part, fact: Option<&LicenceFact>) -> Item {
    let package = &part.package;
    let manifest = part.tree.as_ref().map(|tree| &tree.manifest().package);
    let kind = ItemKind::Package(package.kind);
    let mut properties = vec![("kind".to_owned(), package.kind.as_str().to_owned())];
    properties.extend(package.source.map(|it| ("source-package".to_owned(), it.to_string())));
    Item {
        version: Some(package.version.to_string()),
        summary: Some(package.summary.clone()),
        url: Some(package_url(&package.release())),
        sha256: part.is_binary.then_some(package.package),
        maintainers: manifest.map(|it| it.maintainers.clone()).unwrap_or_default(),
        tasks: manifest
            .map(|it| it.tasks.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        properties,
        ..item(kind, identity(part), package.name.to_string(), fact)
    }
}

fn code(part: &Part, fact: &LicenceFact) -> Item {
    let name = format!("code of {}", part.package.name);
    let id = format!("{}:code", identity(part));
    let version = Some(part.package.version.to_string());
    let sha256 = part.package.source;
    Item { version, sha256, ..item(ItemKind::Code, id, name, Some(fact)) }
}

fn data(part: &Part, name: &str, fact: &LicenceFact) -> (Item, Relation) {
    let id = format!("{}:data:{name}", identity(part));
    let plain = item(ItemKind::Data, id, name.to_owned(), Some(fact));
    let references = part.tree.as_ref().map_or(&[][..], |tree| &tree.manifest().data[..]);
    let Some(reference) = references.iter().find(|one| one.name.as_str() == name) else {
        return (plain, Relation::MadeFrom);
    };
    let (sha256, size, addresses) = contents(reference);
    let mut properties = vec![
        ("role".to_owned(), reference.role.as_str().to_owned()),
        ("level".to_owned(), reference.level.as_str().to_owned()),
    ];
    for (files, license) in fact.members() {
        properties.push(("member".to_owned(), format!("{}: {license}", files.join(" "))));
    }
    let relation = match reference.role {
        DataRole::Validation | DataRole::Test => Relation::TestedOn,
        _ if part.package.kind == Kind::Dataset => Relation::MadeFrom,
        DataRole::Train | DataRole::Tokenizer | DataRole::Reference => Relation::TrainedOn,
    };
    (Item { sha256, size, addresses, properties, ..plain }, relation)
}

type Contents = (Option<crate::package::Digest>, Option<u64>, Vec<String>);

fn contents(reference: &DataReference) -> Contents {
    match &reference.source {
        DataSource::Fetched { urls, sha256, size } => {
            (Some(*sha256), Some(*size), urls.iter().map(shown).collect())
        }
        DataSource::InTree { sha256, .. } => (*sha256, None, Vec::new()),
        DataSource::Shards { .. } => (None, None, Vec::new()),
    }
}

fn wheel(name: &str, version: &str, fact: &LicenceFact) -> Item {
    Item {
        version: Some(version.to_owned()),
        url: Some(format!("pkg:pypi/{name}@{}", version.replace('+', "%2B"))),
        ..item(ItemKind::Library, format!("wheel:{name}:{version}"), name.to_owned(), Some(fact))
    }
}
