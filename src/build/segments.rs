//! Runs a step from one checkpoint to the next, and no more of it.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::log::BuildLog;
use super::outputs;
use super::steps::{Finished, Placer, Recipe};
use crate::fs::{create_folder, remove_folder};
use crate::package::manifest::{Placeholder, Step, Template};
use crate::package::{Digest, PackagePath, PartName};

/// The most names that a message lists.
const NAMES_SHOWN: usize = 20;

/// A checkpoint that a step goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where it lies.
    pub place: PathBuf,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What part of a step runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span<'a> {
    /// The checkpoint that it goes on from; none begins anew.
    pub from: Option<&'a Start>,
    /// The checkpoint that it ends with; none goes on to the end.
    pub until: Option<&'a PackagePath>,
}

impl Span<'_> {
    /// The arguments that follow those of `step` itself.
    pub(super) fn arguments(&self, step: &Step, placer: &mut Placer<'_>) -> Vec<String> {
        let Some(declared) = &step.checkpoints else { return Vec::new() };
        let mut arguments = Vec::new();
        if let Some(start) = self.from {
            let name = start.place.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = format!("checkpoint/{}", name.unwrap_or_default());
            let place = placer.text(&start.place, &name);
            arguments.extend(declared.resume.iter().map(|argument| filled(argument, &place)));
        }
        if let Some(until) = self.until {
            let until = until.as_str();
            arguments.extend(declared.until.iter().map(|argument| filled(argument, until)));
        }
        arguments
    }
}

fn filled(argument: &Template, value: &str) -> String {
    let value = |placeholder: &Placeholder| match placeholder {
        Placeholder::Checkpoint | Placeholder::Until => Ok(value.to_owned()),
        other => Ok::<_, std::convert::Infallible>(other.to_string()),
    };
    match argument.fill(value) {
        Ok(filled) => filled,
        Err(never) => match never {},
    }
}

/// A part of a step that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRun {
    /// The step.
    pub step: PartName,
    /// The number of the segment: that of the checkpoint that it goes on from, or 0.
    pub number: usize,
    /// That checkpoint.
    pub from: Option<Start>,
    /// The checkpoint that it ends with, below the step's output.
    pub until: PackagePath,
    /// Where that one is put.
    pub goal: PathBuf,
}

/// A part of a step that was run.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentDone {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What weakens it.
    pub tainted: Vec<String>,
}

impl Recipe<'_> {
    /// Runs a part of a step; `finished` has what the step needs.
    ///
    /// # Errors
    /// When the step fails, or ends without having written the checkpoint.
    pub fn segment(
        &self,
        run: &SegmentRun,
        finished: &Finished,
        log: &mut BuildLog,
    ) -> Result<SegmentDone, Error> {
        let step =
            self.manifest.steps.iter().find(|step| step.name == run.step).ok_or_else(|| {
                let steps = self.manifest.steps.iter().map(|step| step.name.to_string()).collect();
                Error::NoStep { name: run.step.to_string(), steps }
            })?;
        let out = self.work.output(&step.name);
        remove_folder(&out)?;
        create_folder(&out)?;
        let span = Span { from: run.from.as_ref(), until: Some(&run.until) };
        let mut job = self.job(step, finished, &out, span)?;
        job.title = format!("segment {} of the {}", run.number, job.title);
        log.begin(&job.title)?;
        self.progress.note(&format!("Step {}: segment {}", step.name, run.number));
        let (done, _) = self.watch(&job, step, log)?;
        let place = run.until.below(&out);
        if !std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_file()) {
            return Err(no_checkpoint(step, &run.until, &out));
        }
        create_folder(run.goal.parent().unwrap_or(Path::new(".")))?;
        std::fs::rename(&place, &run.goal)
            .map_err(crate::fs::Error::at("rename a file to", &run.goal))?;
        remove_folder(&out)?;
        let seconds = super::report::duration(done.seconds);
        self.progress
            .note(&format!("Step {}: segment {} done in {seconds}", step.name, run.number));
        Ok(SegmentDone { seconds: done.seconds, tainted: done.tainted })
    }
}

fn no_checkpoint(step: &Step, until: &PackagePath, out: &Path) -> Error {
    let found = match outputs::list(out) {
        Ok(files) => files.iter().take(NAMES_SHOWN).map(|file| file.path.to_string()).collect(),
        Err(source) => return Error::OddOutput { step: step.name.clone(), source },
    };
    Error::NoCheckpoint { step: step.name.clone(), until: until.to_string(), found }
}
