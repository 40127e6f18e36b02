//! The header of a safetensors file, read strictly.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::error::{Error, Format, Result};
use super::{DType, LARGEST_HEADER};
use crate::explain::printable;

/// The bytes before the header's text: its length, little-endian.
pub const PREFIX: usize = 8;
/// The most dimensions of a tensor.
pub const MOST_DIMENSIONS: usize = 32;
/// The key of the header that is no tensor.
pub const METADATA: &str = "__metadata__";

/// A header whose every rule holds: tensors follow each other from the first byte of the data to
/// the last, without hole or overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where the data begins in the file.
    pub data_start: u64,
    /// The tensors, in the order of their data.
    pub tensors: Vec<TensorHeader>,
    /// `__metadata__`, where there is one.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether the header is spelt in the one canonical way ([`Header::canonical_text`]).
    pub canonical: bool,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHeader {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// Where its bytes begin and end, counted from the first byte of the data.
    pub data_offsets: (u64, u64),
}

/// The length of a header's text, from the first eight bytes of a file of `file_len` bytes.
///
/// # Errors
/// When there are not eight bytes, or the text would be longer than the file or the limit.
pub fn text_length(start: &[u8], file_len: u64) -> Result<usize> {
    let prefix = start.first_chunk::<PREFIX>().ok_or(Error::CutShort(Format::Safetensors))?;
    let length = u64::from_le_bytes(*prefix);
    if length > LARGEST_HEADER as u64 {
        return Err(Error::TooLong { format: Format::Safetensors, limit: LARGEST_HEADER });
    }
    if file_len < PREFIX as u64 + length {
        return Err(wrong(format!("it claims {length} bytes of a file of {file_len}")));
    }
    usize::try_from(length).map_err(|_| wrong("it is too long"))
}

fn wrong(why: impl Into<String>) -> Error {
    Error::wrong(Format::Safetensors, why)
}

impl Header {
    /// Reads the header at the start of a file of `file_len` bytes; `start` has at least the
    /// whole header.
    ///
    /// # Errors
    /// When `start` is too short or a rule is broken.
    pub fn parse(start: &[u8], file_len: u64) -> Result<Self> {
        let length = text_length(start, file_len)?;
        let text = start.get(PREFIX..PREFIX + length);
        let text = text.ok_or(Error::CutShort(Format::Safetensors))?;
        let text = std::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8"))?;
        if !text.starts_with('{') {
            return Err(wrong("it does not begin with {"));
        }
        let entries: Entries =
            serde_json::from_str(text).map_err(|error| wrong(printable(&error.to_string())))?;
        let data_start = (PREFIX + length) as u64;
        let mut tensors = entries.tensors;
        tensors.sort_by(|one, other| {
            one.data_offsets.cmp(&other.data_offsets).then_with(|| one.name.cmp(&other.name))
        });
        check(&tensors, file_len - data_start)?;
        let mut header = Self { data_start, tensors, metadata: entries.metadata, canonical: false };
        header.canonical = header.canonical_text() == text;
        Ok(header)
    }

    /// The one spelling of this header: `__metadata__` first with its keys in byte order, then
    /// the tensors in the order of their data (of their names where both are empty), no white
    /// space, and spaces at the end up to a multiple of eight bytes.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        #[derive(Serialize)]
        struct Entry<'a> {
            dtype: DType,
            shape: &'a [u64],
            data_offsets: (u64, u64),
        }
        let mut text = String::from("{");
        if let Some(metadata) = &self.metadata {
            let _ = write!(text, "{}:{}", json(METADATA), json(metadata));
        }
        for tensor in &self.tensors {
            let TensorHeader { name, dtype, shape, data_offsets } = tensor;
            if text.len() > 1 {
                text.push(',');
            }
            let entry = Entry { dtype: *dtype, shape, data_offsets: *data_offsets };
            let _ = write!(text, "{}:{}", json(name), json(&entry));
        }
        text.push('}');
        text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
        text
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and numbers always have a JSON form")
}

