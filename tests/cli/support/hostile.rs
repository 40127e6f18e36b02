//! A writer of packages that a sound writer would not write.

use mpkg::package::Digest;
use zstd::zstd_safe::{CCtx, CParameter};

/// The length of a tar block.
pub const BLOCK: usize = 512;

/// A tar header with a right checksum and everything else as asked.
#[derive(Clone)]
pub struct Header {
    pub path: String,
    pub size: u64,
    pub mode: u32,
    pub kind: u8,
    pub link: String,
}

impl Header {
    /// The canonical header of a plain file.
    pub fn file(path: &str, size: u64) -> Self {
        Self { path: path.to_owned(), size, mode: 0o644, kind: b'0', link: String::new() }
    }

    /// The header's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        let name = self.path.as_bytes();
        let (prefix, name) = if name.len() > 100 {
            let at = name.len() - 101;
            let at = at + name[at..].iter().position(|byte| *byte == b'/').unwrap_or(0);
            (&name[..at.min(155)], &name[(at + 1).min(name.len())..])
        } else {
            (&[][..], name)
        };
        let kept = name.len().min(100);
        block[..kept].copy_from_slice(&name[..kept]);
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        let octal = |value: u64, digits: usize| format!("{value:0digits$o}\0").into_bytes();
        block[100..108].copy_from_slice(&octal(self.mode.into(), 7));
        block[108..116].copy_from_slice(&octal(0, 7));
        block[116..124].copy_from_slice(&octal(0, 7));
        if self.size < 1 << 33 {
            block[124..136].copy_from_slice(&octal(self.size, 11));
        } else {
            block[124] = 0x80;
            block[128..136].copy_from_slice(&self.size.to_be_bytes());
        }
        block[136..148].copy_from_slice(&octal(0, 11));
        block[156] = self.kind;
        block[157..157 + self.link.len()].copy_from_slice(self.link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        seal_header(&mut block);
        block
    }
}

/// Sets the checksum of a changed header.
pub fn seal_header(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A member: header, contents, padding.
pub fn record(header: &Header, contents: &[u8]) -> Vec<u8> {
    let mut bytes = header.bytes();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// One file of an index.
pub fn entry(path: &str, size: u64, mode: &str, sha256: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"mode\":\"{mode}\",\"path\":\"{path}\",\"sha256\":\"{sha256}\",\"size\":{size}}}")
}

/// A binary package's index with these entries.
pub fn index(entries: &[String]) -> Vec<u8> {
    let source = Digest::of(b"source");
    format!(
        "{{\"files\":[{}],\"format\":1,\"kind\":\"model\",\"license\":\"MIT\",\"name\":\"bad-lm\",\
         \"source\":\"{source}\",\"summary\":\"Bad\",\"type\":\"binary\",\"variant\":\"f32\",\
         \"version\":\"1.0.0\"}}",
        entries.join(",")
    )
    .into_bytes()
}

/// A package in parts, each of which can be spoilt before it is sealed.
#[derive(Clone)]
pub struct Parts {
    pub index: Vec<u8>,
    /// What follows the index's record, the two zero blocks not counted.
    pub members: Vec<u8>,
    pub trailer: Vec<u8>,
}

impl Parts {
    /// A sound package of these files, which stand in byte order.
    pub fn of(files: &[(&str, &[u8])]) -> Self {
        let mut entries = Vec::new();
        let mut members = Vec::new();
        for (path, contents) in files {
            let size = contents.len() as u64;
            entries.push(entry(path, size, "0644", &Digest::of(contents).to_string()));
            members.extend(record(&Header::file(path, size), contents));
        }
        Self { index: index(&entries), members, trailer: vec![0; 2 * BLOCK] }
    }

    /// An index with one entry for each of `listed`, and whatever members there are.
    pub fn listing(listed: &[String], members: Vec<u8>) -> Self {
        Self { index: index(listed), members, trailer: vec![0; 2 * BLOCK] }
    }

    /// The frames: the index's record, what follows in pieces of 1 MiB, the trailer.
    pub fn frames(&self) -> Vec<Frame> {
        let size = self.index.len() as u64;
        let first = record(&Header::file(".mpkg/index.json", size), &self.index);
        let mut frames = vec![Frame::of(&first)];
        frames.extend(self.members.chunks(1 << 20).map(Frame::of));
        frames.extend(self.trailer.chunks(1 << 20).map(Frame::of));
        frames
    }

    /// The package file.
    pub fn seal(&self) -> Vec<u8> {
        seal(&self.frames())
    }
}

/// A frame and what the tables say of it.
#[derive(Clone)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub sha256: [u8; 32],
    pub size: u32,
}

impl Frame {
    /// A sound frame.
    pub fn of(contents: &[u8]) -> Self {
        let mut context = CCtx::create();
        context.set_parameter(CParameter::ChecksumFlag(true)).expect("a known parameter");
        context.set_parameter(CParameter::CompressionLevel(3)).expect("a known parameter");
        let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(contents.len()));
        context.compress2(&mut bytes, contents).expect("room enough");
        let size = u32::try_from(contents.len()).expect("a small frame");
        Self { bytes, sha256: *Digest::of(contents).as_bytes(), size }
    }

    /// The frame's checksum as it stands in it.
    pub fn checksum(&self) -> [u8; 4] {
        *self.bytes.last_chunk().unwrap_or(&[0; 4])
    }
}

/// The frames with tables that describe them truly.
pub fn seal(frames: &[Frame]) -> Vec<u8> {
    let mut file: Vec<u8> = Vec::new();
    let mut chunks = Vec::new();
    let mut seek = Vec::new();
    for frame in frames {
        let length = u32::try_from(frame.bytes.len()).expect("a small frame");
        chunks.extend(frame.sha256);
        chunks.extend((file.len() as u64).to_le_bytes());
        chunks.extend(length.to_le_bytes());
        chunks.extend(frame.size.to_le_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&frame.bytes);
        chunks.extend(crc.sum().to_le_bytes());
        seek.extend(length.to_le_bytes());
        seek.extend(frame.size.to_le_bytes());
        seek.extend(frame.checksum());
        file.extend(&frame.bytes);
    }
    let count = u32::try_from(frames.len()).expect("few frames");
    let mut table = b"MPKGCHNK\x01\0\0\0".to_vec();
    table.extend(count.to_le_bytes());
    table.extend(chunks);
    let table = skippable(0x184D_2A5D, &table);
    seek.extend(u32::try_from(table.len()).expect("a small table").to_le_bytes());
    seek.extend([0; 4]);
    seek.extend(0x51D8_E999_u32.to_le_bytes());
    seek.extend((count + 1).to_le_bytes());
    seek.push(0x80);
    seek.extend(0x8F92_EAB1_u32.to_le_bytes());
    file.extend(table);
    file.extend(skippable(0x184D_2A5E, &seek));
    file
}

/// A skippable zstd frame.
pub fn skippable(magic: u32, contents: &[u8]) -> Vec<u8> {
    let mut frame = magic.to_le_bytes().to_vec();
    frame.extend(u32::try_from(contents.len()).expect("a small frame").to_le_bytes());
    frame.extend(contents);
    frame
}
