//! The header of a GGUF file, read strictly: every count, length and offset is held against the
//! file's own size before it is used.

use std::collections::HashSet;

use super::LARGEST_HEADER;
use super::error::{Error, Format, Result};
use crate::explain::printable;
use crate::package::Digest;

/// The first bytes of a file.
pub const MAGIC: &[u8; 4] = b"GGUF";
/// How deep arrays may stand in arrays.
pub const DEEPEST_ARRAY: u32 = 4;
/// The most dimensions of a tensor.
pub const MOST_DIMENSIONS: u32 = 4;
/// The longest key or tensor name, in bytes.
pub const LONGEST_NAME: u64 = 65_535;
/// The largest alignment.
pub const LARGEST_ALIGNMENT: u64 = 1 << 20;
const USUAL_ALIGNMENT: u64 = 32;

/// A header whose every rule holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// The keys and their values, in the file's order.
    pub metadata: Vec<(String, Value)>,
    /// The tensors, in the file's order, which is that of their data.
    pub tensors: Vec<TensorHeader>,
    /// What each tensor's place is a multiple of.
    pub alignment: u64,
    /// Where the data begins in the file.
    pub data_start: u64,
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number without sign.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// An array, of which only the number of elements and a digest are kept.
    Array {
        /// How many elements it has.
        elements: u64,
        /// The SHA-256 of it as it stands in the file.
        sha256: Digest,
    },
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHeader {
    /// Its name.
    pub name: String,
    /// Its element type, by the format's number.
    pub kind: TensorKind,
    /// Its dimensions, the fastest first.
    pub shape: Vec<u64>,
    /// Where its bytes begin, counted from the first byte of the data.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
}

/// An element type: blocks of `elements` that take `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorKind {
    /// The format's number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// The elements of a block.
    pub elements: u64,
    /// The bytes of a block.
    pub bytes: u64,
}

const fn kind(number: u32, name: &'static str, elements: u64, bytes: u64) -> TensorKind {
    TensorKind { number, name, elements, bytes }
}

/// Every element type that is read.
pub const KINDS: [TensorKind; 32] = [
    kind(0, "F32", 1, 4),
    kind(1, "F16", 1, 2),
    kind(2, "Q4_0", 32, 18),
    kind(3, "Q4_1", 32, 20),
    kind(6, "Q5_0", 32, 22),
    kind(7, "Q5_1", 32, 24),
    kind(8, "Q8_0", 32, 34),
    kind(9, "Q8_1", 32, 36),
    kind(10, "Q2_K", 256, 84),
    kind(11, "Q3_K", 256, 110),
    kind(12, "Q4_K", 256, 144),
    kind(13, "Q5_K", 256, 176),
    kind(14, "Q6_K", 256, 210),
    kind(15, "Q8_K", 256, 292),
    kind(16, "IQ2_XXS", 256, 66),
    kind(17, "IQ2_XS", 256, 74),
    kind(18, "IQ3_XXS", 256, 98),
    kind(19, "IQ1_S", 256, 50),
    kind(20, "IQ4_NL", 32, 18),
    kind(21, "IQ3_S", 256, 110),
    kind(22, "IQ2_S", 256, 82),
    kind(23, "IQ4_XS", 256, 136),
    kind(24, "I8", 1, 1),
    kind(25, "I16", 1, 2),
    kind(26, "I32", 1, 4),
    kind(27, "I64", 1, 8),
    kind(28, "F64", 1, 8),
    kind(29, "IQ1_M", 256, 56),
    kind(30, "BF16", 1, 2),
    kind(34, "TQ1_0", 256, 54),
    kind(35, "TQ2_0", 256, 66),
    kind(39, "MXFP4", 32, 17),
];

fn wrong(why: impl Into<String>) -> Error {
    Error::wrong(Format::Gguf, why)
}

