//! A package as it comes in from a registry that is elsewhere: its tables first, then the chunks
//! that are not on this machine yet, by ranges (spec/registry.md, "Fetching").

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{ChunksPlace, Representation};
use super::{Error, Registry, Result, layout};
use crate::archive::{self, Chunk, ChunkTable, Form, Package, Reach, Run, Supply};
use crate::net::{Address, Client, Network, RangeReader};
use crate::package::Digest;
use crate::store::ChunksAtHand;

/// A file of at most so many bytes is fetched whole: one request is all that it takes.
const SMALL: u64 = 256 << 10;
/// The most bytes that are asked for at once, but for a single frame.
const LONGEST_RUN: u64 = 8 << 20;
/// How many connections bring a package; each holds a frame and what it unpacks to in memory.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(3).expect("it is not zero");
/// The most bytes of both tables: those of as many frames as a package may have.
const LONGEST_TABLES: u64 = 80 << 20;

/// A package whose frames come from a registry as they are unpacked. Its tables and its index are
/// here and were checked.
#[derive(Debug)]
pub struct Incoming {
    /// The package.
    pub package: Package,
    /// How many bytes of its file are still to be fetched.
    pub to_fetch: u64,
    fetched: Arc<AtomicU64>,
}

impl Incoming {
    /// How many bytes of the file came, its tables included.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }
}

impl Registry<'_> {
    /// Fetches the tables and the index of a package file, so that the rest can come in while it
    /// is unpacked. `at_hand` says which chunks lie on this machine. Gives nothing where the file
    /// is to be taken whole: it is here already, small, has no place for its tables in the index,
    /// or the server gives no ranges.
    ///
    /// # Errors
    /// [`Error::WrongDigest`] for tables that are not those of the index; a package that breaks a
    /// rule; whatever keeps it from being fetched.
    pub fn incoming(
        &self,
        stock: &Representation,
        label: &str,
        at_hand: impl FnOnce(&ChunkTable) -> ChunksAtHand,
    ) -> Result<Option<Incoming>> {
        let (client, address) = self.place_of(&layout::blob(stock.sha256));
        let Some(place) = stock.chunks else { return Ok(None) };
        if matches!(address, Address::Path(_))
            || stock.size <= SMALL
            || client.network() == Network::Offline
            || self.cached(stock).is_some()
        {
            return Ok(None);
        }
        let fetched = Arc::new(AtomicU64::new(0));
        let tables = match self.tables(client, &address, stock, place) {
            Err(Error::Net(error)) if matches!(*error, crate::net::Error::NoRanges { .. }) => {
                return Ok(None);
            }
            Err(Error::Net(error)) if error.is_not_there() => return Err(self.not_carried(label)),
            tables => tables?,
        };
        fetched.fetch_add(tables.len() as u64, Ordering::Relaxed);
        let refused = |source| Error::Package { path: Path::new(label).to_owned(), source };
        let frame = place_in(&tables, place);
        let table = ChunkTable::parse(frame).map_err(refused)?;
        let at_hand = at_hand(&table);
        // The first frame, that of the index, comes right away.
        let missing = table.chunks.iter().skip(1).filter(|chunk| !at_hand.seem_to_have(chunk));
        let to_fetch = missing.map(|chunk| u64::from(chunk.compressed)).sum::<u64>();
        let remote = Remote {
            client: client.clone(),
            address,
            size: stock.size,
            start: place.offset,
            tables,
            table,
            at_hand,
            fetched: Arc::clone(&fetched),
        };
        let package = Package::supplied(Path::new(label), stock.size, Box::new(remote));
        Ok(Some(Incoming { package: package.map_err(refused)?, to_fetch, fetched }))
    }

    /// Where a package file stands in the cache, if it seems to be there.
    #[must_use]
    pub fn cached(&self, stock: &Representation) -> Option<PathBuf> {
        let (client, _) = self.place_of("");
        let cache = client.cache();
        let is_there = cache.seems_to_have(stock.sha256, stock.size);
        is_there.then(|| cache.path_of(stock.sha256))
    }

    /// Both tables of a package file: its end, from the chunk table on.
    fn tables(
        &self,
        client: &Client,
        address: &Address,
        stock: &Representation,
        place: ChunksPlace,
    ) -> Result<Vec<u8>> {
        let file = layout::blob(stock.sha256);
        let length = stock.size.checked_sub(place.offset).filter(|length| {
            place.size <= *length && *length <= LONGEST_TABLES && place.offset > 0
        });
        let Some(length) = length else {
            let location = self.location().to_owned();
            let why = "its index gives a place for the chunk table that no package has";
            return Err(Error::Contradiction { location, file, why });
        };
        let mut tables = vec![0; usize::try_from(length).unwrap_or_default()];
        client.range(address, place.offset..stock.size, stock.size).fill(&mut tables)?;
        let found = Digest::of(place_in(&tables, place));
        if found != place.sha256 {
            let location = self.location().to_owned();
            return Err(Error::WrongDigest { location, file, expected: place.sha256, found });
        }
        Ok(tables)
    }
}

