//! Builds a package again from its source, and says how alike the two are.

mod attest;
mod document;
mod error;
mod page;
mod probes;
mod source;

pub use attest::{AttestOptions, Attested, attest};
pub use error::Error;
pub use probes::ProbeFacts;
pub(super) use source::find as source_of;

use std::path::{Path, PathBuf};

use super::build::{
    Beside, BuildOptions, BuildSource, Built, LockUse, Outcome, Setting, StepShelf, TestRun, build,
};
use super::catalogue::open;
use super::released::{Operand, Unpacked, released};
use crate::archive::Package;
use crate::build::executor::Executor;
use crate::build::record::{BuildRecord, ReproducibilityRecord, TestRecord};
use crate::build::steps::Reuse;
use crate::build::work::Work;
use crate::fs::{remove_folder, write_atomically};
use crate::package::{Digest, INPUTS_PATH, PackageType, Release};
use crate::reproduce::{Comparison, Tolerance, Verdict, compare_contents};

/// The longest `.mpkg/inputs.json` that is read, in bytes.
const LONGEST_INPUTS: u64 = 64 << 20;

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
    /// Whether the rebuild is as alike as the manifest promises.
    #[must_use]
    pub fn keeps_promise(&self) -> bool {
        let least = match self.promise.level.as_str() {
            "bitwise" => Verdict::Identical,
            "tensor" => Verdict::WithinTolerance,
            _ => Verdict::EqualBehaviour,
        };
        self.comparison.verdict >= least
    }
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
    let found = released(&options.package, setting)?;
    let package = found.package;
    let path = package.path().to_owned();
    if package.index().package_type != PackageType::Binary {
        return Err(Error::NotBuilt { path });
    }
    if same_folder(path.parent(), &options.out) {
        return Err(Error::SameFolder { folder: options.out.clone() });
    }
    let recorded = Recorded::of(&package)?;
    let source = source::find(&package, recorded.source, options.source.as_deref(), setting)?;
    let first = Unpacked::of(package, setting)?;
    let built = build_again(&first, &recorded, source, options, setting, executor)?;
    let rebuilt_file = built.results.join(&built.record.outputs[0].file);
    let second = Unpacked::of(open(&rebuilt_file)?, setting)?;
    let promise: ReproducibilityRecord = built.record.reproducibility.clone();
    let ReproducibilityRecord { max_abs, min_cosine, min_agreement, .. } = promise;
    let tolerance = Tolerance { max_abs, min_cosine, min_agreement };
    let mut comparison =
        compare_contents(first.side(), second.side(), &tolerance, setting.progress)?;
    let tests = built.record.tests.clone();
    let probes = probes::compare(first.side(), second.side(), &built.beside)?;
    for probe in probes.iter().filter(|probe| !tolerance.agrees(&probe.agreement)) {
        comparison.predictions_differ(&probe.path);
    }
    let is_tested = !tests.is_empty() || !probes.is_empty();
    if is_tested && comparison.predictions_agree() && tests.iter().all(|test| test.passed) {
        comparison.behaves_equally();
    }
    let release = first.package().index().release();
    let name = release.file_name();
    let stem = name.strip_suffix(".mpkg").unwrap_or(&name);
    let rebuilt = Rebuilt {
        package: first.package().package_digest(),
        file: first.package().file_digest()?,
        source: recorded.source,
        rebuilt: second.package().package_digest(),
        report: built.results.join(format!("{stem}.rebuild.html")),
        release,
        comparison,
        tests,
        probes,
        promise,
        record: built.record,
        earlier: found.record,
        rebuilt_file,
    };
    write_atomically(&rebuilt.report, page::page(&rebuilt).as_bytes())?;
    Ok(rebuilt)
}

/// What a package says of its own build.
struct Recorded {
    inputs: Vec<u8>,
    source: Digest,
}

impl Recorded {
    fn of(package: &Package) -> Result<Self, Error> {
        let path = || package.path().to_owned();
        let member = INPUTS_PATH.parse().expect("mpkg's own paths are sound");
        if !package.index().files.iter().any(|file| file.path == member) {
            return Err(Error::NoInputs { path: path() });
        }
        let inputs = package.read_member(&member, LONGEST_INPUTS)?;
        let named: Option<Digest> = serde_json::from_slice::<serde_json::Value>(&inputs)
            .ok()
            .and_then(|inputs| inputs.get("source")?.as_str()?.parse().ok());
        match (package.index().source, named) {
            (Some(source), Some(named)) if source == named => Ok(Self { inputs, source }),
            _ => Err(Error::TwoSources { path: path() }),
        }
    }
}

fn same_folder(one: Option<&Path>, other: &Path) -> bool {
    let whole = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().ok()
    };
    one.and_then(whole).is_some_and(|one| whole(other) == Some(one))
}

/// Builds the one variant, every step anew, with what the released package was built with.
fn build_again(
    released: &Unpacked,
    recorded: &Recorded,
    source: PathBuf,
    options: &RebuildOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Built, Error> {
    let index = released.package().index();
    let id = format!("{}-{}-{}", index.name, index.version, recorded.source.short());
    let work = Work::open(&setting.home.cache().join("rebuilds"), &id, || {
        setting.progress.note("Waiting for another rebuild of the same package");
    })?;
    let shelf = work.folder().join("steps");
    remove_folder(&shelf)?;
    let build_options = BuildOptions {
        out: Some(options.out.clone()),
        reuse: Reuse::Fresh,
        only: index.variant.iter().map(ToString::to_string).collect(),
        with: options.with.clone(),
        lock: LockUse::Locked,
        tests: TestRun::Record,
        shelf: StepShelf::Apart(shelf),
        inputs: Some(recorded.inputs.clone()),
        beside: Some(Beside {
            folder: released.side().folder.to_owned(),
            files: index.files.clone(),
            package: released.package().package_digest(),
        }),
        ..BuildOptions::of(BuildSource::File(source))
    };
    let outcome = build(&build_options, setting, executor);
    remove_folder(work.folder())?;
    match outcome? {
        Outcome::Built(built) => Ok(*built),
        Outcome::Planned(_) | Outcome::Shell => unreachable!("neither was asked for"),
    }
}