impl Header {
    /// Reads the header at the start of a file of `file_len` bytes.
    ///
    /// # Errors
    /// [`Error::CutShort`] where `start` ends before the header does and the file goes on;
    /// another where a rule is broken.
    pub fn parse(start: &[u8], file_len: u64) -> Result<Self> {
        let mut reader = Reader { bytes: start, at: 0, file_len };
        if reader.take(4)? != MAGIC {
            return Err(wrong("it does not begin with GGUF"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(wrong(format!("its version is {version}, not 2 or 3 in little-endian")));
        }
        // The smallest tensor entry: an empty name, no dimension; the smallest pair: an empty key
        // and one byte.
        let tensor_count = reader.count(8 + 4 + 4 + 8)?;
        let pair_count = reader.count(8 + 4 + 1)?;
        let mut metadata = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..pair_count {
            let (key, value) = reader.pair()?;
            if !names.insert(key.clone()) {
                return Err(wrong(format!("the key \"{}\" stands there twice", printable(&key))));
            }
            metadata.push((key, value));
        }
        let alignment = alignment(&metadata)?;
        let mut tensors = Vec::new();
        names.clear();
        for _ in 0..tensor_count {
            let tensor = reader.tensor()?;
            if !names.insert(tensor.name.clone()) {
                let name = printable(&tensor.name);
                return Err(wrong(format!("the tensor \"{name}\" stands there twice")));
            }
            tensors.push(tensor);
        }
        let data_start = aligned(reader.at as u64, alignment)?;
        check(&tensors, alignment, data_start, file_len)?;
        Ok(Self { version, metadata, tensors, alignment, data_start })
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

fn alignment(metadata: &[(String, Value)]) -> Result<u64> {
    match metadata.iter().find(|(key, _)| key == "general.alignment") {
        None => Ok(USUAL_ALIGNMENT),
        Some((_, Value::Unsigned(value)))
            if value.is_power_of_two() && (8..=LARGEST_ALIGNMENT).contains(value) =>
        {
            Ok(*value)
        }
        Some(_) => Err(wrong("its alignment is not a power of two from 8 to 2^20")),
    }
}

fn aligned(at: u64, alignment: u64) -> Result<u64> {
    at.checked_next_multiple_of(alignment).ok_or_else(|| wrong("a place in it overflows"))
}

/// Tensors follow each other, each at the next aligned place; the file ends with the last one or
/// with what aligns it.
fn check(tensors: &[TensorHeader], alignment: u64, data_start: u64, file_len: u64) -> Result<()> {
    let (mut next, mut end) = (0, 0);
    for tensor in tensors {
        if tensor.offset != next {
            return Err(wrong(format!(
                "the tensor \"{}\" stands at {} where {next} is next",
                printable(&tensor.name),
                tensor.offset
            )));
        }
        let overflow = || wrong("a place in it overflows");
        end = tensor.offset.checked_add(tensor.size).ok_or_else(overflow)?;
        next = aligned(end, alignment)?;
    }
    let found = match file_len.checked_sub(data_start) {
        Some(found) => found,
        // A file without tensors may leave out what would align their place.
        None if tensors.is_empty() => 0,
        None => return Err(wrong("its data begins after the end of the file")),
    };
    if found != end && found != next {
        return Err(wrong(format!("its tensors take {end} bytes and its data has {found}")));
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    file_len: u64,
}

impl<'a> Reader<'a> {
    /// The bytes of the file that were not read yet.
    fn left(&self) -> u64 {
        self.file_len.saturating_sub(self.at as u64)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        if length > self.left() {
            return Err(wrong(format!(
                "{length} bytes from {} on are asked for in a file of {}",
                self.at, self.file_len
            )));
        }
        let end = (self.at as u64).saturating_add(length);
        if end > LARGEST_HEADER as u64 {
            return Err(Error::TooLong { format: Format::Gguf, limit: LARGEST_HEADER });
        }
        let end = usize::try_from(end).map_err(|_| wrong("a place in it overflows"))?;
        let bytes = self.bytes.get(self.at..end).ok_or(Error::CutShort(Format::Gguf))?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N as u64)?;
        bytes.try_into().map_err(|_| Error::CutShort(Format::Gguf))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that take at least `smallest` bytes each.
    fn count(&mut self, smallest: u64) -> Result<u64> {
        let count = self.u64()?;
        if count.checked_mul(smallest).is_none_or(|least| least > self.left()) {
            return Err(wrong(format!(
                "{count} entries do not fit in a file of {}",
                self.file_len
            )));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let length = self.u64()?;
        self.take(length)
    }

    fn name(&mut self) -> Result<String> {
        let length = self.u64()?;
        if length == 0 || length > LONGEST_NAME {
            return Err(wrong(format!("a name in it is {length} bytes long")));
        }
        let text = std::str::from_utf8(self.take(length)?);
        let text = text.map_err(|_| wrong("a name in it is not UTF-8"))?;
        if text.contains("..") || text.chars().any(char::is_control) {
            let shown: String = text.chars().take(80).collect();
            return Err(wrong(format!("\"{}\" is not a name", printable(&shown))));
        }
        Ok(text.to_owned())
    }

    fn pair(&mut self) -> Result<(String, Value)> {
        let key = self.name()?;
        let kind = self.u32()?;
        let value = self.value(kind)?;
        Ok((key, value))
    }

    fn value(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            0 => Value::Unsigned(self.array::<1>()?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => match self.array::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(wrong("a yes or no in it is neither 0 nor 1")),
            },
            8 => Value::Text(String::from_utf8_lossy(self.text()?).into_owned()),
            9 => {
                let start = self.at;
                let elements = self.skip_array(1)?;
                let bytes = self.bytes.get(start..self.at).unwrap_or_default();
                Value::Array { elements, sha256: Digest::of(bytes) }
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(wrong(format!("it has a value of the unknown type {kind}"))),
        })
    }

    fn skip_array(&mut self, depth: u32) -> Result<u64> {
        if depth > DEEPEST_ARRAY {
            return Err(wrong("its arrays stand too deep in each other"));
        }
        let kind = self.u32()?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                let count = self.count(8)?;
                for _ in 0..count {
                    self.text()?;
                }
                return Ok(count);
            }
            9 => {
                let count = self.count(4 + 8)?;
                for _ in 0..count {
                    self.skip_array(depth + 1)?;
                }
                return Ok(count);
            }
            _ => return Err(wrong(format!("it has an array of the unknown type {kind}"))),
        };
        let count = self.count(width)?;
        self.take(count * width)?;
        Ok(count)
    }

    fn tensor(&mut self) -> Result<TensorHeader> {
        let name = self.name()?;
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(wrong(format!("a tensor in it has {dimensions} dimensions")));
        }
        let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>>>()?;
        let number = self.u32()?;
        let offset = self.u64()?;
        let kind = *KINDS
            .iter()
            .find(|kind| kind.number == number)
            .ok_or_else(|| wrong(format!("it has a tensor of the unknown type {number}")))?;
        let row = shape.first().copied().unwrap_or(1);
        if row % kind.elements != 0 {
            return Err(wrong(format!("a row of {row} elements is not in whole blocks")));
        }
        let elements = shape.iter().try_fold(1_u64, |size, extent| size.checked_mul(*extent));
        let size = elements.and_then(|elements| (elements / kind.elements).checked_mul(kind.bytes));
        let size = size.filter(|size| *size <= self.file_len);
        let size = size.ok_or_else(|| wrong("a tensor in it is larger than the file"))?;
        Ok(TensorHeader { name, kind, shape, offset, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    /// A file with an architecture, an array of texts and two tensors.
    fn file() -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(2_u64.to_le_bytes());
        bytes.extend(2_u64.to_le_bytes());
        text(&mut bytes, "general.architecture");
        bytes.extend(8_u32.to_le_bytes());
        text(&mut bytes, "llama");
        text(&mut bytes, "tokenizer.ggml.tokens");
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend(2_u64.to_le_bytes());
        text(&mut bytes, "a");
        text(&mut bytes, "b");
        for (name, extent, kind, offset) in [("one", 3_u64, 0_u32, 0_u64), ("two", 64, 8, 32)] {
            text(&mut bytes, name);
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(extent.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(32) + 32 + 68, 0);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Header> {
        Header::parse(bytes, bytes.len() as u64)
    }

    #[test]
    fn a_sound_header() {
        let mut bytes = file();
        let header = parse(&bytes).unwrap();
        assert_eq!(header.get("general.architecture"), Some(&Value::Text("llama".to_owned())));
        let tokens = header.get("tokenizer.ggml.tokens");
        assert!(matches!(tokens, Some(Value::Array { elements: 2, .. })), "{tokens:?}");
        let sizes: Vec<_> = header.tensors.iter().map(|tensor| tensor.size).collect();
        assert_eq!(sizes, [12, 68]);
        assert_eq!(header.data_start + 100, bytes.len() as u64);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        assert!(parse(&bytes).is_ok(), "the last tensor may be padded");
        bytes.push(0);
        assert!(parse(&bytes).is_err(), "and no more");
    }

    #[test]
    fn a_short_start_asks_for_more_and_a_short_file_is_wrong() {
        let bytes = file();
        let whole = bytes.len() as u64;
        assert_eq!(Header::parse(&bytes[..100], whole), Err(Error::CutShort(Format::Gguf)));
        for length in 0..bytes.len() {
            let error = parse(&bytes[..length]).unwrap_err();
            assert!(matches!(error, Error::Wrong { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn absurd_counts_end_at_once() {
        for nested in [8_u32, 9, 0, 12] {
            let mut bytes = b"GGUF\x03\0\0\0".to_vec();
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend(1_u64.to_le_bytes());
            text(&mut bytes, "a");
            bytes.extend(9_u32.to_le_bytes());
            bytes.extend(nested.to_le_bytes());
            bytes.extend((1_u64 << 62).to_le_bytes());
            assert!(parse(&bytes).is_err());
        }
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend([0; 25]);
        assert!(parse(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = file();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = parse(&bytes);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), len in any::<u64>()) {
            let _ = Header::parse(&[b"GGUF\x03\0\0\0", bytes.as_slice()].concat(), len);
        }
    }
}
