//! `mpkg source`: a source package as a tree that is ready to change.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::build::{BuildError, BuildSource, Setting, published_source};
use crate::archive::Package;
use crate::build::patches::Overlay;
use crate::build::pristine::{Pristine, files_folder, patches_of, remember};
use crate::build::source::SourceError;
use crate::build::tree::SourceTree;
use crate::explain::Explain;
use crate::fs::{self, create_folder, sync_folder};
use crate::package::{Digest, PackageType, Release};
use crate::store::CacheUse;

/// A tree that was unpacked.
#[derive(Debug, Clone)]
pub struct UnpackedSource {
    /// Its folder.
    pub folder: PathBuf,
    /// The source package.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// How many files the tree has.
    pub files: usize,
    /// How many patches are applied in it.
    pub patches: usize,
}

/// Why a source cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package cannot be had.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Its files are not as they should be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// Something stands where the tree would go.
    #[error("{} is there already, and nothing is overwritten", path.display())]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Build(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::InTheWay { .. } => "in-the-way",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::InTheWay { .. } => Some("name another folder".to_owned()),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.rendered(),
            Self::Source(error) => error.rendered(),
            _ => None,
        }
    }
}

/// Unpacks the source package that `source` names into `folder`, or without one into
/// `NAME-VERSION` in the current folder, with its patches applied.
///
/// # Errors
/// When the package cannot be had or believed, a patch does not apply, or something is in the
/// way; then nothing is left there.
pub fn source(
    source: &BuildSource,
    folder: Option<PathBuf>,
    setting: &Setting<'_>,
) -> Result<UnpackedSource, Error> {
    let _use = CacheUse::begin(&setting.home.cache(), || {
        setting.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    let package = match source {
        BuildSource::Tree(path) => {
            return Err(BuildError::NotASource { path: path.clone() }.into());
        }
        BuildSource::File(path) => Package::open(path).map_err(SourceError::from)?,
        BuildSource::Release(wish) => published_source(wish, setting)?,
    };
    let index = package.index();
    if index.package_type != PackageType::Source {
        return Err(BuildError::NotASource { path: package.path().to_owned() }.into());
    }
    let release = index.release();
    let goal = folder.unwrap_or_else(|| format!("{}-{}", release.name, release.version).into());
    if !is_free(&goal) {
        return Err(Error::InTheWay { path: goal });
    }
    let place = match goal.parent() {
        Some(place) if !place.as_os_str().is_empty() => place.to_owned(),
        _ => PathBuf::from("."),
    };
    create_folder(&place)?;
    let staging = tempfile::Builder::new()
        .prefix(".mpkg-staging-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(&place)
        .map_err(fs::Error::at("create a folder in", &place))?;
    let patches = fill(&package, staging.path(), setting)?;
    let files = SourceTree::open(staging.path()).and_then(|tree| tree.scan());
    let files = files.map_err(SourceError::from)?.paths.len();
    std::fs::rename(staging.keep(), &goal).map_err(fs::Error::at("rename a folder to", &goal))?;
    sync_folder(&place)?;
    let package = package.package_digest();
    Ok(UnpackedSource { folder: goal, release, package, files, patches })
}

/// Whether a new folder can come to stand at `path`: nothing is there, or an empty folder.
fn is_free(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => path.symlink_metadata().is_err(),
    }
}

/// Unpacks the package twice into the new folder `root`: as it was, and with its patches applied.
/// Says how many there are.
fn fill(package: &Package, root: &Path, setting: &Setting<'_>) -> Result<usize, Error> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let pristine = files_folder(root);
    create_folder(&pristine)?;
    for folder in [root, &pristine] {
        package.extract(folder, threads, setting.progress).map_err(SourceError::from)?;
    }
    remember(root, package.index())?;
    let tree = SourceTree::open(root).map_err(SourceError::from)?;
    let (_, patches) = patches_of(&tree).map_err(SourceError::from)?;
    let pristine =
        Pristine::of(&tree)?.ok_or_else(|| SourceError::Damaged { path: pristine.clone() })?;
    let overlay = Overlay::of(pristine.base(), &patches).map_err(SourceError::from)?;
    overlay.write(root).map_err(SourceError::from)?;
    Ok(patches.len())
}
