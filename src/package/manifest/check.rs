//! Checks what must fit together: names that are used once, names that are looked up, the order
//! of the steps, the one default variant.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;

use super::recipe::{DraftProbe, DraftStep, DraftTest, DraftVariant};
use super::{Placeholder, Probe, Step, Template, Test, Variant};
use crate::package::document::{At, Problem, Reader};
use crate::package::{PackageName, PartName, VariantName};

/// The names that placeholders can mean.
pub(super) struct Names<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) data: Vec<At<PartName>>,
    pub(super) dependencies: Vec<At<PackageName>>,
    pub(super) steps: Vec<At<PartName>>,
    pub(super) variants: Vec<At<VariantName>>,
}

/// Where a template stands.
#[derive(Clone, Copy)]
enum Place {
    Step { seeded: Seeded },
    Test,
    Probe,
}

/// Whether a step states a seed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seeded {
    Yes,
    No,
}

/// Reports names that stand twice.
pub(super) fn once<T: PartialEq + Display>(reader: &Reader<'_>, what: &str, names: &[At<T>]) {
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = names[..index].iter().find(|first| first.value == name.value) {
            reader.report(
                Problem::at(name.span.clone(), format!("two {what} are named `{}`", name.value))
                    .related(first.span.clone(), "the first"),
            );
        }
    }
}

impl Names<'_> {
    /// Reports `name` unless it is among `known`.
    fn look_up<T: PartialEq + AsRef<str>>(
        &self,
        span: Range<usize>,
        kind: &str,
        name: &T,
        known: &[At<T>],
    ) {
        if self.reader.is_full() || known.iter().any(|candidate| candidate.value == *name) {
            return;
        }
        let problem = Problem::at(span, format!("there is no {kind} `{}`", name.as_ref()));
        self.reader
            .report(problem.suggest(name.as_ref(), known.iter().map(|known| known.value.as_ref())));
    }

    fn template(&self, template: &At<Template>, place: Place) {
        for placeholder in template.value.placeholders() {
            let span = self.reader.narrow(&template.span, &placeholder.to_string());
            self.placeholder(placeholder, span, place);
        }
    }

    fn placeholder(&self, placeholder: &Placeholder, span: Range<usize>, place: Place) {
        let refuse = |message: &str, help: &str| {
            self.reader.report(Problem::at(span.clone(), message).help(help));
        };
        match (placeholder, place) {
            (Placeholder::Data(name), _) => {
                self.look_up(span, "data reference", name, &self.data);
            }
            (Placeholder::Dependency(name), _) => {
                self.look_up(span, "dependency", name, &self.dependencies);
            }
            (Placeholder::Step(name), Place::Step { .. }) => {
                self.look_up(span, "step", name, &self.steps);
            }
            (Placeholder::Step(_), Place::Test | Place::Probe) => refuse(
                "{step.NAME} has no place in a test or probe",
                "it sees what a user has: the packed variant, {package}",
            ),
            (Placeholder::Out, Place::Test) => refuse(
                "{out} has no place in a test",
                "a test writes nothing: it prints one JSON object on its last line",
            ),
            (Placeholder::Seed, Place::Test | Place::Probe) => {
                refuse(
                    "{seed} has no place in a test or probe",
                    "it has no seed: write the number",
                );
            }
            (Placeholder::Seed, Place::Step { seeded: Seeded::No }) => {
                refuse("{seed} stands in a step without `seed`", "add `seed = 1337` to the step");
            }
            (Placeholder::Package, Place::Step { .. }) => refuse(
                "{package} has a place in tests only",
                "a step runs before anything is packed: use {step.NAME} for another step's output",
            ),
            (Placeholder::Checkpoint | Placeholder::Until, _) => refuse(
                "{checkpoint} and {until} have no place in `run`",
                "`resume` and `until` of a step with `checkpoints` name them",
            ),
            (Placeholder::Out, Place::Step { .. } | Place::Probe)
            | (Placeholder::Seed, Place::Step { seeded: Seeded::Yes })
            | (Placeholder::Package, Place::Test | Place::Probe) => {}
        }
    }
}

/// The steps in an order in which each comes after what it needs, and otherwise as they stand in
/// the manifest.
pub(super) fn steps(names: &Names<'_>, drafts: Vec<DraftStep>) -> Vec<Step> {
    for draft in &drafts {
        let seeded = if draft.seed.is_some() { Seeded::Yes } else { Seeded::No };
        for argument in &draft.run {
            names.template(argument, Place::Step { seeded });
        }
        for need in &draft.needs {
            names.look_up(need.span.clone(), "step", &need.value, &names.steps);
        }
    }
    let mut steps: Vec<(Step, Range<usize>)> = drafts
        .into_iter()
        .filter_map(|draft| {
            let name = draft.name?;
            let mut needs: Vec<PartName> = draft.needs.into_iter().map(|need| need.value).collect();
            for argument in &draft.run {
                for placeholder in argument.value.placeholders() {
                    match placeholder {
                        Placeholder::Step(step) if !needs.contains(step) => {
                            needs.push(step.clone());
                        }
                        _ => {}
                    }
                }
            }
            let run = draft.run.into_iter().map(|argument| argument.value).collect();
            let step = Step {
                name: name.value,
                run,
                needs,
                resources: draft.resources,
                seed: draft.seed,
                checkpoints: draft.checkpoints,
            };
            Some((step, name.span))
        })
        .collect();
    let known: BTreeSet<PartName> = steps.iter().map(|(step, _)| step.name.clone()).collect();
    let mut done: BTreeSet<PartName> = BTreeSet::new();
    let mut sorted = Vec::new();
    while !steps.is_empty() {
        let ready = steps.iter().position(|(step, _)| {
            step.needs.iter().all(|need| done.contains(need) || !known.contains(need))
        });
        let Some(ready) = ready else {
            report_cycle(names.reader, &steps);
            break;
        };
        let (step, _) = steps.remove(ready);
        done.insert(step.name.clone());
        sorted.push(step);
    }
    sorted
}

