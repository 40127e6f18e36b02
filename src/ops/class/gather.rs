//! The facts about one package by itself.

use jiff::Timestamp;

use super::Result;
use super::presence::{Presence, Weights};
use super::reproduced::Reproduced;
use crate::build::tree::SourceTree;
use crate::ops::licenses::Licences;
use crate::ops::lineage::{Part, Places};
use crate::package::Kind;
use crate::package::manifest::{DataReference, DataRole};
use crate::study::class::{Class, Fact, Value};
use crate::study::facts::FactStore;
use crate::study::licences::{Evidence, Freedom, Level, LicenceFact, What};

/// The facts of each part of the lineage, without those about what it needs.
pub(super) fn own_facts(
    licences: &Licences,
    rebuilds: &[Option<Reproduced>],
    places: &Places<'_>,
) -> Result<Vec<Vec<Fact>>> {
    let store = FactStore::open(&places.home.cache());
    let parts = licences.parts.iter().enumerate();
    parts
        .map(|(number, part)| {
            let mut facts: Vec<Fact> = licences
                .facts
                .iter()
                .filter(|fact| fact.part == number)
                .map(|fact| licence(fact, part))
                .collect();
            facts.push(source(part));
            facts.extend(part.tree.as_ref().map(|_| recipe(part, rebuilds[number].as_ref())));
            if let Some(tree) = &part.tree {
                facts.extend(of_tree(tree, part, licences, (places, &store))?);
            }
            Ok(facts)
        })
        .collect()
}

/// Whether something is under a free licence.
fn licence(fact: &LicenceFact, part: &Part) -> Fact {
    let license = fact.license.as_deref().unwrap_or("no licence that is known");
    let subject = match &fact.what {
        What::Package => "its files are".to_owned(),
        What::Code => "the code of its source is".to_owned(),
        What::Data(name) => format!("the data `{name}` is"),
        What::Wheel { name, version } => format!("the wheel {name} {version} is"),
    };
    let statement = format!("{subject} under a free licence ({license})");
    let source = fact.evidence.place().unwrap_or("the manifest").to_owned();
    let date = match &fact.evidence {
        Evidence::Seen { date, .. } => Some(*date),
        _ => None,
    };
    let key = match &fact.what {
        What::Package => "licence",
        What::Code => "code-licence",
        What::Data(_) => "data-licence",
        What::Wheel { .. } => "wheel-licence",
    };
    let mut good = Fact::good(key, statement, source).at(fact.level, date);
    good.about = fact.what.name();
    let worst = match &fact.what {
        What::Package => Class::NonFree,
        What::Code => Class::ToxicCandy,
        What::Data(name) if is_trained_on(part, name) => Class::ToxicCandy,
        What::Data(_) | What::Wheel { .. } => Class::Contrib,
    };
    let needs_evidence = matches!(fact.what, What::Data(_));
    match (fact.freedom, fact.level) {
        (Freedom::NonFree, _) => {
            good.but(Value::No, worst, format!("{license} is not free: replace it"))
        }
        (Freedom::Unknown, _) => good.but(Value::Unknown, worst, unknown(fact)),
        (Freedom::Free, Level::Checked | Level::Reproduced) => good,
        (Freedom::Free, _) if needs_evidence => {
            good.but(Value::Yes, Class::Contrib, unproven(fact))
        }
        (Freedom::Free, _) => good,
    }
}

/// What would make a licence known.
fn unknown(fact: &LicenceFact) -> String {
    match (&fact.evidence, fact.license.as_deref()) {
        (Evidence::Unseen { why, .. }, None) => why.clone(),
        (_, Some(license)) => format!("nobody has said whether {license} is free"),
        (_, None) => "nothing says which licence it has".to_owned(),
    }
}

/// What would prove a licence that is only declared.
fn unproven(fact: &LicenceFact) -> String {
    match &fact.evidence {
        Evidence::None => "its licence is only declared: name `license-evidence`".to_owned(),
        Evidence::Unseen { .. } => {
            "its licence is only declared: `mpkg licenses --check` reads the evidence".to_owned()
        }
        Evidence::Gone { why, .. } => format!("the evidence for its licence is gone: {why}"),
        Evidence::Seen { .. } => "the evidence does not say what is declared".to_owned(),
    }
}

fn is_trained_on(part: &Part, name: &str) -> bool {
    let data = part.tree.as_ref().map_or(&[][..], |tree| &tree.manifest().data[..]);
    let reference = data.iter().find(|one| one.name.as_str() == name);
    reference.is_none_or(|one| role_trains(one.role))
}

/// Whether data of that role goes into what is made.
fn role_trains(role: DataRole) -> bool {
    match role {
        DataRole::Train | DataRole::Tokenizer | DataRole::Reference => true,
        DataRole::Validation | DataRole::Test => false,
    }
}

fn source(part: &Part) -> Fact {
    let fact = Fact::good("source", "its source is to be had", "the package digest it names");
    match &part.tree {
        Some(_) => fact.at(Level::Checked, None),
        None => fact.at(Level::Unknown, None).but(
            Value::No,
            Class::ToxicCandy,
            "publish the source package that made it",
        ),
    }
}

