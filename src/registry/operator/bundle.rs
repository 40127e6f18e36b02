//! A registry, or a part of it, in one file: a plain tar of the files that a folder would have,
//! the first root first and the timestamp last (spec/registry.md).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use super::mirror::{Goal, demand_same};
use super::repository::{LARGEST_METADATA, Repository};
use super::write::Writer;
use super::{Error, Result};
use crate::archive::tar::{BLOCK, header, padding};
use crate::fs;
use crate::net::{Address, Client};
use crate::package::{Digest, FileMode, Hasher};
use crate::progress::{Progress, Unit};
use crate::registry::layout;
use crate::registry::tuf::{Envelope, Metadata as _, Timestamp};

/// A bundle that is being written.
pub(super) struct Bundle<'a> {
    path: PathBuf,
    staging: fs::Staging,
    has: BTreeSet<String>,
    progress: &'a dyn Progress,
}

impl<'a> Bundle<'a> {
    pub(super) fn create(path: &Path, progress: &'a dyn Progress) -> Result<Self> {
        let staging = fs::Staging::beside(path)?;
        Ok(Self { path: path.to_owned(), staging, has: BTreeSet::new(), progress })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let at = fs::Error::at("write", &self.path);
        Ok(self.staging.file().write_all(bytes).map_err(at)?)
    }

    fn begin(&mut self, place: &str, size: u64) -> Result<()> {
        let block = header(place, size, FileMode::Plain).expect("places in a registry are short");
        self.has.insert(place.to_owned());
        self.write(&block)
    }

    fn end(&mut self, size: u64) -> Result<()> {
        let length = usize::try_from(padding(size)).expect("it is shorter than a block");
        self.write(&[0; BLOCK][..length])
    }

    /// Ends the file, and puts it in place.
    pub(super) fn finish(mut self) -> Result<()> {
        self.write(&[0; 2 * BLOCK])?;
        Ok(self.staging.commit()?)
    }
}

impl Goal for Bundle<'_> {
    fn has(&self, place: &str) -> bool {
        self.has.contains(place)
    }

    fn add(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.begin(place, bytes.len() as u64)?;
        self.write(bytes)?;
        self.end(bytes.len() as u64)
    }

    fn copy(&mut self, from: &Path, place: &str, digest: Digest) -> Result<()> {
        let file = File::open(from).map_err(fs::Error::at("open", from))?;
        let size = file.metadata().map_err(fs::Error::at("look at", from))?.len();
        let task = self.progress.start("Bundling", Some(size), Unit::Bytes);
        self.begin(place, size)?;
        let mut file = file.take(size);
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 20]);
        loop {
            let length = file.read(&mut buffer).map_err(fs::Error::at("read", from))?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            self.write(&buffer[..length])?;
            task.advance(length as u64);
        }
        if hasher.length() != size || hasher.finish() != digest {
            return Err(Error::Bundle {
                path: from.to_owned(),
                why: format!("its bytes do not have the digest {digest}"),
            });
        }
        self.end(size)
    }
}

/// Unpacks a bundle into an empty or missing folder, or into an earlier copy of the same registry.
/// Only files of a registry are taken, each as it can only stand in a bundle; whatever has a
/// digest in its name must have that digest; the timestamp is put in place last. At the end the
/// signatures of the metadata are checked.
///
/// # Errors
/// [`Error::Bundle`], [`Error::OtherRegistry`], [`Error::Older`], and what is wrong with the
/// metadata.
pub fn unbundle(path: &Path, to: &Path, client: &Client, progress: &dyn Progress) -> Result<usize> {
    let file = File::open(path).map_err(fs::Error::at("open", path))?;
    let size = file.metadata().map_err(fs::Error::at("look at", path))?.len();
    let task = progress.start("Unpacking", Some(size), Unit::Bytes);
    let mut reader = Reader { path, file: BufReader::with_capacity(1 << 20, file) };
    let first_root = layout::metadata("root", 1);
    let root = match reader.next()? {
        Some((place, size)) if place == first_root => reader.bytes(size)?,
        _ => return Err(reader.refused("it does not begin with the first root of a registry")),
    };
    demand_same(to, &root)?;
    let writer = Writer::lock(to, progress)?;
    demand_same(to, &root)?;
    writer.add(&first_root, &root)?;
    let (mut files, mut timestamp) = (1, None);
    while let Some((place, size)) = reader.next()? {
        if timestamp.is_some() {
            return Err(reader.refused("a file follows the timestamp"));
        }
        match (place.as_str(), digest_in(&place)) {
            (layout::TIMESTAMP, _) => timestamp = Some(reader.bytes(size)?),
            (_, Some(digest)) => reader.take(&writer, &place, size, digest)?,
            (_, None) => writer.add(&place, &reader.bytes(size)?)?,
        }
        files += 1;
        task.advance(BLOCK as u64 + size + padding(size));
    }
    let Some(timestamp) = timestamp else {
        return Err(reader.refused("it has no timestamp"));
    };
    demand_newer(&reader, to, &timestamp, client)?;
    writer.settle()?;
    writer.write(layout::TIMESTAMP, &timestamp)?;
    writer.settle()?;
    Repository::open(&Address::Path(to.to_owned()), client)?;
    Ok(files)
}