/// Reports one cycle among steps of which each needs another one of them.
fn report_cycle(reader: &Reader<'_>, steps: &[(Step, Range<usize>)]) {
    let next = |index: usize| {
        let (step, _) = steps.get(index)?;
        steps.iter().position(|(other, _)| step.needs.contains(&other.name))
    };
    let mut path: Vec<usize> = vec![0];
    while let Some(step) = path.last().and_then(|last| next(*last)) {
        let Some(start) = path.iter().position(|earlier| *earlier == step) else {
            path.push(step);
            continue;
        };
        let mut cycle = path.split_off(start);
        let first = cycle.iter().enumerate().min_by_key(|(_, index)| **index);
        let first = first.map_or(0, |(at, _)| at);
        cycle.rotate_left(first);
        let mut names: Vec<&str> = cycle
            .iter()
            .filter_map(|index| steps.get(*index))
            .map(|(s, _)| s.name.as_str())
            .collect();
        names.extend(names.first().copied());
        let span = cycle.first().and_then(|index| steps.get(*index)).map(|(_, span)| span.clone());
        let message = format!("the steps need each other in a circle: {}", names.join(" → "));
        reader.report(
            Problem::at(span.unwrap_or_default(), message)
                .help("a step needs what stands in `needs` and in its {step.NAME} placeholders"),
        );
        return;
    }
}

/// The variants, of which exactly one is the default.
pub(super) fn variants(names: &Names<'_>, drafts: Vec<DraftVariant>) -> Vec<Variant> {
    for from in drafts.iter().filter_map(|draft| draft.from.as_ref()) {
        names.look_up(from.span.clone(), "step", &from.value, &names.steps);
    }
    let chosen: Vec<&At<bool>> = drafts
        .iter()
        .filter_map(|draft| draft.default.as_ref())
        .filter(|default| default.value)
        .collect();
    let only = drafts.len() == 1;
    match (drafts.as_slice(), chosen.as_slice()) {
        ([], _) | ([_], [_]) => {}
        ([draft], []) => {
            if let Some(default) = &draft.default {
                let message = "the only variant is the default";
                names.reader.report(Problem::at(default.span.clone(), message));
            }
        }
        ([first, ..], []) => names.reader.report(
            Problem::at(first.header.span.clone(), "none of the variants is the default")
                .help("add `default = true` to the one that most people want"),
        ),
        (_, [first, rest @ ..]) => {
            for second in rest {
                names.reader.report(
                    Problem::at(second.span.clone(), "two variants are the default")
                        .related(first.span.clone(), "the first"),
                );
            }
        }
    }
    drafts
        .into_iter()
        .filter_map(|draft| {
            Some(Variant {
                name: draft.name?.value,
                default: only || draft.default.is_some_and(|default| default.value),
                from: draft.from?.value,
                files: draft.files,
            })
        })
        .collect()
}

/// The tests.
pub(super) fn tests(names: &Names<'_>, drafts: Vec<DraftTest>) -> Vec<Test> {
    for draft in &drafts {
        for argument in &draft.run {
            names.template(argument, Place::Test);
        }
        for variant in &draft.variants {
            names.look_up(variant.span.clone(), "variant", &variant.value, &names.variants);
        }
    }
    drafts
        .into_iter()
        .filter_map(|draft| {
            Some(Test {
                name: draft.name?.value,
                run: draft.run.into_iter().map(|argument| argument.value).collect(),
                metric: draft.metric?,
                bound: draft.bound?,
                variants: draft.variants.into_iter().map(|variant| variant.value).collect(),
                resources: draft.resources,
            })
        })
        .collect()
}

/// The probes.
pub(super) fn probes(names: &Names<'_>, drafts: Vec<DraftProbe>) -> Vec<Probe> {
    for draft in &drafts {
        for argument in &draft.run {
            names.template(argument, Place::Probe);
        }
        for variant in &draft.variants {
            names.look_up(variant.span.clone(), "variant", &variant.value, &names.variants);
        }
    }
    let probe = |draft: DraftProbe| {
        Some(Probe {
            name: draft.name?.value,
            run: draft.run.into_iter().map(|argument| argument.value).collect(),
            variants: draft.variants.into_iter().map(|variant| variant.value).collect(),
            resources: draft.resources,
        })
    };
    drafts.into_iter().filter_map(probe).collect()
}
