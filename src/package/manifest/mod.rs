//! The manifest, `mpkg.toml`, after it was read and checked (spec/manifest.md).

mod address;
mod check;
mod checkpoints;
mod data;
mod package;
mod parse;
mod quantity;
mod recipe;
mod template;
#[cfg(test)]
mod tests;
mod words;

pub use super::document::{Diagnostic, Diagnostics};
pub use address::{DataAddress, InvalidAddress, Origin};
pub use checkpoints::Checkpoints;
pub use quantity::{bytes as parse_bytes, time as parse_time};
pub use template::{InvalidTemplate, Part, Placeholder, Template};

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Dependency, Digest, Kind, PackageName, PackagePath, PackageVersion, PartName, Requirement,
    VariantName,
};

/// The manifest's file name in a source tree.
pub const MANIFEST_NAME: &str = "mpkg.toml";
/// The longest manifest that is read, in bytes.
pub const LONGEST_MANIFEST: u64 = 1 << 20;

/// A whole manifest. Everything in it holds: names are well-formed, steps have no cycle, every
/// placeholder names something, and exactly one variant is the default.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// `[package]`.
    pub package: PackageSection,
    /// `[dependencies]`, in the order of their names.
    pub dependencies: Vec<Dependency>,
    /// `[build-dependencies]`, in the order of their names.
    pub build_dependencies: Vec<Dependency>,
    /// `[[data]]`, in the manifest's order.
    pub data: Vec<DataReference>,
    /// `[environment]`.
    pub environment: EnvironmentSection,
    /// `[[step]]`, each after all that it needs.
    pub steps: Vec<Step>,
    /// `[[variant]]`, in the manifest's order.
    pub variants: Vec<Variant>,
    /// `[reproducibility]`.
    pub reproducibility: Reproducibility,
    /// `[[test]]`, in the manifest's order.
    pub tests: Vec<Test>,
    /// `[[probe]]`, in the manifest's order.
    pub probes: Vec<Probe>,
}

/// `[package]`: what the package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSection {
    /// The package's name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// What it is.
    pub kind: Kind,
    /// One line that says what it is.
    pub summary: String,
    /// The SPDX expression of its licence, checked.
    pub license: String,
    /// `Name <address>` of those who look after it.
    pub maintainers: Vec<String>,
    /// A page about it.
    pub homepage: Option<String>,
    /// What it can be used for.
    pub tasks: Vec<String>,
    /// Virtual names that it stands for.
    pub provides: Vec<PackageName>,
    /// Packages that cannot be installed beside it.
    pub conflicts: Vec<PackageName>,
    /// `allow-pickle`, with `pickle-reason`: why pickle-based files stand in it.
    pub pickle_reason: Option<String>,
}

/// `[[data]]`: a data reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataReference {
    /// Its name, used in `{data.NAME}`.
    pub name: PartName,
    /// Where its bytes come from.
    pub source: DataSource,
    /// The SPDX expression of its licence, checked.
    pub license: String,
    /// The file, in the data or the tree, or the address, that says so.
    pub license_evidence: Option<String>,
    /// How far it is from what people collected.
    pub level: DataLevel,
    /// What it is used for.
    pub role: DataRole,
    /// What an exclusion removes one of.
    pub records: Option<RecordKind>,
    /// How its bytes are unpacked.
    pub unpack: Unpack,
    /// Globs over the unpacked paths; empty keeps all.
    pub select: Vec<String>,
    /// Lists of withdrawn records, in the tree.
    pub exclude: Vec<PackagePath>,
}

/// Where the bytes of a data reference come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// `urls`, tried in order; `sha256` and `size` are of the file that results (of the member,
    /// where the address names one).
    Fetched {
        /// The addresses.
        urls: Vec<DataAddress>,
        /// The digest of the resulting file.
        sha256: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// `path`: a file or folder in the source tree.
    InTree {
        /// Its place in the tree.
        path: PackagePath,
        /// Its digest, where the manifest states it.
        sha256: Option<Digest>,
    },
    /// `shards`: a file in the tree with one JSON object a line: `urls`, `sha256`, `size`, `path`.
    Shards {
        /// The list's place in the tree.
        list: PackagePath,
    },
}

/// How far data is from what people collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataLevel {
    /// As collected.
    Raw,
    /// Cleaned.
    Cleaned,
    /// Training instances.
    Instances,
    /// Made by a program.
    Synthetic,
}

