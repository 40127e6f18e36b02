//! Reads foreign archives member by member, within limits (spec/data.md, "Limits").

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use super::{Error, Result, ar};
use crate::fs;

/// The most members of an archive.
pub(super) const MOST_MEMBERS: usize = 1_000_000;
/// How many times longer than the archive its contents may be, above [`FREE_EXPANSION`].
pub(super) const MOST_EXPANSION: u64 = 250;
/// What any archive may expand to.
pub(super) const FREE_EXPANSION: u64 = 64 << 20;
/// The most bytes of headers before a member, long names included.
const MOST_HEADERS: u64 = 1 << 20;
/// The longest list of members of a zip archive, in bytes.
const LONGEST_DIRECTORY: u64 = 256 << 20;
/// The memory that an xz decoder may take.
const XZ_MEMORY: u64 = 256 << 20;
/// The largest window of a zstd decoder: 128 MiB.
const ZSTD_WINDOW: u32 = 27;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gz,
    Xz,
    Zstd,
}

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tar(Compression),
    Zip,
    Deb,
}

impl Kind {
    /// The word that messages use.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Tar(Compression::None) => "tar",
            Self::Tar(Compression::Gz) => "tar.gz",
            Self::Tar(Compression::Xz) => "tar.xz",
            Self::Tar(Compression::Zstd) => "tar.zst",
            Self::Zip => "zip",
            Self::Deb => "a Debian package",
        }
    }

    /// What the first bytes say.
    fn of(first: &[u8]) -> Self {
        if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
            Self::Zip
        } else if first.starts_with(ar::MAGIC) {
            Self::Deb
        } else if first.starts_with(&[0x1f, 0x8b]) {
            Self::Tar(Compression::Gz)
        } else if first.starts_with(b"\xfd7zXZ\0") {
            Self::Tar(Compression::Xz)
        } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Tar(Compression::Zstd)
        } else {
            Self::Tar(Compression::None)
        }
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A regular file.
    File {
        /// Whether its owner may run it.
        executable: bool,
    },
    /// A folder.
    Folder,
    /// Anything else, and what it is called.
    Other(&'static str),
}

/// One member of an archive.
pub(super) struct Member<'a> {
    /// Its name as it stands there, without a leading `./`.
    pub(super) name: String,
    pub(super) kind: MemberKind,
    /// Its stated size.
    pub(super) size: u64,
    pub(super) contents: &'a mut dyn Read,
}

/// Whether to go on to the next member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}

/// An archive file, and how messages name it.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) shown: &'a str,
}

