//! What a model has of the components that the Model Openness Framework asks for.

use crate::build::tree::SourceTree;
use crate::ops::licenses::{Licences, files_of};
use crate::ops::lineage::Part;
use crate::package::Kind;
use crate::package::manifest::DataRole;
use crate::study::class::{Component, Framework, Value};
use crate::study::licences::{Freedom, What};

/// Names of files that are a paper or a report, in lower case and without their endings.
const PAPERS: &[&str] = &["paper", "article", "preprint"];
const REPORTS: &[&str] = &["report", "technical-report", "technical_report"];

/// What the first package of the lineage has.
pub(super) fn of(licences: &Licences) -> Framework {
    let part = &licences.parts[0];
    let mut framework = Framework::default();
    let free = |what: &dyn Fn(&What) -> bool, of: usize| {
        let mut facts = licences.facts.iter().filter(|fact| fact.part == of && what(&fact.what));
        facts.all(|fact| fact.freedom == Freedom::Free)
    };
    let own_is_free = free(&|what| *what == What::Package, 0);
    framework.add(Component::Parameters, Value::of(own_is_free), "the package's own files");
    let Some(tree) = &part.tree else {
        for (component, ..) in Component::ALL {
            if *component != Component::Parameters {
                framework.add(*component, Value::Unknown, "its source is not to be had");
            }
        }
        return framework;
    };
    let code_is_free = free(&|what| *what == What::Code, 0);
    let code = Code { tree, is_free: code_is_free };
    code.add_to(&mut framework);
    documents(&mut framework, tree, licences);
    let wheels_are_free = free(&|what| matches!(what, What::Wheel { .. }), 0);
    let wheels = match wheels_are_free {
        true => Value::Yes,
        false => Value::Unknown,
    };
    framework.add(Component::Libraries, wheels, "the lock file of the environment");
    data(&mut framework, tree, licences);
    framework.components.sort_by_key(|(component, ..)| *component);
    framework
}

/// The code of a model.
struct Code<'a> {
    tree: &'a SourceTree,
    is_free: bool,
}

impl Code<'_> {
    fn add_to(&self, framework: &mut Framework) {
        let manifest = self.tree.manifest();
        let has_code =
            self.names().iter().any(|name| name.ends_with(".py") || name.ends_with(".rs"));
        let value = Value::of(self.is_free && has_code);
        framework.add(Component::Architecture, value, "the code of the source");
        framework.add(Component::TrainingCode, value, "the steps and the code that they run");
        let preprocessing = "the steps, and the packages that the data comes from";
        framework.add(Component::PreprocessingCode, value, preprocessing);
        let inference = self.names().into_iter().find(|name| {
            let lower = name.to_lowercase();
            ["generat", "infer", "predict", "classify", "sample", "run", "merge"]
                .iter()
                .any(|start| lower.starts_with(start))
        });
        let source = inference.clone().unwrap_or_else(|| "no file is named like it".to_owned());
        let value = match inference {
            Some(_) => Value::of(self.is_free),
            None => Value::Unknown,
        };
        framework.add(Component::InferenceCode, value, source);
        let tests = Value::of(self.is_free && !manifest.tests.is_empty());
        framework.add(Component::EvaluationCode, tests, "the tests of the manifest");
        let results = Value::of(!manifest.tests.is_empty());
        framework.add(Component::Results, results, "the tests' results in the build record");
        let checkpoints = manifest.steps.iter().any(|step| step.checkpoints.is_some());
        framework.add(
            Component::Checkpoints,
            Value::of(checkpoints),
            "the checkpoints of the steps",
        );
    }

    fn names(&self) -> Vec<String> {
        let files = files_of(self.tree).unwrap_or_default();
        files.iter().map(|path| path.file_name().to_owned()).collect()
    }
}

fn documents(framework: &mut Framework, tree: &SourceTree, licences: &Licences) {
    let has = |part: &Part| {
        let tree = part.tree.as_ref();
        let card = tree.and_then(|tree| tree.root().join("README.md").metadata().ok());
        card.is_some_and(|card| card.len() > 200)
    };
    framework.add(Component::ModelCard, Value::of(has(&licences.parts[0])), "README.md");
    let mut sets =
        licences.parts.iter().filter(|part| part.package.kind == Kind::Dataset).peekable();
    let cards = match sets.peek() {
        Some(_) => Value::of(sets.all(has)),
        None => Value::of(has(&licences.parts[0]) && !tree.manifest().data.is_empty()),
    };
    framework.add(Component::DataCard, cards, "the README.md of the data packages, else its own");
    let files = files_of(tree).unwrap_or_default();
    let named = |names: &[&str]| {
        files.iter().map(|path| path.as_str().to_lowercase()).find(|path| {
            let last = path.rsplit('/').next().unwrap_or_default();
            let stem = last.split('.').next().unwrap_or_default();
            names.contains(&stem)
        })
    };
    let paper = named(PAPERS);
    let report = named(REPORTS).or_else(|| paper.clone());
    let value = |found: &Option<String>| Value::of(found.is_some());
    let source =
        |found: Option<String>| found.unwrap_or_else(|| "no file is named like it".to_owned());
    framework.add(Component::Report, value(&report), source(report));
    framework.add(Component::Paper, value(&paper), source(paper));
}

fn data(framework: &mut Framework, tree: &SourceTree, licences: &Licences) {
    let all_free = licences
        .facts
        .iter()
        .filter(|fact| matches!(fact.what, What::Data(_)))
        .all(|fact| fact.freedom == Freedom::Free);
    let own = &tree.manifest().data;
    let trains = licences.parts.iter().any(|part| {
        let data = part.tree.as_ref().map_or(&[][..], |tree| &tree.manifest().data[..]);
        data.iter().any(|one| one.role == DataRole::Train)
    });
    let complete = licences.gaps.is_empty() && trains && all_free;
    framework.add(Component::Datasets, Value::of(complete), "the data references of the lineage");
    let evaluates = own.iter().any(|one| matches!(one.role, DataRole::Test | DataRole::Validation))
        || licences.parts[1..].iter().any(|part| part.package.kind == Kind::Dataset);
    let value = Value::of(evaluates && all_free);
    framework.add(Component::EvaluationData, value, "data for tests, or a data package");
}
