//! `mpkg class`: the openness class of a package and of all that it was built from, with the facts
//! that it follows from.

mod framework;
mod gather;
mod presence;
mod reproduced;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::licenses::{self, Licences, Looking};
use super::lineage::{Gap, Genealogist, Places, Relation, Subject};
use crate::crypto::statement::package_url;
use crate::explain::printable;
use crate::package::Kind;
use crate::store::CacheUse;
use crate::study::class::{Class, Fact, Framework, Value, class_of};
use crate::study::licences::Level;

pub use licenses::{Error, Result};
use reproduced::Reproduced;

/// The classes of a lineage.
#[derive(Debug, Clone)]
pub struct Classes {
    /// Each part of the lineage, in its order; the first is the package that was asked about.
    pub classified: Vec<Classified>,
    /// The licence facts that some of the facts follow from.
    pub licences: Licences,
    /// What the first package has of the Model Openness Framework; none where it is no model.
    pub framework: Option<Framework>,
}

impl Classes {
    /// What of the lineage is not to be had.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.licences.gaps
    }

    /// The package that was asked about.
    ///
    /// # Panics
    /// Never: a lineage has a first part.
    #[must_use]
    pub fn first(&self) -> &Classified {
        self.classified.first().expect("a lineage has a first part")
    }
}

/// A package with its class.
#[derive(Debug, Clone)]
pub struct Classified {
    /// Its class.
    pub class: Class,
    /// The facts, those about what it needs last.
    pub facts: Vec<Fact>,
}

/// The class of `subject`, and of all that it was built from.
///
/// # Errors
/// When the subject is not to be had, or something is damaged or not believed. What is not known
/// is a fact.
pub fn class(
    subject: &Subject,
    looking: Looking<'_>,
    places: &Places<'_>,
    now: Timestamp,
) -> Result<Classes> {
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    let mut genealogist = Genealogist::new(places)?;
    let lineage = genealogist.follow(subject)?;
    let rebuilds: Vec<Option<Reproduced>> = lineage
        .parts
        .iter()
        .map(|part| Reproduced::of(part, &mut genealogist))
        .collect::<Result<_>>()?;
    if looking != Looking::Here {
        presence::fetch_all(&lineage, places, now)?;
    }
    let licences = licenses::of_lineage(lineage, looking, places, now)?;
    let own = gather::own_facts(&licences, &rebuilds, places)?;
    let classified = classify(&licences, own);
    let first = licences.parts.first();
    let is_model = first.is_some_and(|it| matches!(it.package.kind, Kind::Model | Kind::Adapter));
    let framework = is_model.then(|| framework::of(&licences));
    Ok(Classes { classified, licences, framework })
}

impl Classes {
    /// What is signed of the class of the package that was asked about, computed at `now`; none
    /// where it is no binary package that names its source.
    #[must_use]
    pub fn predicate(&self, now: Timestamp) -> Option<Json> {
        let package = &self.licences.parts.first()?.package;
        let (source, first) = (package.source?, self.first());
        let of_fact = |fact: &Fact| {
            let mut said = json!({
                "key": fact.key, "value": fact.value, "level": fact.level, "allows": fact.allows,
                "statement": printable(&fact.statement),
            });
            if let Some(about) = &fact.about {
                said["about"] = printable(about).into();
            }
            said
        };
        Some(json!({
            "package": package_url(&package.release()),
            "package-digest": package.package,
            "source": source,
            "class": first.class,
            "computed": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "facts": first.facts.iter().map(of_fact).collect::<Vec<_>>(),
        }))
    }
}

/// Adds to the facts of each part those about what it needs, from the bottom up.
fn classify(licences: &Licences, own: Vec<Vec<Fact>>) -> Vec<Classified> {
    let mut known: BTreeMap<usize, Classified> = BTreeMap::new();
    let mut own: Vec<Option<Vec<Fact>>> = own.into_iter().map(Some).collect();
    for number in order(licences) {
        let mut facts = own[number].take().unwrap_or_default();
        for need in &licences.parts[number].needs {
            let class = need.part.and_then(|part| known.get(&part)).map(|it| it.class);
            facts.push(need_fact(need.name.as_str(), need.relation, class));
        }
        known.insert(number, Classified { class: class_of(&facts), facts });
    }
    known.into_values().collect()
}

/// The places of the parts, each after all that it needs. What needs itself in a circle comes
/// before some of its needs, whose classes are then unknown to it.
fn order(licences: &Licences) -> Vec<usize> {
    let mut done = Vec::new();
    let mut stack: Vec<(usize, bool)> =
        (0..licences.parts.len()).rev().map(|it| (it, false)).collect();
    let mut entered = vec![false; licences.parts.len()];
    while let Some((number, needs_are_done)) = stack.pop() {
        if needs_are_done {
            done.push(number);
        } else if !std::mem::replace(&mut entered[number], true) {
            stack.push((number, true));
            let needs = licences.parts[number].needs.iter().rev();
            stack.extend(needs.filter_map(|need| need.part).map(|part| (part, false)));
        }
    }
    done
}

fn need_fact(name: &str, relation: Relation, class: Option<Class>) -> Fact {
    let what = match relation {
        Relation::Use => "dependency",
        Relation::Build => "build dependency",
    };
    let statement = format!("the {what} {name} is in main");
    let fact = Fact::good("needs", statement, "its own class").about(name);
    match class {
        Some(Class::Main) => fact.at(Level::Checked, None),
        Some(class) => fact.at(Level::Checked, None).but(
            Value::No,
            class,
            format!("{name} is in {class}: ask `mpkg class {name}` why"),
        ),
        None => fact.at(Level::Unknown, None).but(
            Value::Unknown,
            Class::NonFree,
            format!("{name} is not to be had: name a registry that has it"),
        ),
    }
}
