//! Builds a package again from its source, and says how alike the two are.

mod attest;
mod document;
mod error;
mod page;
mod probes;
pub mod segments;
mod source;
mod subject;
mod surroundings;
mod vary;

pub use attest::{AttestOptions, Attested, attest};
pub use error::Error;
pub use probes::ProbeFacts;
pub(super) use source::find as source_of;
pub use vary::{Found, Trial, Varied, vary};

use std::path::PathBuf;

use subject::{Graded, Subject, grade};

use super::build::Setting;
use super::catalogue::open;
use super::diff::Change;
use super::released::{Operand, Unpacked};
use crate::build::executor::Executor;
use crate::build::record::{BuildRecord, ReproducibilityRecord, TestRecord};
use crate::fs::write_atomically;
use crate::package::{Digest, Release};
use crate::reproduce::{Comparison, Verdict};

/// How a package is to be built again.
#[derive(Debug, Clone)]
pub struct RebuildOptions {
    /// The package.
    pub package: Operand,
    /// The file of its source package; without it the one beside it, or a registry's.
    pub source: Option<PathBuf>,
    /// Package files, or folders of them, that dependencies may come from.
    pub with: Vec<PathBuf>,
    /// Where the rebuilt package and the report go.
    pub out: PathBuf,
}

/// A package that was built again.
#[derive(Debug)]
pub struct Rebuilt {
    /// The release.
    pub release: Release,
    /// The package digest that was released.
    pub package: Digest,
    /// The SHA-256 of the released file.
    pub file: Digest,
    /// The package digest of the source.
    pub source: Digest,
    /// The package digest of the rebuilt package.
    pub rebuilt: Digest,
    /// How alike the two are: the released one first, the rebuilt one second.
    pub comparison: Comparison,
    /// What the tests found on the rebuilt package.
    pub tests: Vec<TestRecord>,
    /// How the predictions of both agree.
    pub probes: Vec<ProbeFacts>,
    /// What the manifest promises.
    pub promise: ReproducibilityRecord,
    /// The record of the rebuild.
    pub record: BuildRecord,
    /// The record of the first build, where it is known.
    pub earlier: Option<BuildRecord>,
    /// The rebuilt package file.
    pub rebuilt_file: PathBuf,
    /// The report.
    pub report: PathBuf,
}

impl Rebuilt {
    /// The programs of the machine, Python among them, that are others than those that the package
    /// was built with; `None` where the record of that build is not known.
    #[must_use]
    pub fn software_changed(&self) -> Option<Vec<Change>> {
        surroundings::changes(self)
    }

    /// Whether the rebuild is as alike as the manifest promises.
    #[must_use]
    pub fn keeps_promise(&self) -> bool {
        keeps(&self.promise, self.comparison.verdict)
    }
}

/// Whether `verdict` is as good as is promised.
fn keeps(promise: &ReproducibilityRecord, verdict: Verdict) -> bool {
    let least = match promise.level.as_str() {
        "bitwise" => Verdict::Identical,
        "tensor" => Verdict::WithinTolerance,
        _ => Verdict::EqualBehaviour,
    };
    verdict >= least
}

/// Builds the package that `options` name again, and compares.
///
/// # Errors
/// When the package, its source or anything that its build needs cannot be had or is not what is
/// recorded, or the build fails. A rebuild that differs is no error.
pub fn rebuild(
    options: &RebuildOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Rebuilt, Error> {
    again(Subject::open(options, setting)?, options, setting, executor).map(|(rebuilt, ..)| rebuilt)
}

/// The same with what is compared: the subject, and the rebuilt package.
fn again(
    subject: Subject,
    options: &RebuildOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<(Rebuilt, Subject, Unpacked), Error> {
    let first = &subject.released;
    let built = subject.build(first, &options.out, &options.with, setting, executor)?;
    let rebuilt_file = built.results.join(&built.record.outputs[0].file);
    let second = Unpacked::of(open(&rebuilt_file)?, setting)?;
    let Graded { comparison, tests, probes } = grade(first, &second, &built, setting)?;
    let release = first.package().index().release();
    let name = release.file_name();
    let stem = name.strip_suffix(".mpkg").unwrap_or(&name);
    let rebuilt = Rebuilt {
        package: first.package().package_digest(),
        file: first.package().file_digest()?,
        source: subject.recorded.source,
        rebuilt: second.package().package_digest(),
        report: built.results.join(format!("{stem}.rebuild.html")),
        release,
        comparison,
        tests,
        probes,
        promise: built.record.reproducibility.clone(),
        record: built.record,
        earlier: subject.earlier.clone(),
        rebuilt_file,
    };
    write_atomically(&rebuilt.report, page::page(&rebuilt).as_bytes())?;
    Ok((rebuilt, subject, second))
}