/// The digest that the name of a file states.
fn digest_in(place: &str) -> Option<Digest> {
    place.rsplit('/').next()?.split('.').next()?.parse().ok()
}

fn demand_newer(reader: &Reader<'_>, to: &Path, new: &[u8], client: &Client) -> Result<()> {
    let offered: Timestamp = Envelope::parse(new, new.len())
        .and_then(|envelope| envelope.read())
        .map_err(|_| reader.refused("its timestamp is none"))?;
    if !to.join(layout::TIMESTAMP).is_file() {
        return Ok(());
    }
    let copy = Repository::open(&Address::Path(to.to_owned()), client)?;
    let (found, offered) = (copy.timestamp().version(), offered.version());
    match offered < found {
        true => Err(Error::Older { path: to.to_owned(), found, offered }),
        false => Ok(()),
    }
}

struct Reader<'a> {
    path: &'a Path,
    file: BufReader<File>,
}

impl Reader<'_> {
    fn refused(&self, why: &str) -> Error {
        Error::Bundle { path: self.path.to_owned(), why: why.to_owned() }
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.file.read_exact(&mut block).map_err(|_| self.refused("it ends too early"))?;
        Ok(block)
    }

    /// The next file's place and size; nothing at the end.
    fn next(&mut self) -> Result<Option<(String, u64)>> {
        let block = self.block()?;
        if block == [0; BLOCK] {
            let is_end = self.block()? == [0; BLOCK];
            let rest = self.file.read(&mut [0]).map_err(fs::Error::at("read", self.path))?;
            return match is_end && rest == 0 {
                true => Ok(None),
                false => Err(self.refused("something stands after its end")),
            };
        }
        let text = |field: &[u8]| -> Option<String> {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).ok()
        };
        let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
        let place = name.zip(prefix).map(|(name, prefix)| match prefix.is_empty() {
            true => name,
            false => format!("{prefix}/{name}"),
        });
        let size = match block[124] {
            0x80 => Some(u64::from_be_bytes(block[128..136].try_into().expect("eight bytes"))),
            _ => text(&block[124..136]).and_then(|text| u64::from_str_radix(&text, 8).ok()),
        };
        let entry = place.zip(size).filter(|(place, size)| {
            // There is one header for each place and size, and no other is taken.
            header(place, *size, FileMode::Plain) == Some(block) && layout::is_public(place)
        });
        match entry {
            Some(entry) => Ok(Some(entry)),
            None => Err(self.refused("something in it is no file of a registry")),
        }
    }

    /// The contents of a small file.
    fn bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LARGEST_METADATA {
            return Err(self.refused("a document of metadata is too long"));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(size).read_to_end(&mut bytes);
        if read.map_err(fs::Error::at("read", self.path))? as u64 != size {
            return Err(self.refused("it ends too early"));
        }
        self.pad(size)?;
        Ok(bytes)
    }

    /// Writes the contents of a file whose name states its digest.
    fn take(&mut self, writer: &Writer<'_>, place: &str, size: u64, digest: Digest) -> Result<()> {
        let mut contents = (&mut self.file).take(size);
        writer.add_stream(place, &mut contents, size, digest)?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let mut rest = vec![0; usize::try_from(padding(size)).expect("it is shorter than a block")];
        self.file.read_exact(&mut rest).map_err(|_| self.refused("it ends too early"))?;
        match rest.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(self.refused("its padding is not zero")),
        }
    }
}
