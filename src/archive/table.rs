//! The two tables at the end of a package: our chunk table and the standard zstd seek table
//! (spec/container.md, "Tables").

use super::error::Fault;
use super::limits::{LARGEST_FRAME, LARGEST_INDEX, MOST_FRAMES};
use super::tar;
use crate::package::Digest;

type Checked<T> = std::result::Result<T, Box<Fault>>;

/// A data frame as the chunk table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The SHA-256 of what the frame unpacks to.
    pub sha256: Digest,
    /// Where the frame begins in the file.
    pub offset: u64,
    /// The frame's length in the file.
    pub compressed: u32,
    /// The bytes that it unpacks to.
    pub size: u32,
    /// The CRC-32 of the frame's own bytes: damage is found before they are unpacked.
    pub crc32: u32,
}

/// Every data frame, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkTable {
    /// The frames.
    pub chunks: Vec<Chunk>,
}

const CHUNK_TABLE: &str = "chunk table";
const SEEK_TABLE: &str = "seek table";
/// The skippable frame that holds the chunk table.
const CHUNK_FRAME_MAGIC: u32 = 0x184D_2A5D;
const CHUNK_MAGIC: &[u8; 8] = b"MPKGCHNK";
const CHUNK_VERSION: u32 = 1;
const CHUNK_HEAD: usize = 8 + 8 + 4 + 4;
const CHUNK_ENTRY: usize = 32 + 8 + 4 + 4 + 4;
const SEEK_FRAME_MAGIC: u32 = 0x184D_2A5E;
const SEEK_FOOTER_MAGIC: u32 = 0x8F92_EAB1;
/// The descriptor bit that says that entries have checksums; all others are zero.
const SEEK_DESCRIPTOR: u8 = 0x80;
const SEEK_ENTRY: usize = 12;
/// The last bytes of a file.
pub(super) const SEEK_FOOTER: usize = 9;
/// The low half of the XXH64 of nothing: the checksum of the chunk table's entry, which unpacks
/// to nothing.
const CHECKSUM_OF_NOTHING: u32 = 0x51D8_E999;

impl ChunkTable {
    /// Reads the whole skippable frame of a chunk table, whose first data frame is at offset 0.
    ///
    /// # Errors
    /// When it is not of that form, or its frames do not follow each other.
    pub fn parse(frame: &[u8]) -> super::Result<Self> {
        Ok(parse_chunks(frame)?)
    }

    /// The bytes that all frames unpack to.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.size)).sum()
    }

    /// Where the data frames end and the chunk table begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.chunks.last().map_or(0, |chunk| chunk.offset + u64::from(chunk.compressed))
    }

    /// The skippable frame of this table.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(CHUNK_HEAD + self.chunks.len() * CHUNK_ENTRY);
        let length = CHUNK_HEAD - 8 + self.chunks.len() * CHUNK_ENTRY;
        word(&mut frame, CHUNK_FRAME_MAGIC);
        word(&mut frame, u32::try_from(length).expect("frames are at most 2^20"));
        frame.extend_from_slice(CHUNK_MAGIC);
        word(&mut frame, CHUNK_VERSION);
        word(&mut frame, u32::try_from(self.chunks.len()).expect("frames are at most 2^20"));
        for chunk in &self.chunks {
            frame.extend_from_slice(chunk.sha256.as_bytes());
            frame.extend_from_slice(&chunk.offset.to_le_bytes());
            word(&mut frame, chunk.compressed);
            word(&mut frame, chunk.size);
            word(&mut frame, chunk.crc32);
        }
        frame
    }
}

