//! The build record: what happened in a build (spec/build.md, "The build record").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cache::StepResult;
use super::checkpoints::Chain;
use super::data::Receipt;
use super::machine::Machine;
use super::patches::Patch;
use crate::package::manifest::{Bound, Reproducibility};
use crate::package::{
    Digest, IndexedFile, Kind, PackageName, PackageVersion, PartName, VariantName,
};

/// The version of the build record's format.
pub const RECORD_FORMAT: u32 = 1;

/// Everything that is known of one build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildRecord {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// The mpkg that built, by its version.
    pub mpkg: String,
    /// The package's name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// What it is.
    pub kind: Kind,
    /// The SPDX expression of its licence.
    pub license: String,
    /// One line that says what it is.
    pub summary: String,
    /// When the build began.
    pub started: jiff::Timestamp,
    /// How long each part of it took.
    pub seconds: Seconds,
    /// The source package.
    pub source: SourceRecord,
    /// Training data and other data, in the manifest's order.
    pub data: Vec<DataRecord>,
    /// Packages that were built with, in the order of their names.
    pub dependencies: Vec<DependencyRecord>,
    /// The software that the steps ran in.
    pub environment: EnvironmentRecord,
    /// The machine.
    pub machine: Machine,
    /// `full` or `none`: the sandbox that was asked for. Each step names the layers that held.
    pub sandbox: String,
    /// The steps, in the order in which they ran.
    pub steps: Vec<StepRecord>,
    /// The binary packages.
    pub outputs: Vec<OutputRecord>,
    /// The tests, on each variant.
    pub tests: Vec<TestRecord>,
    /// The predictions of the probes, on each variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeRecord>,
    /// The checkpoints of the steps that wrote some, each a chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<Chain>,
    /// How alike two builds in a row were, where they were made: the weakest verdict of all variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// How alike a rebuild is promised to be.
    pub reproducibility: ReproducibilityRecord,
    /// What weakens this record; empty is best.
    pub tainted: Vec<String>,
}

/// Seconds of the parts of a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Seconds {
    /// Resolving, fetching and preparing.
    pub prepare: f64,
    /// The steps.
    pub steps: f64,
    /// Packing.
    pub pack: f64,
    /// The tests.
    pub test: f64,
}

impl Seconds {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.prepare + self.steps + self.pack + self.test
    }
}

/// The source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceRecord {
    /// Its file's name.
    pub file: String,
    /// Its package digest.
    pub package_digest: Digest,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// Its file's length in bytes.
    pub size: u64,
    /// The patches that were applied to it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PatchRecord>,
}

/// One patch of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PatchRecord {
    /// Its place below `patches/`.
    pub name: String,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// What it changes, where it says so: `code`, `architecture` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The first line of what it says of itself.
    pub summary: String,
}

impl From<&Patch> for PatchRecord {
    fn from(patch: &Patch) -> Self {
        Self {
            name: patch.name.to_string(),
            sha256: patch.digest,
            kind: patch.header.kind.map(|kind| kind.as_str().to_owned()),
            summary: patch.header.summary().to_owned(),
        }
    }
}

/// One data reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataRecord {
    /// Its name.
    pub name: PartName,
    /// The digest of its bytes as the manifest states it, or over its files in the tree.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its addresses, or its place in the tree.
    pub addresses: Vec<String>,
    /// The SPDX expression of its licence.
    pub license: String,
    /// What says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_evidence: Option<String>,
    /// How far it is from what people collected.
    pub level: String,
    /// What it is used for.
    pub role: String,
    /// What was withdrawn from it, where anything is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Receipt>,
}

/// One package that was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DependencyRecord {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant.
    pub variant: VariantName,
    /// Its package digest.
    pub package_digest: Digest,
    /// The package digest of its own source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    /// The SPDX expression of its licence.
    pub license: String,
    /// Where it came from: a registry's address, `local` or `cache`.
    pub from: String,
}

/// The software that the steps ran in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnvironmentRecord {
    /// The Python.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonRecord>,
    /// The digest of the lock of wheels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Digest>,
    /// The wheels.
    pub wheels: Vec<Wheel>,
    /// What installed the wheels, where that was not mpkg itself: `uv` and its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer: Option<String>,
    /// Programs of the machine that the manifest names.
    pub system: Vec<SystemRecord>,
    /// Variables that the manifest sets.
    pub variables: BTreeMap<String, String>,
}

