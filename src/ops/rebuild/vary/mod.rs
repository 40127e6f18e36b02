//! Builds a package again and again, each time with one thing changed around the build, and says
//! which of them its result depends on.

mod document;
mod page;

use std::fmt::Write as _;
use std::path::PathBuf;

use super::subject::{Graded, Subject, grade};
use super::{Error, ProbeFacts, RebuildOptions, Rebuilt, again};
use crate::build::environment::locales;
use crate::build::executor::Executor;
use crate::build::machine::Machine;
use crate::build::metrics::short;
use crate::build::record::{StepRecord, TestRecord};
use crate::build::report::duration;
use crate::build::tree::TreeError;
use crate::build::variation::{Ground, Kind, NotVaried, Variation, variations};
use crate::build::work::Work;
use crate::explain::{Explain as _, count};
use crate::fs::{remove_folder, write_atomically};
use crate::ops::build::{BuildError, BuildOptions, BuildSource, Setting};
use crate::ops::catalogue::open;
use crate::ops::released::Unpacked;
use crate::package::Digest;
use crate::package::manifest::{LONGEST_MANIFEST, MANIFEST_NAME, Manifest};
use crate::reproduce::{Comparison, FileFacts, Verdict};

/// The kind of an error of the sandbox itself.
const SANDBOX: &str = "sandbox";

/// A package that was built under changed conditions.
#[derive(Debug)]
pub struct Varied {
    /// The rebuild in which nothing was changed, compared with the released package.
    pub control: Rebuilt,
    /// A second such rebuild compared with the first, where that was not identical to what was
    /// released.
    pub repeated: Option<Trial>,
    /// Each change, compared with the control.
    pub trials: Vec<Trial>,
    /// What cannot be changed here.
    pub not_varied: Vec<NotVaried>,
    /// The report.
    pub report: PathBuf,
}

/// One build.
#[derive(Debug)]
pub struct Trial {
    /// What was changed; nothing in a control.
    pub variation: Option<Variation>,
    /// What it came to.
    pub found: Found,
    /// How long it took.
    pub seconds: f64,
}

/// What a build came to.
#[derive(Debug)]
pub enum Found {
    /// A package, compared with that of the control.
    Package {
        /// Its package digest.
        digest: Digest,
        /// How alike the two are: that of the control first.
        comparison: Comparison,
        /// What the tests found on it.
        tests: Vec<TestRecord>,
        /// How the predictions of both agree.
        probes: Vec<ProbeFacts>,
        /// The first step that left other bytes.
        first_step: Option<String>,
        /// What taints its record.
        tainted: Vec<String>,
    },
    /// The build failed.
    Failure {
        /// What it said.
        error: String,
        /// The stable word for that.
        kind: &'static str,
    },
}

impl Trial {
    /// How alike the package is, where there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.found {
            Found::Package { comparison, .. } => Some(comparison.verdict),
            Found::Failure { .. } => None,
        }
    }

    /// Whether the package is the same, bit for bit.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.verdict() == Some(Verdict::Identical)
    }

    /// The word for the verdict, or `failed`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.verdict().map_or("failed", Verdict::as_str)
    }

    /// What differs, in short: the file whose verdict is the weakest, or what the build said.
    #[must_use]
    pub fn difference(&self) -> Option<String> {
        let comparison = match &self.found {
            Found::Failure { error, .. } => return Some(error.clone()),
            Found::Package { comparison, .. } => comparison,
        };
        match comparison.changed().min_by_key(|file| file.verdict) {
            Some(weakest) => Some(difference(weakest)),
            None if comparison.index_changed.is_empty() => None,
            None => Some(format!("the package index: {}", comparison.index_changed.join(", "))),
        }
    }
}

