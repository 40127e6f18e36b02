//! `mpkg export oms`: signs a model so that programs that know nothing of mpkg can check it.

use std::path::{Path, PathBuf};

use crate::archive::{self, Package};
use crate::crypto::oms::{GIT_PATHS, SignedModel};
use crate::crypto::{self, Keyring, Passphrase, StoredKey};
use crate::explain::{Explain, count};
use crate::fs;
use crate::package::{Digest, INDEX_PATH, InvalidPath, PackageIndex, PackageName, PackagePath};
use crate::progress::Progress;
use crate::store::{self, DamagedFile, Home, Profile};

/// The name of a signature in a model's own folder.
pub const SIGNATURE_NAME: &str = "model.sig";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// An installed package, as it lies in the store.
    Installed(PackageName),
    /// Any folder.
    Folder(PathBuf),
    /// A package file, as it is unpacked.
    File(PathBuf),
}

/// With which key.
#[derive(Debug)]
pub struct Signer<'a> {
    /// The keys of this machine.
    pub ring: &'a Keyring,
    /// The ed25519 key whose P-256 key signs.
    pub key: &'a StoredKey,
    /// What opens them.
    pub passphrase: Option<&'a Passphrase>,
}

/// A signature that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The signature.
    pub signature: PathBuf,
    /// The public key that it is checked with.
    pub public_key: PathBuf,
    /// The folder that it is about, where that exists.
    pub folder: Option<PathBuf>,
    /// How many files are signed.
    pub files: usize,
}

/// Why a model was not signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package file, or a file of the folder.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The key.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// What is installed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A name that cannot be signed.
    #[error("{} cannot be signed", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        source: InvalidPath,
    },
    /// What is installed is not what was installed.
    #[error(
        "{name} is not as it was installed: {} ({} in all)",
        first.damage.describe(),
        count(*damaged, "file", "files")
    )]
    Damaged {
        /// The package.
        name: PackageName,
        /// The first file, in the order of the paths.
        first: DamagedFile,
        /// How many there are.
        damaged: usize,
    },
    /// A folder without a file.
    #[error("{} has no file that could be signed", .0.display())]
    Empty(PathBuf),
    /// A signature within a folder that must hold what is installed and nothing else.
    #[error("{} lies in the folder of an installed package, which holds its files alone", .0.display())]
    InStore(PathBuf),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Name { .. } => "invalid-path",
            Self::Damaged { .. } => "damaged",
            Self::Empty(_) => "no-files",
            Self::InStore(_) => "read-only",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Crypto(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Damaged { name, .. } => Some(format!("write it anew: mpkg reinstall {name}")),
            Self::InStore(_) => Some("choose another place with --out FILE".to_owned()),
            Self::Name { .. } | Self::Empty(_) => None,
        }
    }
}

/// Signs `model` and writes the signature to `out`, or else to its usual place: into a folder,
/// beside a package file, and into `here` for what is installed, whose folder is read-only.
///
/// # Errors
/// See [`Error`]; then no signature was written.
pub fn oms(
    home: &Home,
    model: &Model,
    signer: &Signer<'_>,
    (out, here): (Option<&Path>, &Path),
    progress: &dyn Progress,
) -> Result<Exported, Error> {
    let Described { mut signed, folder, usual } = match model {
        Model::Installed(name) => describe_installed(home, name, here, progress)?,
        Model::File(path) => describe_file(path, progress)?,
        Model::Folder(path) => describe_folder(path, out)?,
    };
    let place = out.unwrap_or(&usual);
    refuse_store(home, place)?;
    signed.files.retain(|(path, _)| !GIT_PATHS.contains(&path.split('/').next().unwrap_or(path)));
    signed.ignored.extend(GIT_PATHS.map(str::to_owned));
    let key = signer.ring.p256(signer.key, signer.passphrase)?;
    fs::write_atomically(place, signed.sign(&key).as_bytes())?;
    Ok(Exported {
        signature: place.to_owned(),
        public_key: signer.ring.p256_public_file(signer.key),
        folder,
        files: signed.files.len(),
    })
}

/// A model that was looked at.
struct Described {
    signed: SignedModel,
    folder: Option<PathBuf>,
    /// Where its signature goes unless told otherwise.
    usual: PathBuf,
}

