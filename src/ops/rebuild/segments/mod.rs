//! Runs parts of a training again, from one checkpoint to the next, and says how alike they are
//! (spec/checkpoints.md, "Checking").

mod attest;
mod document;
mod draw;
mod error;
mod page;
mod supply;

pub use attest::attest;
pub use draw::{Named, Which};
pub use error::Error;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::subject::{Graded, Subject, grade as grade_package, tolerance_of};
use super::{ProbeFacts, RebuildOptions, keeps};
use crate::archive::Package;
use crate::build::checkpoints::Chain;
use crate::build::executor::Executor;
use crate::build::outputs::hash_file;
use crate::build::record::{BuildRecord, ReproducibilityRecord};
use crate::build::segments::{SegmentDone, SegmentRun};
use crate::crypto::KeyId;
use crate::fs::{remove_folder, write_atomically};
use crate::ops::build::{BuildOptions, BuildSource, Built, Outcome, Segments, Setting, build};
use crate::ops::catalogue::open;
use crate::ops::released::{Operand, Unpacked};
use crate::package::manifest::{MANIFEST_NAME, Manifest};
use crate::package::{Digest, PackagePath, PartName, Release};
use crate::reproduce::{Comparison, Tolerance, Verdict, WeightsFacts, compare_files};
use draw::{Place, choose};
use supply::Supply;

/// The longest manifest that is read, in bytes.
const LONGEST_MANIFEST: u64 = crate::package::manifest::LONGEST_MANIFEST;

/// Parts of a training that were run again.
#[derive(Debug)]
pub struct Checked {
    /// The release.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// The SHA-256 of its file.
    pub file: Digest,
    /// The package digest of its source.
    pub source: Digest,
    /// The weakest of all verdicts.
    pub verdict: Verdict,
    /// The chains, of those steps that lead to the package.
    pub chains: Vec<Chain>,
    /// The keys that signed the record in which they stand; none where nobody did whom this
    /// machine knows.
    pub signed_by: Vec<KeyId>,
    /// The seed that the segments were drawn with, where they were.
    pub seed: Option<String>,
    /// The segments, in the order of their steps.
    pub segments: Vec<SegmentFacts>,
    /// How alike the package is that was made from the last checkpoints: released first.
    pub closing: Comparison,
    /// How the predictions of both packages agree.
    pub probes: Vec<ProbeFacts>,
    /// What share of the training was run again.
    pub share: Share,
    /// What the manifest promises.
    pub promise: ReproducibilityRecord,
    /// The record of what was run.
    pub record: BuildRecord,
    /// The report.
    pub report: PathBuf,
}

/// One segment that was run again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SegmentFacts {
    /// The step.
    pub step: PartName,
    /// The number of the checkpoint that it goes on from; 0 is the beginning.
    pub segment: usize,
    /// That checkpoint.
    pub from: Option<PackagePath>,
    /// The checkpoint that it ends with.
    pub to: PackagePath,
    /// How many steps of training it is, where the checkpoints say so.
    pub training_steps: Option<u64>,
    /// How alike the two checkpoints are.
    pub verdict: Verdict,
    /// The released checkpoint.
    pub first: File,
    /// The one that was made again.
    pub second: File,
    /// What was measured, where their bytes differ.
    pub weights: Option<WeightsFacts>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A file by its size and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// How much of a training was run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Share {
    /// The segments that were.
    pub segments: usize,
    /// All segments.
    pub of_segments: usize,
    /// The steps of training that were, with those after the last checkpoints; none where some
    /// checkpoint does not say how far it is.
    pub training_steps: Option<u64>,
    /// All steps of training.
    pub of_training_steps: Option<u64>,
}

impl Checked {
    /// Whether what was run again is as alike as the manifest promises.
    #[must_use]
    pub fn keeps_promise(&self) -> bool {
        keeps(&self.promise, self.verdict)
    }

    /// What weakens the check.
    #[must_use]
    pub fn tainted(&self) -> &[String] {
        &self.record.tainted
    }
}

