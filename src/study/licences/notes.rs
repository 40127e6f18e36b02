//! What follows from licences that meet in one work. It is reported, and not judged: whether
//! weights are derived from their training data is for others to say.

use std::collections::BTreeMap;

use super::{Obligation, clash, licences_in, obligations};

/// Something with a licence that went into a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// What it is, as in `data mailman of docs-corpus 1.0.0`.
    pub name: String,
    /// Its SPDX expression.
    pub license: String,
}

/// What follows from the licences of a work's ingredients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A stable word: that of the obligation, or `conflict`.
    pub kind: &'static str,
    /// What follows.
    pub message: String,
    /// The ingredients that it follows from.
    pub from: Vec<String>,
}

/// What follows for a work under `license` that was made from `ingredients`: what they ask for
/// that its own licence does not ask for, and licences among them that are held not to go together.
#[must_use]
pub fn notes(license: &str, ingredients: &[Ingredient]) -> Vec<Note> {
    let own = obligations(license);
    let mut asked: BTreeMap<Obligation, Vec<&Ingredient>> = BTreeMap::new();
    for ingredient in ingredients {
        for obligation in obligations(&ingredient.license) {
            asked.entry(obligation).or_default().push(ingredient);
        }
    }
    let mut notes = Vec::new();
    for (obligation, from) in asked {
        // Almost everything asks to be named: one note with all of them is enough.
        let is_met = own.contains(&obligation) && obligation != Obligation::Attribution;
        if !is_met {
            let licences = listed(from.iter().map(|one| one.license.as_str()));
            let message = format!("{} ({licences})", words(obligation, license));
            let from = from.iter().map(|one| one.name.clone()).collect();
            notes.push(Note { kind: obligation.as_str(), message, from });
        }
    }
    notes.extend(conflicts(ingredients));
    notes
}

fn words(obligation: Obligation, license: &str) -> String {
    match obligation {
        Obligation::Attribution => "authors of what went in are to be named".to_owned(),
        Obligation::Copyleft => format!("copyleft works went into one under {license}"),
        Obligation::NonCommercial => {
            format!("works that are not for commercial use went into one under {license}")
        }
        Obligation::NoDerivatives => {
            format!("works that may not be changed went into one under {license}")
        }
        Obligation::UnknownTerms => {
            format!("works under terms that nobody has looked at went into one under {license}")
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn conflicts(ingredients: &[Ingredient]) -> Vec<Note> {
    // Of an alternative another choice may do, so only expressions without one are looked at.
    let firm = ingredients.iter().filter(|one| !one.license.contains(" OR "));
    let mut by_licence: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for ingredient in firm {
        for licence in licences_in(&ingredient.license) {
            by_licence.entry(licence).or_default().push(&ingredient.name);
        }
    }
    let all: Vec<(&String, &Vec<&str>)> = by_licence.iter().collect();
    let mut notes = Vec::new();
    for (place, (one, first)) in all.iter().enumerate() {
        for (other, second) in &all[place + 1..] {
            if let Some(why) = clash(one, other) {
                let message = format!("{one} and {other} are held not to go together: {why}");
                let from = first.iter().chain(second.iter()).map(|name| (*name).to_owned());
                notes.push(Note { kind: "conflict", message, from: from.collect() });
            }
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(list: &[(&str, &str)]) -> Vec<Ingredient> {
        let one = |(name, license): &(&str, &str)| Ingredient {
            name: (*name).to_owned(),
            license: (*license).to_owned(),
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn copyleft_in_a_permissive_work_is_reported() {
        let made_of = ingredients(&[("a", "GPL-3.0-or-later"), ("b", "MIT")]);
        let found = notes("MIT", &made_of);
        let kinds: Vec<&str> = found.iter().map(|note| note.kind).collect();
        assert_eq!(kinds, ["attribution", "copyleft"]);
        assert_eq!(found[1].message, "copyleft works went into one under MIT (GPL-3.0-or-later)");
        assert_eq!(found[1].from, ["a"]);
        assert!(!notes("GPL-3.0-or-later", &made_of).iter().any(|note| note.kind == "copyleft"));
        assert!(notes("MIT", &ingredients(&[("c", "CC0-1.0")])).is_empty());
    }

    #[test]
    fn licences_that_do_not_go_together_are_reported() {
        let found = notes("MIT", &ingredients(&[("a", "GPL-2.0-only"), ("b", "Apache-2.0")]));
        let conflict = found.iter().find(|note| note.kind == "conflict").unwrap();
        assert_eq!(conflict.from, ["b", "a"]);
        let choice = ingredients(&[("a", "GPL-2.0-only OR MIT"), ("b", "Apache-2.0")]);
        assert!(!notes("MIT", &choice).iter().any(|note| note.kind == "conflict"));
    }
}
