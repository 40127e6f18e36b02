//! `mpkg lint`: what in a source tree, or in a package, should be otherwise.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::catalogue::{self, open};
use super::shelf::Shelf;
use crate::archive;
use crate::build::outputs::hash_file;
use crate::build::source::SourceError;
use crate::build::tree::{SourceTree, TreeError};
use crate::explain::Explain;
use crate::fs;
use crate::package::manifest::{Diagnostics, LONGEST_MANIFEST, MANIFEST_NAME, Manifest};
use crate::package::{LOCK_NAME, LONGEST_LOCK, LockFile, PackagePath, PackageType};
use crate::progress::Progress;
use crate::store::{CacheUse, Home};
use crate::study::lint::{
    Facts, FileFacts, Judged, LONGEST_OVERRIDES, LOOKED_AT, OVERRIDES_NAME, Overrides, check,
    of_manifest,
};

/// What is looked at.
#[derive(Debug, Clone)]
pub enum Target {
    /// The source tree that this folder belongs to.
    Tree(PathBuf),
    /// A package file.
    File(PathBuf),
}

/// What was found.
#[derive(Debug)]
pub struct Linted {
    /// What was looked at.
    pub what: String,
    /// Remarks, and those that are put up with.
    pub judged: Judged,
}

/// What can fail in looking.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree holds what no package can hold.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its patches do not apply.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The package is not sound.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// The package cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// `lint.toml` has problems.
    #[error(transparent)]
    Overrides(#[from] Diagnostics),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
}

impl Error {
    fn inner(&self) -> &dyn Explain {
        match self {
            Self::Tree(error) => error,
            Self::Source(error) => error,
            Self::Catalogue(error) => error,
            Self::Archive(error) => error,
            Self::Overrides(error) => error,
            Self::Store(error) => error,
            Self::File(error) => error,
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        self.inner().kind()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }

    fn rendered(&self) -> Option<String> {
        self.inner().rendered()
    }

    fn details(&self) -> Option<serde_json::Value> {
        self.inner().details()
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Looks at a source tree as it would be built, or at a package. A manifest with problems is
/// remarked upon, and nothing else then.
///
/// # Errors
/// When it cannot be read.
pub fn lint(
    target: &Target,
    home: &Home,
    today: jiff::civil::Date,
    progress: &dyn Progress,
) -> Result<Linted> {
    match target {
        Target::Tree(folder) => match SourceTree::find(folder) {
            Err(TreeError::Manifest(problems)) => {
                let judged = Judged { remarks: of_manifest(&problems), ..Judged::default() };
                Ok(Linted { what: problems.file().to_owned(), judged })
            }
            tree => tree_of(tree?, None, home, today, progress),
        },
        Target::File(path) => {
            let package = open(path)?;
            let shelf = Shelf::of(home);
            let _use = cache_use(home, progress)?;
            let index = shelf.put(&package, progress)?;
            let folder = shelf.folder(package.package_digest());
            let release = index.release();
            let paths: Vec<PackagePath> = index.files.into_iter().map(|file| file.path).collect();
            if index.package_type == PackageType::Source {
                let tree = SourceTree::open(&folder)?;
                return tree_of(tree, Some(paths), home, today, progress);
            }
            let manifest = fs::read_to_string(&folder.join(MANIFEST_NAME), LONGEST_MANIFEST).ok();
            let manifest_text = manifest.unwrap_or_default();
            let manifest = Manifest::parse(&manifest_text, MANIFEST_NAME).ok();
            let facts = Facts {
                manifest: manifest.as_ref(),
                manifest_text: &manifest_text,
                files: &read_all(&folder, &paths)?,
                licences: &[],
                is_source: false,
            };
            let judged = Judged { remarks: check(&facts), ..Judged::default() };
            Ok(Linted { what: release.to_string(), judged })
        }
    }
}

fn cache_use(home: &Home, progress: &dyn Progress) -> Result<CacheUse> {
    Ok(CacheUse::begin(&home.cache(), || {
        progress.note("Waiting for an mpkg that clears the cache");
    })?)
}

/// Looks at a tree; of one that was unpacked `unpacked` are the files.
fn tree_of(
    tree: SourceTree,
    unpacked: Option<Vec<PackagePath>>,
    home: &Home,
    today: jiff::civil::Date,
    progress: &dyn Progress,
) -> Result<Linted> {
    let _use = cache_use(home, progress)?;
    let before = tree.root().to_owned();
    let tree = Shelf::of(home).patched(tree)?;
    let paths = match unpacked.filter(|_| tree.root() == before) {
        Some(paths) => paths,
        None => tree.files()?,
    };
    let files = read_all(tree.root(), &paths)?;
    let manifest = tree.manifest();
    let facts = Facts {
        manifest: Some(manifest),
        manifest_text: tree.manifest_text(),
        files: &files,
        licences: &licences(&tree, home)?,
        is_source: true,
    };
    let judged = overrides(&tree)?.apply(check(&facts), today);
    let what = format!("{} {}", manifest.package.name, manifest.package.version);
    Ok(Linted { what, judged })
}

fn overrides(tree: &SourceTree) -> Result<Overrides> {
    let path = tree.root().join(OVERRIDES_NAME);
    if !path.exists() {
        return Ok(Overrides::default());
    }
    let text = fs::read_to_string(&path, LONGEST_OVERRIDES)?;
    Ok(Overrides::parse(&text, &path.display().to_string())?)
}

/// The licences of what goes in: data, and those packages that lie on this machine.
fn licences(tree: &SourceTree, home: &Home) -> Result<Vec<(String, String)>> {
    let data = tree.manifest().data.iter();
    let mut licences: Vec<(String, String)> =
        data.map(|data| (format!("data {}", data.name), data.license.clone())).collect();
    let path = tree.root().join(LOCK_NAME);
    if !path.exists() {
        return Ok(licences);
    }
    let lock = LockFile::parse(&fs::read_to_string(&path, LONGEST_LOCK)?).unwrap_or_default();
    let shelf = Shelf::of(home);
    for pin in lock.packages() {
        let index = shelf.index(pin.digest).or_else(|| home.package_index(pin.digest).ok());
        licences.extend(index.map(|index| (pin.name.to_string(), index.license)));
    }
    Ok(licences)
}

fn read_all(root: &Path, paths: &[PackagePath]) -> Result<Vec<FileFacts>> {
    paths.par_iter().map(|path| read(root, path)).collect()
}

fn read(root: &Path, path: &PackagePath) -> Result<FileFacts> {
    let place = path.below(root);
    let file = File::open(&place).map_err(fs::Error::at("open", &place))?;
    let mode = file.metadata().map_err(fs::Error::at("look at", &place))?.permissions().mode();
    let mut start = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut start).map_err(fs::Error::at("read", &place))?;
    let (digest, size) = hash_file(&place)?;
    Ok(FileFacts { path: path.to_string(), size, executable: mode & 0o100 != 0, digest, start })
}
