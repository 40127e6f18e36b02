//! A registry, or a part of it, in one file: a plain tar of the files that a folder would have,
//! the first root first and the timestamp last (spec/registry.md).

use std::collections::{BTreeMap, BTreeSet};
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
use crate::registry::tuf::Metadata as _;

/// The most bytes of metadata that a bundle may have.
const LONGEST_HELD: u64 = 1 << 30;

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

    fn renew(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        if self.has(place) { Ok(()) } else { self.add(place, bytes) }
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
/// Only files of a registry are taken, each as it can only stand in a bundle. Whatever has a digest
/// in its name must have that digest; the metadata is held back until all of it is here and its
/// signatures were checked, and the timestamp is put in place last.
///
/// # Errors
/// [`Error::Bundle`], [`Error::OtherRegistry`], [`Error::Older`], and what is wrong with the
/// metadata. Then a new folder is gone again, and an earlier copy says what it said.
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
    let new = New::of(to);
    let unpacking = Unpacking {
        writer: Writer::lock(to, progress)?,
        held: BTreeMap::from([(first_root, root.clone())]),
        files: 1,
    };
    demand_same(to, &root)?;
    let done = unpacking.run(&mut reader, client, &*task);
    if done.is_err() {
        new.remove();
    }
    done
}

/// A folder that was empty or missing before.
struct New<'a> {
    folder: Option<&'a Path>,
    was_there: bool,
}

impl<'a> New<'a> {
    fn of(folder: &'a Path) -> Self {
        let is_new = !folder.join(layout::MARKER).is_file();
        Self { folder: is_new.then_some(folder), was_there: folder.is_dir() }
    }

    /// Removes what was put there. The first error is the one to tell.
    fn remove(&self) {
        let Some(folder) = self.folder else { return };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let _ = match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => fs::remove_folder(&entry.path()).is_ok(),
                false => std::fs::remove_file(entry.path()).is_ok(),
            };
        }
        if !self.was_there {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// A bundle on its way into a folder.
struct Unpacking<'a> {
    writer: Writer<'a>,
    /// What is not put in place before everything was checked, by its place.
    held: BTreeMap<String, Vec<u8>>,
    files: usize,
}

impl Unpacking<'_> {
    fn run(
        mut self,
        reader: &mut Reader<'_>,
        client: &Client,
        task: &dyn crate::progress::Task,
    ) -> Result<usize> {
        let mut length = 0;
        while let Some((place, size)) = reader.next()? {
            if self.held.contains_key(layout::TIMESTAMP) {
                return Err(reader.refused("a file follows the timestamp"));
            }
            if let Some(digest) = digest_in(&place) {
                reader.take(&self.writer, &place, size, digest)?;
            } else {
                length += size;
                if length > LONGEST_HELD {
                    return Err(reader.refused("its metadata is too long"));
                }
                self.held.insert(place, reader.bytes(size)?);
            }
            self.files += 1;
            task.advance(BLOCK as u64 + size + padding(size));
        }
        self.demand_believed(reader, client)?;
        let timestamp = self.held.remove(layout::TIMESTAMP).expect("it was checked");
        for (place, bytes) in &self.held {
            self.writer.add(place, bytes)?;
        }
        self.writer.settle()?;
        self.writer.write(layout::TIMESTAMP, &timestamp)?;
        self.writer.settle()?;
        Ok(self.files)
    }

    /// Checks the signatures of everything that is held back, as if it were in place; that nothing
    /// is among it which the snapshot does not vouch for; and that it is not older than what is.
    fn demand_believed(&self, reader: &Reader<'_>, client: &Client) -> Result<()> {
        if !self.held.contains_key(layout::TIMESTAMP) {
            return Err(reader.refused("it has no timestamp"));
        }
        let address = Address::Path(self.writer.folder().to_owned());
        let new = Repository::open_with(&address, client, &self.held)?;
        let known = new.metadata_files();
        let is_metadata = |place: &&String| place.starts_with(layout::METADATA);
        if let Some(other) = self.held.keys().filter(is_metadata).find(|one| !known.contains(*one))
        {
            return Err(reader.refused(&format!("nothing vouches for {other} in it")));
        }
        for name in new.succinct()?.names() {
            let version = new.snapshot().get(&name).map_or(0, |file| file.version);
            if self.held.contains_key(&layout::metadata(&name, version)) {
                new.read_bin(&name)?;
            }
        }
        if !self.writer.has(layout::TIMESTAMP) {
            return Ok(());
        }
        let copy = Repository::open(&address, client)?;
        let (found, offered) = (copy.timestamp().version(), new.timestamp().version());
        match offered < found {
            true => Err(Error::Older { path: self.writer.folder().to_owned(), found, offered }),
            false => Ok(()),
        }
    }
}

/// The digest that the name of a file states.
fn digest_in(place: &str) -> Option<Digest> {
    place.rsplit('/').next()?.split('.').next()?.parse().ok()
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
