//! A released package with the source that it names, ready to be built again.

use std::path::{Path, PathBuf};

use super::{Error, ProbeFacts, RebuildOptions, probes, source};
use crate::archive::Package;
use crate::build::executor::Executor;
use crate::build::record::{BuildRecord, ReproducibilityRecord, TestRecord};
use crate::build::steps::Reuse;
use crate::build::work::Work;
use crate::crypto::KeyId;
use crate::fs::remove_folder;
use crate::ops::build::{
    Beside, BuildOptions, BuildSource, Built, LockUse, Outcome, Setting, StepShelf, TestRun, build,
};
use crate::ops::released::{Unpacked, released};
use crate::package::{Digest, INPUTS_PATH, PackageType};
use crate::reproduce::{Comparison, Tolerance, compare_contents};

/// The longest `.mpkg/inputs.json` that is read, in bytes.
const LONGEST_INPUTS: u64 = 64 << 20;

/// A package, what it says of its own build, and its source.
pub(super) struct Subject {
    pub(super) released: Unpacked,
    /// The record of the first build, where it is known.
    pub(super) earlier: Option<BuildRecord>,
    /// The keys that signed that it is.
    pub(super) signed_by: Vec<KeyId>,
    pub(super) recorded: Recorded,
    /// The file of the source package.
    pub(super) source: PathBuf,
}

/// What a package says of its own build.
pub(super) struct Recorded {
    /// Its `.mpkg/inputs.json`.
    pub(super) inputs: Vec<u8>,
    pub(super) source: Digest,
}

/// How alike two builds are.
pub(super) struct Graded {
    pub(super) comparison: Comparison,
    /// What the tests found on the second.
    pub(super) tests: Vec<TestRecord>,
    pub(super) probes: Vec<ProbeFacts>,
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

impl Subject {
    /// Opens what `options` name, and finds its source.
    pub(super) fn open(options: &RebuildOptions, setting: &Setting<'_>) -> Result<Self, Error> {
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
        let released = Unpacked::of(package, setting)?;
        let (earlier, signed_by) = (found.record, found.record_signed_by);
        Ok(Self { released, earlier, signed_by, recorded, source })
    }

    /// Builds the one variant into `out`, every step anew, with what the released package was built
    /// with; probes run on the package `beside` as well.
    pub(super) fn build(
        &self,
        beside: &Unpacked,
        out: &Path,
        with: &[PathBuf],
        setting: &Setting<'_>,
        executor: &dyn Executor,
    ) -> Result<Built, Error> {
        let work = self.work("", setting)?;
        let shelf = work.folder().join("steps");
        remove_folder(&shelf)?;
        let build_options = self.options(beside, out, with, shelf);
        let outcome = build(&build_options, setting, executor);
        remove_folder(work.folder())?;
        match outcome? {
            Outcome::Built(built) => Ok(*built),
            Outcome::Planned(_) | Outcome::Shell => unreachable!("neither was asked for"),
        }
    }
}

impl Subject {
    /// The folder that its rebuilds work in; `kind` tells kinds of them apart.
    pub(super) fn work(&self, kind: &str, setting: &Setting<'_>) -> Result<Work, Error> {
        let index = self.released.package().index();
        let source = self.recorded.source.short();
        let id = format!("{}-{}-{source}{kind}", index.name, index.version);
        Ok(Work::open(&setting.home.cache().join("rebuilds"), &id, || {
            setting.progress.note("Waiting for another rebuild of the same package");
        })?)
    }

    /// A build of the one variant into `out`, every step anew and kept in `shelf`, with what the
    /// released package was built with.
    pub(super) fn options(
        &self,
        beside: &Unpacked,
        out: &Path,
        with: &[PathBuf],
        shelf: PathBuf,
    ) -> BuildOptions {
        let index = self.released.package().index();
        BuildOptions {
            out: Some(out.to_owned()),
            reuse: Reuse::Fresh,
            only: index.variant.iter().map(ToString::to_string).collect(),
            with: with.to_vec(),
            lock: LockUse::Locked,
            tests: TestRun::Record,
            shelf: StepShelf::Apart(shelf),
            inputs: Some(self.recorded.inputs.clone()),
            beside: Some(Beside {
                folder: beside.side().folder.to_owned(),
                files: beside.package().index().files.clone(),
                package: beside.package().package_digest(),
            }),
            ..BuildOptions::of(BuildSource::File(self.source.clone()))
        }
    }
}

/// The distances that a record promises.
pub(super) fn tolerance_of(promise: &ReproducibilityRecord) -> Tolerance {
    let ReproducibilityRecord { max_abs, min_cosine, min_agreement, .. } = *promise;
    Tolerance { max_abs, min_cosine, min_agreement }
}

/// Compares two packages, of which `built` made the second while its probes ran on the first.
pub(super) fn grade(
    first: &Unpacked,
    second: &Unpacked,
    built: &Built,
    setting: &Setting<'_>,
) -> Result<Graded, Error> {
    let tolerance = tolerance_of(&built.record.reproducibility);
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
    Ok(Graded { comparison, tests, probes })
}

fn same_folder(one: Option<&Path>, other: &Path) -> bool {
    let whole = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().ok()
    };
    one.and_then(whole).is_some_and(|one| whole(other) == Some(one))
}
