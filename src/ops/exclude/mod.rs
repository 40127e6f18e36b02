//! `mpkg exclude`: withdraws records from a data reference of a source tree.

mod closure;
mod error;
mod traced;
mod write;

use std::path::PathBuf;

pub use closure::{Affected, Closure};
pub use error::{Error, Result};
pub use traced::{Elsewhere, Withdrawn, withdraw_traced};

use super::lineage::Places;
use super::registry::data::by_digest;
use super::shelf::Shelf;
use crate::build::data::{Fetcher, Scan, Selector};
use crate::build::tree::SourceTree;
use crate::explain::nearest;
use crate::package::manifest::{DataReference, RecordKind};
use crate::package::{Digest, PartName};
use crate::store::CacheUse;

/// How many records are shown.
const SHOWN: usize = 10;

/// Which records are withdrawn.
#[derive(Debug, Clone)]
pub enum What {
    /// Those that match an expression.
    Match(String),
    /// Those with these digests.
    Records(Vec<Digest>),
    /// Those that hold a part of one of these passages.
    Passages {
        /// The passages.
        texts: Vec<String>,
        /// Whether a run of whitespace matches every other.
        folded: bool,
    },
}

/// Why records are withdrawn.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// The reason, in words.
    pub reason: String,
    /// Where more can be read.
    pub reference: Option<String>,
    /// When: `2026-11-26`.
    pub date: String,
}

/// Whether all records of a data reference may be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Everything {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The list and the manifest.
    Write,
    /// Nothing.
    Look,
}

/// What is withdrawn, and why.
#[derive(Debug, Clone)]
pub struct ExcludeOptions {
    /// The data reference's name.
    pub data: String,
    /// Which records.
    pub what: What,
    /// What a record is, where the manifest does not say.
    pub records: Option<RecordKind>,
    /// Why.
    pub grounds: Grounds,
    /// Whether all records may go.
    pub everything: Everything,
    /// Whether anything is written.
    pub mode: Mode,
}

/// What was withdrawn.
#[derive(Debug, Clone)]
pub struct Excluded {
    /// The data reference's name.
    pub data: PartName,
    /// What a record of it is.
    pub records: RecordKind,
    /// How many records there were, how many are withdrawn, and some of these.
    pub scan: Scan,
    /// The list that says so.
    pub list: PathBuf,
    /// What else was made from the same data.
    pub closure: Closure,
}

/// Withdraws records from a data reference of `tree`.
///
/// # Errors
/// When no record is meant, or all are and that is refused; when the data has no such records as
/// are stated. Then nothing is written.
pub fn exclude(
    tree: &SourceTree,
    options: &ExcludeOptions,
    places: &Places<'_>,
) -> Result<Excluded> {
    let reference = find(tree, &options.data)?;
    let kind = kind_of(reference, options.records)?;
    let selector = selector(&options.what)?;
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    // Data in the tree may be changed by patches.
    let patched = Shelf::of(places.home).patched(tree.clone())?;
    let fetcher =
        Fetcher::new(patched.root(), places.client).asking_first(by_digest(places.registries));
    let fetched = fetcher.fetch(std::slice::from_ref(reference), places.progress)?;
    let scan = fetcher.scan(&fetched[0], kind, &selector, SHOWN, places.progress)?;
    judge(&scan, options, &reference.name)?;
    let what = Written::of(&options.what, &scan);
    let subject = closure::Subject { tree, kind, digest: fetched[0].digest };
    let closure = closure::follow(&subject, &what, &options.grounds, places);
    let list = match options.mode {
        Mode::Write => write::write(tree, reference, kind, &what, &options.grounds)?,
        Mode::Look => write::list_of(tree, reference),
    };
    Ok(Excluded { data: reference.name.clone(), records: kind, scan, list, closure })
}

/// What comes to stand in a list.
#[derive(Debug, Clone)]
enum Written {
    Match(String),
    Records(Vec<Digest>),
}

impl Written {
    fn of(what: &What, scan: &Scan) -> Self {
        match what {
            What::Match(text) => Self::Match(text.clone()),
            What::Records(_) | What::Passages { .. } => Self::Records(scan.digests.clone()),
        }
    }
}

fn find<'t>(tree: &'t SourceTree, name: &str) -> Result<&'t DataReference> {
    let data = &tree.manifest().data;
    data.iter().find(|it| it.name.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = data.iter().map(|it| it.name.as_str()).collect();
        let near = nearest(name, names.iter().copied()).map(str::to_owned);
        let exist = names.into_iter().map(str::to_owned).collect();
        Error::NoData { name: name.to_owned(), near, exist }
    })
}

fn kind_of(reference: &DataReference, wanted: Option<RecordKind>) -> Result<RecordKind> {
    let name = || reference.name.clone();
    match (reference.records, wanted) {
        (None, None) => Err(Error::NoRecords { name: name() }),
        (Some(stated), Some(wanted)) if stated != wanted => {
            Err(Error::OtherRecords { name: name(), stated: stated.as_str() })
        }
        (Some(kind), _) | (None, Some(kind)) => Ok(kind),
    }
}

fn selector(what: &What) -> Result<Selector> {
    use crate::build::data::Rule;
    match what {
        What::Match(text) => {
            Rule::expression(text).map(Selector::Rule).map_err(|why| Error::Expression { why })
        }
        What::Records(digests) => Ok(Selector::Rule(Rule::Records(digests.clone()))),
        What::Passages { texts, folded } => {
            let expressions = texts.iter().map(|text| traced::expression(text, *folded));
            Ok(Selector::Passages(expressions.collect::<Result<_>>()?))
        }
    }
}

fn judge(scan: &Scan, options: &ExcludeOptions, name: &PartName) -> Result<()> {
    let name = name.clone();
    if let What::Records(wanted) = &options.what {
        let missing = wanted.iter().find(|digest| scan.digests.binary_search(digest).is_err());
        if let Some(digest) = missing {
            return Err(Error::NoSuchRecord { name, digest: *digest });
        }
    }
    if scan.found == 0 {
        return Err(Error::Nothing { name, records: scan.records });
    }
    if scan.found == scan.records && options.everything == Everything::Refused {
        return Err(Error::Everything { name, records: scan.records });
    }
    Ok(())
}
