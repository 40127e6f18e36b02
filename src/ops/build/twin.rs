//! `build --check`: holds the packages of a build against those of another build of the same tree,
//! before anything reaches `dist/`.

use std::path::{Path, PathBuf};

use super::{BuildError, BuildOptions, Outcome, Setting, StepShelf, TestRun, build};
use crate::build::executor::Executor;
use crate::build::record::{BuildRecord, OutputRecord, StepRecord};
use crate::build::steps::Reuse;
use crate::build::work::Work;
use crate::fs::{read_to_string, remove_folder};
use crate::ops::catalogue::open;
use crate::ops::released::Unpacked;
use crate::package::Digest;
use crate::package::manifest::{Level, Manifest};
use crate::reproduce::{FileFacts, Tolerance, Verdict, compare_contents};

/// The longest build record that is read, in bytes.
const LONGEST_RECORD: u64 = 256 << 20;

/// Builds what `options` name twice, the first time with every step anew and apart, and refuses to
/// let a package pass that is less alike than its manifest promises.
///
/// # Errors
/// Those of [`build`]; [`BuildError::NotAlike`].
pub fn build_twice(
    options: &BuildOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Outcome, BuildError> {
    let id = Digest::of(format!("{:?}", options.source).as_bytes());
    let shelter = Work::open(&setting.home.cache().join("checks"), &id.short(), || {
        setting.progress.note("Waiting for another check of the same source");
    })?;
    remove_folder(shelter.folder())?;
    let twin = shelter.folder().join("twin");
    let apart = BuildOptions {
        out: Some(twin.clone()),
        reuse: Reuse::Fresh,
        shelf: StepShelf::Apart(shelter.folder().join("steps")),
        tests: TestRun::Skip,
        ..options.clone()
    };
    setting.progress.note("The first of two builds");
    let outcome = build(&apart, setting, executor).and_then(|_| {
        setting.progress.note("The second of two builds");
        build(&BuildOptions { twin: Some(twin), ..options.clone() }, setting, executor)
    });
    remove_folder(shelter.folder())?;
    outcome
}

/// The packages of one build beside those of another.
pub(super) struct Twins<'a> {
    pub(super) manifest: &'a Manifest,
    /// Where the packages of this build lie.
    pub(super) folder: &'a Path,
    /// Where those of the other one do.
    pub(super) twin: &'a Path,
    pub(super) outputs: &'a [OutputRecord],
    pub(super) steps: &'a [StepRecord],
    pub(super) setting: &'a Setting<'a>,
}

impl Twins<'_> {
    /// The weakest verdict of all variants, which is as good as the manifest promises.
    pub(super) fn demand(&self) -> Result<Verdict, BuildError> {
        let least = match self.manifest.reproducibility.level {
            Level::Bitwise => Verdict::Identical,
            Level::Tensor => Verdict::WithinTolerance,
            // The tests hold, or the build has failed before.
            Level::Behaviour => Verdict::Different,
        };
        let mut weakest = Verdict::Identical;
        for output in self.outputs {
            let verdict = self.compare(output, least)?;
            let variant = &output.variant;
            self.setting.progress.note(&format!("Both builds of {variant}: {verdict}"));
            weakest = weakest.min(verdict);
        }
        if least == Verdict::Identical {
            self.demand_checkpoints()?;
        }
        Ok(weakest)
    }

    /// Demands that the checkpoints on the way are the same bytes too.
    fn demand_checkpoints(&self) -> Result<(), BuildError> {
        let Some(twin) = self.record() else { return Ok(()) };
        for (one, other) in self.steps.iter().zip(&twin.steps) {
            let (one, other) = (&one.result, &other.result);
            let number =
                match one.checkpoints.iter().zip(&other.checkpoints).position(|it| it.0 != it.1) {
                    Some(place) => place + 1,
                    None if one.checkpoints.len() != other.checkpoints.len() => {
                        one.checkpoints.len().min(other.checkpoints.len()) + 1
                    }
                    None => continue,
                };
            return Err(BuildError::CheckpointsNotAlike { step: one.step.clone(), number });
        }
        Ok(())
    }

    fn compare(&self, output: &OutputRecord, least: Verdict) -> Result<Verdict, BuildError> {
        let (one, other) =
            (open(&self.folder.join(&output.file))?, open(&self.twin.join(&output.file))?);
        if one.package_digest() == other.package_digest() {
            return Ok(Verdict::Identical);
        }
        let one = Unpacked::of(one, self.setting)?;
        let other = Unpacked::of(other, self.setting)?;
        let tolerance = Tolerance::from(&self.manifest.reproducibility);
        let comparison =
            compare_contents(one.side(), other.side(), &tolerance, self.setting.progress)?;
        if comparison.verdict >= least {
            return Ok(comparison.verdict);
        }
        Err(BuildError::NotAlike {
            variant: output.variant.clone(),
            level: self.manifest.reproducibility.level.as_str(),
            files: comparison.changed().map(FileFacts::in_words).collect(),
            step: self.first_step(),
            facts: serde_json::to_value(&comparison).unwrap_or_default(),
        })
    }

    /// The record of the other build.
    fn record(&self) -> Option<BuildRecord> {
        let records = std::fs::read_dir(self.twin).ok()?.filter_map(Result::ok);
        let mut paths = records.map(|entry| entry.path());
        let path: PathBuf = paths.find(|path| path.to_string_lossy().ends_with(".build.json"))?;
        let text = read_to_string(&path, LONGEST_RECORD).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The first step that left other bytes.
    fn first_step(&self) -> Option<String> {
        let twin = self.record()?;
        let pairs = self.steps.iter().zip(&twin.steps);
        let mut differ = pairs.filter(|(one, other)| one.result.outputs != other.result.outputs);
        differ.next().map(|(step, _)| step.result.step.to_string())
    }
}