impl Varied {
    /// Whether the build gives the same bytes where nothing is changed, so that a difference is
    /// due to a change.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.repeated.as_ref().is_none_or(Trial::is_identical)
    }

    /// What breaks bitwise equality.
    #[must_use]
    pub fn breaking(&self) -> Vec<Kind> {
        self.kinds(false)
    }

    /// What does not.
    #[must_use]
    pub fn harmless(&self) -> Vec<Kind> {
        let breaking = self.breaking();
        let mut harmless = self.kinds(true);
        harmless.retain(|kind| !breaking.contains(kind));
        harmless
    }

    fn kinds(&self, identical: bool) -> Vec<Kind> {
        let trials = self.trials.iter().filter(|trial| trial.is_identical() == identical);
        let mut kinds: Vec<Kind> =
            trials.filter_map(|trial| Some(trial.variation.as_ref()?.kind)).collect();
        kinds.dedup();
        kinds
    }

    /// Whether every build was at least of equal behaviour.
    #[must_use]
    pub fn holds(&self) -> bool {
        let good = |verdict: Option<Verdict>| verdict.is_some_and(|it| it > Verdict::Different);
        good(Some(self.control.comparison.verdict))
            && self.repeated.iter().chain(&self.trials).all(|trial| good(trial.verdict()))
    }
}

