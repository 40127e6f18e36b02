//! Weights: the tensors of a file, or of a model that is spread over several files.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::compare::{Found, Pair, Source, compare};
use super::distance::Sums;
use super::element::Element;
use super::error::{Error, Result};
use super::tensors::{TensorFacts, Unlike, WeightsFacts};
use crate::formats::{self, Format, LARGEST_HEADER, Tensor, WeightsInfo, gguf, safetensors};
use crate::fs::Error as FileError;
use crate::package::{Digest, Hasher};
use crate::progress::{Progress, Unit};

/// How much of a header is read at first.
const FIRST_READ: usize = 64 << 10;
/// Keys of GGUF that begin with `general.` and yet say what the weights do.
const TELLING: [&str; 4] =
    ["general.architecture", "general.file_type", "general.quantization_version", "general.type"];

/// Open weights.
#[derive(Debug)]
pub struct Weights {
    format: Format,
    parts: Vec<Part>,
    tensors: BTreeMap<String, Place>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    size: u64,
    /// The bytes that are no tensor's.
    gaps: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Place {
    part: usize,
    tensor: Tensor,
}

/// The format of a file by its name.
#[must_use]
pub(super) fn format_of(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".safetensors") {
        Some(Format::Safetensors)
    } else if name.ends_with(".gguf") {
        Some(Format::Gguf)
    } else {
        None
    }
}

impl Weights {
    /// Opens a safetensors or GGUF file, or a list of shards (`….safetensors.index.json`).
    ///
    /// # Errors
    /// When it cannot be read or is not sound.
    pub fn open(path: &Path) -> Result<Self> {
        if super::shards::is_list(path) {
            return Self::of_parts(&super::shards::parts(path)?);
        }
        Self::of_parts(&[path.to_owned()])
    }

    /// Opens the files of one model.
    pub(super) fn of_parts(paths: &[PathBuf]) -> Result<Self> {
        let mut whole = Self {
            format: Format::Safetensors,
            parts: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        for path in paths {
            whole.add(path)?;
        }
        Ok(whole)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let name = path.to_string_lossy();
        let format = format_of(&name).ok_or(Error::NotWeights { path: path.to_owned() })?;
        let file = File::open(path).map_err(FileError::at("open", path))?;
        let size = file.metadata().map_err(FileError::at("read", path))?.len();
        let (info, metadata) = header(path, &file, size, format)?;
        self.format = format;
        self.metadata.extend(metadata);
        let gaps = gaps(&info, size);
        let part = self.parts.len();
        for tensor in info.tensors {
            let name = tensor.name.clone();
            if self.tensors.insert(name.clone(), Place { part, tensor }).is_some() {
                let why = format!("two of them have a tensor \"{name}\"");
                return Err(Error::Shards { path: path.to_owned(), why });
            }
        }
        self.parts.push(Part { path: path.to_owned(), file, size, gaps });
        Ok(())
    }

    /// The names of all tensors, with the file that each is in.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &Path)> {
        let parts = &self.parts;
        self.tensors.iter().map(|(name, place)| (name.as_str(), parts[place.part].path.as_path()))
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// A digest of everything but the tensors' own bytes: two sets of weights with equal tensors
    /// and the same wrapping are the same bytes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn wrapping(&self) -> Result<Digest> {
        let mut hasher = Hasher::new();
        for part in &self.parts {
            hasher.update(&part.size.to_le_bytes());
            for (start, end) in &part.gaps {
                let mut bytes = vec![0; usize::try_from(end - start).unwrap_or_default()];
                let read = part.file.read_exact_at(&mut bytes, *start);
                read.map_err(FileError::at("read", &part.path))?;
                hasher.update(&bytes);
            }
        }
        Ok(hasher.finish())
    }

    fn source(&self, place: &Place) -> Source<'_> {
        let Part { path, file, .. } = &self.parts[place.part];
        Source { path, file, start: place.tensor.start }
    }
}

/// What stands between the tensors and around them; headers are short, and so is what aligns.
fn gaps(info: &WeightsInfo, size: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for tensor in &info.tensors {
        if tensor.start > at {
            gaps.push((at, tensor.start));
        }
        at = tensor.end;
    }
    if size > at {
        gaps.push((at, size));
    }
    gaps
}

type Metadata = BTreeMap<String, String>;

