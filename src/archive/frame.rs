//! One zstd frame: writing it, and reading it back strictly (spec/container.md, "Frames").

use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, ErrorCode, ResetDirective, compress_bound,
    get_error_name,
};

use super::error::Fault;
use super::limits::LARGEST_WINDOW_LOG;
use super::table::Chunk;
use crate::package::Digest;

type Checked<T> = std::result::Result<T, Box<Fault>>;

/// A frame ready to be written.
pub(super) struct Frame {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// The digest of what it unpacks to.
    pub(super) sha256: Digest,
    /// How much that is.
    pub(super) size: usize,
    /// The CRC-32 of its bytes.
    pub(super) crc32: u32,
}

/// The length of the frame that [`Compressor::store`] makes of `size` bytes.
pub(super) fn stored_length(size: usize) -> u64 {
    (STORED_START.len() + 4 + size + 3 * size.div_ceil(LONGEST_BLOCK) + 4) as u64
}

/// How a stored frame begins: the magic number; a checksum follows, the content size in four
/// bytes, which is the window as well.
const STORED_START: [u8; 5] = [0x28, 0xB5, 0x2F, 0xFD, 0xA4];
/// The most bytes of a block.
const LONGEST_BLOCK: usize = 128 << 10;

impl Frame {
    fn of(contents: &[u8], bytes: Vec<u8>) -> Self {
        let crc32 = crc32(&bytes);
        Self { bytes, sha256: Digest::of(contents), size: contents.len(), crc32 }
    }

    /// The checksum of its contents: its last four bytes.
    pub(super) fn checksum(&self) -> u32 {
        checksum(&self.bytes)
    }
}

fn crc32(frame: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(frame);
    crc.sum()
}

fn checksum(frame: &[u8]) -> u32 {
    frame.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Makes frames, one after another.
pub(super) struct Compressor {
    context: CCtx<'static>,
    level: Option<i32>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self { context: CCtx::create(), level: None }
    }

    /// The frame of `contents`, in the memory of `bytes`; the same for the same contents and
    /// level, whatever came before.
    pub(super) fn compress(&mut self, contents: &[u8], level: i32, mut bytes: Vec<u8>) -> Frame {
        if self.level != Some(level) {
            self.set_level(level).expect("zstd knows these parameters");
            self.level = Some(level);
        }
        bytes.clear();
        bytes.reserve(compress_bound(contents.len()));
        self.context.compress2(&mut bytes, contents).expect("the bound leaves room");
        Frame::of(contents, bytes)
    }

    /// The frame of `contents` as they are, whose length is known before them: blocks that are
    /// not compressed (RFC 8878, 3.1.1.2).
    pub(super) fn store(&mut self, contents: &[u8], level: i32) -> Frame {
        // The checksum is what zstd itself puts at the end of a frame.
        let checksum = self.compress(contents, level, Vec::new()).checksum();
        let size = u32::try_from(contents.len()).expect("frames are at most 64 MiB");
        let mut bytes = STORED_START.to_vec();
        bytes.extend_from_slice(&size.to_le_bytes());
        let blocks = contents.chunks(LONGEST_BLOCK);
        let last = blocks.len().saturating_sub(1);
        for (number, block) in blocks.enumerate() {
            let length = u32::try_from(block.len()).expect("blocks are at most 128 KiB");
            let header = length << 3 | u32::from(number == last);
            bytes.extend_from_slice(&header.to_le_bytes()[..3]);
            bytes.extend_from_slice(block);
        }
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Frame::of(contents, bytes)
    }

    fn set_level(&mut self, level: i32) -> Result<(), ErrorCode> {
        self.context.reset(ResetDirective::SessionAndParameters)?;
        self.context.set_parameter(CParameter::CompressionLevel(level))?;
        self.context.set_parameter(CParameter::ContentSizeFlag(true))?;
        self.context.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(())
    }
}

/// Reads frames, one after another.
pub(super) struct Decompressor {
    context: DCtx<'static>,
}

