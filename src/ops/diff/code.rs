//! The code of two source packages, as unified diffs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;
use similar::TextDiff;

use crate::fs::read_to_string;
use crate::package::manifest::{DataSource, LONGEST_MANIFEST, MANIFEST_NAME, Manifest};
use crate::package::{IndexedFile, LOCK_NAME, PackagePath};
use crate::reproduce::Side;

/// The longest file whose lines are compared, in bytes.
const LONGEST_FILE: u64 = 512 << 10;
/// The most lines of one.
const MOST_LINES: usize = 10_000;
/// How many lines that are the same stand around those that differ.
const AROUND: usize = 3;

/// A file of the source that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CodeChange {
    /// Its path.
    pub path: PackagePath,
    /// Its length in the first, where it is there.
    pub first_size: Option<u64>,
    /// Its length in the second, where it is there.
    pub second_size: Option<u64>,
    /// The unified diff; none where it is no text, or too long.
    pub diff: Option<String>,
}

/// Every file that differs, but the manifest, locks and data, which have layers of their own.
pub(super) fn code(first: Side<'_>, second: Side<'_>) -> Vec<CodeChange> {
    let (mut set_aside, others) = (aside(first), aside(second));
    set_aside.extend(others);
    let files = |side: Side<'_>| -> BTreeMap<PackagePath, IndexedFile> {
        let kept = side.index.files.iter().filter(|file| !is_aside(&file.path, &set_aside));
        kept.map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (one, other) = (files(first), files(second));
    let paths: BTreeSet<&PackagePath> = one.keys().chain(other.keys()).collect();
    let digest = |files: &BTreeMap<PackagePath, IndexedFile>, path| {
        files.get(path).map(|file| (file.sha256, file.mode))
    };
    paths
        .into_iter()
        .filter(|path| digest(&one, path) != digest(&other, path))
        .map(|path| {
            let (before, after) = (one.get(path), other.get(path));
            CodeChange {
                path: path.clone(),
                first_size: before.map(|file| file.size),
                second_size: after.map(|file| file.size),
                diff: unified(path, (first, before), (second, after)),
            }
        })
        .collect()
}

/// What is no code: paths of files and folders.
fn aside(side: Side<'_>) -> Vec<String> {
    let mut aside = vec![MANIFEST_NAME.to_owned(), LOCK_NAME.to_owned()];
    let text = read_to_string(&side.folder.join(MANIFEST_NAME), LONGEST_MANIFEST);
    let manifest = text.ok().and_then(|text| Manifest::parse(&text, MANIFEST_NAME).ok());
    let Some(manifest) = manifest else { return aside };
    aside.extend(manifest.environment.lock.iter().map(ToString::to_string));
    for reference in &manifest.data {
        if let DataSource::InTree { path, .. } | DataSource::Shards { list: path } =
            &reference.source
        {
            aside.push(path.to_string());
        }
    }
    aside
}

fn is_aside(path: &PackagePath, aside: &[String]) -> bool {
    aside.iter().any(|known| {
        let rest = path.as_str().strip_prefix(known.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

type Place<'a> = (Side<'a>, Option<&'a IndexedFile>);

fn unified(path: &PackagePath, first: Place<'_>, second: Place<'_>) -> Option<String> {
    let read = |(side, file): Place<'_>| match file {
        Some(file) => {
            let text = read_to_string(&file.path.below(side.folder), LONGEST_FILE).ok()?;
            (text.lines().count() <= MOST_LINES && !text.contains('\0')).then_some(text)
        }
        None => Some(String::new()),
    };
    let (one, other) = (read(first)?, read(second)?);
    let diff = TextDiff::from_lines(&one, &other);
    let name = |(_, file): Place<'_>, prefix| match file {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let mut unified = diff.unified_diff();
    Some(unified.context_radius(AROUND).header(&name(first, "a"), &name(second, "b")).to_string())
}