/// The Python that the steps ran in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonRecord {
    /// Its version.
    pub version: String,
    /// Its implementation, such as `cpython`.
    pub implementation: String,
    /// Its platform, such as `linux-x86_64`.
    pub platform: String,
}

/// One wheel of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wheel {
    /// Its project.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its file.
    pub sha256: Digest,
}

/// One program of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SystemRecord {
    /// Its name.
    pub program: String,
    /// Its version, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The Debian package that it comes from, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Where it lies.
    pub path: PathBuf,
}

impl SystemRecord {
    /// Its version and where it comes from, as in `12.2.0 (gcc-12 12.2.0-14)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        match &self.package {
            Some(package) => format!("{version} ({package})"),
            None => version.to_owned(),
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepRecord {
    /// Its command as the manifest writes it.
    pub command: Vec<String>,
    /// Its seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// `ran`, `cached` (an earlier build of the same inputs ran it) or `resumed`.
    pub how: How,
    /// What it did and left.
    pub result: StepResult,
}

/// Whether a step ran in this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It ran from its beginning.
    Ran,
    /// An earlier build ran it on the same inputs.
    Cached,
    /// It went on from what an interrupted run had left.
    Resumed,
}

impl How {
    /// The word that records use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Cached => "cached",
            Self::Resumed => "resumed",
        }
    }
}

/// One binary package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutputRecord {
    /// Its variant.
    pub variant: VariantName,
    /// Its file's name.
    pub file: String,
    /// Its package digest.
    pub package_digest: Digest,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// Its file's length in bytes.
    pub size: u64,
    /// The bytes of the files in it.
    pub unpacked_size: u64,
    /// The files in it.
    pub files: Vec<IndexedFile>,
}

/// One test on one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TestRecord {
    /// Its name.
    pub name: PartName,
    /// The variant that it ran on.
    pub variant: VariantName,
    /// What it measured.
    pub metric: String,
    /// The bound, as in `at most 1.75`.
    pub bound: String,
    /// What it found.
    pub value: f64,
    /// Whether the value is within the bound.
    pub passed: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The predictions of one probe on one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeRecord {
    /// Its name.
    pub name: PartName,
    /// The variant that it ran on.
    pub variant: VariantName,
    /// How many predictions there are.
    pub predictions: u64,
    /// The digest of the file that they stand in.
    pub sha256: Digest,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl TestRecord {
    /// The result as a line for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { name, variant, metric, bound, value, passed, .. } = self;
        let verdict = if *passed { "passed" } else { "failed" };
        format!("Test {name} on {variant}: {metric} is {value}, must be {bound}: {verdict}")
    }
}

/// How alike a rebuild is promised to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReproducibilityRecord {
    /// `bitwise`, `tensor` or `behaviour`.
    pub level: String,
    /// The largest absolute difference of two tensors' elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_abs: Option<f64>,
    /// The smallest cosine of two tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cosine: Option<f64>,
    /// The smallest share of a probe's predictions that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_agreement: Option<f64>,
}

impl From<&Reproducibility> for ReproducibilityRecord {
    fn from(contract: &Reproducibility) -> Self {
        Self {
            level: contract.level.as_str().to_owned(),
            max_abs: contract.max_abs,
            min_cosine: contract.min_cosine,
            min_agreement: contract.min_agreement,
        }
    }
}

/// A bound in words, as in `at most 1.75`.
#[must_use]
pub fn bound_in_words(bound: Bound) -> String {
    match bound {
        Bound::AtMost(limit) => format!("at most {limit}"),
        Bound::AtLeast(limit) => format!("at least {limit}"),
        Bound::Equals(value) => format!("exactly {value}"),
    }
}

impl BuildRecord {
    /// The file name of this record: `NAME-VERSION.build.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.build.json", self.name, self.version)
    }

    /// The file name of its report: `NAME-VERSION.report.html`.
    #[must_use]
    pub fn report_name(&self) -> String {
        format!("{}-{}.report.html", self.name, self.version)
    }

    /// The record as it stands in its file: JSON for people, with a newline at its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("a record has text keys and finite numbers");
        text.push('\n');
        text
    }
}
