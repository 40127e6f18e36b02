//! Reads `[[step]]`, `[[variant]]`, `[[test]]` and `[[probe]]`.

use super::checkpoints::checkpoints;
use super::data::glob;
use super::{Bound, Checkpoints, InvalidTemplate, Placeholder, Resources, Template, quantity};
use crate::package::document::{At, Problem, Section};
use crate::package::{PartName, VariantName};

/// A step before its names are looked up.
pub(super) struct DraftStep {
    pub(super) name: Option<At<PartName>>,
    pub(super) run: Vec<At<Template>>,
    pub(super) needs: Vec<At<PartName>>,
    pub(super) resources: Resources,
    pub(super) seed: Option<u64>,
    pub(super) checkpoints: Option<Checkpoints>,
}

/// A variant before its names are looked up.
pub(super) struct DraftVariant {
    pub(super) header: At<()>,
    pub(super) name: Option<At<VariantName>>,
    pub(super) default: Option<At<bool>>,
    pub(super) from: Option<At<PartName>>,
    pub(super) files: Vec<String>,
}

/// A probe before its names are looked up.
pub(super) struct DraftProbe {
    pub(super) name: Option<At<PartName>>,
    pub(super) run: Vec<At<Template>>,
    pub(super) variants: Vec<At<VariantName>>,
    pub(super) resources: Resources,
}

/// A test before its names are looked up.
pub(super) struct DraftTest {
    pub(super) name: Option<At<PartName>>,
    pub(super) run: Vec<At<Template>>,
    pub(super) metric: Option<String>,
    pub(super) bound: Option<Bound>,
    pub(super) variants: Vec<At<VariantName>>,
    pub(super) resources: Resources,
}

/// Reads one `[[step]]`.
pub(super) fn step(section: Section<'_>) -> DraftStep {
    let reader = section.reader;
    let step = DraftStep {
        name: section.required("name", "\"train\"").and_then(|found| reader.name(&found)),
        run: run(&section),
        needs: section.names("needs"),
        resources: resources(section.section("resources", "[step.resources]")),
        seed: section.integer("seed").map(|seed| seed.value),
        checkpoints: checkpoints(&section),
    };
    section.finish();
    step
}

/// Reads one `[[variant]]`.
pub(super) fn variant(section: Section<'_>) -> DraftVariant {
    let reader = section.reader;
    let variant = DraftVariant {
        header: At { value: (), span: section.span() },
        name: section.required("name", "\"f32\"").and_then(|found| reader.name(&found)),
        default: section.boolean("default"),
        from: section.required("from", "\"train\"").and_then(|found| reader.name(&found)),
        files: section
            .strings("files")
            .into_iter()
            .filter_map(|found| glob(&section, &found))
            .collect(),
    };
    if !section.has("files") {
        section.missing("files", "[\"model.safetensors\"]");
    } else if section.is_empty_array("files") {
        let span = section.key_span("files");
        reader.report(Problem::at(span, "`files` names no file: the variant would be empty"));
    }
    section.finish();
    variant
}

/// Reads one `[[test]]`.
pub(super) fn test(section: Section<'_>) -> DraftTest {
    let reader = section.reader;
    let metric = section.required("metric", "\"accuracy\"").and_then(|found| {
        let good = !found.value.is_empty() && !found.value.chars().any(char::is_control);
        if !good {
            reader.report(Problem::at(found.span, "`metric` takes the name of a field"));
        }
        good.then(|| found.value.to_owned())
    });
    let test = DraftTest {
        name: section.required("name", "\"accuracy\"").and_then(|found| reader.name(&found)),
        run: run(&section),
        metric,
        bound: bound(&section),
        variants: section.names("variants"),
        resources: resources(section.section("resources", "[test.resources]")),
    };
    section.finish();
    test
}

/// Reads one `[[probe]]`.
pub(super) fn probe(section: Section<'_>) -> DraftProbe {
    let reader = section.reader;
    let probe = DraftProbe {
        name: section.required("name", "\"held-out\"").and_then(|found| reader.name(&found)),
        run: run(&section),
        variants: section.names("variants"),
        resources: resources(section.section("resources", "[probe.resources]")),
    };
    let writes = |argument: &At<Template>| {
        argument.value.placeholders().any(|placeholder| *placeholder == Placeholder::Out)
    };
    if section.has("run") && !probe.run.iter().any(writes) {
        let problem = Problem::at(section.key_span("run"), "a probe names {out} nowhere");
        reader.report(problem.help("it writes one prediction a line to {out}/predictions.txt"));
    }
    section.finish();
    probe
}