fn word(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn read_word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn parse_chunks(frame: &[u8]) -> Checked<ChunkTable> {
    let fault = |why: &str| Fault::table(CHUNK_TABLE, why);
    let short = || fault("it is cut short");
    if read_word(frame, 0) != Some(CHUNK_FRAME_MAGIC) || frame.get(8..16) != Some(CHUNK_MAGIC) {
        return Err(fault("it is not where it should be"));
    }
    if read_word(frame, 16) != Some(CHUNK_VERSION) {
        return Err(fault("it is of an unknown version"));
    }
    let count = read_word(frame, 20).ok_or_else(short)?;
    if !(2..=MOST_FRAMES).contains(&count) {
        return Err(fault("it lists too few or too many frames"));
    }
    let length = CHUNK_HEAD + count as usize * CHUNK_ENTRY;
    let stated = read_word(frame, 4).ok_or_else(short)?;
    if frame.len() != length || stated as usize != length - 8 {
        return Err(fault("its length is not that of its entries"));
    }
    let mut chunks = Vec::with_capacity(count as usize);
    let mut offset = 0_u64;
    for (number, entry) in frame[CHUNK_HEAD..].chunks_exact(CHUNK_ENTRY).enumerate() {
        let chunk = parse_chunk(entry).ok_or_else(short)?;
        if chunk.offset != offset {
            return Err(fault("its frames do not follow each other"));
        }
        let limit =
            if number == 0 { tar::record_length(LARGEST_INDEX) } else { u64::from(LARGEST_FRAME) };
        if chunk.size == 0 || u64::from(chunk.size) > limit {
            let (what, found) = ("what a frame unpacks to", u64::from(chunk.size));
            return Err(Box::new(Fault::TooLarge { what, found, limit }));
        }
        // What zstd cannot shrink it stores, with three bytes for each block of 128 KiB.
        if u64::from(chunk.compressed) > u64::from(chunk.size) + u64::from(chunk.size) / 256 + 512 {
            return Err(fault("a frame is longer than what it unpacks to"));
        }
        offset = offset.saturating_add(u64::from(chunk.compressed));
        chunks.push(chunk);
    }
    Ok(ChunkTable { chunks })
}

fn parse_chunk(entry: &[u8]) -> Option<Chunk> {
    Some(Chunk {
        sha256: Digest::from_bytes(entry.get(..32)?.try_into().ok()?),
        offset: u64::from_le_bytes(entry.get(32..40)?.try_into().ok()?),
        compressed: read_word(entry, 40)?,
        size: read_word(entry, 44)?,
        crc32: read_word(entry, 48)?,
    })
}

/// The seek table's frame: `checksums` has one for each chunk; `chunk_frame` is the length of the
/// chunk table's frame.
pub(super) fn encode_seek(table: &ChunkTable, checksums: &[u32], chunk_frame: usize) -> Vec<u8> {
    let count = table.chunks.len() + 1;
    let length = count * SEEK_ENTRY + SEEK_FOOTER;
    let mut frame = Vec::with_capacity(8 + length);
    word(&mut frame, SEEK_FRAME_MAGIC);
    word(&mut frame, u32::try_from(length).expect("frames are at most 2^20"));
    for (chunk, checksum) in table.chunks.iter().zip(checksums) {
        word(&mut frame, chunk.compressed);
        word(&mut frame, chunk.size);
        word(&mut frame, *checksum);
    }
    word(&mut frame, u32::try_from(chunk_frame).expect("frames are at most 2^20"));
    word(&mut frame, 0);
    word(&mut frame, CHECKSUM_OF_NOTHING);
    word(&mut frame, u32::try_from(count).expect("frames are at most 2^20"));
    frame.push(SEEK_DESCRIPTOR);
    word(&mut frame, SEEK_FOOTER_MAGIC);
    frame
}

/// The length of the seek table's whole frame, from the file's last bytes.
pub(super) fn seek_length(footer: &[u8]) -> Checked<u64> {
    if footer.len() != SEEK_FOOTER || read_word(footer, 5) != Some(SEEK_FOOTER_MAGIC) {
        return Err(Box::new(Fault::NotAPackage));
    }
    let count = read_word(footer, 0).unwrap_or_default();
    if footer[4] != SEEK_DESCRIPTOR || !(3..=MOST_FRAMES + 1).contains(&count) {
        return Err(Fault::table(SEEK_TABLE, "its footer is not that of a package"));
    }
    Ok((8 + count as usize * SEEK_ENTRY + SEEK_FOOTER) as u64)
}

/// The length of the chunk table's frame: the seek table has an entry more than there are chunks.
pub(super) fn chunk_table_length(seek: &[u8]) -> Checked<u64> {
    let entries = seek.len().saturating_sub(8 + SEEK_FOOTER) / SEEK_ENTRY;
    let length = CHUNK_HEAD + entries.saturating_sub(1) * CHUNK_ENTRY;
    let at = seek.len().checked_sub(SEEK_FOOTER + SEEK_ENTRY);
    match at.and_then(|at| read_word(seek, at)) {
        Some(stated) if stated as usize == length => Ok(length as u64),
        _ => Err(Fault::table(SEEK_TABLE, "it and the chunk table have different lengths")),
    }
}

/// Holds the seek table against the chunk table; the frames' checksums are what remains.
pub(super) fn check_seek(seek: &[u8], table: &ChunkTable, chunk_frame: usize) -> Checked<Vec<u32>> {
    let checksums: Vec<u32> = (0..table.chunks.len())
        .filter_map(|number| read_word(seek, 8 + number * SEEK_ENTRY + 8))
        .collect();
    if checksums.len() != table.chunks.len() || encode_seek(table, &checksums, chunk_frame) != seek
    {
        return Err(Fault::table(SEEK_TABLE, "it and the chunk table say different things"));
    }
    Ok(checksums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ChunkTable {
        let chunk = |offset, compressed, size| Chunk {
            sha256: Digest::of(&[1]),
            offset,
            compressed,
            size,
            crc32: 5,
        };
        ChunkTable { chunks: vec![chunk(0, 100, 1024), chunk(100, 50, 1024)] }
    }

    #[test]
    fn both_tables_read_what_they_write() {
        let frame = table().encode();
        assert_eq!(ChunkTable::parse(&frame).unwrap(), table());
        let seek = encode_seek(&table(), &[7, 8], frame.len());
        assert_eq!(seek_length(&seek[seek.len() - 9..]).unwrap(), seek.len() as u64);
        assert_eq!(chunk_table_length(&seek).unwrap(), frame.len() as u64);
        assert_eq!(check_seek(&seek, &table(), frame.len()).unwrap(), [7, 8]);
    }

    #[test]
    fn every_changed_bit_of_a_seek_table_but_its_checksums_is_found() {
        let frame = table().encode();
        let seek = encode_seek(&table(), &[7, 8], frame.len());
        for at in (0..seek.len()).filter(|at| !(16..20).contains(at) && !(28..32).contains(at)) {
            let mut changed = seek.clone();
            changed[at] ^= 1;
            assert!(check_seek(&changed, &table(), frame.len()).is_err(), "{at}");
        }
    }

    #[test]
    fn frames_must_follow_each_other() {
        let mut gap = table();
        gap.chunks[1].offset = 101;
        assert!(ChunkTable::parse(&gap.encode()).is_err());
    }
}
