//! `.mpkg/inputs.json` in a binary package: what went into it, and nothing that depends on the
//! machine (spec/build.md, "The inputs of a binary package").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::record::{DataRecord, DependencyRecord};
use crate::crypto::canonical::{self, Limits};
use crate::package::manifest::Manifest;
use crate::package::{Digest, PackageName, PackageVersion, PartName, Release, VariantName};

/// The version of the format.
pub const INPUTS_FORMAT: u32 = 1;
/// The longest such file that is read, in bytes.
pub const LONGEST_INPUTS: u64 = 64 << 20;

/// What a binary package says went into it, as far as it is known by digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Inputs {
    /// The source package.
    pub source: Digest,
    /// The data.
    #[serde(default)]
    pub data: Vec<DataInput>,
    /// The packages.
    #[serde(default)]
    pub dependencies: Vec<PackageInput>,
}

/// A piece of data that went into a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DataInput {
    /// The data reference's name.
    pub name: PartName,
    /// The digest of its file; of a folder or a sharded set, of its listing.
    pub sha256: Digest,
    /// What is said of withdrawn records, where there are some.
    #[serde(default)]
    pub records: Option<Value>,
}

/// A package that went into another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageInput {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its variant.
    pub variant: VariantName,
    /// Its package digest.
    #[serde(rename = "package-digest")]
    pub package: Digest,
}

impl Inputs {
    /// Reads `.mpkg/inputs.json` of a package whose files were checked.
    ///
    /// # Errors
    /// When it is not what this page of the specification says.
    pub fn parse(bytes: &[u8]) -> canonical::Result<Self> {
        canonical::read(bytes, Limits::of_bytes(bytes.len()))
    }
}

impl PackageInput {
    /// Its name, version and variant.
    #[must_use]
    pub fn release(&self) -> Release {
        let (name, version) = (self.name.clone(), self.version.clone());
        Release { name, version, variant: Some(self.variant.clone()) }
    }
}

/// The bytes of `.mpkg/inputs.json`: canonical JSON.
///
/// # Errors
/// When a word of the manifest cannot stand in canonical JSON.
pub fn inputs_json(
    manifest: &Manifest,
    source: Digest,
    data: &[DataRecord],
    dependencies: &[DependencyRecord],
    environment_lock: Option<Digest>,
) -> Result<Vec<u8>, canonical::Error> {
    canonical::to_vec(&json!({
        "format": INPUTS_FORMAT,
        "source": source,
        "data": data.iter().map(of_data).collect::<Vec<_>>(),
        "dependencies": dependencies.iter().map(of_dependency).collect::<Vec<_>>(),
        "environment": of_environment(manifest, environment_lock),
        "seeds": seeds(manifest),
        "reproducibility": contract(manifest),
    }))
}

fn of_data(data: &DataRecord) -> Value {
    let mut value = json!({
        "name": data.name,
        "sha256": data.sha256,
        "size": data.size,
        "license": data.license,
        "level": data.level,
        "role": data.role,
    });
    if let Some(receipt) = &data.records {
        value["records"] = json!({
            "before": receipt.before,
            "after": receipt.after,
            "sha256": receipt.sha256_after,
        });
    }
    value
}

fn of_dependency(package: &DependencyRecord) -> Value {
    json!({
        "name": package.name,
        "version": package.version,
        "variant": package.variant,
        "package-digest": package.package_digest,
    })
}

fn of_environment(manifest: &Manifest, lock: Option<Digest>) -> Value {
    let mut environment = Map::new();
    environment.insert("variables".to_owned(), json!(manifest.environment.variables));
    if let Some(python) = &manifest.environment.python {
        environment.insert("python".to_owned(), json!(python));
    }
    if let Some(lock) = lock {
        environment.insert("lock".to_owned(), json!(lock));
    }
    environment.into()
}

/// Seeds by step; as text, for they may be larger than a canonical number.
fn seeds(manifest: &Manifest) -> Value {
    let seeds: Map<String, Value> = manifest
        .steps
        .iter()
        .filter_map(|step| Some((step.name.to_string(), json!(step.seed?.to_string()))))
        .collect();
    seeds.into()
}

/// The contract, its distances as decimal text: canonical JSON has no fractions.
fn contract(manifest: &Manifest) -> Value {
    let reproducibility = &manifest.reproducibility;
    let mut contract = Map::new();
    contract.insert("level".to_owned(), json!(reproducibility.level.as_str()));
    for (name, value) in [
        ("max-abs", reproducibility.max_abs),
        ("min-cosine", reproducibility.min_cosine),
        ("min-agreement", reproducibility.min_agreement),
    ] {
        if let Some(value) = value {
            contract.insert(name.to_owned(), json!(value.to_string()));
        }
    }
    contract.into()
}
