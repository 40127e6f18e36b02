//! Reading and writing the package index in its one form, and the rules that it must keep.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::error::{Fault, Result};
use super::limits::{LARGEST_INDEX, LARGEST_STREAM, MOST_FILES};
use super::tar;
use crate::crypto::canonical;
use crate::explain::printable;
use crate::package::{Digest, INDEX_FORMAT, INDEX_PATH, IndexedFile, PackageIndex, PackageType};

type Checked<T> = std::result::Result<T, Box<Fault>>;

/// The canonical JSON of `index`: the contents of `.mpkg/index.json`.
///
/// # Errors
/// When the index breaks a rule of the format, or a text in it has a control character.
pub fn index_bytes(index: &PackageIndex) -> Result<Vec<u8>> {
    check(index)?;
    Ok(encode(index)?)
}

/// The package digest: the SHA-256 of [`index_bytes`].
///
/// # Errors
/// As [`index_bytes`].
pub fn package_digest(index: &PackageIndex) -> Result<Digest> {
    Ok(Digest::of(&index_bytes(index)?))
}

/// Reads an index: canonical JSON, format 1, every rule kept.
///
/// # Errors
/// When it is too long, is not JSON of that shape and form, or breaks a rule.
pub fn parse_index(bytes: &[u8]) -> Result<PackageIndex> {
    Ok(parse(bytes)?)
}

pub(super) fn parse(bytes: &[u8]) -> Checked<PackageIndex> {
    limit("the package index", bytes.len() as u64, LARGEST_INDEX)?;
    let index: PackageIndex = serde_json::from_slice(bytes)
        .map_err(|error| Box::new(Fault::IndexShape(printable(&error.to_string()))))?;
    check(&index)?;
    if encode(&index)? != bytes {
        return Err(Fault::rule("it is not in canonical form"));
    }
    Ok(index)
}

fn limit(what: &'static str, found: u64, limit: u64) -> Checked<()> {
    if found > limit { Err(Box::new(Fault::TooLarge { what, found, limit })) } else { Ok(()) }
}

/// Writes the keys in order, and the many files one by one: as one JSON tree they would take
/// several times the memory of the index.
fn encode(index: &PackageIndex) -> Checked<Vec<u8>> {
    let mut bytes = b"{".to_vec();
    for (place, (key, value)) in head(index)?.iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        canonical_into(&mut bytes, &Value::String(key.clone()))?;
        bytes.push(b':');
        if key != "files" {
            canonical_into(&mut bytes, value)?;
            continue;
        }
        bytes.push(b'[');
        for (place, file) in index.files.iter().enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            let value = serde_json::to_value(file).map_err(shape)?;
            canonical_into(&mut bytes, &value)?;
        }
        bytes.push(b']');
    }
    bytes.push(b'}');
    Ok(bytes)
}

#[expect(clippy::unnecessary_box_returns, reason = "results of this module hold faults in boxes")]
fn shape(error: impl std::fmt::Display) -> Box<Fault> {
    Box::new(Fault::IndexShape(printable(&error.to_string())))
}

fn canonical_into(bytes: &mut Vec<u8>, value: &Value) -> Checked<()> {
    bytes.extend(canonical::to_vec(value).map_err(shape)?);
    Ok(())
}

/// Every key but the files, which stand as an empty list. Keys are ASCII, so that the map's order
/// is that of canonical JSON.
fn head(index: &PackageIndex) -> Checked<Map<String, Value>> {
    let head = PackageIndex {
        format: index.format,
        package_type: index.package_type,
        kind: index.kind,
        name: index.name.clone(),
        version: index.version.clone(),
        variant: index.variant.clone(),
        default_variant: index.default_variant,
        summary: index.summary.clone(),
        license: index.license.clone(),
        tasks: index.tasks.clone(),
        dependencies: index.dependencies.clone(),
        build_dependencies: index.build_dependencies.clone(),
        provides: index.provides.clone(),
        conflicts: index.conflicts.clone(),
        source: index.source,
        pickle_reason: index.pickle_reason.clone(),
        files: Vec::new(),
    };
    match serde_json::to_value(head).map_err(shape)? {
        Value::Object(map) => {
            Ok(map.into_iter().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect())
        }
        _ => Err(shape("it is not an object")),
    }
}

/// Holds `index` to the rules of spec/container.md, "The index".
pub(super) fn check(index: &PackageIndex) -> Checked<()> {
    if index.format != INDEX_FORMAT {
        return Err(Fault::rule(format!("its format is {}, not {INDEX_FORMAT}", index.format)));
    }
    match index.package_type {
        PackageType::Source => {
            if index.variant.is_some() || index.source.is_some() || index.default_variant {
                return Err(Fault::rule("a source package has no variant and no source"));
            }
        }
        PackageType::Binary => {
            if index.variant.is_none() || index.source.is_none() {
                return Err(Fault::rule("a binary package has a variant and a source"));
            }
            if !index.build_dependencies.is_empty() {
                return Err(Fault::rule("a binary package has no build dependencies"));
            }
        }
    }
    limit("the number of files", index.files.len() as u64, MOST_FILES as u64)?;
    for pair in index.files.windows(2) {
        if pair[0].path >= pair[1].path {
            let (first, second) = (pair[0].path.as_str(), pair[1].path.as_str());
            return Err(Fault::rule(format!(
                "\"{second}\" does not come after \"{first}\" in byte order"
            )));
        }
    }
    let mut names = Names::default();
    names.file(INDEX_PATH)?;
    let mut total = LARGEST_INDEX + tar::TRAILER;
    for file in &index.files {
        if tar::header(file.path.as_str(), 0, file.mode).is_none() {
            return Err(Fault::rule(format!(
                "\"{}\" cannot be split for a tar header (at most 155 and 100 bytes)",
                file.path
            )));
        }
        names.file(file.path.as_str())?;
        total = size_sum(total, file)?;
    }
    Ok(())
}

fn size_sum(total: u64, file: &IndexedFile) -> Checked<u64> {
    let found = total.saturating_add(file.size).saturating_add(2 * tar::BLOCK as u64);
    limit("the sum of all sizes", found, LARGEST_STREAM)?;
    Ok(found)
}

/// Folders and files by the form in which a careless file system compares them.
#[derive(Default)]
struct Names {
    seen: HashMap<String, (String, Place)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Folder,
}

impl Names {
    /// Notes the file and the folders that lead to it.
    fn file(&mut self, path: &str) -> Checked<()> {
        for (end, _) in path.match_indices('/') {
            self.note(&path[..end], Place::Folder)?;
        }
        self.note(path, Place::File)
    }

    fn note(&mut self, path: &str, place: Place) -> Checked<()> {
        let folded = fold(path);
        let Some((other, other_place)) = self.seen.get(&folded) else {
            self.seen.insert(folded, (path.to_owned(), place));
            return Ok(());
        };
        let why = match (other == path, place, *other_place) {
            (true, Place::Folder, Place::Folder) => return Ok(()),
            (true, Place::File, Place::File) => "they are the same",
            (true, ..) => "one is a file and the other a folder",
            (false, ..) => "they differ only in case or Unicode form",
        };
        Err(Box::new(Fault::Twins { first: other.clone(), second: path.to_owned(), why }))
    }
}

fn fold(path: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.to_lowercase().nfkc().collect() }
}
