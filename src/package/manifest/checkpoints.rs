//! Reads `checkpoints`, `resume` and `until` of a `[[step]]`.

use super::data::glob;
use super::recipe::template;
use super::{Placeholder, Template};
use crate::package::document::{At, Problem, Section};

/// What the names of checkpoints end in: weights that are data, and never code.
const END: &str = ".safetensors";

/// The checkpoints of a step, and how it goes on from one and ends at one.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// A glob over the step's output: the files that are checkpoints.
    pub files: String,
    /// Arguments that follow `run` where the step goes on from a checkpoint, `{checkpoint}`.
    pub resume: Vec<Template>,
    /// Arguments that follow `run` where the step ends with a checkpoint, `{until}`.
    pub until: Vec<Template>,
}

/// Reads the three keys, of which all or none are there.
pub(super) fn checkpoints(section: &Section<'_>) -> Option<Checkpoints> {
    let files = section.string("checkpoints");
    let resume = arguments(section, "resume", &Placeholder::Checkpoint);
    let until = arguments(section, "until", &Placeholder::Until);
    let Some(files) = files else {
        for key in ["resume", "until"] {
            if section.has(key) {
                let problem =
                    Problem::at(section.key_span(key), format!("`{key}` goes with `checkpoints`"));
                section
                    .reader
                    .report(problem.help("add `checkpoints = \"checkpoints/*.safetensors\"`"));
            }
        }
        return None;
    };
    for (key, example) in
        [("resume", "[\"--resume\", \"{checkpoint}\"]"), ("until", "[\"--until\", \"{until}\"]")]
    {
        if !section.has(key) {
            section.missing(key, example);
        }
    }
    if !files.value.ends_with(END) {
        let problem = Problem::at(files.span.clone(), format!("`checkpoints` ends in `{END}`"));
        let help = "whoever checks a training reads its checkpoints: they are data, and never code";
        section.reader.report(problem.help(help));
    }
    Some(Checkpoints { files: glob(section, &files)?, resume, until })
}

/// Arguments that have no placeholder but `wanted`, and have that.
fn arguments(section: &Section<'_>, key: &'static str, wanted: &Placeholder) -> Vec<Template> {
    let found: Vec<At<Template>> =
        section.strings(key).iter().filter_map(|argument| template(section, argument)).collect();
    let mut named = false;
    for argument in &found {
        for placeholder in argument.value.placeholders() {
            if placeholder == wanted {
                named = true;
                continue;
            }
            let span = section.reader.narrow(&argument.span, &placeholder.to_string());
            let problem = Problem::at(span, format!("{placeholder} has no place in `{key}`"));
            section
                .reader
                .report(problem.help(format!("it follows `run`, and has {wanted} alone")));
        }
    }
    if section.has(key) && !named {
        let problem = Problem::at(section.key_span(key), format!("`{key}` names {wanted} nowhere"));
        section.reader.report(problem);
    }
    found.into_iter().map(|argument| argument.value).collect()
}