/// Builds the package that `options` name again without a change, and then once for each change of
/// `kinds` that this machine can make.
///
/// # Errors
/// Those of [`super::rebuild`] for the build without a change. One that fails under a change is no
/// error.
pub fn vary(
    options: &RebuildOptions,
    kinds: &[Kind],
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Varied, Error> {
    let subject = Subject::open(options, setting)?;
    let (variations, not_varied) = plan(&subject, kinds, setting, executor)?;
    say_plan(&variations, &not_varied, setting);
    setting.progress.note("Control: nothing is changed");
    let (control, subject, package) = again(subject, options, setting, executor)?;
    let series = Series { subject, package, control: &control, options, setting };
    let repeated = if control.comparison.verdict == Verdict::Identical {
        None
    } else {
        setting.progress.note("Control, once more: the first differs from what was released");
        Some(series.trial(None, executor)?)
    };
    say_cost(variations.len(), control.record.seconds.total(), setting);
    let mut trials = Vec::new();
    let mut not_varied = not_varied;
    for (number, variation) in (1..).zip(&variations) {
        let Variation { kind, from, to, .. } = variation;
        let all = variations.len();
        setting
            .progress
            .note(&format!("Variation {number} of {all}: {kind}, {to} in place of {from}"));
        let trial = series.trial(Some(variation), executor)?;
        match trial.found {
            // It was not the build that failed, but the change.
            Found::Failure { error, kind: SANDBOX } => {
                not_varied.push(NotVaried { kind: *kind, reason: error });
            }
            _ => trials.push(trial),
        }
    }
    let report = control.report.with_extension("").with_extension("vary.html");
    let varied = Varied { control, repeated, trials, not_varied, report };
    write_atomically(&varied.report, page::page(&varied).as_bytes())?;
    Ok(varied)
}

/// What of `kinds` can be changed, by the manifest of the source.
fn plan(
    subject: &Subject,
    kinds: &[Kind],
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<(Vec<Variation>, Vec<NotVaried>), Error> {
    let member = MANIFEST_NAME.parse().expect("mpkg's own paths are sound");
    let source = open(&subject.source)?;
    let text = source.read_member(&member, LONGEST_MANIFEST)?;
    let manifest = Manifest::parse(&String::from_utf8_lossy(&text), MANIFEST_NAME)
        .map_err(|problems| BuildError::from(TreeError::from(problems)))?;
    let only = subject.released.package().index().variant.iter().map(ToString::to_string).collect();
    let limits =
        BuildOptions { only, ..BuildOptions::of(BuildSource::File(subject.source.clone())) };
    let manifest = limits.limit(&manifest)?;
    let (machine, locales) = (Machine::here(), locales(setting.search_path));
    let plan = executor.plan();
    Ok(variations(
        kinds,
        Ground { manifest: &manifest, plan, machine: &machine, locales: &locales },
    ))
}

fn say_plan(variations: &[Variation], not_varied: &[NotVaried], setting: &Setting<'_>) {
    let builds = count(variations.len() + 1, "build", "builds");
    setting.progress.note(&format!("Plan: {builds}, the first without a change"));
    for Variation { kind, from, to, .. } in variations {
        setting.progress.note(&format!("  {kind}: {to} in place of {from}"));
    }
    for NotVaried { kind, reason } in not_varied {
        setting.progress.warn(&format!("{kind} cannot be varied here: {reason}"));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn say_cost(variations: usize, one: f64, setting: &Setting<'_>) {
    let variations_left = count(variations, "variation takes", "variations take");
    let all = duration(one * variations as f64);
    setting
        .progress
        .note(&format!("The control took {}: {variations_left} about {all}", duration(one)));
}

/// The builds of one package.
struct Series<'a> {
    subject: Subject,
    /// The package of the control.
    package: Unpacked,
    control: &'a Rebuilt,
    options: &'a RebuildOptions,
    setting: &'a Setting<'a>,
}

impl Series<'_> {
    /// Builds once, with or without a change. What is built goes when it has been compared.
    fn trial(
        &self,
        variation: Option<&Variation>,
        executor: &dyn Executor,
    ) -> Result<Trial, Error> {
        let began = std::time::Instant::now();
        let id = format!("vary-{}", self.control.package.short());
        let cache = self.setting.home.cache();
        let work = Work::open(&cache.join("rebuilds"), &id, || {
            self.setting.progress.note("Waiting for another rebuild of the same package");
        })?;
        remove_folder(work.folder())?;
        let changed = variation.map(|variation| executor.varied(variation));
        let found = self.build(&work, changed.as_deref().unwrap_or(executor));
        remove_folder(work.folder())?;
        let found = match found {
            Ok(found) => found,
            Err(error) if variation.is_some() => {
                Found::Failure { error: whole(&error), kind: error.kind() }
            }
            Err(error) => return Err(error),
        };
        let seconds = began.elapsed().as_secs_f64();
        let trial = Trial { variation: variation.cloned(), found, seconds };
        let difference = trial.difference().map(|it| format!(" ({it})")).unwrap_or_default();
        self.setting.progress.note(&format!("  {}{difference}", trial.word()));
        Ok(trial)
    }

    fn build(&self, work: &Work, executor: &dyn Executor) -> Result<Found, Error> {
        let out = work.folder().join("out");
        let with = &self.options.with;
        let built = self.subject.build(&self.package, &out, with, self.setting, executor)?;
        let file = built.results.join(&built.record.outputs[0].file);
        let package = Unpacked::of(open(&file)?, self.setting)?;
        let Graded { comparison, tests, probes } =
            grade(&self.package, &package, &built, self.setting)?;
        Ok(Found::Package {
            digest: package.package().package_digest(),
            comparison,
            tests,
            probes,
            first_step: first_step(&self.control.record.steps, &built.record.steps),
            tainted: built.record.tainted,
        })
    }
}

/// The first step that left other bytes.
fn first_step(control: &[StepRecord], steps: &[StepRecord]) -> Option<String> {
    let mut pairs = control.iter().zip(steps);
    let (step, _) = pairs.find(|(one, other)| one.result.outputs != other.result.outputs)?;
    Some(step.result.step.to_string())
}

/// What differs in a file, in one line.
fn difference(file: &FileFacts) -> String {
    let Some(weights) = &file.weights else { return file.in_words() };
    let mut words = format!(
        "{}: {} of {} changed",
        file.path,
        weights.tensors_changed,
        count(usize::try_from(weights.tensors).unwrap_or(usize::MAX), "tensor", "tensors"),
    );
    if let (Some(most), Some(cosine)) = (weights.max_abs, weights.min_cosine) {
        let relative = weights.relative_l2.map_or_else(|| "infinite".to_owned(), short);
        let most = short(most);
        let _ = write!(
            words,
            "; relative L2 {relative}; largest difference {most}; smallest cosine {cosine}"
        );
    }
    words
}

/// An error in one line: its causes, and the last line of a step that failed.
fn whole(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    if let Error::Build(BuildError::Build(failed)) = error
        && let crate::build::Error::Failed { reason, title, last_lines, .. } = failed.as_ref()
    {
        words = format!("the {title} failed: {reason}");
        words.extend(last_lines.last().map(|line| format!(": {line}")));
    }
    words
}
