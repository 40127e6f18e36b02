//! From the outputs of the steps to `dist/`: packing, tests, the record and its report.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use super::twin::Twins;
use super::{Beside, BuildError, BuildOptions, CheckpointsGo, Prepared, Setting, TestRun};
use crate::archive::{self, WriteOptions};
use crate::build::cache::{StepCache, StepResult};
use crate::build::checkpoints::{Chain, file_name};
use crate::build::checks::{Checks, demand};
use crate::build::dist::Dist;
use crate::build::executor::Executor;
use crate::build::log::BuildLog;
use crate::build::machine::Machine;
use crate::build::packing::{Packing, Shelf};
use crate::build::probes::Predictions;
use crate::build::record::{
    BuildRecord, OutputRecord, PatchRecord, ProbeRecord, RECORD_FORMAT, ReproducibilityRecord,
    Seconds, SourceRecord, StepRecord, TestRecord,
};
use crate::build::report;
use crate::build::segments::SegmentDone;
use crate::build::source::Source;
use crate::build::steps::{Finished, fill_view};
use crate::fs::{create_folder, remove_folder, write_atomically};
use crate::package::manifest::{Manifest, Variant};
use crate::package::{Digest, IndexedFile, PROBES_FOLDER};

/// A build that is done.
#[derive(Debug)]
pub struct Built {
    /// What happened.
    pub record: BuildRecord,
    /// The folder of the results.
    pub results: PathBuf,
    /// The files in it, the source package first and the record last.
    pub files: Vec<PathBuf>,
    /// The log.
    pub log: PathBuf,
    /// The build's folder, where it was to be kept.
    pub kept: Option<PathBuf>,
    /// The parts of steps that ran by themselves, in the order in which they were asked for.
    pub segments: Vec<SegmentDone>,
    /// What the probes found on the package beside, where they ran on it.
    pub beside: Vec<Predictions>,
}

/// What was packed.
#[derive(Default)]
struct Packages {
    outputs: Vec<OutputRecord>,
    probes: Vec<ProbeRecord>,
    beside: Vec<Predictions>,
}

/// All that the last part of a build needs.
pub(super) struct Ending<'a> {
    pub(super) prepared: &'a Prepared,
    /// The manifest with the variants and steps of this build.
    pub(super) manifest: &'a Manifest,
    pub(super) finished: &'a Finished,
    /// Where the outputs of the steps lie.
    pub(super) cache: &'a StepCache,
    pub(super) steps: Vec<StepRecord>,
    /// The parts of steps that ran by themselves.
    pub(super) segments: Vec<SegmentDone>,
    pub(super) options: &'a BuildOptions,
    pub(super) setting: &'a Setting<'a>,
    pub(super) executor: &'a dyn Executor,
    pub(super) started: jiff::Timestamp,
    pub(super) prepare_seconds: f64,
}

