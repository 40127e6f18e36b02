//! What else was made from data that records are withdrawn from: a removal that stops at one
//! package leaves the text in the tokenizer that was trained on it.

use std::collections::BTreeSet;

use super::{Grounds, Written};
use crate::build::tree::SourceTree;
use crate::ops::lineage::{self, Gap, Genealogist, Lineage, Part, Places};
use crate::ops::list::list;
use crate::ops::materials::materials;
use crate::package::manifest::RecordKind;
use crate::package::{Digest, PackageName, PackageVersion, PartName};
use crate::resolve::Wish;

/// The tree, and the data that records are withdrawn from.
pub(super) struct Subject<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) kind: RecordKind,
    pub(super) digest: Digest,
}

/// What else is affected.
#[derive(Debug, Clone, Default)]
pub struct Closure {
    /// Packages that the tree is built from, in the order in which they must be built.
    pub packages: Vec<Affected>,
    /// How the tree itself is then built.
    pub build: String,
    /// Installed packages that were built from the data.
    pub installed: Vec<String>,
    /// What could not be looked into.
    pub gaps: Vec<Gap>,
}

/// A package that was built from the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its own data references to that data.
    pub data: Vec<PartName>,
    /// Affected packages that it was built from.
    pub from: Vec<PackageName>,
    /// What makes it without the records.
    pub commands: Vec<String>,
}

/// Looks for what else was made from the data.
pub(super) fn follow(
    subject: &Subject<'_>,
    what: &Written,
    grounds: &Grounds,
    places: &Places<'_>,
) -> Closure {
    let mut closure = Closure::default();
    let gap =
        |what: &str, error: lineage::Error| Gap { what: what.to_owned(), why: error.to_string() };
    let mut genealogist = match Genealogist::new(places) {
        Ok(genealogist) => genealogist,
        Err(error) => {
            closure.gaps.push(gap("what it is built from", error));
            return closure;
        }
    };
    let root = subject.tree.root();
    match genealogist.follow(&lineage::Subject::Tree(root.to_owned())) {
        Ok(lineage) => {
            let found = Found::of(&lineage, subject.digest, places, &mut closure.gaps);
            closure.packages = found.affected(&lineage, subject, what, grounds);
            closure.gaps.extend(lineage.gaps);
        }
        Err(error) => closure.gaps.push(gap("what it is built from", error)),
    }
    let with = with(closure.packages.iter());
    closure.build = format!("mpkg build {}{with}", quoted(&root.display().to_string()));
    installed(subject, &mut genealogist, places, &mut closure);
    closure
}

/// Names installed packages that were built from the data.
fn installed(
    subject: &Subject<'_>,
    genealogist: &mut Genealogist<'_>,
    places: &Places<'_>,
    closure: &mut Closure,
) {
    let own = &subject.tree.manifest().package.name;
    for package in list(places.home, places.profile).unwrap_or_default() {
        if package.name == *own {
            continue;
        }
        let release = package.release().to_string();
        let Ok(wish) = package.name.as_str().parse::<Wish>() else { continue };
        let wish = Wish { exact: Some(package.package), ..wish };
        match genealogist.follow(&lineage::Subject::Release(wish)) {
            Ok(lineage) => {
                let found = Found::of(&lineage, subject.digest, places, &mut closure.gaps);
                if !found.parts.is_empty() {
                    closure.installed.push(release);
                }
            }
            Err(error) => closure.gaps.push(Gap { what: release, why: error.to_string() }),
        }
    }
}

/// The parts of a lineage that hold the data or were built from such.
struct Found {
    /// Each with its own references to the data.
    parts: Vec<(usize, Vec<PartName>)>,
}