/// Runs parts of the training of the package that `options` name again, and what follows the last
/// checkpoint, and compares.
///
/// # Errors
/// When the package, its source, its chain, a checkpoint or anything that its build needs cannot be
/// had or is not what is recorded, or a step fails. Parts that differ are no error.
pub fn check_segments(
    options: &RebuildOptions,
    which: &Which,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Checked, Error> {
    let subject = Subject::open(options, setting)?;
    let wanted = Wanted::of(&subject, &options.package, which)?;
    let work = subject.work("-segments", setting)?;
    remove_folder(work.folder())?;
    let ran = wanted.run(&subject, work.folder(), &options.with, setting, executor);
    // Checkpoints are large: they go whatever came of it.
    remove_folder(work.folder())?;
    let Ran { built, graded, facts } = ran?;
    let Graded { comparison: closing, probes, .. } = graded;
    let package = subject.released.package();
    let weakest = facts.iter().map(|segment| segment.verdict).min();
    let checked = Checked {
        package: package.package_digest(),
        file: package.file_digest()?,
        source: subject.recorded.source,
        verdict: weakest.map_or(closing.verdict, |weakest| weakest.min(closing.verdict)),
        share: wanted.share(),
        report: options.out.join(file_of(&wanted.release, "html")),
        release: wanted.release,
        chains: wanted.chains,
        signed_by: subject.signed_by.clone(),
        seed: match which {
            Which::Drawn { seed, .. } => Some(seed.clone()),
            Which::These(_) => None,
        },
        segments: facts,
        closing,
        probes,
        promise: built.record.reproducibility.clone(),
        record: record_of(built),
    };
    write_atomically(&checked.report, page::page(&checked).as_bytes())?;
    Ok(checked)
}

/// The name of a file about a check of parts of `release`.
fn file_of(release: &Release, end: &str) -> String {
    let name = release.file_name();
    format!("{}.segments.{end}", name.strip_suffix(".mpkg").unwrap_or(&name))
}

/// The record of all that ran. That steps went on from checkpoints is no taint of a check of parts.
fn record_of(built: Built) -> BuildRecord {
    let mut record = built.record;
    record.tainted.extend(built.segments.into_iter().flat_map(|segment| segment.tainted));
    record.tainted.retain(|taint| !taint.starts_with("from-checkpoint: "));
    record.tainted.sort();
    record.tainted.dedup();
    record
}

/// What is to be run, of which chains.
struct Wanted {
    release: Release,
    chains: Vec<Chain>,
    places: Vec<Place>,
}

/// What was run and found.
struct Ran {
    built: Built,
    /// The package that was made from the last checkpoints, beside the released one.
    graded: Graded,
    facts: Vec<SegmentFacts>,
}

impl Wanted {
    /// Brings the checkpoints into `folder`, runs everything there, and compares.
    fn run(
        &self,
        subject: &Subject,
        folder: &Path,
        with: &[PathBuf],
        setting: &Setting<'_>,
        executor: &dyn Executor,
    ) -> Result<Ran, Error> {
        let first = &subject.released;
        let supply = Supply {
            release: &self.release,
            beside: first.package().path().parent().unwrap_or(Path::new(".")),
            folder: &folder.join("released"),
            setting,
        };
        let segments = self.runs(&supply, &folder.join("again"))?;
        let options = BuildOptions {
            segments: segments.clone(),
            ..subject.options(first, &folder.join("results"), with, folder.join("steps"))
        };
        let built = match build(&options, setting, executor)? {
            Outcome::Built(built) => *built,
            Outcome::Planned(_) | Outcome::Shell => unreachable!("neither was asked for"),
        };
        let package = open(&built.results.join(&built.record.outputs[0].file))?;
        let second = Unpacked::of(package, setting)?;
        let graded = grade_package(first, &second, &built, setting)?;
        let facts = self.compare(&supply, &segments.runs, &built, setting)?;
        Ok(Ran { built, graded, facts })
    }

    /// Finds the chains of the steps that lead to the package, and chooses among their segments.
    fn of(subject: &Subject, operand: &Operand, which: &Which) -> Result<Self, Error> {
        let package = subject.released.package();
        let release = package.index().release();
        let manifest = manifest_of(package, &release)?;
        let writes = |step: &&crate::package::manifest::Step| step.checkpoints.is_some();
        let mut chains = Vec::new();
        for step in manifest.steps.iter().filter(writes) {
            let release = || Box::new(release.clone());
            let none = |why| Error::NoChain { release: release(), step: step.name.clone(), why };
            let record = subject
                .earlier
                .as_ref()
                .ok_or_else(|| none("its build record is not to be had"))?;
            let chain = record.checkpoints.iter().find(|chain| chain.step == step.name);
            let chain = chain.ok_or_else(|| none("its build record has none"))?;
            chain
                .verify(Digest::of(&subject.recorded.inputs))
                .map_err(|source| Error::Chain { release: release(), source: Box::new(source) })?;
            chains.push(chain.clone());
        }
        if chains.is_empty() {
            return Err(Error::NoCheckpoints { release: Box::new(release) });
        }
        // A file is the user's own; of a release its publisher's word is demanded.
        if matches!(operand, Operand::Release(_)) && subject.signed_by.is_empty() {
            return Err(Error::Unsigned { release: Box::new(release) });
        }
        let places = choose(which, &chains, &release)?;
        Ok(Self { release, chains, places })
    }

    /// What a build must go on from, and the parts that it runs beside.
    fn runs(&self, supply: &Supply<'_>, again: &Path) -> Result<Segments, Error> {
        let mut segments = Segments::default();
        for chain in &self.chains {
            let last = supply.checkpoint(chain, chain.links.len())?;
            segments.starts.insert(chain.step.clone(), last);
        }
        for (place, number) in &self.places {
            let chain = &self.chains[*place];
            let from = match number {
                0 => None,
                number => Some(supply.checkpoint(chain, *number)?),
            };
            // Demanded before hours are spent on what it is compared with.
            supply.checkpoint(chain, number + 1)?;
            let until = chain.links[*number].path.clone();
            let goal = again.join(chain.step.as_str()).join(number.to_string());
            segments.runs.push(SegmentRun {
                step: chain.step.clone(),
                number: *number,
                from,
                goal: goal.join(until.file_name()),
                until,
            });
        }
        Ok(segments)
    }

    /// Holds what was run again against what was released.
    fn compare(
        &self,
        supply: &Supply<'_>,
        runs: &[SegmentRun],
        built: &Built,
        setting: &Setting<'_>,
    ) -> Result<Vec<SegmentFacts>, Error> {
        let tolerance = tolerance_of(&built.record.reproducibility);
        let pairs = self.places.iter().zip(runs).zip(&built.segments);
        let facts = |(((place, number), run), done): ((&Place, &SegmentRun), &SegmentDone)| {
            let chain = &self.chains[*place];
            let released = supply.checkpoint(chain, number + 1)?.place;
            let (sha256, size) = hash_file(&run.goal)?;
            let link = &chain.links[*number];
            let first = File { size: link.size, sha256: link.sha256 };
            let second = File { size, sha256 };
            let (verdict, weights) =
                grade((&released, first), (&run.goal, second), &tolerance, setting)?;
            let before = number.checked_sub(1).map(|before| chain.links[before].path.clone());
            Ok(SegmentFacts {
                step: chain.step.clone(),
                segment: *number,
                from: before,
                to: link.path.clone(),
                training_steps: chain.steps_of(*number),
                verdict,
                first,
                second,
                weights,
                seconds: done.seconds,
            })
        };
        pairs.map(facts).collect()
    }

    fn share(&self) -> Share {
        let closings = self.chains.iter().map(|chain| chain.steps_of(chain.links.len()));
        let segments =
            self.places.iter().map(|(place, number)| self.chains[*place].steps_of(*number));
        Share {
            segments: self.places.len(),
            of_segments: self.chains.iter().map(|chain| chain.links.len()).sum(),
            training_steps: closings.chain(segments).sum(),
            of_training_steps: self.chains.iter().map(|chain| chain.training_steps).sum(),
        }
    }
}

/// The manifest that stands in the package, with the steps that lead to its variant.
fn manifest_of(package: &Package, release: &Release) -> Result<Manifest, Error> {
    let path = MANIFEST_NAME.parse::<PackagePath>().expect("the manifest's name is a sound path");
    let text = package.read_member(&path, LONGEST_MANIFEST)?;
    let manifest =
        Manifest::parse(&String::from_utf8_lossy(&text), MANIFEST_NAME).map_err(|source| {
            Error::Manifest { release: Box::new(release.clone()), source: Box::new(source) }
        })?;
    let options = BuildOptions {
        only: release.variant.iter().map(ToString::to_string).collect(),
        ..BuildOptions::of(BuildSource::Tree(PathBuf::new()))
    };
    Ok(options.limit(&manifest)?)
}

/// How alike two checkpoints are, the released one first.
fn grade(
    first: (&Path, File),
    second: (&Path, File),
    tolerance: &Tolerance,
    setting: &Setting<'_>,
) -> Result<(Verdict, Option<WeightsFacts>), Error> {
    if first.1 == second.1 {
        return Ok((Verdict::Identical, None));
    }
    let (verdict, facts) = compare_files(first.0, second.0, tolerance, setting.progress)?;
    Ok((verdict, Some(facts)))
}