fn of_tree(
    tree: &SourceTree,
    part: &Part,
    licences: &Licences,
    (places, store): (&Places<'_>, &FactStore),
) -> Result<Vec<Fact>> {
    let manifest = tree.manifest();
    let mut facts: Vec<Fact> = trained_on(tree, part, licences).into_iter().collect();
    let presence = Presence { tree, places, store };
    for reference in &manifest.data {
        facts.push(presence.fact(reference));
        if part.package.kind != Kind::Dataset && reference.role != DataRole::Test {
            facts.extend(given_weights(presence.weights(reference), reference));
        }
    }
    if manifest.package.kind != Kind::Dataset
        && let Some(path) = presence.weights_in_tree()?
    {
        let statement = "its source holds no weights that were made elsewhere";
        facts.push(
            Fact::good("weights-given", statement, path.clone()).at(Level::Checked, None).but(
                Value::No,
                Class::ToxicCandy,
                format!("{path} in the tree came from a training that is not here"),
            ),
        );
    }
    facts.extend(software(tree));
    Ok(facts)
}

/// Whether everything that is done is written down, which a manifest without steps cannot be.
fn recipe(part: &Part, rebuild: Option<&Reproduced>) -> Fact {
    let fact = Fact::good("recipe", "the recipe is complete", "the steps of the manifest");
    match (rebuild, part.is_binary) {
        (Some(rebuild), _) => rebuild.strengthen(fact),
        (None, true) => fact.at(Level::Checked, None),
        (None, false) => fact,
    }
}

/// Whether anything is said of what a model was trained on.
fn trained_on(tree: &SourceTree, part: &Part, licences: &Licences) -> Option<Fact> {
    let kind = part.package.kind;
    if !matches!(kind, Kind::Model | Kind::Adapter | Kind::Tokenizer) {
        return None;
    }
    // Data to look things up in may go into a model, and says nothing of a training.
    let trains = |role: DataRole| matches!(role, DataRole::Train | DataRole::Tokenizer);
    let of_data = tree.manifest().data.iter().any(|one| trains(one.role));
    let is_source = |kind: Kind| match kind {
        Kind::Dataset | Kind::Model | Kind::Adapter => true,
        Kind::Tokenizer | Kind::Environment => false,
    };
    let needs = &part.needs;
    let of_packages = needs.iter().filter_map(|need| need.part);
    let of_packages = of_packages.map(|at| licences.parts[at].package.kind).any(is_source);
    let is_lost = needs.iter().any(|need| need.part.is_none());
    let fact = Fact::good("training-data", "it is said what it was trained on", "the manifest");
    Some(match (of_data || of_packages, is_lost) {
        (true, _) => fact,
        (false, true) => fact.but(
            Value::Unknown,
            Class::ToxicCandy,
            "what it needs is not to be had, so nobody knows",
        ),
        (false, false) => fact.but(
            Value::No,
            Class::ToxicCandy,
            "name its training data: `[[data]]`, or a package of it",
        ),
    })
}

/// Weights in a data reference were trained by somebody else, on something that is not here.
fn given_weights(weights: Weights, reference: &DataReference) -> Option<Fact> {
    let statement =
        format!("the data `{}` holds no weights that were made elsewhere", reference.name);
    let fact = |source: String| {
        Fact::good("weights-given", statement, source).about(reference.name.as_str())
    };
    match weights {
        Weights::None => None,
        Weights::In(path) => {
            let remedy =
                format!("the training data and code of {path} are not here: package what made it");
            let fact = fact(path).at(Level::Checked, None);
            Some(fact.but(Value::No, Class::ToxicCandy, remedy))
        }
        Weights::Unknown => {
            let remedy = "nobody has looked into the archive: --check fetches it";
            let fact = fact("its archive".to_owned()).at(Level::Unknown, None);
            Some(fact.but(Value::Unknown, Class::ToxicCandy, remedy))
        }
    }
}

/// The facts about the software that a build needs beside the wheels, whose licences stand apart.
fn software(tree: &SourceTree) -> Vec<Fact> {
    let manifest = tree.manifest();
    let mut facts: Vec<Fact> = manifest
        .environment
        .system
        .iter()
        .map(|system| {
            let statement = format!("the program {} is in main", system.program);
            Fact::good("system", statement, "the manifest")
                .about(system.program.as_str())
                .at(Level::Unknown, None)
                .but(
                    Value::Unknown,
                    Class::Contrib,
                    "nobody knows the licence of a program of the machine: use an environment package",
                )
        })
        .collect();
    let wants_gpus = manifest.steps.iter().find(|step| step.resources.gpus > 0);
    if let Some(step) = wants_gpus {
        let statement = "no step needs a driver that may not be free";
        let remedy = "accelerators need their vendor's driver, whose licence nobody knows here";
        facts.push(
            Fact::good("drivers", statement, format!("step {}", step.name))
                .at(Level::Unknown, None)
                .but(Value::Unknown, Class::Contrib, remedy),
        );
    }
    facts
}

/// The newest of some dates.
pub(super) fn newest(dates: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
    dates.max()
}
