//! What a build is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::BuildError;
use crate::build::Error;
use crate::build::segments::{SegmentRun, Start};
use crate::build::steps::Reuse;
use crate::net::Client;
use crate::package::manifest::Manifest;
use crate::package::{Digest, IndexedFile, PartName, VariantName};
use crate::progress::Progress;
use crate::registry::{Policies, Selection};
use crate::resolve::Wish;
use crate::store::Home;

/// How a build is to be made.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// What is built.
    pub source: BuildSource,
    /// Where the results go; without it `dist/` in the tree, or in the current folder where the
    /// source is a package.
    pub out: Option<PathBuf>,
    /// How steps that are done are treated.
    pub reuse: Reuse,
    /// What stays of the build's folder.
    pub keep: Keep,
    /// The step to open a shell in, in place of building.
    pub shell: Option<String>,
    /// The variants to make; empty means all.
    pub only: Vec<String>,
    /// Package files, or folders of them, that dependencies may come from.
    pub with: Vec<PathBuf>,
    /// Whether the lock file may change.
    pub lock: LockUse,
    /// Whether the tests run.
    pub tests: TestRun,
    /// Whether only the plan is wanted.
    pub dry_run: bool,
    /// Where the outputs of the steps are kept.
    pub shelf: StepShelf,
    /// What `.mpkg/inputs.json` must hold, where the build repeats another.
    pub inputs: Option<Vec<u8>>,
    /// Where the packages of another build lie that must be as alike as the manifest promises.
    pub twin: Option<PathBuf>,
    /// Where the checkpoints of its steps go.
    pub checkpoints: CheckpointsGo,
    /// The parts of steps that run by themselves, and the checkpoints that the steps go on from.
    pub segments: Segments,
    /// A package that the probes run on as well, where the one that is built is another.
    pub beside: Option<Beside>,
}

/// An unpacked package beside the one that is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its files.
    pub files: Vec<IndexedFile>,
    /// Its package digest.
    pub package: Digest,
}

/// What is built.
#[derive(Debug, Clone)]
pub enum BuildSource {
    /// The tree that this folder belongs to.
    Tree(PathBuf),
    /// A source package in a file.
    File(PathBuf),
    /// A source package in a registry.
    Release(Wish),
}

/// What stays of the folder that a build works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The log, and after a failure what the failed step wrote.
    Log,
    /// Everything, until the next build of the same tree.
    Everything,
}

/// Whether the lock file may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockUse {
    /// It is brought up to date.
    Update,
    /// A build that would change it fails.
    Locked,
}

/// Where the outputs of the steps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepShelf {
    /// In the step cache of the home folder, for later builds.
    Home,
    /// In a folder of this build's own.
    Apart(PathBuf),
}

/// Where the checkpoints of a build's steps go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointsGo {
    /// Nowhere: they stay in the step cache, and the record has their digests.
    Nowhere,
    /// Beside the packages, to be published with them.
    Beside,
}

/// A build that goes on from checkpoints, and what it runs beside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// The checkpoints that steps go on from.
    pub starts: BTreeMap<PartName, Start>,
    /// The parts that run by themselves, after all steps.
    pub runs: Vec<SegmentRun>,
}

/// Whether the tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestRun {
    /// They run, and fail the build.
    Run,
    /// They run, and are recorded whatever they find.
    Record,
    /// They are left out, which taints the record.
    Skip,
}

/// What surrounds a build: the home folder, the network, who watches, the clock.
pub struct Setting<'a> {
    /// The home folder.
    pub home: &'a Home,
    /// Fetches.
    pub client: &'a Client,
    /// Registries, in the order in which they are asked.
    pub registries: &'a Selection,
    /// What this machine's policies forbid.
    pub policies: &'a Policies,
    /// The folders in which programs are looked for, in the order of `$PATH`.
    pub search_path: &'a [PathBuf],
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Reads the clock.
    pub now: &'a dyn Fn() -> jiff::Timestamp,
}

impl BuildOptions {
    /// A build of `source` with nothing out of the ordinary.
    #[must_use]
    pub fn of(source: BuildSource) -> Self {
        Self {
            source,
            out: None,
            reuse: Reuse::Cached,
            keep: Keep::Log,
            shell: None,
            only: Vec::new(),
            with: Vec::new(),
            lock: LockUse::Update,
            tests: TestRun::Run,
            dry_run: false,
            shelf: StepShelf::Home,
            inputs: None,
            twin: None,
            checkpoints: CheckpointsGo::Nowhere,
            segments: Segments::default(),
            beside: None,
        }
    }

    /// `manifest` with only the variants that are asked for and the steps that lead to them.
    ///
    /// # Errors
    /// When a variant is asked for that there is not.
    pub fn limit(&self, manifest: &Manifest) -> Result<Manifest, BuildError> {
        let mut limited = manifest.clone();
        if self.only.is_empty() {
            return Ok(limited);
        }
        let known = |name: &str| manifest.variants.iter().any(|it| it.name.as_str() == name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            let variants = manifest.variants.iter().map(|it| it.name.to_string()).collect();
            return Err(Error::NoVariant { name: unknown.clone(), variants }.into());
        }
        let asked = |name: &VariantName| self.only.iter().any(|it| it == name.as_str());
        limited.variants.retain(|variant| asked(&variant.name));
        let mut needed: BTreeSet<PartName> =
            limited.variants.iter().map(|variant| variant.from.clone()).collect();
        // Each step stands after all that it needs, so one walk backwards finds them all.
        for step in limited.steps.iter().rev() {
            if needed.contains(&step.name) {
                needed.extend(step.needs.iter().cloned());
            }
        }
        limited.steps.retain(|step| needed.contains(&step.name));
        Ok(limited)
    }
}