fn bound(section: &Section<'_>) -> Option<Bound> {
    let at_most = section.number("at-most").map(|found| Bound::AtMost(found.value));
    let at_least = section.number("at-least").map(|found| Bound::AtLeast(found.value));
    let equals = section.number("equals").map(|found| Bound::Equals(found.value));
    let stated: Vec<&str> =
        ["at-most", "at-least", "equals"].into_iter().filter(|key| section.has(key)).collect();
    match stated.as_slice() {
        [] => {
            let problem = section.problem("[[test]] states no bound: it could not fail");
            section.reader.report(problem.help("add `at-most`, `at-least` or `equals`"));
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!("a test has one bound: `{first}` or `{second}`");
            section.reader.report(
                Problem::at(section.key_span(second), message)
                    .related(section.key_span(first), "the first bound")
                    .help("write two tests"),
            );
        }
    }
    at_most.or(at_least).or(equals)
}

fn run(section: &Section<'_>) -> Vec<At<Template>> {
    let arguments = section.strings("run");
    if !section.has("run") {
        section.missing("run", "[\"python3\", \"train.py\", \"{out}\"]");
    } else if section.is_empty_array("run") {
        let span = section.key_span("run");
        section.reader.report(Problem::at(span, "`run` names no program"));
    }
    if let Some(program) = arguments.first().filter(|program| program.value.is_empty()) {
        section.reader.report(Problem::at(program.span.clone(), "`run` names no program"));
    }
    arguments.iter().filter_map(|argument| template(section, argument)).collect()
}

pub(super) fn template(section: &Section<'_>, found: &At<&str>) -> Option<At<Template>> {
    if found.value.contains('\0') {
        let message = "an argument cannot hold a NUL character";
        section.reader.report(Problem::at(found.span.clone(), message));
        return None;
    }
    match found.value.parse::<Template>() {
        Ok(template) => Some(At { value: template, span: found.span.clone() }),
        Err(InvalidTemplate::Unknown(name)) => {
            let span = section.reader.narrow(&found.span, &format!("{{{name}}}"));
            let problem = Problem::at(span, format!("{{{name}}} is no placeholder"));
            let problem = match crate::explain::nearest(&name, ["out", "seed", "package"]) {
                Some(near) => problem.help(format!("did you mean {{{near}}}?")),
                None => problem.help(
                    "there are {out}, {seed}, {package}, {data.NAME}, {step.NAME} and {dep.NAME}; \
                     {{ and }} stand for braces",
                ),
            };
            section.reader.report(problem);
            None
        }
        Err(error @ InvalidTemplate::Unbalanced) => {
            section.reader.report(Problem::at(found.span.clone(), error.to_string()));
            None
        }
    }
}

fn resources(section: Option<Section<'_>>) -> Resources {
    let mut resources = Resources::default();
    let Some(section) = section else { return resources };
    let count = |key, least: u64, goal: &mut u32| {
        let Some(found) = section.integer(key) else { return };
        match u32::try_from(found.value) {
            Ok(number) if found.value >= least => *goal = number,
            _ => {
                let message = format!("`{key}` takes a number from {least} to {}", u32::MAX);
                section.reader.report(Problem::at(found.span, message));
            }
        }
    };
    count("cpus", 1, &mut resources.cpus);
    count("gpus", 0, &mut resources.gpus);
    count("nodes", 1, &mut resources.nodes);
    count("processes", 1, &mut resources.processes);
    let amount = |key, goal: &mut u64| {
        let Some(found) = section.string(key) else { return };
        match quantity::bytes(found.value) {
            Some(bytes) => *goal = bytes,
            None => section.reader.report(
                Problem::at(found.span, format!("`{key}` takes a whole number with a unit"))
                    .help("write \"4GiB\" or \"512MB\"; the units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB"),
            ),
        }
    };
    amount("memory", &mut resources.memory);
    amount("disk", &mut resources.disk);
    if let Some(found) = section.string("time") {
        match quantity::time(found.value) {
            Some(time) => resources.time = time,
            None => section.reader.report(
                Problem::at(found.span, "`time` takes whole numbers with units")
                    .help("write \"90s\", \"15m\", \"1h30m\" or \"2d\""),
            ),
        }
    }
    section.finish();
    resources
}
