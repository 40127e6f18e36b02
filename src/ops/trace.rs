//! `mpkg trace`: the passages of a text that stand verbatim in what a model was trained on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::lineage::{self, Gap, Genealogist, Part, Places, Subject};
use crate::build::data::{self, Fetcher, shown};
use crate::explain::Explain;
use crate::fs;
use crate::package::manifest::{DataReference, DataRole, DataSource};
use crate::package::{Digest, Kind};
use crate::progress::Progress;
use crate::store::CacheUse;
use crate::study;
use crate::study::trace::{
    Document, Index, LONGEST_TEXT, Place, Sizes, Whitespace, documents_of, fold, outermost,
};

/// The most places that are shown of one passage in one piece of data.
const MOST_PLACES: usize = 3;
/// Files of a data package that are about it, and not of its data.
const ABOUT: &[&str] = &["README.md", "CHANGELOG.md", "LICENSES/", ".mpkg/"];

/// What is traced, and how.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// Whose training data is searched.
    pub subject: Subject,
    /// The text.
    pub text: Vec<u8>,
    /// What the text was asked with: it is no copy.
    pub prompt: Option<Vec<u8>>,
    /// The shortest passage that counts, in bytes.
    pub shortest: usize,
    /// How whitespace counts.
    pub whitespace: Whitespace,
    /// Whether some of the training data may be missing.
    pub completeness: Completeness,
    /// How many passages are shown, the longest first.
    pub most: usize,
}

/// Whether some of the training data may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Without all of it there is no answer.
    All,
    /// What is there is searched.
    Partial,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The passages, the longest first; at most so many as were asked for.
    pub passages: Vec<Passage>,
    /// How many there are in all.
    pub count: usize,
    /// What was searched.
    pub searched: Vec<Searched>,
    /// What was not.
    pub gaps: Vec<Gap>,
}

/// A passage of the text that stands in training data.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// The passage.
    pub text: String,
    /// Its length in bytes.
    pub length: usize,
    /// How often it stands in the data.
    pub occurrences: u64,
    /// Some of the places.
    pub places: Vec<Found>,
}

/// A place in one of [`Traced::searched`].
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub source: usize,
    /// Where in it.
    pub place: Place,
}

/// One piece of training data.
#[derive(Debug, Clone)]
pub struct Searched {
    /// The package that it went into or that it is, as in `docs-corpus 1.0.0`.
    pub package: String,
    /// The data reference's name; none where it is the package's own files.
    pub data: Option<String>,
    /// Where its bytes come from.
    pub from: Option<String>,
    /// Its licence.
    pub license: String,
    /// What it is used for.
    pub role: &'static str,
    /// How many documents were searched.
    pub documents: u64,
    /// How many were not, because they are no text.
    pub others: u64,
    /// How many bytes of text were searched.
    pub bytes: u64,
}

/// What can fail in a trace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lineage.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// Data that cannot be had.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The index.
    #[error(transparent)]
    Study(#[from] study::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// Something that went into the model cannot be searched.
    #[error("not all of the training data can be searched:{}", listed(gaps))]
    Incomplete {
        /// What is missing.
        gaps: Vec<Gap>,
    },
}

