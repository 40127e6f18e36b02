//! Opens what is to be built, as a source tree.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::{BuildError, BuildOptions, BuildSource, Setting};
use crate::archive::Package;
use crate::build::tree::{RESULTS_NAME, SourceTree};
use crate::build::work::Work;
use crate::fs::{Error as FileError, create_folder, remove_folder};
use crate::ops::catalogue::Catalogue;
use crate::ops::install;
use crate::package::{Digest, PackageType};
use crate::resolve::Wish;

/// A source tree, with the folder that its build works in.
#[derive(Debug)]
pub struct Opened {
    /// The tree.
    pub tree: SourceTree,
    /// The folder in which the build works, locked.
    pub work: Work,
    /// Where results go.
    pub results: PathBuf,
    /// Whether the tree is the user's own, and its lock file may be written.
    pub origin: Origin,
}

/// Where a tree comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder of the user's.
    Own,
    /// A source package with this digest.
    Package(Digest),
}

/// Opens what `options` name.
///
/// # Errors
/// When there is no tree or no source package, or it is not sound.
pub(super) fn open(options: &BuildOptions, setting: &Setting<'_>) -> Result<Opened, BuildError> {
    match &options.source {
        BuildSource::Tree(folder) => {
            let tree = SourceTree::find(folder)?;
            let results = options.out.clone().unwrap_or_else(|| {
                let results = tree.results();
                results.strip_prefix(".").map(Path::to_owned).unwrap_or(results)
            });
            let root = tree.root().canonicalize().map_err(FileError::at("find", tree.root()))?;
            let seed = Digest::of(root.as_os_str().as_encoded_bytes());
            let package = &tree.manifest().package;
            let work = work(&format!("{}-{}", package.name, package.version), seed, setting)?;
            Ok(Opened { tree, work, results, origin: Origin::Own })
        }
        BuildSource::File(file) => unpacked(&Package::open(file)?, options, setting),
        BuildSource::Release(wish) => {
            let package = published_source(wish, setting)?;
            unpacked(&package, options, setting)
        }
    }
}

/// Fetches the newest source package that answers `wish`, its signatures checked.
///
/// # Errors
/// When there is none, or it is not believed.
pub fn published_source(wish: &Wish, setting: &Setting<'_>) -> Result<Package, BuildError> {
    let trust = install::trust(setting.home)?;
    let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
    let sources = catalogue.sources(&wish.name)?;
    let found = sources.iter().find(|(version, _)| wish.requirement.matches(version));
    let Some((_, digest)) = found else {
        return Err(BuildError::NoSource {
            wish: wish.to_string(),
            exists: sources.iter().map(|(version, _)| version.to_string()).collect(),
        });
    };
    catalogue.vouch(*digest)?;
    Ok(catalogue.fetch(*digest, setting.progress)?)
}

fn unpacked(
    package: &Package,
    options: &BuildOptions,
    setting: &Setting<'_>,
) -> Result<Opened, BuildError> {
    let index = package.index();
    if index.package_type != PackageType::Source {
        return Err(BuildError::NotASource { path: package.path().to_owned() });
    }
    let digest = package.package_digest();
    let work = work(&format!("{}-{}", index.name, index.version), digest, setting)?;
    let folder = work.source();
    remove_folder(&folder)?;
    create_folder(&folder)?;
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    package.extract(&folder, threads, setting.progress)?;
    let tree = SourceTree::open(&folder)?;
    let results = options.out.clone().unwrap_or_else(|| PathBuf::from(RESULTS_NAME));
    Ok(Opened { tree, work, results, origin: Origin::Package(digest) })
}

fn work(name: &str, seed: Digest, setting: &Setting<'_>) -> Result<Work, BuildError> {
    let builds = setting.home.cache().join("builds");
    let id = format!("{name}-{}", seed.short());
    let work = Work::open(&builds, &id, || {
        setting.progress.note(&format!("Waiting for another build of {name}"));
    })?;
    work.clear_all_but_outputs()?;
    Ok(work)
}
