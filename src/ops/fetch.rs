//! `mpkg fetch`: brings here what a build of a source tree needs.

use std::path::PathBuf;

use jiff::Timestamp;

use super::build::{BuildError, BuildOptions, BuildSource, Prepared, Setting, TestRun, ready};
use super::registry::data::by_digest;
use crate::build::data::{Checked, Depth, FetchedData, Fetcher, Planned, Provenance, Result};
use crate::build::tree::SourceTree;
use crate::explain::Explain as _;
use crate::net::Client;
use crate::package::manifest::EnvironmentSection;
use crate::progress::Progress;
use crate::registry::Selection;
use crate::store::CacheUse;
use crate::study::facts::{Answer, FactStore};

/// A data reference that a build can use.
#[derive(Debug, Clone)]
pub struct Brought {
    /// What was fetched, and from where.
    pub data: FetchedData,
    /// The file or folder that `{data.NAME}` stands for.
    pub path: PathBuf,
}

/// Fetches and unpacks all data of `tree`, from registries that mirror it where they do. That an
/// address had it is remembered with the time `now`.
///
/// # Errors
/// The first reference that cannot be had, with what each of its addresses said.
pub fn fetch(
    tree: &SourceTree,
    registries: &Selection,
    client: &Client,
    progress: &dyn Progress,
    now: Timestamp,
) -> Result<Vec<Brought>> {
    let _use = CacheUse::begin(client.cache().root(), || {
        progress.note("Waiting for another mpkg that clears the cache");
    })?;
    let fetcher = Fetcher::new(tree.root(), client).asking_first(by_digest(registries));
    let fetched = fetcher.fetch(&tree.manifest().data, progress)?;
    let mut store = FactStore::open(client.cache().root());
    for data in &fetched {
        if let Provenance::Address(address) = &data.provenance {
            let answer = Answer { date: now, fault: None, whole: true };
            store.add_address(address, data.digest, answer);
        }
    }
    remember(&mut store);
    fetched
        .into_iter()
        .map(|data| fetcher.materialise(&data, progress).map(|path| Brought { data, path }))
        .collect()
}

/// Keeps facts; a cache that takes none is no reason to fail.
fn remember(store: &mut FactStore) {
    if let Err(error) = store.save() {
        tracing::warn!("facts are not kept: {error}");
    }
}

/// Brings here the packages that a build of `tree` needs, pinned in its lock file, and makes its
/// environment ready; `None` where it needs neither. `with` are package files and folders that
/// packages may come from.
///
/// # Errors
/// When something cannot be had.
pub fn software(
    tree: &SourceTree,
    with: Vec<PathBuf>,
    setting: &Setting<'_>,
) -> Result<Option<Prepared>, BuildError> {
    let manifest = tree.manifest();
    let needs_packages =
        !manifest.dependencies.is_empty() || !manifest.build_dependencies.is_empty();
    if !needs_packages && manifest.environment == EnvironmentSection::default() {
        return Ok(None);
    }
    let options = BuildOptions {
        with,
        tests: TestRun::Skip,
        ..BuildOptions::of(BuildSource::Tree(tree.root().to_owned()))
    };
    ready(&options, setting).map(Some)
}

/// Says what [`fetch`] would fetch.
///
/// # Errors
/// When a list of shards cannot be read.
pub fn plan(tree: &SourceTree, client: &Client) -> Result<Vec<Planned>> {
    Fetcher::new(tree.root(), client).plan(&tree.manifest().data)
}

/// Asks every address of `tree` whether it still has the right bytes, and remembers what it said
/// with the time `now`.
///
/// # Errors
/// When a list of shards cannot be read.
pub fn check(
    tree: &SourceTree,
    depth: Depth,
    client: &Client,
    progress: &dyn Progress,
    now: Timestamp,
) -> Result<Vec<Checked>> {
    let checked =
        Fetcher::new(tree.root(), client).check(&tree.manifest().data, depth, progress)?;
    let mut store = FactStore::open(client.cache().root());
    for one in &checked {
        let is_offline = one.fault.as_ref().is_some_and(|fault| fault.kind() == "offline");
        if let Some(digest) = one.digest.filter(|_| !is_offline) {
            let fault = one.fault.as_ref().map(ToString::to_string);
            let whole = fault.is_none() && depth == Depth::Bytes;
            store.add_address(&one.address, digest, Answer { date: now, fault, whole });
        }
    }
    remember(&mut store);
    Ok(checked)
}