impl Ending<'_> {
    /// Packs, tests, and puts everything in its place.
    pub(super) fn run(mut self, log: &mut BuildLog) -> Result<Built, BuildError> {
        let results = self.prepared.opened.results.clone();
        let dist = Dist::stage(&results)?;
        let began = Instant::now();
        let source = self.pack_source(&self.prepared.source, &dist)?;
        let Packages { outputs, probes, beside } = self.pack_variants(&source, &dist, log)?;
        let pack_seconds = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let tests = self.test(&outputs, &dist, log)?;
        let test_seconds = began.elapsed().as_secs_f64();
        if self.options.tests == TestRun::Run {
            demand(&tests)?;
        }
        let checked = self.check(&outputs, &dist)?;
        let seconds = Seconds {
            prepare: self.prepare_seconds,
            steps: self.ran_seconds(),
            pack: pack_seconds,
            test: test_seconds,
        };
        let checkpoints = self.chains(source.package_digest)?;
        let kept = self.keep_checkpoints(&checkpoints, &dist)?;
        let segments = std::mem::take(&mut self.segments);
        let record = BuildRecord {
            probes,
            checkpoints,
            checked,
            ..self.record(source, outputs, tests, seconds)
        };
        write_atomically(
            &dist.folder().join(record.report_name()),
            report::page(&record).as_bytes(),
        )?;
        write_atomically(&dist.folder().join(record.file_name()), record.to_text().as_bytes())?;
        let mut names = vec![record.source.file.clone()];
        names.extend(record.outputs.iter().map(|output| output.file.clone()));
        names.extend(kept);
        names.extend([record.report_name(), record.file_name()]);
        let files = dist.commit(&names)?;
        let log = log.path().to_owned();
        Ok(Built { record, results, files, log, kept: None, segments, beside })
    }

    /// The chains that the steps' checkpoints make.
    fn chains(&self, source: Digest) -> Result<Vec<Chain>, BuildError> {
        let inputs = Digest::of(&self.prepared.inputs(source)?);
        let steps = self.steps.iter().map(|step| &step.result);
        let chain = |step: &StepResult| {
            Chain::of(step.step.clone(), inputs, &step.checkpoints, step.metrics.last_step())
        };
        Ok(steps.filter(|step| !step.checkpoints.is_empty()).map(chain).collect())
    }

    /// Puts the checkpoints beside the packages, where that is wanted; their names.
    fn keep_checkpoints(&self, chains: &[Chain], dist: &Dist) -> Result<Vec<String>, BuildError> {
        let mut names = Vec::new();
        if self.options.checkpoints == CheckpointsGo::Nowhere {
            return Ok(names);
        }
        let package = &self.manifest.package;
        for chain in chains {
            let step = self.steps.iter().find(|step| step.result.step == chain.step);
            let Some(step) = step else { continue };
            let shelf = self.cache.checkpoints(&step.result.key);
            for (place, link) in chain.links.iter().enumerate() {
                let name = file_name(&package.name, &package.version, &chain.step, place + 1);
                let (from, goal) = (link.path.below(&shelf), dist.folder().join(&name));
                reflink_copy::reflink_or_copy(&from, &goal)
                    .map_err(crate::fs::Error::at("copy", &from))?;
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Holds the packages against those of another build, where there was one.
    fn check(&self, outputs: &[OutputRecord], dist: &Dist) -> Result<Option<String>, BuildError> {
        let Some(twin) = &self.options.twin else { return Ok(None) };
        let twins = Twins {
            manifest: self.manifest,
            folder: dist.folder(),
            twin,
            outputs,
            steps: &self.steps,
            setting: self.setting,
        };
        twins.demand().map(|verdict| Some(verdict.to_string()))
    }

    fn ran_seconds(&self) -> f64 {
        use crate::build::record::How;
        let ran = self.steps.iter().filter(|step| step.how != How::Cached);
        ran.fold(0.0, |sum, step| sum + step.result.seconds)
    }

    fn pack_source(&self, source: &Source, dist: &Dist) -> Result<SourceRecord, BuildError> {
        let file = source.index.release().file_name();
        let contents = source.contents();
        let options = WriteOptions { threads: threads(), level: None };
        let packed = archive::write_package(
            &source.index,
            &contents,
            &dist.folder().join(&file),
            &options,
            self.setting.progress,
        )?;
        Ok(SourceRecord {
            file,
            package_digest: packed.package_digest,
            sha256: packed.file_digest,
            size: packed.file_size,
            patches: source.patches.iter().map(PatchRecord::from).collect(),
        })
    }

    fn pack_variants(
        &self,
        source: &SourceRecord,
        dist: &Dist,
        log: &mut BuildLog,
    ) -> Result<Packages, BuildError> {
        let prepared = self.prepared;
        let tree = &prepared.opened.tree;
        let inputs = prepared.inputs(source.package_digest)?;
        let packing = Packing {
            manifest: tree.manifest(),
            manifest_text: tree.manifest_text().as_bytes(),
            source: source.package_digest,
            inputs: &inputs,
            tree: Shelf { folder: tree.root(), files: &prepared.files },
            threads: threads(),
            progress: self.setting.progress,
        };
        let nothing: &[IndexedFile] = &[];
        let mut packages = Packages::default();
        for variant in &self.manifest.variants {
            let (folder, files) =
                self.finished.get(&variant.from).unwrap_or((tree.root(), nothing));
            let shelf = Shelf { folder, files };
            let predictions = self.probe(variant, shelf, &packing, log)?;
            let output = packing.pack(variant, shelf, &predictions, dist.folder())?;
            packages.probes.extend(predictions.iter().map(|it| it.record(&variant.name)));
            if let Some(beside) = &self.options.beside
                && beside.package != output.package_digest
            {
                packages.beside.extend(self.probe_beside(variant, beside, log)?);
            }
            packages.outputs.push(output);
        }
        Ok(packages)
    }

    /// Lays a variant out as it will be unpacked, and runs the probes on it.
    fn probe(
        &self,
        variant: &Variant,
        shelf: Shelf<'_>,
        packing: &Packing<'_>,
        log: &mut BuildLog,
    ) -> Result<Vec<Predictions>, BuildError> {
        let checks = self.checks();
        if !checks.any_probe_for(&variant.name) {
            return Ok(Vec::new());
        }
        let folder = self.prepared.opened.work.package(&variant.name);
        remove_folder(&folder)?;
        create_folder(&folder)?;
        packing.lay_out(variant, shelf, &folder)?;
        Ok(checks.probe(&variant.name, &folder, log)?)
    }

    /// Runs the probes on the package beside, laid out like the one that is built: without
    /// predictions, which no probe shall find there.
    fn probe_beside(
        &self,
        variant: &Variant,
        beside: &Beside,
        log: &mut BuildLog,
    ) -> Result<Vec<Predictions>, BuildError> {
        let checks = self.checks();
        if !checks.any_probe_for(&variant.name) {
            return Ok(Vec::new());
        }
        let is_no_prediction = |file: &&IndexedFile| !file.path.as_str().starts_with(PROBES_FOLDER);
        let files: Vec<IndexedFile> =
            beside.files.iter().filter(is_no_prediction).cloned().collect();
        let folder = self.prepared.opened.work.package(&variant.name);
        fill_view(&beside.folder, &files, &folder)?;
        Ok(checks.probe(&variant.name, &folder, log)?)
    }

    fn checks(&self) -> Checks<'_> {
        let prepared = self.prepared;
        Checks {
            manifest: self.manifest,
            tree: (prepared.opened.tree.root(), &prepared.files),
            materials: &prepared.materials,
            surroundings: &prepared.surroundings,
            work: &prepared.opened.work,
            executor: self.executor,
            progress: self.setting.progress,
        }
    }

    fn test(
        &self,
        outputs: &[OutputRecord],
        dist: &Dist,
        log: &mut BuildLog,
    ) -> Result<Vec<TestRecord>, BuildError> {
        if self.options.tests == TestRun::Skip {
            return Ok(Vec::new());
        }
        let checks = self.checks();
        let mut records = Vec::new();
        for output in outputs {
            records.extend(checks.run(&output.variant, &dist.folder().join(&output.file), log)?);
        }
        Ok(records)
    }

    fn record(
        self,
        source: SourceRecord,
        outputs: Vec<OutputRecord>,
        tests: Vec<TestRecord>,
        seconds: Seconds,
    ) -> BuildRecord {
        let package = &self.manifest.package;
        let tainted = self.taints();
        BuildRecord {
            format: RECORD_FORMAT,
            mpkg: env!("CARGO_PKG_VERSION").to_owned(),
            name: package.name.clone(),
            version: package.version.clone(),
            kind: package.kind,
            license: package.license.clone(),
            summary: package.summary.clone(),
            started: self.started,
            seconds,
            source,
            data: self.prepared.data.clone(),
            dependencies: self.prepared.dependencies.clone(),
            environment: self.prepared.surroundings.record(&self.manifest.environment.variables),
            machine: Machine::here(),
            sandbox: self.executor.level().to_owned(),
            steps: self.steps,
            outputs,
            tests,
            checked: None,
            probes: Vec::new(),
            checkpoints: Vec::new(),
            reproducibility: ReproducibilityRecord::from(&self.manifest.reproducibility),
            tainted,
        }
    }

    fn taints(&self) -> Vec<String> {
        let mut taints: Vec<String> =
            self.steps.iter().flat_map(|step| step.result.tainted.clone()).collect();
        if self.options.tests == TestRun::Skip && !self.manifest.tests.is_empty() {
            taints.push("tests-not-run".to_owned());
        }
        taints.sort();
        taints.dedup();
        taints
    }
}

fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
