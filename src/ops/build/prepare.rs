//! Fetches and lays out everything that steps and tests read; after this no network is needed.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::source::{Opened, Origin};
use super::{BuildError, Dependencies, Setting};
use crate::archive::package_digest;
use crate::build::data::{FetchedData, Fetcher, Receipt, shown};
use crate::build::environment;
use crate::build::inputs::inputs_json;
use crate::build::record::{DataRecord, DependencyRecord};
use crate::build::source::Source;
use crate::build::surroundings::{Material, Materials, Surroundings};
use crate::fs::{Error as FileError, write_atomically};
use crate::net::Network;
use crate::ops::registry::data::by_digest;
use crate::ops::registry::wheels::RegistryWheels;
use crate::package::manifest::{DataReference, DataSource, Unpack};
use crate::package::{Digest, IndexedFile, LOCK_NAME, PartName};
use crate::progress::Progress;

/// A tree with all that its steps need.
#[derive(Debug)]
pub struct Prepared {
    /// The tree, its patches applied, and its places.
    pub opened: Opened,
    /// The source package.
    pub source: Source,
    /// The files of the tree, its patches applied.
    pub files: Vec<IndexedFile>,
    /// Data and dependencies.
    pub materials: Materials,
    /// The software around each step.
    pub surroundings: Surroundings,
    /// What the record says of the data.
    pub data: Vec<DataRecord>,
    /// What the record says of the dependencies.
    pub dependencies: Vec<DependencyRecord>,
}

impl Prepared {
    /// The bytes of `.mpkg/inputs.json`, where the source package has the digest `source`.
    pub(super) fn inputs(&self, source: Digest) -> Result<Vec<u8>, BuildError> {
        Ok(inputs_json(
            self.opened.tree.manifest(),
            source,
            &self.data,
            &self.dependencies,
            self.surroundings.environment.lock_digest,
        )?)
    }

    /// Makes sure that a build from here has the inputs that are `expected`.
    pub(super) fn demand_inputs(&self, expected: &[u8]) -> Result<(), BuildError> {
        let found = self.inputs(package_digest(&self.source.index)?)?;
        if found == expected {
            return Ok(());
        }
        let read = |bytes: &[u8]| -> Map<String, Value> {
            serde_json::from_slice(bytes).unwrap_or_default()
        };
        let (expected, found) = (read(expected), read(&found));
        let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let differs = |key: &&String| expected.get(*key) != found.get(*key);
        let keys = keys.into_iter().filter(differs).cloned().collect();
        let tree = self.opened.tree.root().to_owned();
        Err(BuildError::OtherInputs { tree, keys })
    }
}

/// Writes the lock file, hashes the tree, fetches and unpacks everything.
///
/// # Errors
/// When something cannot be had or is not what it should be.
pub fn prepare(
    mut opened: Opened,
    dependencies: &Dependencies<'_>,
    setting: &Setting<'_>,
) -> Result<Prepared, BuildError> {
    write_lock(&opened, dependencies, setting)?;
    let source = Source::of(&opened.tree)?;
    let (tree, files) = source.built(&opened.tree, &opened.work.patched())?;
    opened.tree = tree;
    let root = opened.tree.root();
    let mut materials = Materials::default();
    let fetcher = Fetcher::new(root, setting.client).asking_first(by_digest(setting.registries));
    let found = fetcher.fetch(&opened.tree.manifest().data, setting.progress)?;
    let mut data_records = Vec::new();
    for data in &found {
        let path = fetcher.materialise(data, setting.progress)?;
        let receipt = fetcher.receipt(data)?;
        say(&data.reference.name, receipt.as_ref(), setting.progress);
        data_records.push(DataRecord { records: receipt, ..record_of(data) });
        let reference = &data.reference;
        // A folder has no end of its name.
        let name =
            if path.is_dir() { format!("data/{}", reference.name) } else { name_of(reference) };
        materials.data.insert(reference.name.clone(), Material { path, name, digest: data.key() });
    }
    let mut records = Vec::new();
    for pinned in &dependencies.pinned {
        let (material, record) = dependencies.unpack(pinned, setting)?;
        materials.dependencies.insert(record.name.clone(), material);
        records.push(record);
    }
    let surroundings = surroundings(&opened, &materials, setting)?;
    Ok(Prepared {
        opened,
        source,
        files,
        materials,
        surroundings,
        data: data_records,
        dependencies: records,
    })
}