fn describe_installed(
    home: &Home,
    name: &PackageName,
    here: &Path,
    progress: &dyn Progress,
) -> Result<Described, Error> {
    let installed = Profile::of(home, &crate::package::ProfileName::default()).installed(name)?;
    let damaged = store::check_package(home, installed.package, progress)?;
    if let Some(first) = damaged.first() {
        let (name, first) = (name.clone(), first.clone());
        return Err(Error::Damaged { name, first, damaged: damaged.len() });
    }
    let index = home.package_index(installed.package)?;
    Ok(Described {
        usual: here.join(format!("{}.{SIGNATURE_NAME}", stem(&index))),
        signed: of_index(&index, installed.package),
        // The path in the profile is a link, which `model_signing` refuses.
        folder: Some(home.package(installed.package)),
    })
}

fn describe_file(path: &Path, progress: &dyn Progress) -> Result<Described, Error> {
    let package = Package::open(path)?;
    package.verify(progress)?;
    let mut usual = path.as_os_str().to_owned();
    usual.push(".");
    usual.push(SIGNATURE_NAME);
    Ok(Described {
        signed: of_index(package.index(), package.package_digest()),
        folder: None,
        usual: usual.into(),
    })
}

/// The files of a package as they are unpacked, the index among them.
fn of_index(index: &PackageIndex, package: Digest) -> SignedModel {
    let files = index.files.iter().map(|file| (file.path.to_string(), file.sha256));
    let files = files.chain([(INDEX_PATH.to_owned(), package)]).collect();
    SignedModel { name: stem(index), files, ignored: Vec::new() }
}

/// The name of its package file without the ending.
fn stem(index: &PackageIndex) -> String {
    let file = index.release().file_name();
    file.strip_suffix(".mpkg").unwrap_or(&file).to_owned()
}

fn describe_folder(folder: &Path, out: Option<&Path>) -> Result<Described, Error> {
    let usual = folder.join(SIGNATURE_NAME);
    let root = std::fs::canonicalize(folder).map_err(fs::Error::at("open the folder", folder))?;
    // The signature cannot sign itself.
    let inside = inside(&root, out.unwrap_or(&usual));
    let mut paths = Vec::new();
    let entries = walkdir::WalkDir::new(&root).min_depth(1).into_iter();
    let wanted = |entry: &walkdir::DirEntry| {
        entry.depth() > 1 || !GIT_PATHS.iter().any(|git| entry.file_name() == *git)
    };
    for entry in entries.filter_entry(wanted) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            fs::Error::at("read the folder", &path)(error.into())
        })?;
        let path = entry.path().strip_prefix(&root).unwrap_or(entry.path()).to_string_lossy();
        if entry.file_type().is_dir() || inside.as_deref() == Some(&*path) {
            continue;
        }
        let path: PackagePath =
            path.parse().map_err(|source| Error::Name { path: entry.path().to_owned(), source })?;
        paths.push(path);
    }
    if paths.is_empty() {
        return Err(Error::Empty(folder.to_owned()));
    }
    let files = archive::collect(&root, &paths)?;
    let files = files.into_iter().map(|file| (file.path.to_string(), file.sha256)).collect();
    let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let signed = SignedModel { name, files, ignored: inside.into_iter().collect() };
    Ok(Described { signed, folder: Some(folder.to_owned()), usual })
}

/// The path of `place` below `root`, if it lies there.
fn inside(root: &Path, place: &Path) -> Option<String> {
    let place = whole(place)?;
    Some(place.strip_prefix(root).ok()?.to_string_lossy().into_owned())
}

/// Refuses a place in the store.
fn refuse_store(home: &Home, place: &Path) -> Result<(), Error> {
    let store = std::fs::canonicalize(home.store()).ok();
    match (store, whole(place)) {
        (Some(store), Some(whole)) if whole.starts_with(&store) => {
            Err(Error::InStore(place.to_owned()))
        }
        _ => Ok(()),
    }
}

/// A file's path with every link in its folder followed; `None` where the folder is not there.
fn whole(place: &Path) -> Option<PathBuf> {
    let folder = match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Some(std::fs::canonicalize(folder).ok()?.join(place.file_name()?))
}
