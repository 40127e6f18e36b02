//! Reads single small files, such as the evidence for a licence: out of data that is in the cache,
//! or from an address of which no digest is known.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::AtomicBool;

use super::entries::{Flow, Kind, Source};
use super::fetch::{Fetcher, Piece, shown};
use super::watch::Together;
use super::{Error, Result, member, unpack};
use crate::fs;
use crate::net::Address;
use crate::package::manifest::{DataAddress, DataReference, DataSource, Origin};
use crate::package::{Digest, PackagePath};
use crate::progress::Progress;

impl Fetcher<'_> {
    /// Reads the file at `url`, at most `limit` bytes of it. Nothing of it is kept.
    ///
    /// # Errors
    /// When it cannot be had, or is longer.
    pub fn read(
        &self,
        reference: &DataReference,
        url: &DataAddress,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>> {
        let address = match &url.origin {
            Origin::Http(url) => Some(Address::Http(Box::new(url.clone()))),
            Origin::File(path) => Some(Address::Path(path.clone())),
            Origin::Pypi { .. } | Origin::Deb { .. } => None,
        };
        if let (None, Some(address)) = (&url.member, address) {
            return Ok(self.client.get_small(&address, limit)?);
        }
        let piece = Piece::unknown(&reference.name, Digest::of(b""));
        let watch = Together::new(progress, 1, 0);
        let archive = self.archive(&url.origin, &piece, &AtomicBool::new(false), &watch)?;
        let shown = shown(url);
        match &url.member {
            None => {
                let mut file =
                    File::open(archive.path()).map_err(fs::Error::at("open", archive.path()))?;
                bounded(&mut file, &shown, limit)
            }
            Some(wanted) => {
                let source = Source { path: archive.path(), shown: &shown };
                member::take(&source, wanted, |contents| bounded(contents, wanted, limit))
            }
        }
    }

    /// Reads the file `path` of the data of `reference`, at most `limit` bytes of it, without the
    /// network; none where that data is not in the cache.
    ///
    /// # Errors
    /// When the data has no such file, or it is longer.
    pub fn read_within(
        &self,
        reference: &DataReference,
        path: &PackagePath,
        limit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let missing = || Error::NoMember {
            archive: format!("data `{}`", reference.name),
            member: path.to_string(),
            near: Vec::new(),
        };
        match &reference.source {
            DataSource::InTree { path: folder, .. } => {
                let place = path.below(&folder.below(self.tree()));
                match place.symlink_metadata() {
                    Ok(found) if found.is_file() => Ok(Some(fs::read(&place, limit)?)),
                    _ => Err(missing()),
                }
            }
            DataSource::Fetched { sha256, size, .. } => {
                let Some(file) = self.client.cache().get(*sha256, *size)? else { return Ok(None) };
                if unpack::kind(reference.unpack).is_none() {
                    return Err(missing());
                }
                let shown = format!("data `{}`", reference.name);
                let source = Source { path: &file, shown: &shown };
                let text =
                    member::take(&source, path.as_str(), |it| bounded(it, path.as_str(), limit))?;
                Ok(Some(text))
            }
            DataSource::Shards { list } => {
                let shards = super::shards::read(self.tree(), list)?;
                let shard = shards.iter().find(|shard| shard.path == *path).ok_or_else(missing)?;
                let file = self.client.cache().get(shard.digest, shard.size)?;
                Ok(file.map(|file| fs::read(&file, limit)).transpose()?)
            }
        }
    }
}

/// The longest archive that is read through for the names in it, in bytes; a zip has a list of them.
const LONGEST_LISTED: u64 = 256 << 20;

impl Fetcher<'_> {
    /// The paths of the files that the data of `reference` has, as far as they are here and can be
    /// listed quickly.
    ///
    /// # Errors
    /// When an archive, a folder or a list of shards cannot be read.
    pub fn names(&self, reference: &DataReference) -> Result<Vec<String>> {
        let mut selection = super::select::Selection::of(&reference.select)?;
        let mut names = Vec::new();
        match &reference.source {
            DataSource::InTree { path, .. } => {
                let place = path.below(self.tree());
                if place.is_dir() {
                    names = super::tree::files(&place)?
                        .into_iter()
                        .map(|(name, _)| name.to_string())
                        .collect();
                }
            }
            DataSource::Fetched { sha256, size, .. } => {
                let file = self.client.cache().path_of(*sha256);
                let kind = unpack::kind(reference.unpack);
                let is_listed = kind == Some(Kind::Zip) || *size <= LONGEST_LISTED;
                if let (Some(kind), true, true) = (kind, is_listed, file.is_file()) {
                    let shown = format!("data `{}`", reference.name);
                    Source { path: &file, shown: &shown }.visit(kind, &mut |member| {
                        names.push(member.name);
                        Ok(Flow::Continue)
                    })?;
                }
            }
            DataSource::Shards { list } => {
                let shards = super::shards::read(self.tree(), list)?;
                names = shards.into_iter().map(|shard| shard.path.to_string()).collect();
            }
        }
        names.retain(|name| selection.takes(name));
        Ok(names)
    }
}

/// Reads to the end, or to the limit, beyond which there is an error.
fn bounded(contents: &mut dyn Read, shown: &str, limit: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = contents.take(limit.saturating_add(1)).read_to_end(&mut text);
    read.map_err(|error| Error::BadArchive {
        archive: shown.to_owned(),
        kind: "a file",
        cause: error.to_string(),
    })?;
    if text.len() as u64 > limit {
        let why = format!("has more than {limit} bytes");
        return Err(Error::TooMuch { archive: shown.to_owned(), why });
    }
    Ok(text)
}
