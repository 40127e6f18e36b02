//! The layers of a difference above its files: manifest, data, environment, test results.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::build::environment::locked;
use crate::build::outputs::digest_of;
use crate::build::record::BuildRecord;
use crate::fs::read_to_string;
use crate::package::manifest::{
    DataReference, DataSource, LONGEST_MANIFEST, MANIFEST_NAME, Manifest,
};
use crate::package::{INPUTS_PATH, IndexedFile, LOCK_NAME, LONGEST_LOCK, LockFile};
use crate::reproduce::Side;

/// The longest lock of an environment, list of inputs or file of records that is read, in bytes.
const LONGEST_TEXT: u64 = 64 << 20;

/// Something that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub what: String,
    /// What it is in the first, where it is there.
    pub first: Option<String>,
    /// What it is in the second, where it is there.
    pub second: Option<String>,
}

/// What differs in the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DataDifference {
    /// Data references that differ.
    pub changes: Vec<Change>,
    /// Records of data in the tree that only the second has, by data reference.
    pub records_in: BTreeMap<String, u64>,
    /// Those that only the first has.
    pub records_out: BTreeMap<String, u64>,
    /// Licences that only the second has data under.
    pub licences_in: Vec<String>,
    /// Those that only the first has.
    pub licences_out: Vec<String>,
}

type Facts = BTreeMap<String, String>;

/// What differs between two tables of facts.
fn changes(first: &Facts, second: &Facts) -> Vec<Change> {
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let differs = |name: &&String| first.get(*name) != second.get(*name);
    let change = |name: &String| Change {
        what: name.clone(),
        first: first.get(name).cloned(),
        second: second.get(name).cloned(),
    };
    names.into_iter().filter(differs).map(change).collect()
}

/// The text of a file of a package, where it has it and it is text.
fn text(side: Side<'_>, path: &str, limit: u64) -> Option<String> {
    let file = side.index.files.iter().find(|file| file.path.as_str() == path)?;
    read_to_string(&file.path.below(side.folder), limit).ok()
}

/// The keys of both manifests with other values; data has a layer of its own.
pub(super) fn manifest(first: Side<'_>, second: Side<'_>) -> Vec<Change> {
    let facts = |side| {
        let mut facts = Facts::new();
        let table = text(side, MANIFEST_NAME, LONGEST_MANIFEST);
        let table = table.and_then(|text| text.parse::<toml::Table>().ok());
        for (key, value) in table.into_iter().flatten().filter(|(key, _)| key != "data") {
            flatten(&key, &value, &mut facts);
        }
        facts
    };
    changes(&facts(first), &facts(second))
}

/// Writes every value below `key` under a path of keys; tables of a list go by their names.
fn flatten(key: &str, value: &toml::Value, facts: &mut Facts) {
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(name, value)| flatten(&format!("{key}.{name}"), value, facts));
        }
        toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
            for (place, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(toml::Value::as_str);
                let name = name.map_or_else(|| place.to_string(), str::to_owned);
                flatten(&format!("{key}.{name}"), item, facts);
            }
        }
        other => {
            facts.insert(key.to_owned(), serde_json::to_string(other).unwrap_or_default());
        }
    }
}

/// What is known of a data reference.
struct Datum {
    words: String,
    license: String,
}

/// What differs in the data: by the source packages where they are at hand, else by the inputs
/// that binary packages list.
pub(super) fn data(first: Side<'_>, second: Side<'_>) -> DataDifference {
    let (one, other) = (data_of(first), data_of(second));
    let words = |data: &BTreeMap<String, Datum>| -> Facts {
        data.iter().map(|(name, datum)| (name.clone(), datum.words.clone())).collect()
    };
    let licences = |data: &BTreeMap<String, Datum>| -> BTreeSet<String> {
        data.values().map(|datum| datum.license.clone()).collect()
    };
    let (before, after) = (licences(&one), licences(&other));
    let mut difference = DataDifference {
        changes: changes(&words(&one), &words(&other)),
        licences_in: after.difference(&before).cloned().collect(),
        licences_out: before.difference(&after).cloned().collect(),
        ..DataDifference::default()
    };
    for change in &difference.changes {
        let lines = |side| records(side, &change.what);
        let (Some(before), Some(after)) = (lines(first), lines(second)) else { continue };
        let missing = |from: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| -> u64 {
            let count = |line: &String| other.get(line).copied().unwrap_or_default();
            from.iter().map(|(line, number)| number.saturating_sub(count(line))).sum()
        };
        difference.records_in.insert(change.what.clone(), missing(&after, &before));
        difference.records_out.insert(change.what.clone(), missing(&before, &after));
    }
    difference
}

fn manifest_of(side: Side<'_>) -> Option<Manifest> {
    Manifest::parse(&text(side, MANIFEST_NAME, LONGEST_MANIFEST)?, MANIFEST_NAME).ok()
}

fn data_of(side: Side<'_>) -> BTreeMap<String, Datum> {
    if let Some(inputs) = text(side, INPUTS_PATH, LONGEST_TEXT) {
        let inputs: Value = serde_json::from_str(&inputs).unwrap_or_default();
        let all = inputs["data"].as_array().cloned().unwrap_or_default();
        return all.iter().map(of_inputs).collect();
    }
    let references = manifest_of(side).map(|manifest| manifest.data).unwrap_or_default();
    references.iter().map(|reference| of_manifest(reference, side)).collect()
}

