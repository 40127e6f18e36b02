//! What follows from the licences of all that went into a package.

use std::collections::{BTreeMap, BTreeSet};

use super::named;
use crate::ops::lineage::Part;
use crate::study::licences::{Ingredient, LicenceFact, Note, What, notes};

/// What follows for one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartNote {
    /// The place of the package among the parts.
    pub part: usize,
    /// What follows.
    pub note: Note,
}

/// What follows for the first package, and for every other one whose own licence asks for less
/// than what it was made from.
pub(super) fn of(parts: &[Part], facts: &[LicenceFact]) -> Vec<PartNote> {
    let mut all = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let ingredients = ingredients(number, parts, facts);
        let found = notes(&part.package.license, &ingredients);
        let is_wanted = |note: &Note| number == 0 || note.kind != "attribution";
        all.extend(found.into_iter().filter(is_wanted).map(|note| PartNote { part: number, note }));
    }
    all
}

/// The data and packages that went into the package at `number`, however far back.
fn ingredients(number: usize, parts: &[Part], facts: &[LicenceFact]) -> Vec<Ingredient> {
    let below = below(number, parts);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| below.contains(&fact.part)) {
        let is_ingredient = match &fact.what {
            What::Data(_) => true,
            What::Package => fact.part != number,
            What::Code | What::Wheel { .. } => false,
        };
        let Some(license) = fact.license.as_ref().filter(|_| is_ingredient) else { continue };
        let package = named(&parts[fact.part]);
        let name = match fact.what.name() {
            Some(name) => format!("data {name} of {package}"),
            None => package,
        };
        found.insert(name, license.clone());
    }
    found.into_iter().map(|(name, license)| Ingredient { name, license }).collect()
}

/// The places of a package and of all that it was built from.
fn below(number: usize, parts: &[Part]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([number]);
    let mut left = vec![number];
    while let Some(next) = left.pop() {
        for need in parts[next].needs.iter().filter_map(|need| need.part) {
            if seen.insert(need) {
                left.push(need);
            }
        }
    }
    seen
}