/// The chunk table's frame among the tables.
fn place_in(tables: &[u8], place: ChunksPlace) -> &[u8] {
    &tables[..usize::try_from(place.size).unwrap_or(usize::MAX).min(tables.len())]
}

/// A package file on a server, and what of it is here.
struct Remote {
    client: Client,
    address: Address,
    size: u64,
    /// Where the tables begin.
    start: u64,
    tables: Vec<u8>,
    table: ChunkTable,
    at_hand: ChunksAtHand,
    fetched: Arc<AtomicU64>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({}, {} bytes)", self.address, self.size)
    }
}

impl Remote {
    fn range(&self, part: Range<u64>) -> RangeReader {
        self.client.range(&self.address, part, self.size)
    }

    fn fill(&self, reader: &mut RangeReader, buffer: &mut [u8]) -> archive::Result<()> {
        reader.fill(buffer).map_err(|error| archive::Error::Supply(Box::new(error)))?;
        self.fetched.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Supply for Remote {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> archive::Result<()> {
        let inside = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let here = inside.and_then(|at| self.tables.get(at..at.checked_add(buffer.len())?));
        match here {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => self.fill(&mut self.range(offset..offset + buffer.len() as u64), buffer),
        }
    }

    fn run_length(&self, chunks: &[Chunk]) -> usize {
        let mut bytes = 0;
        let is_wanted = |chunk: &&Chunk| {
            bytes += u64::from(chunk.compressed);
            !self.at_hand.seem_to_have(chunk) && bytes <= LONGEST_RUN
        };
        chunks.iter().take_while(is_wanted).count()
    }

    fn open(&self, run: Range<usize>) -> Box<dyn Run + '_> {
        let end = self.table.chunks.get(run.end).map_or(self.table.end(), |chunk| chunk.offset);
        Box::new(RemoteRun { remote: self, end, reader: None })
    }

    fn readers(&self, threads: NonZeroUsize) -> NonZeroUsize {
        threads.max(CONNECTIONS)
    }

    fn reach(&self) -> Reach {
        Reach::Elsewhere
    }
}

/// Frames that follow each other, one range of the file.
struct RemoteRun<'a> {
    remote: &'a Remote,
    /// Where the last of them ends.
    end: u64,
    reader: Option<RangeReader>,
}

impl Run for RemoteRun<'_> {
    fn next(&mut self, chunk: &Chunk, buffer: &mut Vec<u8>) -> archive::Result<Form> {
        if self.remote.at_hand.read(chunk, buffer).is_some() {
            return Ok(Form::Contents);
        }
        let follows = |reader: &RangeReader| reader.position() == chunk.offset;
        let mut reader = match self.reader.take().filter(follows) {
            Some(reader) => reader,
            None => self.remote.range(chunk.offset..self.end),
        };
        // The table's own limits have capped the length.
        buffer.resize(chunk.compressed as usize, 0);
        self.remote.fill(&mut reader, buffer)?;
        self.reader = Some(reader);
        Ok(Form::Frame)
    }
}
