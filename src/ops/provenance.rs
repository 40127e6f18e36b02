//! How a built package came about, from the build record beside it or, without one, from the
//! inputs that stand in it.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Map;

use super::sign::Error;
use crate::archive::Package;
use crate::crypto::statement::{Provenance, Resource, package_url};
use crate::fs;
use crate::package::{
    Digest, INDEX_PATH, INPUTS_PATH, PackageName, PackageVersion, Release, VariantName,
};
use crate::progress::Progress;

/// The longest build record that is read, in bytes.
const LONGEST_RECORD: u64 = 256 << 20;
/// The longest `.mpkg/inputs.json` that is read, in bytes.
const LONGEST_INPUTS: u64 = 64 << 20;

/// What a build record and a package's inputs have in common, and what the record adds. The
/// rest of a record is not repeated: it is named by its digest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    #[serde(default)]
    data: Vec<Data>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    started: Option<Timestamp>,
    #[serde(default)]
    seconds: std::collections::BTreeMap<String, f64>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Debug, Deserialize)]
struct Data {
    name: String,
    sha256: Digest,
    #[serde(default)]
    addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Dependency {
    name: PackageName,
    version: PackageVersion,
    variant: Option<VariantName>,
    package_digest: Digest,
}

#[derive(Debug, Default, Deserialize)]
struct Environment {
    #[serde(default)]
    wheels: Vec<Wheel>,
}

#[derive(Debug, Deserialize)]
struct Wheel {
    name: String,
    version: String,
    sha256: Digest,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Output {
    package_digest: Digest,
}

/// What is known of how `package` was built.
pub(super) fn provenance(
    package: &Package,
    builder: &str,
    progress: &dyn Progress,
) -> Result<Provenance, Error> {
    let index = package.index();
    let record_name = format!("{}-{}.build.json", index.name, index.version);
    let record = package.path().with_file_name(&record_name);
    let mut byproducts = Vec::new();
    let mut inputs = None;
    if record.exists() {
        let (found, sha256) = read_record(&record)?;
        if found.outputs.iter().any(|output| output.package_digest == package.package_digest()) {
            byproducts.push(Resource { name: record_name, sha256, uri: None });
            inputs = Some(found);
        } else {
            let record = record.display();
            progress
                .warn(&format!("{record} is of another build; it is left out of the statement"));
        }
    }
    let inputs = match inputs {
        Some(inputs) => inputs,
        None => read_inputs(package)?,
    };
    Ok(Provenance {
        release: index.release(),
        source: index.source,
        external_parameters: Map::new(),
        times: inputs.times(),
        dependencies: inputs.into_resources(),
        builder: builder.to_owned(),
        byproducts,
    })
}

fn read_record(path: &Path) -> Result<(Inputs, Digest), Error> {
    let text = fs::read_to_string(path, LONGEST_RECORD)?;
    let record = serde_json::from_str(&text)
        .map_err(|source| Error::Record { path: path.to_owned(), source })?;
    Ok((record, Digest::of(text.as_bytes())))
}

fn read_inputs(package: &Package) -> Result<Inputs, Error> {
    let Some(file) = package.index().files.iter().find(|file| file.path.as_str() == INPUTS_PATH)
    else {
        return Ok(Inputs::default());
    };
    let text = package.read_member(&file.path, LONGEST_INPUTS)?;
    serde_json::from_slice(&text)
        .map_err(|source| Error::Record { path: package.path().join(INPUTS_PATH), source })
}

impl Inputs {
    /// When the build began and ended, in whole seconds.
    fn times(&self) -> Option<(String, String)> {
        let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).ok();
        let started = self.started?;
        let took = SignedDuration::try_from_secs_f64(self.seconds.values().sum()).ok()?;
        let ended = started.checked_add(took).ok()?;
        Some((whole(started)?.to_string(), whole(ended)?.to_string()))
    }

    fn into_resources(self) -> Vec<Resource> {
        let data = self.data.into_iter().map(|data| Resource {
            name: format!("data/{}", data.name),
            sha256: data.sha256,
            uri: data.addresses.into_iter().next(),
        });
        let packages = self.dependencies.into_iter().map(|package| Resource {
            name: format!("{}/{INDEX_PATH}", package.name),
            sha256: package.package_digest,
            uri: Some(package_url(&Release {
                name: package.name,
                version: package.version,
                variant: package.variant,
            })),
        });
        let wheels = self.environment.wheels.into_iter().map(|wheel| Resource {
            uri: Some(format!("pkg:pypi/{}@{}", wheel.name, wheel.version.replace('+', "%2B"))),
            name: format!("wheel/{}", wheel.name),
            sha256: wheel.sha256,
        });
        data.chain(packages).chain(wheels).collect()
    }
}