fn check(tensors: &[TensorHeader], data: u64) -> Result<()> {
    let mut expected = 0;
    for tensor in tensors {
        let TensorHeader { name, dtype, shape, data_offsets: (start, end) } = tensor;
        let shown = || printable(&name.chars().take(80).collect::<String>());
        if name.is_empty() || name.contains("..") || name.chars().any(char::is_control) {
            return Err(wrong(format!("\"{}\" is not a name for a tensor", shown())));
        }
        if *start != expected || end < start {
            return Err(wrong(format!(
                "\"{}\" stands at {start} to {end} where the bytes from {expected} on are next",
                shown()
            )));
        }
        let bits = shape.iter().try_fold(dtype.bits(), |size, extent| size.checked_mul(*extent));
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - start) {
            return Err(wrong(format!(
                "\"{}\" has {} bytes, which are not those of its type and shape",
                shown(),
                end - start
            )));
        }
        expected = *end;
    }
    if expected != data {
        return Err(wrong(format!("its tensors take {expected} bytes and its data has {data}")));
    }
    Ok(())
}

#[derive(Default)]
struct Entries {
    tensors: Vec<TensorHeader>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    dtype: DType,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct Shape(Vec<u64>);

/// Metadata without duplicate keys.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Extents;
        impl<'de> Visitor<'de> for Extents {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut extents = Vec::new();
                while let Some(extent) = list.next_element()? {
                    if extents.len() == MOST_DIMENSIONS {
                        return Err(A::Error::custom("a tensor has more than 32 dimensions"));
                    }
                    extents.push(extent);
                }
                Ok(Shape(extents))
            }
        }
        deserializer.deserialize_seq(Extents)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Metadata, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = table.next_entry::<String, String>()? {
                    if texts.insert(key, text).is_some() {
                        return Err(A::Error::custom("a key of its metadata stands there twice"));
                    }
                }
                Ok(Metadata(texts))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Entries, A::Error> {
                let mut entries = Entries::default();
                let mut names = HashSet::new();
                while let Some(name) = table.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        let name: String = name.chars().take(80).collect();
                        return Err(A::Error::custom(format!("\"{name}\" stands there twice")));
                    }
                    if name == METADATA {
                        entries.metadata = Some(table.next_value::<Metadata>()?.0);
                        continue;
                    }
                    let RawTensor { dtype, shape: Shape(shape), data_offsets } =
                        table.next_value()?;
                    entries.tensors.push(TensorHeader { name, dtype, shape, data_offsets });
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(text: &str, data: usize) -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.extend(std::iter::repeat_n(0, data));
        bytes
    }

    fn parse(text: &str, data: usize) -> Result<Header> {
        let bytes = file(text, data);
        Header::parse(&bytes, bytes.len() as u64)
    }

    #[test]
    fn a_sound_header() {
        let text = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
        let header = parse(text, 16).unwrap();
        assert_eq!(header.data_start, 8 + text.len() as u64);
        assert_eq!(header.tensors[0].shape, [2, 3]);
        assert_eq!(header.metadata.as_ref().unwrap()["format"], "pt");
        assert!(!header.canonical, "its length is not a multiple of eight");
        assert!(parse(&header.canonical_text(), 16).unwrap().canonical);
    }

    #[test]
    fn faults() {
        let one = |entry: &str| format!("{{\"a\":{{{entry}}}}}");
        for (text, data) in [
            ("", 0),
            ("[]", 0),
            ("{", 0),
            ("{}", 1),
            ("{}x", 0),
            (r#"{"a":null}"#, 0),
            (&one(r#""dtype":"F32","shape":[1],"data_offsets":[0,4]"#), 5),
            (&one(r#""dtype":"F32","shape":[1],"data_offsets":[0,4]"#), 3),
            (&one(r#""dtype":"F32","shape":[2],"data_offsets":[0,4]"#), 4),
            (&one(r#""dtype":"F32","shape":[1],"data_offsets":[1,5]"#), 5),
            (&one(r#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#), 4),
            (&one(r#""dtype":"F32","shape":[1.0],"data_offsets":[0,4]"#), 4),
            (&one(r#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#), 4),
            (&one(r#""dtype":"F4","shape":[1],"data_offsets":[0,0]"#), 0),
            (&one(r#""dtype":"F33","shape":[1],"data_offsets":[0,4]"#), 4),
            (&one(r#""dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,0]"#), 0),
            (&one(r#""dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1"#), 4),
            (r#"{"a..b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
            (r#"{"a\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
            (
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
                2,
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3,
            ),
            (r#"{"__metadata__":{"a":"1","a":"2"}}"#, 0),
            (r#"{"__metadata__":{"a":1}}"#, 0),
        ] {
            assert!(parse(text, data).is_err(), "{text}");
        }
        assert!(Header::parse(&u64::MAX.to_le_bytes(), u64::MAX).is_err());
        assert!(Header::parse(&[1, 0, 0], 3).is_err());
    }

    fn tensors() -> impl Strategy<Value = Vec<(String, DType, Vec<u64>)>> {
        let dtype = prop::sample::select(vec![DType::BF16, DType::F32, DType::U8, DType::F64]);
        let tensor =
            ("[a-z]{1,8}(\\.[a-zé\"]{1,5})?", dtype, prop::collection::vec(0..5_u64, 0..4));
        prop::collection::vec(tensor, 0..6)
    }

    fn header(tensors: Vec<(String, DType, Vec<u64>)>) -> Header {
        let (mut at, mut seen) = (0, HashSet::new());
        let mut header =
            Header { data_start: 0, tensors: Vec::new(), metadata: None, canonical: true };
        for (name, dtype, shape) in tensors {
            if !seen.insert(name.clone()) {
                continue;
            }
            let end = at + shape.iter().product::<u64>() * dtype.bits() / 8;
            header.tensors.push(TensorHeader { name, dtype, shape, data_offsets: (at, end) });
            at = end;
        }
        header.tensors.sort_by(|one, other| {
            one.data_offsets.cmp(&other.data_offsets).then_with(|| one.name.cmp(&other.name))
        });
        header.data_start = (PREFIX + header.canonical_text().len()) as u64;
        header
    }

    fn bytes_of(header: &Header) -> Vec<u8> {
        let data = header.tensors.last().map_or(0, |tensor| tensor.data_offsets.1);
        file(&header.canonical_text(), usize::try_from(data).unwrap())
    }

    proptest! {
        #[test]
        fn reads_what_it_writes_and_so_does_the_safetensors_crate(tensors in tensors()) {
            let header = header(tensors);
            let bytes = bytes_of(&header);
            prop_assert_eq!(Header::parse(&bytes, bytes.len() as u64).unwrap(), header.clone());
            let theirs = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
            prop_assert_eq!(theirs.len(), header.tensors.len());
            for tensor in &header.tensors {
                let view = theirs.tensor(&tensor.name).unwrap();
                let shape: Vec<u64> = view.shape().iter().map(|extent| *extent as u64).collect();
                prop_assert_eq!(&shape, &tensor.shape);
                prop_assert_eq!(format!("{:?}", view.dtype()), tensor.dtype.name());
                let (start, end) = tensor.data_offsets;
                prop_assert_eq!(view.data().len() as u64, end - start);
            }
        }

        #[test]
        fn what_it_accepts_the_safetensors_crate_accepts(
            tensors in tensors(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = bytes_of(&header(tensors));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if Header::parse(&bytes, bytes.len() as u64).is_ok() {
                prop_assert!(::safetensors::SafeTensors::deserialize(&bytes).is_ok());
            }
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), len in any::<u64>()) {
            let _ = Header::parse(&bytes, len);
        }
    }
}