/// What data is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataRole {
    /// Training.
    Train,
    /// Choosing among trained models.
    Validation,
    /// Testing.
    Test,
    /// Making a tokenizer.
    Tokenizer,
    /// Looking things up.
    Reference,
}

/// What one record of data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A line.
    Lines,
    /// A run of lines between empty ones.
    Paragraphs,
    /// A JSON value on a line.
    Jsonl,
    /// A row of a table.
    Csv,
    /// A file.
    Files,
}

/// How a data reference is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// Not at all.
    None,
    /// `tar`.
    Tar,
    /// `tar.gz`.
    TarGz,
    /// `tar.xz`.
    TarXz,
    /// `tar.zst`.
    TarZst,
    /// `zip`, which wheels are.
    Zip,
    /// `gz`: one compressed file.
    Gz,
}

/// `[environment]`: the software that a build runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentSection {
    /// The Python that will do, as in `>=3.11`.
    pub python: Option<String>,
    /// `pylock.toml` or `requirements.txt` in the tree, every wheel with its hash.
    pub lock: Option<PackagePath>,
    /// Variables set for every step and test.
    pub variables: BTreeMap<String, String>,
    /// Programs that must be on the machine.
    pub system: Vec<SystemProgram>,
    /// An environment package, from the build dependencies, whose programs the steps use.
    pub package: Option<PackageName>,
}

/// A program that must be on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemProgram {
    /// Its name on the search path.
    pub program: String,
    /// The versions that will do.
    pub version: Option<Requirement>,
}

/// `[[step]]`: one command of the recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name, used in `{step.NAME}`.
    pub name: PartName,
    /// The program and its arguments.
    pub run: Vec<Template>,
    /// The steps that must be done before.
    pub needs: Vec<PartName>,
    /// What it may use.
    pub resources: Resources,
    /// `{seed}`.
    pub seed: Option<u64>,
    /// Its checkpoints, where it writes some.
    pub checkpoints: Option<Checkpoints>,
}

/// What a step or test may use of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that its output folder may grow to.
    pub disk: u64,
    /// Accelerators.
    pub gpus: u32,
    /// Machines.
    pub nodes: u32,
    /// How long it may run.
    pub time: Duration,
    /// How many processes and threads it may have at once.
    pub processes: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory: 4 << 30,
            disk: 16 << 30,
            gpus: 0,
            nodes: 1,
            time: Duration::from_hours(1),
            processes: 256,
        }
    }
}

/// `[[variant]]`: one of the binary packages that the source makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: VariantName,
    /// Whether it is installed when no variant is named.
    pub default: bool,
    /// The step whose output it packs.
    pub from: PartName,
    /// Globs over that output; what is not there is taken from the tree.
    pub files: Vec<String>,
}

/// `[reproducibility]`: how alike a rebuild is promised to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproducibility {
    /// The promise.
    pub level: Level,
    /// The largest absolute difference of two tensors' elements at `level = "tensor"`.
    pub max_abs: Option<f64>,
    /// The smallest cosine of two tensors at `level = "tensor"`.
    pub min_cosine: Option<f64>,
    /// The smallest share of a probe's predictions that is the same.
    pub min_agreement: Option<f64>,
}

/// How alike a rebuild is promised to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The same bytes.
    Bitwise,
    /// Tensors within the stated distances.
    Tensor,
    /// The tests hold.
    Behaviour,
}

/// `[[test]]`: a check of the packed result.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Its name.
    pub name: PartName,
    /// The program and its arguments; it prints one JSON object on its last line.
    pub run: Vec<Template>,
    /// The field of that object that is judged.
    pub metric: String,
    /// What the field must be.
    pub bound: Bound,
    /// The variants it runs on; empty means all.
    pub variants: Vec<VariantName>,
    /// What it may use.
    pub resources: Resources,
}

/// `[[probe]]`: a command that writes one prediction a line for a fixed set of inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Its name.
    pub name: PartName,
    /// The program and its arguments; it writes `{out}/predictions.txt`.
    pub run: Vec<Template>,
    /// The variants it runs on; empty means all.
    pub variants: Vec<VariantName>,
    /// What it may use.
    pub resources: Resources,
}

/// What a test's metric must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// `at-most`.
    AtMost(f64),
    /// `at-least`.
    AtLeast(f64),
    /// `equals`.
    Equals(f64),
}

impl Bound {
    /// Whether `value` is within the bound; a NaN never is.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "equals means the very same number")]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Equals(limit) => value == limit,
        }
    }
}
