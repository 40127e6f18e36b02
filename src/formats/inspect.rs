//! What a file is, from its name and its bytes as they stream by.

use std::io::Read;

use super::error::{Error, Format, Result};
use super::pickle::{Detector, PickleForm};
use super::{gguf, safetensors};

/// The longest header of weights that is read, in bytes.
pub const LARGEST_HEADER: usize = 32 << 20;

/// Weights whose header was read and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsInfo {
    /// The format.
    pub format: Format,
    /// Where the data begins in the file.
    pub data_start: u64,
    /// The tensors, in the order of their data.
    pub tensors: Vec<Tensor>,
    /// Whether the header is spelt in its one canonical way; GGUF has none and always is.
    pub canonical: bool,
}

/// One tensor of a file of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its element type, as its format spells it.
    pub dtype: String,
    /// Its dimensions, in its format's order.
    pub shape: Vec<u64>,
    /// Where its bytes begin in the file.
    pub start: u64,
    /// Where they end.
    pub end: u64,
}

/// What was found in a whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Sound weights.
    pub weights: Option<WeightsInfo>,
    /// A pickle.
    pub pickle: Option<PickleForm>,
}

/// Takes a file's bytes in pieces of any size. It keeps the header of weights in memory and
/// nothing else.
pub struct Inspector {
    size: u64,
    header: Header,
    pickle: Detector,
}

enum Header {
    /// Collected until it can be read: the format, the bytes, and at how many to try.
    Collecting { format: Format, bytes: Vec<u8>, next: usize },
    /// Read.
    Sound(WeightsInfo),
    /// There is none.
    None,
    /// Refused already.
    Refused,
}

/// How much of a GGUF header is collected before it is read for the first time.
const FIRST_TRY: usize = 64 << 10;

impl Inspector {
    /// For a file named `path` of `size` bytes. A name in `.safetensors` or `.gguf` says that it
    /// holds weights of that format.
    #[must_use]
    pub fn new(path: &str, size: u64) -> Self {
        let header = match format_of(path) {
            Some(format) => Header::Collecting { format, bytes: Vec::new(), next: 8 },
            None => Header::None,
        };
        Self { size, header, pickle: Detector::new(size) }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// When its header breaks a rule of its format.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.pickle.feed(bytes);
        let Header::Collecting { bytes: collected, next, .. } = &mut self.header else {
            return Ok(());
        };
        collected.extend_from_slice(bytes);
        if collected.len() < *next { Ok(()) } else { self.read_header(End::NotYet) }
    }

    /// The weights, once their header was read.
    #[must_use]
    pub const fn weights(&self) -> Option<&WeightsInfo> {
        match &self.header {
            Header::Sound(weights) => Some(weights),
            _ => None,
        }
    }

    /// Whether more bytes can still make a header.
    #[must_use]
    pub const fn is_collecting(&self) -> bool {
        matches!(self.header, Header::Collecting { .. })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it ends within the header of weights.
    pub fn finish(mut self) -> Result<Findings> {
        if self.is_collecting() {
            self.read_header(End::Here)?;
        }
        let pickle = self.pickle.found();
        let weights = match self.header {
            Header::Sound(weights) => Some(weights),
            _ => None,
        };
        Ok(Findings { weights, pickle })
    }

    fn read_header(&mut self, end: End) -> Result<()> {
        let Header::Collecting { format, bytes, next } = &mut self.header else {
            return Ok(());
        };
        let format = *format;
        match parse(format, bytes, self.size, next) {
            Ok(weights) => {
                self.header = Header::Sound(weights);
                Ok(())
            }
            Err(Error::CutShort(_)) if end == End::NotYet => Ok(()),
            Err(error) => {
                self.header = Header::Refused;
                Err(error)
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Here,
}

fn format_of(path: &str) -> Option<Format> {
    let name = path.to_ascii_lowercase();
    if name.strip_suffix(".safetensors").is_some() {
        Some(Format::Safetensors)
    } else if name.strip_suffix(".gguf").is_some() {
        Some(Format::Gguf)
    } else {
        None
    }
}

/// Reads the header in `bytes`; where they are too few, `next` is how many to try with.
fn parse(format: Format, bytes: &[u8], size: u64, next: &mut usize) -> Result<WeightsInfo> {
    match format {
        Format::Safetensors => {
            *next = safetensors::PREFIX + safetensors::text_length(bytes, size)?;
            Ok(safetensors::Header::parse(bytes, size)?.into())
        }
        Format::Gguf => {
            *next = (2 * bytes.len()).max(FIRST_TRY);
            Ok(gguf::Header::parse(bytes, size)?.into())
        }
    }
}

impl From<safetensors::Header> for WeightsInfo {
    fn from(header: safetensors::Header) -> Self {
        let data_start = header.data_start;
        let tensor = |tensor: safetensors::TensorHeader| Tensor {
            name: tensor.name,
            dtype: tensor.dtype.name(),
            shape: tensor.shape,
            start: data_start + tensor.data_offsets.0,
            end: data_start + tensor.data_offsets.1,
        };
        Self {
            format: Format::Safetensors,
            data_start,
            tensors: header.tensors.into_iter().map(tensor).collect(),
            canonical: header.canonical,
        }
    }
}

impl From<gguf::Header> for WeightsInfo {
    fn from(header: gguf::Header) -> Self {
        let data_start = header.data_start;
        let tensor = |tensor: gguf::TensorHeader| Tensor {
            name: tensor.name,
            dtype: tensor.kind.name.to_owned(),
            shape: tensor.shape,
            start: data_start + tensor.offset,
            end: data_start + tensor.offset + tensor.size,
        };
        Self {
            format: Format::Gguf,
            data_start,
            tensors: header.tensors.into_iter().map(tensor).collect(),
            canonical: true,
        }
    }
}

/// Reads a whole file named `path` of `size` bytes.
///
/// # Errors
/// When it cannot be read, or is weights whose header breaks a rule.
pub fn check(path: &str, size: u64, reader: &mut dyn Read) -> Result<Findings> {
    let mut inspector = Inspector::new(path, size);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer).map_err(|error| Error::Unreadable(error.to_string()))? {
            0 => return inspector.finish(),
            length => inspector.feed(&buffer[..length])?,
        }
    }
}

/// How a whole file is, or holds, a pickle.
#[must_use]
pub fn is_pickle(contents: &[u8]) -> Option<PickleForm> {
    let mut detector = Detector::new(contents.len() as u64);
    detector.feed(contents);
    detector.found()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_whatever_the_pieces() {
        let text = r#"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#;
        let file = [&(text.len() as u64).to_le_bytes(), text.as_bytes(), b"012345678"].concat();
        for piece in [1, 7, 64, file.len()] {
            let mut inspector = Inspector::new("x/Model.Safetensors", file.len() as u64);
            file.chunks(piece).for_each(|piece| inspector.feed(piece).unwrap());
            let weights = inspector.finish().unwrap().weights.unwrap();
            let place = (weights.tensors[0].start, weights.tensors[0].end);
            assert_eq!(place, (weights.data_start, file.len() as u64));
        }
    }

    #[test]
    fn weights_without_a_header_are_refused() {
        for name in ["a.safetensors", "a.gguf"] {
            assert!(check(name, 0, &mut [].as_slice()).is_err(), "{name}");
            assert!(check(name, 9, &mut b"GGUF\x03\0\0\0\0".as_slice()).is_err(), "{name}");
        }
        assert_eq!(check("a.bin", 0, &mut [].as_slice()).unwrap(), Findings::default());
    }
}
