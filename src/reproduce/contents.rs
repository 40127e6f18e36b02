//! Compares two unpacked packages, file by file, and grades each and the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::agreement::{Agreement, agreement};
use super::error::Result;
use super::shards;
use super::tensors::WeightsFacts;
use super::tolerance::Tolerance;
use super::weights::{Weights, compare_weights, format_of};
use crate::explain::count;
use crate::fs::{Error as FileError, read_to_string};
use crate::package::manifest::MANIFEST_NAME;
use crate::package::{
    Digest, FileMode, INDEX_PATH, INPUTS_PATH, IndexedFile, PROBES_FOLDER, PackageIndex,
    PackagePath, Verdict,
};
use crate::progress::Progress;

/// The longest file of predictions that is read, in bytes.
const LONGEST_PREDICTIONS: u64 = 256 << 20;

/// One of two packages: its index and the folder that it is unpacked in.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// The index.
    pub index: &'a PackageIndex,
}

/// How alike two packages are.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// The weakest verdict of all files; `different` where the indexes say different things of
    /// the packages.
    pub verdict: Verdict,
    /// The keys of the package index, other than the files, that differ.
    pub index_changed: Vec<String>,
    /// Every file, in byte order of the paths.
    pub files: Vec<FileFacts>,
}

/// How alike one file is in two packages. The shards of a model and their list are one entry where
/// any of them differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileFacts {
    /// Its path; of a model in shards that of its list.
    pub path: PackagePath,
    /// How alike it is.
    pub verdict: Verdict,
    /// What it is in the first package.
    pub first: Option<Found>,
    /// What it is in the second.
    pub second: Option<Found>,
    /// The first byte that differs, counted from 0, in a file that is no weights.
    pub first_difference: Option<u64>,
    /// What was measured, where it holds weights that differ.
    pub weights: Option<WeightsFacts>,
    /// How many predictions are the same, where it holds those of a probe and differs.
    pub predictions: Option<Agreement>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Its mode.
    pub mode: FileMode,
}

impl FileFacts {
    /// What differs, in short, as in `model.safetensors is different (1 of 2 tensors changed, by at
    /// most 0.5)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = format!("{} is {}", self.path, self.verdict);
        if let Some(found) = &self.predictions {
            let _ = write!(words, " ({} of {} predictions agree)", found.agreeing, found.first);
            return words;
        }
        let facts = match (&self.weights, self.first_difference) {
            (Some(weights), _) => {
                let all = usize::try_from(weights.tensors).unwrap_or(usize::MAX);
                let (changed, all) = (weights.tensors_changed, count(all, "tensor", "tensors"));
                let most = weights.max_abs.map(|most| format!(", by at most {most:e}"));
                format!("{changed} of {all} changed{}", most.unwrap_or_default())
            }
            (None, Some(place)) => format!("from byte {place} on"),
            (None, None) => return words,
        };
        let _ = write!(words, " ({facts})");
        words
    }
}

impl From<&IndexedFile> for Found {
    fn from(file: &IndexedFile) -> Self {
        Self { size: file.size, sha256: file.sha256, mode: file.mode }
    }
}

/// Compares `first` with `second`, whose files were checked against their indexes.
///
/// # Errors
/// When a file cannot be read, or weights are not sound.
pub fn compare_contents(
    first: Side<'_>,
    second: Side<'_>,
    tolerance: &Tolerance,
    progress: &dyn Progress,
) -> Result<Comparison> {
    let pairing = Pairing { first, second, tolerance, progress };
    let files = pairing.files()?;
    let mut comparison = Comparison {
        verdict: Verdict::Identical,
        index_changed: index_changed(first, second),
        files,
    };
    comparison.grade();
    Ok(comparison)
}

impl Comparison {
    fn grade(&mut self) {
        let weakest = self.files.iter().map(|file| file.verdict).min();
        self.verdict = match self.index_changed.as_slice() {
            [] => weakest.unwrap_or(Verdict::Identical),
            _ => Verdict::Different,
        };
    }

    /// Grades again, now that every test holds and every probe agrees: files that both have count
    /// as equal in behaviour. What states where a package comes from has no behaviour.
    pub fn behaves_equally(&mut self) {
        for file in &mut self.files {
            let path = file.path.as_str();
            let both = file.first.is_some() && file.second.is_some();
            if both && path != MANIFEST_NAME && path != INPUTS_PATH && path != INDEX_PATH {
                file.verdict = file.verdict.max(Verdict::EqualBehaviour);
            }
        }
        self.grade();
    }

