//! What a build will do, before it does it.

use serde::Serialize;

use super::{BuildError, BuildOptions, Dependencies, Setting};
use crate::build::data::{Fetcher, Planned};
use crate::build::report::{bytes, duration};
use crate::build::tree::SourceTree;
use crate::explain::count;
use crate::package::{Digest, PackageName, PackageVersion, PartName, VariantName};
use crate::progress::Progress;

/// The plan of a build.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The package's name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Data references.
    pub data: Vec<PlannedData>,
    /// Packages that it is built with.
    pub packages: Vec<PlannedPackage>,
    /// Steps, in the order in which they run.
    pub steps: Vec<PlannedStep>,
    /// Variants that are packed.
    pub variants: Vec<VariantName>,
    /// Tests on the packed variants.
    pub tests: Vec<PlannedTest>,
    /// Probes whose predictions are packed.
    pub probes: Vec<PartName>,
    /// Bytes to be fetched, wheels of the environment not counted.
    pub to_fetch: u64,
    /// Whether `mpkg.lock` is brought up to date.
    pub lock_changes: bool,
}

/// One data reference of a plan.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedData {
    /// Its name.
    pub name: PartName,
    /// How many files it has.
    pub files: usize,
    /// Its length in bytes; 0 for data in the tree.
    pub size: u64,
    /// Bytes of it that must be fetched.
    pub to_fetch: u64,
    /// The SPDX expression of its licence.
    pub license: String,
    /// Where it comes from, for people.
    pub from: String,
}

impl From<Planned> for PlannedData {
    fn from(planned: Planned) -> Self {
        let Planned { name, license, from, files, size, to_fetch } = planned;
        Self { name, files, size, to_fetch, license, from }
    }
}

/// One package that a plan builds with.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant.
    pub variant: VariantName,
    /// Its package digest.
    pub package_digest: Digest,
    /// Bytes of it that must be fetched.
    pub to_fetch: u64,
    /// Where it is had from.
    pub from: String,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedStep {
    /// Its name.
    pub name: PartName,
    /// Its command, as the manifest writes it.
    pub command: Vec<String>,
    /// Processors.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Accelerators.
    pub gpus: u32,
    /// The longest that it may run, in seconds.
    pub seconds: u64,
}

/// One test of a plan.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedTest {
    /// Its name.
    pub name: PartName,
    /// Its metric and bound, as in `perplexity at most 80`.
    pub bound: String,
}

/// Makes the plan.
///
/// # Errors
/// When a variant is asked for that there is not.
pub(super) fn plan(
    tree: &SourceTree,
    dependencies: &Dependencies<'_>,
    options: &BuildOptions,
    setting: &Setting<'_>,
) -> Result<Plan, BuildError> {
    let manifest = options.limit(tree.manifest())?;
    let planned = Fetcher::new(tree.root(), setting.client).plan(&manifest.data)?;
    let data: Vec<PlannedData> = planned.into_iter().map(PlannedData::from).collect();
    let packages: Vec<PlannedPackage> = dependencies
        .pinned
        .iter()
        .map(|pinned| PlannedPackage {
            name: pinned.locked.name.clone(),
            version: pinned.locked.version.clone(),
            variant: pinned.locked.variant.clone(),
            package_digest: pinned.locked.digest,
            to_fetch: pinned.to_fetch(),
            from: pinned.from(),
        })
        .collect();
    let to_fetch = data.iter().map(|it| it.to_fetch).sum::<u64>()
        + packages.iter().map(|it| it.to_fetch).sum::<u64>();
    let steps = manifest.steps.iter().map(|step| PlannedStep {
        name: step.name.clone(),
        command: step.run.iter().map(ToString::to_string).collect(),
        cpus: step.resources.cpus,
        memory: step.resources.memory,
        gpus: step.resources.gpus,
        seconds: step.resources.time.as_secs(),
    });
    let tests = manifest.tests.iter().map(|test| PlannedTest {
        name: test.name.clone(),
        bound: format!("{} {}", test.metric, crate::build::record::bound_in_words(test.bound)),
    });
    Ok(Plan {
        name: manifest.package.name.clone(),
        version: manifest.package.version.clone(),
        data,
        packages,
        steps: steps.collect(),
        variants: manifest.variants.iter().map(|variant| variant.name.clone()).collect(),
        tests: tests.collect(),
        probes: manifest.probes.iter().map(|probe| probe.name.clone()).collect(),
        to_fetch,
        lock_changes: dependencies.changed,
    })
}

impl Plan {
    /// The plan as lines of text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.name, self.version)];
        for data in &self.data {
            let size = match data.size {
                0 => "in the tree".to_owned(),
                size => bytes(size),
            };
            let here = if data.size > 0 && data.to_fetch == 0 { ", in the cache" } else { "" };
            lines.push(format!(
                "  data     {}  {size}{here}  {}  {}",
                data.name, data.license, data.from
            ));
        }
        for package in &self.packages {
            lines.push(format!(
                "  package  {} {} ({})  {}  from {}",
                package.name,
                package.version,
                package.variant,
                package.package_digest.short(),
                package.from
            ));
        }
        for step in &self.steps {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let time = duration(step.seconds as f64);
            let gpus = match step.gpus {
                0 => String::new(),
                gpus => format!(", {}", count(gpus as usize, "accelerator", "accelerators")),
            };
            lines.push(format!(
                "  step     {}  {}, {}{gpus}, at most {time}",
                step.name,
                count(step.cpus as usize, "processor", "processors"),
                bytes(step.memory)
            ));
        }
        lines.extend(self.variants.iter().map(|variant| format!("  variant  {variant}")));
        lines.extend(self.probes.iter().map(|probe| format!("  probe    {probe}")));
        lines.extend(
            self.tests.iter().map(|test| format!("  test     {}  {}", test.name, test.bound)),
        );
        if self.to_fetch > 0 {
            lines.push(format!("  {} to be fetched", bytes(self.to_fetch)));
        }
        if self.lock_changes {
            lines.push("  mpkg.lock is brought up to date".to_owned());
        }
        lines
    }

    /// Tells whoever watches.
    pub fn say(&self, progress: &dyn Progress) {
        for line in self.lines() {
            progress.note(&line);
        }
    }
}