fn listed(gaps: &[Gap]) -> String {
    gaps.iter().flat_map(|gap| ["\n  ", &gap.what, ": ", &gap.why]).collect()
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lineage(error) => error.kind(),
            Self::Data(error) => error.kind(),
            Self::Study(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Incomplete { .. } => "incomplete",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Study(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Incomplete { .. } => {
                Some("search what is there with --partial, or name a registry".to_owned())
            }
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Lineage(error) => error.details(),
            _ => None,
        }
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A piece of training data, with its index.
struct Source {
    searched: Searched,
    index: Index,
    /// What its one document is called.
    name: String,
}

/// Traces a text.
///
/// # Errors
/// When something cannot be read or, where everything is asked for, is not to be had.
pub fn trace(options: &TraceOptions, places: &Places<'_>) -> Result<Traced> {
    if options.text.len() > LONGEST_TEXT {
        let (found, limit) = (options.text.len(), LONGEST_TEXT);
        return Err(study::Error::TooLong { found, limit }.into());
    }
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    let mut genealogist = Genealogist::new(places)?;
    let lineage = genealogist.follow(&options.subject)?;
    let mut gaps = lineage.gaps;
    refuse_gaps(options, &gaps)?;
    let shelf = IndexShelf { root: places.home.cache().join("trace"), options, places };
    let mut sources: Vec<(Digest, Source)> = Vec::new();
    for part in &lineage.parts {
        for result in shelf.sources_of(part, &mut genealogist)? {
            match result {
                Ok((key, source)) => {
                    if sources.iter().all(|(known, _)| *known != key) {
                        sources.push((key, source));
                    }
                }
                Err(gap) => gaps.push(gap),
            }
        }
    }
    refuse_gaps(options, &gaps)?;
    let sources: Vec<Source> = sources.into_iter().map(|(_, source)| source).collect();
    let (passages, count) = search(options, &sources)?;
    let searched = sources.into_iter().map(|source| source.searched).collect();
    Ok(Traced { passages, count, searched, gaps })
}

fn refuse_gaps(options: &TraceOptions, gaps: &[Gap]) -> Result<()> {
    if options.completeness == Completeness::All && !gaps.is_empty() {
        return Err(Error::Incomplete { gaps: gaps.to_vec() });
    }
    Ok(())
}

/// Makes and keeps indexes.
struct IndexShelf<'a> {
    root: PathBuf,
    options: &'a TraceOptions,
    places: &'a Places<'a>,
}

type Had = std::result::Result<(Digest, Source), Gap>;

impl IndexShelf<'_> {
    /// The training data of one package; a gap for each that cannot be had.
    fn sources_of(&self, part: &Part, genealogist: &mut Genealogist<'_>) -> Result<Vec<Had>> {
        let mut found = Vec::new();
        if let Some(tree) = &part.tree {
            let fetcher = Fetcher::new(tree.root(), self.places.client);
            for reference in tree.manifest().data.iter().filter(|data| is_trained_on(data)) {
                found.push(self.reference(part, reference, &fetcher)?);
            }
        }
        if part.is_binary && part.package.kind == Kind::Dataset {
            found.push(self.package(part, genealogist)?);
        }
        Ok(found)
    }

    fn reference(
        &self,
        part: &Part,
        reference: &DataReference,
        fetcher: &Fetcher<'_>,
    ) -> Result<Had> {
        let progress = self.places.progress;
        let data_key = fetcher.key(reference)?;
        let index = self.index(data_key, || {
            let fetched = fetcher.fetch(std::slice::from_ref(reference), progress)?;
            let place = fetcher.materialise(&fetched[0], progress)?;
            Ok(documents_of(&place)?)
        });
        let package = named(part);
        let index = match index {
            Ok(index) => index,
            Err(Error::Data(error)) => {
                let what = format!("data `{}` of {package}", reference.name);
                return Ok(Err(Gap { what, why: error.to_string() }));
            }
            Err(error) => return Err(error),
        };
        let searched = Searched {
            package,
            data: Some(reference.name.to_string()),
            from: from(reference),
            license: reference.license.clone(),
            role: reference.role.as_str(),
            documents: index.documents(),
            others: index.others(),
            bytes: index.bytes(),
        };
        Ok(Ok((data_key, Source { searched, index, name: file_name(reference) })))
    }

    /// The files of a data package.
    fn package(&self, part: &Part, genealogist: &mut Genealogist<'_>) -> Result<Had> {
        let (name, digest) = (&part.package.name, part.package.package);
        let Some(folder) = genealogist.folder(name, digest)? else {
            let why = "no registry that is named has it".to_owned();
            return Ok(Err(Gap { what: part.package.release().to_string(), why }));
        };
        let index = self.index(digest, || {
            let is_data = |document: &Document| {
                !ABOUT.iter().any(|about| {
                    document.path == *about
                        || (about.ends_with('/') && document.path.starts_with(about))
                })
            };
            Ok(documents_of(&folder)?.into_iter().filter(is_data).collect())
        })?;
        let searched = Searched {
            package: named(part),
            data: None,
            from: None,
            license: part.package.license.clone(),
            role: DataRole::Train.as_str(),
            documents: index.documents(),
            others: index.others(),
            bytes: index.bytes(),
        };
        Ok(Ok((digest, Source { searched, index, name: String::new() })))
    }

    /// The index of the data with this key, in order; made now if it is not there yet.
    fn index(
        &self,
        key: Digest,
        documents: impl FnOnce() -> Result<Vec<Document>>,
    ) -> Result<Index> {
        let (whitespace, progress) = (self.options.whitespace, self.places.progress);
        let goal = self.root.join(key.to_string());
        if let Some(index) = Index::open(&goal)?.filter(|index| index.is_ordered(whitespace)) {
            fs::touch(&goal);
            return Ok(index);
        }
        let _lock = fs::Lock::acquire(&self.root.join(format!("{key}.lock")), || {
            progress.note("Waiting for another mpkg that indexes the same data");
        })?;
        if Index::open(&goal)?.is_none() {
            self.lay_out(&goal, &documents()?, progress)?;
        }
        let index = Index::open(&goal)?
            .ok_or_else(|| study::Error::damaged(&goal, "it went as soon as it was made"))?;
        index.put_in_order(whitespace, progress)?;
        Ok(index)
    }

    fn lay_out(&self, goal: &Path, documents: &[Document], progress: &dyn Progress) -> Result<()> {
        let staging = goal.with_extension("new");
        fs::remove_folder(&staging)?;
        Index::build(&staging, documents, Sizes::default(), progress)?;
        fs::remove_folder(goal)?;
        std::fs::rename(&staging, goal).map_err(fs::Error::at("rename a folder to", goal))?;
        Ok(fs::sync_folder(&self.root)?)
    }
}

