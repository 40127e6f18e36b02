//! The documents of data: plain text, or text that one program compressed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::fs;
use crate::study::{Error, Result};

/// How much is looked at to tell text from other things.
const LOOKED_AT: u64 = 8 << 10;
/// How many times longer than its file a document may be, above [`FREE_EXPANSION`].
const MOST_EXPANSION: u64 = 250;
/// What any document may expand to, in bytes.
const FREE_EXPANSION: u64 = 64 << 20;
/// The memory that an xz decoder may take, in bytes.
const XZ_MEMORY: u64 = 256 << 20;
/// The largest window of a zstd decoder: 128 MiB.
const ZSTD_WINDOW: u32 = 27;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its path within the data; empty where the data is this one file.
    pub path: String,
    /// Where it lies.
    pub file: PathBuf,
}

/// The documents of the file or folder `place`, in the order of their paths.
///
/// # Errors
/// When a folder cannot be read.
pub fn documents_of(place: &Path) -> Result<Vec<Document>> {
    if !place.is_dir() {
        return Ok(vec![Document { path: String::new(), file: place.to_owned() }]);
    }
    let mut documents = Vec::new();
    for entry in walkdir::WalkDir::new(place).min_depth(1) {
        let entry = entry.map_err(|error| fs::Error::at("read", place)(error.into()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(place).unwrap_or(entry.path());
        let path = relative.to_string_lossy().into_owned();
        documents.push(Document { path, file: entry.into_path() });
    }
    documents.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(documents)
}

/// What the first bytes of a file say about how it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gz,
    Xz,
    Zstd,
}

impl Compression {
    fn of(first: &[u8]) -> Self {
        if first.starts_with(&[0x1f, 0x8b, 8]) {
            Self::Gz
        } else if first.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// Whether the file that begins with these bytes is one compressed document.
#[must_use]
pub fn is_compressed(first: &[u8]) -> bool {
    Compression::of(first) != Compression::None
}

/// Reads `count` bytes, or all that there are.
fn read_first(reader: &mut dyn Read, count: u64) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    reader.take(count).read_to_end(&mut first)?;
    Ok(first)
}

impl Document {
    /// What it is called in messages.
    pub(super) fn shown(&self) -> String {
        match self.path.as_str() {
            "" => self.file.display().to_string(),
            path => path.to_owned(),
        }
    }

    pub(super) fn unreadable(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let document = self.shown();
        move |source| Error::Document { document, source }
    }

    /// Opens it, decompressed; none where it is not text.
    pub(super) fn open(&self) -> Result<Option<Box<dyn Read>>> {
        let mut file = File::open(&self.file).map_err(fs::Error::at("open", &self.file))?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let first = read_first(&mut file, 8).map_err(self.unreadable())?;
        let whole = io::Cursor::new(first.clone()).chain(io::BufReader::new(file));
        let mut text: Box<dyn Read> = match Compression::of(&first) {
            Compression::None => Box::new(whole),
            Compression::Gz => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                );
                let stream = stream.map_err(io::Error::from).map_err(self.unreadable())?;
                Box::new(liblzma::read::XzDecoder::new_stream(whole, stream))
            }
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::new(whole).map_err(self.unreadable())?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(self.unreadable())?;
                Box::new(decoder)
            }
        };
        if Compression::of(&first) != Compression::None {
            let most = size.saturating_mul(MOST_EXPANSION).saturating_add(FREE_EXPANSION);
            text = Box::new(Bounded { inner: text, left: most });
        }
        let first = read_first(&mut *text, LOOKED_AT).map_err(self.unreadable())?;
        if first.contains(&0) {
            return Ok(None);
        }
        Ok(Some(Box::new(io::Cursor::new(first).chain(text))))
    }
}

/// Fails where more comes than should.
struct Bounded {
    inner: Box<dyn Read>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            let why = format!("it expands to over {MOST_EXPANSION} times its size");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        };
        self.left = left;
        Ok(count)
    }
}
