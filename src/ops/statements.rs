//! What others have said about packages: the envelopes that lie in registries and beside files.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::catalogue::{Catalogue, Result};
use crate::crypto::{ENVELOPE_LIMIT, envelope_path};
use crate::fs;
use crate::package::{Digest, PackageName};
use crate::registry::{Attachment, AttachmentRole, Registry, ReleaseEntry};

/// How the name of an envelope's file ends.
const ENDING: &str = ".dsse.json";

impl Catalogue<'_> {
    /// Takes envelopes that somebody handed over into account, whatever packages they are about.
    pub fn hear(&mut self, envelopes: Vec<Vec<u8>>) {
        self.heard.extend(envelopes);
    }

    /// The envelopes of statements by others about a package that was looked up; nothing in them
    /// is believed yet. Of a package file those beside it are among them.
    ///
    /// # Errors
    /// A statement that the registry lists and that cannot be had from it; files that cannot be
    /// read.
    pub fn statements(&self, name: &PackageName, package: Digest) -> Result<Vec<Vec<u8>>> {
        let Some(path) = self.path_of(package) else {
            let (offer, registry) = self.offer_of(package);
            return stored(registry, &offer.entry);
        };
        let mut all = beside(path)?;
        if let Some((index, registry)) = self.name(name)?
            && let Some(entry) = index.by_digest(package)
        {
            all.extend(stored(registry, entry)?);
        }
        Ok(all)
    }
}

fn stored(registry: &Registry<'_>, entry: &ReleaseEntry) -> Result<Vec<Vec<u8>>> {
    let is_said = |one: &&Attachment| one.role == AttachmentRole::Attestation;
    let said: Vec<&Attachment> = entry.attachments.iter().filter(is_said).collect();
    said.into_par_iter().map(|one| Ok(registry.attachment(entry.package, one)?)).collect()
}

/// The envelopes beside a package file: `FILE.….dsse.json`, but for the publisher's signatures.
fn beside(package: &Path) -> Result<Vec<Vec<u8>>> {
    let signatures = envelope_path(package);
    let files = named_after(package)?.into_iter();
    let others = files.filter(|path| path.file_name() != signatures.file_name());
    others.map(|path| read(&path)).collect()
}

/// Every envelope beside a package file, the publisher's signatures among them.
///
/// # Errors
/// Files that cannot be read.
pub fn around(package: &Path) -> Result<Vec<(AttachmentRole, Vec<u8>)>> {
    let signatures = envelope_path(package);
    let one = |path: PathBuf| {
        let role = match path.file_name() == signatures.file_name() {
            true => AttachmentRole::Publisher,
            false => AttachmentRole::Attestation,
        };
        Ok((role, read(&path)?))
    };
    named_after(package)?.into_iter().map(one).collect()
}

fn named_after(package: &Path) -> Result<Vec<PathBuf>> {
    let Some(name) = package.file_name() else { return Ok(Vec::new()) };
    let start = format!("{}.", name.to_string_lossy());
    let folder = package.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut files = envelopes_in(folder)?;
    files.retain(|path| path.file_name().unwrap_or_default().to_string_lossy().starts_with(&start));
    Ok(files)
}

/// The envelopes that `paths` name: files, and those in folders.
///
/// # Errors
/// What cannot be read.
pub(super) fn handed_over(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for path in paths {
        let files = if path.is_dir() { envelopes_in(path)? } else { vec![path.clone()] };
        for file in files {
            all.push(read(&file)?);
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(fs::read_to_string(path, ENVELOPE_LIMIT as u64)?.into_bytes())
}

/// The files of a folder whose names end as those of envelopes do, sorted.
fn envelopes_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(fs::Error::at("read the folder", folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(fs::Error::at("read the folder", folder))?.path();
        if path.to_string_lossy().ends_with(ENDING) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