    /// Whether every file of predictions agrees as is promised.
    #[must_use]
    pub fn predictions_agree(&self) -> bool {
        let mut files =
            self.files.iter().filter(|file| file.path.as_str().starts_with(PROBES_FOLDER));
        files.all(|file| file.verdict >= Verdict::WithinTolerance)
    }

    /// Grades again, now that the predictions at `path` are known not to be those of the weights.
    pub fn predictions_differ(&mut self, path: &str) {
        for file in self.files.iter_mut().filter(|file| file.path.as_str() == path) {
            file.verdict = Verdict::Different;
        }
        self.grade();
    }

    /// The files that are not identical.
    pub fn changed(&self) -> impl Iterator<Item = &FileFacts> {
        self.files.iter().filter(|file| file.verdict != Verdict::Identical)
    }
}

/// The keys of two indexes, but the files, whose values differ.
fn index_changed(first: Side<'_>, second: Side<'_>) -> Vec<String> {
    let head = |side: Side<'_>| -> Map<String, Value> {
        let head = PackageIndex { files: Vec::new(), ..side.index.clone() };
        match serde_json::to_value(head) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    };
    let (one, other) = (head(first), head(second));
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

struct Pairing<'a> {
    first: Side<'a>,
    second: Side<'a>,
    tolerance: &'a Tolerance,
    progress: &'a dyn Progress,
}

type Files<'a> = BTreeMap<&'a PackagePath, &'a IndexedFile>;