type Visit<'v> = &'v mut dyn FnMut(Member<'_>) -> Result<Flow>;

impl Source<'_> {
    /// What kind of archive it is, by its first bytes.
    pub(super) fn kind(&self) -> Result<Kind> {
        let mut first = [0; 8];
        let mut file = self.file()?.0;
        let read = file.read(&mut first).map_err(fs::Error::at("read", self.path))?;
        Ok(Kind::of(&first[..read]))
    }

    /// Visits every member in the archive's order, until one says stop.
    pub(super) fn visit(&self, kind: Kind, visit: Visit<'_>) -> Result<()> {
        let (mut file, length) = self.file()?;
        match kind {
            Kind::Zip => self.visit_zip(file, length, visit),
            Kind::Tar(compression) => {
                let stream = self.decoded(file, length, compression)?;
                self.visit_tar(kind, stream, visit)
            }
            Kind::Deb => {
                let found = ar::data_tar(&mut file, length).map_err(|e| self.bad(kind, &e))?;
                let compression = match found.ending.as_str() {
                    "" => Compression::None,
                    ".gz" => Compression::Gz,
                    ".xz" => Compression::Xz,
                    ".zst" => Compression::Zstd,
                    other => {
                        let error = io::Error::other(format!("data.tar{other} is not known"));
                        return Err(self.bad(kind, &error));
                    }
                };
                file.seek(SeekFrom::Start(found.offset))
                    .map_err(fs::Error::at("read", self.path))?;
                let stream = self.decoded(file.take(found.size), length, compression)?;
                self.visit_tar(kind, stream, visit)
            }
        }
    }

    /// The decompressed stream, which ends with an error where it grows out of proportion.
    pub(super) fn decoded<'r>(
        &self,
        from: impl Read + 'r,
        length: u64,
        compression: Compression,
    ) -> Result<Box<dyn Read + 'r>> {
        let bad = |error: io::Error| self.bad(Kind::Tar(compression), &error);
        let from = BufReader::with_capacity(1 << 17, from);
        let stream: Box<dyn Read + 'r> = match compression {
            Compression::None => return Ok(Box::new(from)),
            Compression::Gz => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Compression::Xz => {
                let decoder = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(|error| bad(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(from, decoder))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from).map_err(bad)?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(bad)?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(Bounded { inner: stream, left: allowed(length), spent: TOO_FAR }))
    }

    fn file(&self) -> Result<(File, u64)> {
        let file = File::open(self.path).map_err(fs::Error::at("open", self.path))?;
        let metadata = file.metadata().map_err(fs::Error::at("look at", self.path))?;
        Ok((file, metadata.len()))
    }

    /// The error that the archive is broken, or more than it may be.
    pub(super) fn bad(&self, kind: Kind, error: &io::Error) -> Error {
        let archive = self.shown.to_owned();
        let spent = error.get_ref().and_then(|inner| inner.downcast_ref::<Spent>());
        if let Some(Spent(why)) = spent {
            return Error::TooMuch { archive, why: (*why).to_owned() };
        }
        let cause = crate::explain::printable(&error.to_string());
        Error::BadArchive { archive, kind: kind.word(), cause }
    }

    fn too_many(&self) -> Error {
        Error::TooMuch {
            archive: self.shown.to_owned(),
            why: format!("has more than {MOST_MEMBERS} members"),
        }
    }

    fn visit_tar(&self, kind: Kind, stream: Box<dyn Read + '_>, visit: Visit<'_>) -> Result<()> {
        let bad = |error: io::Error| self.bad(kind, &error);
        let allowance = Rc::new(Cell::new(MOST_HEADERS));
        let mut archive = tar::Archive::new(Allowed { inner: stream, left: Rc::clone(&allowance) });
        let mut entries = archive.entries().map_err(bad)?;
        let mut last = 0;
        for count in 0.. {
            // The next header comes after what nobody read of the last member.
            allowance.set(u64::saturating_add(last, MOST_HEADERS));
            let Some(entry) = entries.next() else { break };
            if count == MOST_MEMBERS {
                return Err(self.too_many());
            }
            let mut entry = entry.map_err(bad)?;
            last = entry.size();
            allowance.set(u64::saturating_add(last, MOST_HEADERS));
            let Some(member) = tar_member(&mut entry) else { continue };
            if visit(member)? == Flow::Stop {
                return Ok(());
            }
        }
        allowance.set(u64::MAX);
        only_zeros(&mut archive.into_inner()).map_err(|error| self.bad(kind, &error))
    }

    fn visit_zip(&self, mut file: File, length: u64, visit: Visit<'_>) -> Result<()> {
        let bad = |error: zip::result::ZipError| match error {
            zip::result::ZipError::Io(error) => self.bad(Kind::Zip, &error),
            other => self.bad(Kind::Zip, &io::Error::other(other.to_string())),
        };
        let directory = zip_directory(&mut file, length).map_err(|e| self.bad(Kind::Zip, &e))?;
        if directory > LONGEST_DIRECTORY {
            return Err(self.too_many());
        }
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(bad)?;
        if archive.len() > MOST_MEMBERS {
            return Err(self.too_many());
        }
        if archive.has_overlapping_files().map_err(bad)? {
            let error = io::Error::other("its members lie over each other");
            return Err(self.bad(Kind::Zip, &error));
        }
        let mut left = allowed(length);
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).map_err(bad)?;
            let kind = zip_kind(file.unix_mode(), file.is_dir(), file.is_symlink());
            let name = file.name().map_err(bad)?.into_owned();
            let size = file.size();
            let mut contents = Bounded { inner: &mut file, left, spent: TOO_FAR };
            let flow =
                visit(Member { name: without_dot(&name), kind, size, contents: &mut contents })?;
            left = contents.left;
            if flow == Flow::Stop {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Reads the padding after a tar archive's end, and with it the checks of the compression.
fn only_zeros(rest: &mut impl Read) -> io::Result<()> {
    let mut block = vec![0; 1 << 16];
    loop {
        match rest.read(&mut block)? {
            0 => return Ok(()),
            read if block[..read].iter().all(|byte| *byte == 0) => {}
            _ => return Err(io::Error::other("there is more after its end")),
        }
    }
}

/// What an archive of `length` bytes may expand to.
fn allowed(length: u64) -> u64 {
    length.saturating_mul(MOST_EXPANSION).saturating_add(FREE_EXPANSION)
}

fn without_dot(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    name.to_owned()
}

/// The member, if the entry is one; global headers of pax are none.
fn tar_member<'a, R: Read>(entry: &'a mut tar::Entry<'_, R>) -> Option<Member<'a>> {
    use tar::EntryType as Type;
    let kind = match entry.header().entry_type() {
        Type::Regular | Type::Continuous => {
            MemberKind::File { executable: entry.header().mode().unwrap_or(0) & 0o100 != 0 }
        }
        Type::Directory => MemberKind::Folder,
        Type::XGlobalHeader => return None,
        Type::Symlink => MemberKind::Other("a symbolic link"),
        Type::Link => MemberKind::Other("a hard link"),
        Type::Char | Type::Block => MemberKind::Other("a device"),
        Type::Fifo => MemberKind::Other("a named pipe"),
        Type::GNUSparse => MemberKind::Other("a sparse file"),
        _ => MemberKind::Other("of an unknown type"),
    };
    let name = without_dot(&String::from_utf8_lossy(&entry.path_bytes()));
    // Old archives write folders as empty files whose names end in a slash.
    let kind = match kind {
        MemberKind::File { .. } if name.ends_with('/') => MemberKind::Folder,
        kind => kind,
    };
    Some(Member { name, kind, size: entry.size(), contents: entry })
}

fn zip_kind(mode: Option<u32>, folder: bool, link: bool) -> MemberKind {
    const TYPE: u32 = 0o170_000;
    match mode.map_or(0, |mode| mode & TYPE) {
        _ if link => MemberKind::Other("a symbolic link"),
        _ if folder => MemberKind::Folder,
        0 | 0o100_000 => MemberKind::File { executable: mode.unwrap_or(0) & 0o100 != 0 },
        0o040_000 => MemberKind::Folder,
        0o120_000 => MemberKind::Other("a symbolic link"),
        _ => MemberKind::Other("a device"),
    }
}

/// The length of a zip archive's list of members, as its last record states it; the list is
/// read into memory, so it is looked at before.
fn zip_directory(file: &mut File, length: u64) -> io::Result<u64> {
    const RECORD: &[u8] = b"PK\x05\x06";
    const RECORD_64: &[u8] = b"PK\x06\x06";
    // The record of 22 bytes, a comment of at most 65535, and those of large archives before.
    let tail = length.min(22 + 0xffff + 20 + 56);
    file.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = Vec::new();
    file.by_ref().take(tail).read_to_end(&mut bytes)?;
    file.rewind()?;
    let last = |magic: &[u8]| bytes.windows(4).rposition(|window| window == magic);
    let number = |at: usize, width: usize| {
        let mut value = [0; 8];
        value[..width].copy_from_slice(bytes.get(at..at + width)?);
        Some(u64::from_le_bytes(value))
    };
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "it has no list of members");
    let record = last(RECORD).ok_or_else(missing)?;
    let small = number(record + 12, 4).ok_or_else(missing)?;
    let large = last(RECORD_64).and_then(|record| number(record + 40, 8));
    let stated = if small == u64::from(u32::MAX) { large.unwrap_or(small) } else { small };
    Ok(stated.min(length))
}

/// What an archive does whose contents are too long for its size.
const TOO_FAR: &str = "expands to more than 250 times its size";

/// The reader came to a limit.
#[derive(Debug, thiserror::Error)]
#[error("it {0}")]
struct Spent(&'static str);

/// Ends with an error once `left` bytes were read and there are more.
struct Bounded<R> {
    inner: R,
    left: u64,
    spent: &'static str,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(Spent(self.spent)))?;
        Ok(read)
    }
}

/// The same with a limit that is set anew for each member.
struct Allowed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left
            .set(left.ok_or_else(|| io::Error::other(Spent("has headers longer than 1 MiB")))?);
        Ok(read)
    }
}