impl Found {
    fn of(lineage: &Lineage, digest: Digest, places: &Places<'_>, gaps: &mut Vec<Gap>) -> Self {
        let mut own: Vec<Vec<PartName>> = Vec::new();
        for part in &lineage.parts {
            own.push(match materials(part, places.client) {
                Ok(materials) => {
                    materials.into_iter().filter(|it| it.is(digest)).map(|it| it.name).collect()
                }
                Err(error) => {
                    gaps.push(Gap { what: named(part), why: error.to_string() });
                    Vec::new()
                }
            });
        }
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for place in 0..lineage.parts.len() {
            depth_first(lineage, place, &mut seen, &mut order);
        }
        // What a part needs stands before it.
        let mut affected: BTreeSet<usize> = BTreeSet::new();
        let mut parts = Vec::new();
        for place in order {
            let needs = lineage.parts[place].needs.iter().filter_map(|need| need.part);
            if !own[place].is_empty() || needs.into_iter().any(|it| affected.contains(&it)) {
                affected.insert(place);
                parts.push((place, own[place].clone()));
            }
        }
        Self { parts }
    }

    /// All but the tree itself, which is the first part.
    fn affected(
        &self,
        lineage: &Lineage,
        subject: &Subject<'_>,
        what: &Written,
        grounds: &Grounds,
    ) -> Vec<Affected> {
        let mut all: Vec<Affected> = Vec::new();
        for (place, data) in self.parts.iter().filter(|(place, _)| *place != 0) {
            let part = &lineage.parts[*place];
            let needs: BTreeSet<&PackageName> = part.needs.iter().map(|need| &need.name).collect();
            let from: Vec<&Affected> = all.iter().filter(|it| needs.contains(&it.name)).collect();
            let commands = commands(part, data, &from, subject, what, grounds);
            let package = &part.package;
            let (name, version) = (package.name.clone(), package.version.clone());
            let from = from.into_iter().map(|it| it.name.clone()).collect();
            let affected = Affected { name, version, data: data.clone(), from, commands };
            if !all.iter().any(|it| it.name == affected.name && it.version == affected.version) {
                all.push(affected);
            }
        }
        all
    }
}

fn depth_first(
    lineage: &Lineage,
    place: usize,
    seen: &mut BTreeSet<usize>,
    order: &mut Vec<usize>,
) {
    // A lineage has no circle, for its digests name what was there before.
    if !seen.insert(place) {
        return;
    }
    let needs = lineage.parts[place].needs.iter().filter_map(|need| need.part);
    needs.for_each(|need| depth_first(lineage, need, seen, order));
    order.push(place);
}

fn named(part: &Part) -> String {
    format!("{} {}", part.package.name, part.package.version)
}

/// What makes a package without the records.
fn commands(
    part: &Part,
    data: &[PartName],
    from: &[&Affected],
    subject: &Subject<'_>,
    what: &Written,
    grounds: &Grounds,
) -> Vec<String> {
    let (name, version) = (&part.package.name, &part.package.version);
    let folder = format!("{name}-{version}");
    let mut commands = vec![format!("mpkg source {name}@={version}")];
    for data in data {
        let manifest = part.tree.as_ref().map(SourceTree::manifest);
        let reference = manifest.and_then(|it| it.data.iter().find(|it| it.name == *data));
        let stated = reference.and_then(|it| it.records);
        let meant = match what {
            Written::Match(text) => format!("--match {}", quoted(text)),
            Written::Records(digests) if stated.is_none_or(|it| it == subject.kind) => {
                digests.iter().map(|it| format!("--record {it}")).collect::<Vec<_>>().join(" ")
            }
            // Its records are of another kind, and have other digests.
            Written::Records(_) => "--match REGEX".to_owned(),
        };
        let kind = match stated {
            None => format!(" --records {}", subject.kind.as_str()),
            Some(_) => String::new(),
        };
        let reference = grounds.reference.as_ref();
        let reference = reference.map(|it| format!(" --reference {}", quoted(it)));
        commands.push(format!(
            "mpkg exclude --tree {folder} {data}{kind} {meant} --reason {}{}",
            quoted(&grounds.reason),
            reference.unwrap_or_default(),
        ));
    }
    commands.push(format!("mpkg build {folder}{}", with(from.iter().copied())));
    commands
}

fn with<'a>(packages: impl Iterator<Item = &'a Affected>) -> String {
    packages.fold(String::new(), |all, it| format!("{all} --with {}-{}", it.name, it.version))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