/// How many records of data with withdrawals came in and went out, by data reference, where both
/// began with the same data.
pub(super) fn withdrawn(first: Side<'_>, second: Side<'_>) -> BTreeMap<String, (u64, u64)> {
    let (one, other) = (inputs_of(first), inputs_of(second));
    let mut found = BTreeMap::new();
    for (name, before) in &one {
        let Some(after) = other.get(name) else { continue };
        if before["sha256"] != after["sha256"] {
            continue;
        }
        let all = [before, after].into_iter().find_map(|it| it["records"]["before"].as_u64());
        let left = |side: &Value| side["records"]["after"].as_u64().or(all);
        let (Some(left_before), Some(left_after)) = (left(before), left(after)) else { continue };
        let more = left_after.saturating_sub(left_before);
        found.insert(name.clone(), (more, left_before.saturating_sub(left_after)));
    }
    found
}

/// The data of a binary package, by name, as its inputs list it.
fn inputs_of(side: Side<'_>) -> BTreeMap<String, Value> {
    let inputs = text(side, INPUTS_PATH, LONGEST_TEXT);
    let inputs: Value =
        inputs.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let all = inputs["data"].as_array().cloned().unwrap_or_default();
    let named = all.into_iter().map(|it| (it["name"].as_str().unwrap_or_default().to_owned(), it));
    named.collect()
}

fn of_inputs(data: &Value) -> (String, Datum) {
    let word = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let words = format!(
        "{}, {} bytes, {}, {}, {}",
        word("sha256"),
        data["size"],
        word("license"),
        word("level"),
        word("role")
    );
    (word("name"), Datum { words, license: word("license") })
}

fn of_manifest(reference: &DataReference, side: Side<'_>) -> (String, Datum) {
    let place = match &reference.source {
        DataSource::Fetched { sha256, size, .. } => format!("{sha256}, {size} bytes"),
        DataSource::InTree { path, .. } | DataSource::Shards { list: path } => {
            let below = format!("{path}/");
            let is_of_it =
                |file: &&IndexedFile| file.path == *path || file.path.as_str().starts_with(&below);
            let files: Vec<IndexedFile> =
                side.index.files.iter().filter(is_of_it).cloned().collect();
            let size: u64 = files.iter().map(|file| file.size).sum();
            format!("{}, {size} bytes in the tree", digest_of(&files))
        }
    };
    let DataReference { license, level, role, select, exclude, .. } = reference;
    let mut words = format!("{place}, {license}, {}, {}", level.as_str(), role.as_str());
    for (name, list) in
        [("select", select.clone()), ("exclude", exclude.iter().map(ToString::to_string).collect())]
    {
        if !list.is_empty() {
            words = format!("{words}, {name} {}", list.join(" "));
        }
    }
    (reference.name.to_string(), Datum { words, license: license.clone() })
}

/// The lines of a data reference that is one text file of the tree, and how often each stands
/// there.
fn records(side: Side<'_>, name: &str) -> Option<BTreeMap<String, u64>> {
    let manifest = manifest_of(side)?;
    let reference = manifest.data.iter().find(|it| it.name.as_str() == name)?;
    let DataSource::InTree { path, .. } = &reference.source else { return None };
    let mut lines = BTreeMap::new();
    for line in text(side, path.as_str(), LONGEST_TEXT)?.lines() {
        *lines.entry(line.to_owned()).or_default() += 1;
    }
    Some(lines)
}

/// Packages and wheels that are locked otherwise.
pub(super) fn environment(first: Side<'_>, second: Side<'_>) -> Vec<Change> {
    let facts = |side| {
        let mut facts = Facts::new();
        let lock = text(side, LOCK_NAME, LONGEST_LOCK).and_then(|it| LockFile::parse(&it).ok());
        for package in lock.iter().flat_map(LockFile::packages) {
            let version = format!("{} ({}), {}", package.version, package.variant, package.digest);
            facts.insert(format!("package {}", package.name), version);
        }
        let path = manifest_of(side).and_then(|manifest| manifest.environment.lock);
        let wheels = path
            .and_then(|path| locked(&text(side, path.as_str(), LONGEST_TEXT)?, path.as_str()).ok());
        for (name, version) in wheels.unwrap_or_default() {
            facts.insert(format!("wheel {name}"), version);
        }
        facts
    };
    changes(&facts(first), &facts(second))
}

/// Test results that differ, where both build records are known.
pub(super) fn tests(first: Option<&BuildRecord>, second: Option<&BuildRecord>) -> Vec<Change> {
    let (Some(first), Some(second)) = (first, second) else { return Vec::new() };
    let facts = |record: &BuildRecord| -> Facts {
        let name = |test: &crate::build::record::TestRecord| {
            (format!("{} on {}: {}", test.name, test.variant, test.metric), test.value.to_string())
        };
        record.tests.iter().map(name).collect()
    };
    changes(&facts(first), &facts(second))
}