/// Whether a model has seen the data in training.
fn is_trained_on(reference: &DataReference) -> bool {
    match reference.role {
        DataRole::Train | DataRole::Tokenizer | DataRole::Reference => true,
        DataRole::Validation | DataRole::Test => false,
    }
}

fn named(part: &Part) -> String {
    format!("{} {}", part.package.name, part.package.version)
}

/// Where the bytes of a reference come from, for people.
fn from(reference: &DataReference) -> Option<String> {
    match &reference.source {
        DataSource::Fetched { urls, .. } => urls.first().map(shown),
        DataSource::InTree { path, .. } | DataSource::Shards { list: path } => {
            Some(path.to_string())
        }
    }
}

/// What the one file of a reference is called.
fn file_name(reference: &DataReference) -> String {
    let from = from(reference).unwrap_or_default();
    let end = from.rsplit(['/', '#']).next().unwrap_or_default();
    if end.is_empty() { reference.name.to_string() } else { end.to_owned() }
}

/// Searches all sources, and says where the longest passages stand.
fn search(options: &TraceOptions, sources: &[Source]) -> Result<(Vec<Passage>, usize)> {
    let prompt = options.prompt.as_deref().unwrap_or_default();
    let skipped = if options.text.starts_with(prompt) { prompt.len() } else { 0 };
    let rest = &options.text[skipped..];
    let (text, origins) = fold(rest, options.whitespace);
    let (prompt, _) = fold(prompt, options.whitespace);
    let mut ranges = Vec::new();
    for source in sources {
        ranges.extend(source.index.passages(&text, options.shortest, options.whitespace)?);
    }
    let mut ranges = outermost(ranges);
    ranges.retain(|range| !is_within(&prompt, &text[range.clone()]));
    let count = ranges.len();
    let mut passages = Vec::new();
    for range in ranges.into_iter().take(options.most) {
        let (occurrences, places) = places_of(&text[range.clone()], options, sources)?;
        let (start, end) = original(&range, &origins, rest.len());
        passages.push(Passage {
            start: skipped + start,
            text: String::from_utf8_lossy(&rest[start..end]).into_owned(),
            length: end - start,
            occurrences,
            places,
        });
    }
    Ok((passages, count))
}

/// Where a passage of the folded text lies in the text itself.
fn original(range: &Range<usize>, origins: &[usize], length: usize) -> (usize, usize) {
    (origins[range.start], origins.get(range.end).copied().unwrap_or(length))
}

fn is_within(text: &[u8], passage: &[u8]) -> bool {
    text.windows(passage.len()).any(|window| window == passage)
}

fn places_of(
    passage: &[u8],
    options: &TraceOptions,
    sources: &[Source],
) -> Result<(u64, Vec<Found>)> {
    let (mut occurrences, mut found) = (0, Vec::new());
    for (number, source) in sources.iter().enumerate() {
        let places = source.index.places(passage, options.whitespace, MOST_PLACES)?;
        occurrences += places.occurrences;
        found.extend(places.places.into_iter().map(|mut place| {
            if place.path.is_empty() {
                place.path.clone_from(&source.name);
            }
            Found { source: number, place }
        }));
    }
    Ok((occurrences, found))
}