fn header(path: &Path, file: &File, size: u64, format: Format) -> Result<(WeightsInfo, Metadata)> {
    let mut length = FIRST_READ;
    loop {
        let all = usize::try_from(size).unwrap_or(usize::MAX);
        let mut start = vec![0; length.min(all)];
        file.read_exact_at(&mut start, 0).map_err(FileError::at("read", path))?;
        match parse(&start, size, format) {
            // The longest header, and the length that stands before it.
            Err(formats::Error::CutShort(_)) if length < all.min(LARGEST_HEADER + 8) => {
                length *= 4;
            }
            other => {
                return other.map_err(|source| Error::Weights { path: path.to_owned(), source });
            }
        }
    }
}

fn parse(start: &[u8], size: u64, format: Format) -> formats::Result<(WeightsInfo, Metadata)> {
    Ok(match format {
        Format::Safetensors => {
            let mut header = safetensors::Header::parse(start, size)?;
            let metadata = header.metadata.take().unwrap_or_default();
            (header.into(), metadata)
        }
        Format::Gguf => {
            let mut header = gguf::Header::parse(start, size)?;
            let pairs = std::mem::take(&mut header.metadata).into_iter();
            let metadata = pairs.map(|(key, value)| (key, format!("{value:?}"))).collect();
            (header.into(), metadata)
        }
    })
}

/// Compares all tensors of `first` with those of `second`.
///
/// # Errors
/// When a file cannot be read.
pub fn compare_weights(
    first: &Weights,
    second: &Weights,
    progress: &dyn Progress,
) -> Result<WeightsFacts> {
    let mut facts = WeightsFacts::default();
    let only = |one: &Weights, other: &Weights| -> Vec<String> {
        one.tensors.keys().filter(|name| !other.tensors.contains_key(*name)).cloned().collect()
    };
    facts.only_in_first = only(first, second);
    facts.only_in_second = only(second, first);
    (facts.metadata_changed, facts.metadata_describes) = metadata(first, second);
    let mut like: Vec<(&Tensor, Pair<'_>)> = Vec::new();
    for (name, place) in &first.tensors {
        let Some(other) = second.tensors.get(name) else { continue };
        facts.tensors += 1;
        let (one, two) = (&place.tensor, &other.tensor);
        if (&one.dtype, &one.shape) != (&two.dtype, &two.shape) || first.format != second.format {
            facts.tensors_changed += 1;
            let (first, second) = (described(one), described(two));
            facts.unlike.push(Unlike { name: name.clone(), first, second });
            continue;
        }
        let element = Element::of(first.format, &one.dtype);
        let (source, other) = (first.source(place), second.source(other));
        let bytes = one.end - one.start;
        facts.bytes += bytes;
        like.push((one, Pair { element, first: source, second: other, bytes }));
    }
    let (tensors, pairs): (Vec<&Tensor>, Vec<Pair<'_>>) = like.into_iter().unzip();
    let task = progress.start("Comparing tensors", Some(facts.bytes), Unit::Bytes);
    let found = compare(&pairs, &*task)?;
    let mut total = Sums::default();
    for (tensor, found) in tensors.into_iter().zip(&found) {
        let Found::Changed { bytes, sums } = found else { continue };
        let changed = unmeasured(tensor, *bytes);
        match sums {
            Some(sums) => facts.add(changed.measured(sums), Some(sums), &mut total),
            None => facts.add(changed, None, &mut total),
        }
    }
    if facts.tensors_changed > facts.unmeasured + facts.unlike.len() as u64 {
        facts.relative_l2 = total.relative_l2();
    }
    Ok(facts)
}

fn described(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype, tensor.shape)
}

fn unmeasured(tensor: &Tensor, bytes_changed: u64) -> TensorFacts {
    TensorFacts {
        name: tensor.name.clone(),
        dtype: tensor.dtype.clone(),
        shape: tensor.shape.clone(),
        bytes: tensor.end - tensor.start,
        bytes_changed,
        elements_changed: None,
        relative_l2: None,
        max_abs: None,
        cosine: None,
        odd: 0,
        odd_changed: 0,
    }
}

/// The keys whose values differ, and whether all of them only describe the file.
fn metadata(first: &Weights, second: &Weights) -> (Vec<String>, bool) {
    let mut keys: Vec<&String> = first.metadata.keys().chain(second.metadata.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed: Vec<String> = keys
        .into_iter()
        .filter(|key| first.metadata.get(*key) != second.metadata.get(*key))
        .cloned()
        .collect();
    let describes = |key: &String| {
        first.format == Format::Safetensors
            || key.starts_with("general.") && !TELLING.contains(&key.as_str())
    };
    let all = changed.iter().all(describes);
    (changed, all)
}