fn files_of(side: Side<'_>) -> Files<'_> {
    side.index.files.iter().map(|file| (&file.path, file)).collect()
}

impl<'a> Pairing<'a> {
    fn files(&self) -> Result<Vec<FileFacts>> {
        let (first, second) = (files_of(self.first), files_of(self.second));
        let paths: BTreeSet<&PackagePath> = first.keys().chain(second.keys()).copied().collect();
        let mut facts = Vec::new();
        let mut rest: BTreeSet<&PackagePath> = BTreeSet::new();
        for path in paths {
            let (one, other) = (first.get(path).copied(), second.get(path).copied());
            let same = one.zip(other).is_some_and(|(one, other)| {
                (one.sha256, one.size, one.mode) == (other.sha256, other.size, other.mode)
            });
            if same {
                facts.push(entry(path, one, other, Verdict::Identical));
            } else {
                rest.insert(path);
            }
        }
        facts.extend(self.models(&mut rest, &first, &second)?);
        for path in rest {
            let (one, other) = (first.get(path).copied(), second.get(path).copied());
            facts.push(self.file(path, one, other)?);
        }
        facts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(facts)
    }

    /// Compares models in shards whole, and takes what belongs to them out of `rest`.
    fn models(
        &self,
        rest: &mut BTreeSet<&'a PackagePath>,
        first: &Files<'a>,
        second: &Files<'a>,
    ) -> Result<Vec<FileFacts>> {
        let lists: BTreeSet<&PackagePath> = first
            .keys()
            .chain(second.keys())
            .copied()
            .filter(|path| path.as_str().ends_with(shards::LIST_END))
            .collect();
        let mut facts = Vec::new();
        for list in lists {
            let (one, one_parts) = model(self.first, list, first)?;
            let (other, other_parts) = model(self.second, list, second)?;
            let parts: BTreeSet<&PackagePath> = one_parts.into_iter().chain(other_parts).collect();
            if !parts.iter().any(|part| rest.contains(part)) {
                continue;
            }
            rest.retain(|path| !parts.contains(path));
            let file =
                |files: &Files<'a>| files.get(list).or_else(|| whole_of(list, files)).copied();
            let mut entry = entry(list, file(first), file(second), Verdict::Different);
            if let (Some(one), Some(other)) = (one, other) {
                // The sizes are those of the whole models, not of their lists.
                let sizes = [(&mut entry.first, &one), (&mut entry.second, &other)];
                for (found, weights) in sizes {
                    if let Some(found) = found {
                        found.size = weights.size();
                    }
                }
                let weights = compare_weights(&one, &other, self.progress)?;
                entry.verdict = grade(&weights, self.tolerance);
                entry.weights = Some(weights);
            }
            facts.push(entry);
        }
        Ok(facts)
    }

    fn file(
        &self,
        path: &PackagePath,
        first: Option<&IndexedFile>,
        second: Option<&IndexedFile>,
    ) -> Result<FileFacts> {
        let mut entry = entry(path, first, second, Verdict::Different);
        if first.is_none() || second.is_none() {
            return Ok(entry);
        }
        let (one, other) = (path.below(self.first.folder), path.below(self.second.folder));
        if format_of(path.as_str()).is_some() {
            let (one, other) = (Weights::open(&one)?, Weights::open(&other)?);
            let weights = compare_weights(&one, &other, self.progress)?;
            entry.verdict = grade(&weights, self.tolerance);
            entry.weights = Some(weights);
        } else if path.as_str().starts_with(PROBES_FOLDER) {
            let read = |path: &Path| read_to_string(path, LONGEST_PREDICTIONS);
            let found = agreement(read(&one)?.as_bytes(), read(&other)?.as_bytes());
            if self.tolerance.agrees(&found) {
                entry.verdict = Verdict::WithinTolerance;
            }
            entry.predictions = Some(found);
        } else {
            entry.first_difference = first_difference(&one, &other)?;
        }
        Ok(entry)
    }
}

/// Compares two files of weights.
///
/// # Errors
/// When one cannot be read or is not sound.
pub fn compare_files(
    first: &Path,
    second: &Path,
    tolerance: &Tolerance,
    progress: &dyn Progress,
) -> Result<(Verdict, WeightsFacts)> {
    let facts = compare_weights(&Weights::open(first)?, &Weights::open(second)?, progress)?;
    Ok((grade(&facts, tolerance), facts))
}

/// The verdict on weights that are not the same bytes.
fn grade(weights: &WeightsFacts, tolerance: &Tolerance) -> Verdict {
    if !weights.metadata_describes {
        Verdict::Different
    } else if weights.has_equal_tensors() {
        Verdict::EqualTensors
    } else if tolerance.holds(weights) {
        Verdict::WithinTolerance
    } else {
        Verdict::Different
    }
}

fn entry(
    path: &PackagePath,
    first: Option<&IndexedFile>,
    second: Option<&IndexedFile>,
    verdict: Verdict,
) -> FileFacts {
    FileFacts {
        path: path.clone(),
        verdict,
        first: first.map(Found::from),
        second: second.map(Found::from),
        first_difference: None,
        weights: None,
        predictions: None,
    }
}

/// The model that `list` names on one side: in shards, or in the one file of that name; with the
/// paths that it takes.
fn model<'a>(
    side: Side<'_>,
    list: &'a PackagePath,
    files: &Files<'a>,
) -> Result<(Option<Weights>, Vec<&'a PackagePath>)> {
    if files.contains_key(list) {
        let path = list.below(side.folder);
        let parts = shards::parts(&path)?;
        let is_part = |candidate: &&&PackagePath| {
            candidate.below(side.folder) == path || parts.contains(&candidate.below(side.folder))
        };
        let paths = files.keys().filter(is_part).copied().collect();
        return Ok((Some(Weights::of_parts(&parts)?), paths));
    }
    let whole = list.as_str().strip_suffix(".index.json").unwrap_or_default();
    match files.keys().find(|path| path.as_str() == whole) {
        Some(path) => {
            let place: PathBuf = path.below(side.folder);
            Ok((Some(Weights::open(&place)?), vec![path]))
        }
        None => Ok((None, Vec::new())),
    }
}

/// The one file that holds the model of `list` whole.
fn whole_of<'f, 'a>(list: &PackagePath, files: &'f Files<'a>) -> Option<&'f &'a IndexedFile> {
    let whole = list.as_str().strip_suffix(".index.json")?;
    files.iter().find(|(path, _)| path.as_str() == whole).map(|(_, file)| file)
}

/// The place of the first byte that differs; the end of the shorter where one begins the other.
fn first_difference(first: &Path, second: &Path) -> Result<Option<u64>> {
    let open = |path: &Path| File::open(path).map_err(FileError::at("open", path));
    let (mut one, mut other) = (open(first)?, open(second)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        left.clear();
        right.clear();
        let piece = 1 << 20;
        (&mut one).take(piece).read_to_end(&mut left).map_err(FileError::at("read", first))?;
        (&mut other).take(piece).read_to_end(&mut right).map_err(FileError::at("read", second))?;
        if let Some(place) = left.iter().zip(&right).position(|(one, other)| one != other) {
            return Ok(Some(at + place as u64));
        }
        if left.len() != right.len() {
            return Ok(Some(at + left.len().min(right.len()) as u64));
        }
        if left.is_empty() {
            return Ok(None);
        }
        at += left.len() as u64;
    }
}
