//! From the text of a manifest to a [`Manifest`], or to everything that is wrong with it.

use super::check::{self, Names};
use super::package::DependencyAt;
use super::{DataReference, Level, Manifest, data, package, recipe};
use crate::package::PackageName;
use crate::package::document::{At, Diagnostics, Form, Problem, Reader, Section};

const FORM: Form = Form { kind: "manifest", noun: "a manifest", longest: super::LONGEST_MANIFEST };

impl Manifest {
    /// Reads a manifest; `file_name` is how messages name it.
    ///
    /// # Errors
    /// Every problem that the manifest has: those of its TOML, or else those of its keys.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Diagnostics> {
        FORM.parse(text, file_name, read)
    }
}

/// Takes the names out of a list of optional names.
fn named<T>(names: impl Iterator<Item = Option<At<T>>>) -> Vec<At<T>> {
    names.flatten().collect()
}

fn read(root: Section<'_>) -> Option<Manifest> {
    let reader = root.reader;
    let package = root.section("package", "[package]");
    if !root.has("package") {
        reader
            .report(Problem::at(0..0, "there is no [package] table").help(
                "a manifest begins with [package]: name, version, kind, summary and license",
            ));
    }
    let package = package.and_then(package::package);
    let own_name = package.as_ref().map(|package| &package.name);
    let dependencies =
        package::dependencies(root.section("dependencies", "[dependencies]"), own_name);
    let build_dependencies =
        package::dependencies(root.section("build-dependencies", "[build-dependencies]"), own_name);
    not_in_both(reader, &dependencies, &build_dependencies);
    let (data_names, data): (Vec<_>, Vec<Option<DataReference>>) =
        root.sections("data", "[[data]]").into_iter().map(data::data).unzip();
    let environment =
        package::environment(root.section("environment", "[environment]"), &build_dependencies);
    let steps: Vec<_> = root.sections("step", "[[step]]").into_iter().map(recipe::step).collect();
    let variants: Vec<_> =
        root.sections("variant", "[[variant]]").into_iter().map(recipe::variant).collect();
    let reproducibility =
        package::reproducibility(root.section("reproducibility", "[reproducibility]"));
    let tests: Vec<_> = root.sections("test", "[[test]]").into_iter().map(recipe::test).collect();
    let probes: Vec<_> =
        root.sections("probe", "[[probe]]").into_iter().map(recipe::probe).collect();
    if reproducibility.min_agreement.is_some() && probes.is_empty() {
        let problem = Problem::at(
            root.key_span("reproducibility"),
            "`min-agreement` needs a [[probe]] whose predictions agree",
        );
        reader.report(problem);
    }

    for (key, help) in [
        ("step", "add a [[step]] that makes the package's files; one may also copy them"),
        ("variant", "add a [[variant]] that says which files make the binary package"),
    ] {
        if !root.has(key) || root.is_empty_array(key) {
            reader.report(Problem::at(0..0, format!("there is no [[{key}]]")).help(help));
        }
    }
    let behaviour_is_promised =
        root.has("reproducibility") && reproducibility.level == Level::Behaviour;
    if behaviour_is_promised && tests.is_empty() {
        let span = root.key_span("reproducibility");
        let message = "`level = \"behaviour\"` needs a [[test]] that says what the behaviour is";
        reader.report(Problem::at(span, message));
    }
    let names = Names {
        reader,
        data: named(data_names.into_iter()),
        dependencies: dependencies
            .iter()
            .chain(&build_dependencies)
            .map(|dependency| dependency.clone().map(|dependency| dependency.name))
            .collect(),
        steps: named(steps.iter().map(|step| step.name.clone())),
        variants: named(variants.iter().map(|variant| variant.name.clone())),
    };
    check::once(reader, "data references", &names.data);
    check::once(reader, "steps", &names.steps);
    check::once(reader, "variants", &names.variants);
    check::once(reader, "tests", &named(tests.iter().map(|test| test.name.clone())));
    check::once(reader, "probes", &named(probes.iter().map(|probe| probe.name.clone())));
    let steps = check::steps(&names, steps);
    let variants = check::variants(&names, variants);
    let tests = check::tests(&names, tests);
    let probes = check::probes(&names, probes);
    root.finish();
    Some(Manifest {
        package: package?,
        dependencies: dependencies.into_iter().map(|dependency| dependency.value).collect(),
        build_dependencies: build_dependencies
            .into_iter()
            .map(|dependency| dependency.value)
            .collect(),
        data: data.into_iter().flatten().collect(),
        environment,
        steps,
        variants,
        reproducibility,
        tests,
        probes,
    })
}

fn not_in_both(reader: &Reader<'_>, dependencies: &[DependencyAt], build: &[DependencyAt]) {
    for second in build {
        let name: &PackageName = &second.value.name;
        if let Some(first) = dependencies.iter().find(|first| first.value.name == *name) {
            reader.report(
                Problem::at(second.span.clone(), format!("`{name}` is a dependency already"))
                    .related(first.span.clone(), "here")
                    .help("what is needed to use the package is there when it is built as well"),
            );
        }
    }
}
