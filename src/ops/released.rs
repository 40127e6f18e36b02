//! A binary package that somebody names: by its file, or as a release in a registry.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::build::Setting;
use super::catalogue::{self, Catalogue, open};
use super::{install, key};
use crate::archive::Package;
use crate::build::patches::{Base, Overlay};
use crate::build::pristine::{has_series, patches_of};
use crate::build::record::BuildRecord;
use crate::build::source::SourceError;
use crate::build::tree::SourceTree;
use crate::crypto::statement::Statement;
use crate::crypto::{ENVELOPE_LIMIT, Envelope, KeyId, Subject, envelope_path, verify_package};
use crate::explain::Explain;
use crate::fs::{Error as FileError, Lock, read_to_string, remove_folder};
use crate::package::{Digest, PackageIndex, PackageType, PackageVersion, VariantName};
use crate::registry::{Attachment, AttachmentRole, NameIndex, ReleaseEntry};
use crate::reproduce::Side;
use crate::resolve::Wish;

/// The longest build record that is read, in bytes.
const LONGEST_RECORD: u64 = 256 << 20;

/// How a package is named.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A file.
    File(PathBuf),
    /// A release in a registry.
    Release(Wish),
}

/// Why a package cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not sound, not signed as it should be, or cannot be fetched.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// The patches of a source package are at fault.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No release answers a wish.
    #[error("there is no binary package of {wish}")]
    NoRelease {
        /// What was looked for.
        wish: String,
        /// The versions and variants that there are.
        exists: Vec<String>,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Catalogue(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::NoRelease { .. } => "no-such-package",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalogue(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::NoRelease { exists, .. } if exists.is_empty() => None,
            Self::NoRelease { exists, .. } => Some(format!("there is {}", exists.join(", "))),
        }
    }
}

/// A package that was named.
#[derive(Debug)]
pub struct Released {
    /// The package.
    pub package: Package,
    /// The record of its build, where one is beside it.
    pub record: Option<BuildRecord>,
    /// The keys that this machine believes for the package, and that signed that this is the
    /// record of its build.
    pub record_signed_by: Vec<KeyId>,
}

/// Opens what `operand` names; of releases the newest that answers, in the default variant where
/// none is named, its signatures checked.
///
/// # Errors
/// See [`Error`].
pub fn released(operand: &Operand, setting: &Setting<'_>) -> Result<Released, Error> {
    let (package, record, signatures) = match operand {
        Operand::File(path) => {
            let package = open(path)?;
            let index = package.index();
            let name = format!("{}-{}.build.json", index.name, index.version);
            let record = read_to_string(&path.with_file_name(name), LONGEST_RECORD).ok();
            let signatures = signatures_beside(&package, setting);
            (package, record.map(String::into_bytes), signatures)
        }
        Operand::Release(wish) => published(wish, setting)?,
    };
    let digest = package.package_digest();
    let is_of_it =
        |record: &BuildRecord| record.outputs.iter().any(|output| output.package_digest == digest);
    let sha256 = record.as_deref().map(Digest::of);
    let record = record.and_then(|text| serde_json::from_slice(&text).ok()).filter(is_of_it);
    let is_named = |(statement, _): &(Statement, Vec<KeyId>)| {
        record.is_some() && sha256.is_some_and(|sha256| statement.names_byproduct(sha256))
    };
    let record_signed_by = signatures.filter(is_named).map(|(_, signers)| signers);
    Ok(Released { package, record, record_signed_by: record_signed_by.unwrap_or_default() })
}

/// What the signatures beside a package file say, and which keys that this machine knows made them.
fn signatures_beside(package: &Package, setting: &Setting<'_>) -> Option<(Statement, Vec<KeyId>)> {
    let path = envelope_path(package.path());
    let envelope = read_to_string(&path, ENVELOPE_LIMIT as u64).ok()?;
    let known = key::list(setting.home).ok()?;
    let known: Vec<_> = known.into_iter().map(|key| key.public).collect();
    let subject = Subject { package: package.package_digest(), file: package.file_digest().ok() };
    let verified = verify_package(envelope.as_bytes(), subject, &known, NonZeroUsize::MIN).ok()?;
    Some((verified.statement, verified.signers))
}

type Found = (Package, Option<Vec<u8>>, Option<(Statement, Vec<KeyId>)>);