/// Says what was withdrawn from data, and warns of entries that withdraw nothing.
fn say(name: &PartName, receipt: Option<&Receipt>, progress: &dyn Progress) {
    let Some(Receipt { before, removed, lists, .. }) = receipt else { return };
    progress.note(&format!("Withdrew {removed} of {before} records of {name}"));
    for list in lists {
        for (number, _) in (1..).zip(&list.removed).filter(|(_, removed)| **removed == 0) {
            let path = &list.path;
            progress.warn(&format!("entry {number} of {path} withdraws no record of {name}"));
        }
    }
}

fn surroundings(
    opened: &Opened,
    materials: &Materials,
    setting: &Setting<'_>,
) -> Result<Surroundings, BuildError> {
    let section = &opened.tree.manifest().environment;
    let mirrors = RegistryWheels::of(setting.registries, setting.client, setting.progress);
    let request = environment::Request {
        section,
        tree: opened.tree.root(),
        cache: &setting.home.cache(),
        search_path: setting.search_path,
        network: match setting.client.network() {
            Network::Allowed => environment::Network::Allowed,
            Network::Offline => environment::Network::Offline,
        },
        mirrors: Some(&mirrors),
    };
    let environment = environment::prepare(&request, setting.progress)?;
    let package = section.package.as_ref().and_then(|name| materials.dependencies.get(name));
    Ok(Surroundings { environment, package: package.cloned() })
}

fn write_lock(
    opened: &Opened,
    dependencies: &Dependencies<'_>,
    setting: &Setting<'_>,
) -> Result<(), BuildError> {
    if !dependencies.changed {
        return Ok(());
    }
    let path = opened.tree.root().join(LOCK_NAME);
    if dependencies.lock.packages().is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::at("remove", &path)(error).into())
            }
            _ => Ok(()),
        };
    }
    if let Origin::Package(_) = opened.origin {
        setting.progress.warn(
            "the source package does not pin all that it needs: the build makes a source package of its own",
        );
    }
    Ok(write_atomically(&path, dependencies.lock.to_text().as_bytes())?)
}

/// What the record says of one data reference.
fn record_of(data: &FetchedData) -> DataRecord {
    let reference = &data.reference;
    let addresses = match &reference.source {
        DataSource::Fetched { urls, .. } => urls.iter().map(shown).collect(),
        DataSource::InTree { path, .. } | DataSource::Shards { list: path } => {
            vec![path.to_string()]
        }
    };
    DataRecord {
        name: reference.name.clone(),
        sha256: data.digest,
        size: data.size,
        addresses,
        license: reference.license.clone(),
        license_evidence: reference.license_evidence.clone(),
        level: reference.level.as_str().to_owned(),
        role: reference.role.as_str().to_owned(),
        records: None,
    }
}

/// The name that a job sees data under: a file keeps the end of its name, which programs go by.
fn name_of(reference: &DataReference) -> String {
    let file = match &reference.source {
        DataSource::InTree { path, .. } => path.to_string(),
        DataSource::Fetched { urls, .. } => urls.first().map_or_else(String::new, |address| {
            address.member.clone().unwrap_or_else(|| address.origin.to_string())
        }),
        DataSource::Shards { .. } => String::new(),
    };
    let file = match reference.unpack {
        Unpack::None => file.as_str(),
        Unpack::Gz => file.strip_suffix(".gz").unwrap_or(&file),
        _ => "",
    };
    let end = file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    let is_end = |end: &&str| {
        (1..=12).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match end.filter(is_end) {
        Some(end) => format!("data/{}.{end}", reference.name),
        None => format!("data/{}", reference.name),
    }
}