impl Decompressor {
    pub(super) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW_LOG))
            .expect("zstd knows this parameter");
        Self { context }
    }

    /// Puts what the frame unpacks to, exactly as much as `chunk` says, into `contents`. That it
    /// has the digest of `chunk` is for [`ChunkDigests::check`] to say.
    pub(super) fn decompress(
        &mut self,
        number: usize,
        chunk: &Chunk,
        stated_checksum: u32,
        frame: &[u8],
        contents: &mut Vec<u8>,
    ) -> Checked<()> {
        if crc32(frame) != chunk.crc32 {
            return Err(Fault::frame(number, "its bytes are damaged"));
        }
        check_header(frame, u64::from(chunk.size)).map_err(|why| Fault::frame(number, why))?;
        let zstd = |code| Fault::frame(number, get_error_name(code));
        if zstd_safe::find_frame_compressed_size(frame).map_err(zstd)? != frame.len() {
            return Err(Fault::frame(number, "more than the frame stands in its place"));
        }
        if checksum(frame) != stated_checksum {
            return Err(Fault::frame(number, "the seek table has another checksum for it"));
        }
        contents.clear();
        contents.reserve_exact(chunk.size as usize);
        self.context.decompress(contents, frame).map_err(zstd)?;
        if contents.len() != chunk.size as usize {
            return Err(Fault::frame(number, "it unpacks to less than it declares"));
        }
        Ok(())
    }
}

/// Whether the digests in the chunk table are held against what the frames unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkDigests {
    /// They are.
    Check,
    /// They are not: the digests of whole files, which are checked, say as much of the contents.
    Leave,
}

impl ChunkDigests {
    /// Checks the contents of frame `number`.
    pub(super) fn check(self, number: usize, chunk: &Chunk, contents: &[u8]) -> Checked<()> {
        if self == Self::Leave {
            return Ok(());
        }
        let found = Digest::of(contents);
        if found == chunk.sha256 {
            Ok(())
        } else {
            Err(Box::new(Fault::Chunk { number, expected: chunk.sha256, found }))
        }
    }
}

/// Holds a frame's header to the form of packages: checksum on, no dictionary, the content size
/// declared and as the chunk table says, the window within its limit (RFC 8878, 3.1.1.1).
fn check_header(frame: &[u8], size: u64) -> Result<(), &'static str> {
    if frame.first_chunk() != Some(&0xFD2F_B528_u32.to_le_bytes()) {
        return Err("it is not a zstd frame");
    }
    let descriptor = *frame.get(4).ok_or("it is cut short")?;
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x1B != 0 {
        return Err("it names a dictionary or sets reserved bits");
    }
    if descriptor & 0x04 == 0 {
        return Err("it has no checksum");
    }
    let field_size = match (descriptor >> 6, single_segment) {
        (0, false) => return Err("it does not declare its content size"),
        (0, true) => 1,
        (1, _) => 2,
        (2, _) => 4,
        _ => 8,
    };
    let at = if single_segment { 5 } else { 6 };
    let field = frame.get(at..at + field_size).ok_or("it is cut short")?;
    let mut word = [0; 8];
    word[..field_size].copy_from_slice(field);
    let declared = u64::from_le_bytes(word) + if field_size == 2 { 256 } else { 0 };
    if declared != size {
        return Err("it declares another content size than the chunk table");
    }
    let window = frame[5];
    let (log, eighths) = (u32::from(window >> 3) + 10, window & 7);
    let largest = LARGEST_WINDOW_LOG;
    if !single_segment && (log > largest || log == largest && eighths > 0) {
        return Err("its window is larger than 128 MiB");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_any_size_are_in_the_form_that_is_checked() {
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        for (size, level) in [(1, 9), (255, 9), (256, 1), (70_000, 1), (3 << 20, 1), (9 << 20, 9)] {
            let contents: Vec<u8> =
                (0..size).map(|i: u32| (i.wrapping_mul(i) >> 7).to_le_bytes()[0]).collect();
            let frames = [
                compressor.compress(&contents, level, vec![1; 7]),
                compressor.store(&contents, level),
            ];
            assert_eq!(frames[1].bytes.len() as u64, stored_length(contents.len()));
            for frame in frames {
                let chunk = Chunk {
                    sha256: frame.sha256,
                    offset: 0,
                    compressed: u32::try_from(frame.bytes.len()).unwrap(),
                    size,
                    crc32: frame.crc32,
                };
                let mut back = vec![1; 5];
                decompressor
                    .decompress(0, &chunk, frame.checksum(), &frame.bytes, &mut back)
                    .unwrap();
                ChunkDigests::Check.check(0, &chunk, &back).unwrap();
                assert!(back == contents, "{size}");
            }
        }
    }

    #[test]
    fn frames_of_another_form_are_refused() {
        let contents = vec![7; 70_000];
        let mut context = CCtx::create();
        let mut plain = Vec::with_capacity(1 << 17);
        context.compress2(&mut plain, &contents).unwrap();
        assert_eq!(check_header(&plain, 70_000), Err("it has no checksum"));
        let frame = Compressor::new().compress(&contents, 1, Vec::new());
        assert!(check_header(&frame.bytes, 70_001).is_err());
        for length in 0..9 {
            assert!(check_header(&frame.bytes[..length], 70_000).is_err(), "{length}");
        }
    }
}