fn published(wish: &Wish, setting: &Setting<'_>) -> Result<Found, Error> {
    let trust = install::trust(setting.home)?;
    let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
    let Some((index, registry)) = catalogue.name(&wish.name)? else {
        return Ok(catalogue.no_such_package(&wish.name)?);
    };
    let best = newest(&index, wish)?;
    let digest = best.package;
    let is_record = |it: &&Attachment| it.role == AttachmentRole::BuildRecord;
    let records = best.attachments.iter().filter(is_record);
    let records: Vec<(Digest, Vec<u8>)> =
        records.filter_map(|it| Some((it.sha256, registry.attachment(digest, it).ok()?))).collect();
    let envelope = best.signatures().map(|signatures| registry.attachment(digest, signatures));
    let envelope = envelope.transpose().map_err(catalogue::Error::from)?;
    catalogue.seek(&wish.name, digest)?;
    let signers = catalogue.vouch(digest)?.signed_by;
    // These are the signatures that were just verified.
    let statement = envelope.and_then(|bytes| {
        Statement::parse(Envelope::parse(&bytes).ok()?.payload()).ok().map(|it| (it, signers))
    });
    // The record that the publisher signed; another is no more than told.
    let is_named = |(sha256, _): &(Digest, Vec<u8>)| {
        statement.as_ref().is_some_and(|(statement, _)| statement.names_byproduct(*sha256))
    };
    let chosen = records.iter().position(is_named).unwrap_or_default();
    let record = records.into_iter().nth(chosen).map(|(_, bytes)| bytes);
    Ok((catalogue.fetch(digest, setting.progress)?, record, statement))
}

/// The newest binary release that answers `wish`, in the default variant where none is named.
///
/// # Errors
/// [`Error::NoRelease`].
pub(super) fn newest<'a>(index: &'a NameIndex, wish: &Wish) -> Result<&'a ReleaseEntry, Error> {
    let is_meant = |variant: Option<&VariantName>, default: bool| match &wish.variant {
        Some(wanted) => variant == Some(wanted),
        None => default,
    };
    let all = index.releases.iter();
    let offered = all.filter(|it| it.package_type == PackageType::Binary && it.yanked.is_none());
    let best = offered
        .clone()
        .filter(|it| wish.requirement.matches(&it.version))
        .filter(|it| is_meant(it.variant.as_ref(), it.default_variant))
        .max_by(|one, other| one.version.cmp(&other.version));
    best.ok_or_else(|| {
        let exists = offered.map(|it| (it.version.clone(), it.variant.clone())).collect();
        no_release(wish, exists)
    })
}

fn no_release(wish: &Wish, mut exists: Vec<(PackageVersion, Option<VariantName>)>) -> Error {
    exists.sort();
    let words = |(version, variant): (PackageVersion, Option<VariantName>)| match variant {
        Some(variant) => format!("{version}:{variant}"),
        None => version.to_string(),
    };
    let exists = exists.into_iter().map(words).collect();
    Error::NoRelease { wish: wish.to_string(), exists }
}

/// What the folder of an unpacked package is named at first.
const STAGING: &str = ".staging-";

/// A package that lies unpacked in a folder of its own, which goes with it.
#[derive(Debug)]
pub struct Unpacked {
    package: Package,
    /// What the files are once patches are applied.
    patched: Option<PackageIndex>,
    folder: tempfile::TempDir,
    _lock: Lock,
}

impl Unpacked {
    /// Unpacks `package` into the cache, every file of it checked.
    ///
    /// # Errors
    /// When it is not sound, or nothing can be written.
    pub fn of(package: Package, setting: &Setting<'_>) -> Result<Self, Error> {
        let shelf = setting.home.cache().join("comparisons");
        let lock = clean(&shelf).map_err(catalogue::Error::from)?;
        let folder = tempfile::Builder::new()
            .prefix(STAGING)
            .tempdir_in(&shelf)
            .map_err(FileError::at("create a folder in", &shelf))
            .map_err(catalogue::Error::from)?;
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        package.extract(folder.path(), threads, setting.progress).map_err(|source| {
            catalogue::Error::Package { path: package.path().to_owned(), source }
        })?;
        Ok(Self { package, patched: None, folder, _lock: lock })
    }

    /// The same with the patches of a source package applied.
    ///
    /// # Errors
    /// When one does not apply.
    pub fn patched(self) -> Result<Self, Error> {
        if !has_series(self.folder.path()) {
            return Ok(self);
        }
        let index = self.package.index();
        let base = Base { root: self.folder.path(), files: &index.files };
        let tree = SourceTree::open(self.folder.path()).map_err(SourceError::from)?;
        let (_, patches) = patches_of(&tree).map_err(SourceError::from)?;
        let overlay = Overlay::of(base, &patches).map_err(SourceError::from)?;
        let files = overlay.index(base);
        overlay.write(self.folder.path()).map_err(SourceError::from)?;
        let patched = Some(PackageIndex { files, ..index.clone() });
        Ok(Self { patched, ..self })
    }

    /// The package.
    #[must_use]
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// Its files.
    #[must_use]
    pub fn side(&self) -> Side<'_> {
        let index = self.patched.as_ref().unwrap_or_else(|| self.package.index());
        Side { folder: self.folder.path(), index }
    }
}

/// Begins to use the folder of unpacked packages. Where nobody else does, what those that were
/// killed have left there is removed first.
fn clean(shelf: &Path) -> Result<Lock, FileError> {
    let path = shelf.join("lock");
    if let Some(_alone) = Lock::try_acquire(&path)? {
        let entries = std::fs::read_dir(shelf).map_err(FileError::at("read", shelf))?;
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                remove_folder(&entry.path())?;
            }
        }
    }
    Lock::share(&path, || {})
}
