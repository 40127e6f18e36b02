//! Withdraws what a trace has found.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

use super::{Error, Everything, ExcludeOptions, Excluded, Grounds, Mode, Result, What, exclude};
use crate::build::tree::SourceTree;
use crate::ops::lineage::Places;
use crate::ops::trace::{Searched, Traced};
use crate::study::trace::Whitespace;

/// What became of the passages that a trace has found.
#[derive(Debug, Clone, Default)]
pub struct Withdrawn {
    /// What was withdrawn from the tree's own data.
    pub own: Vec<Excluded>,
    /// Data of other packages that passages stand in.
    pub elsewhere: Vec<Elsewhere>,
}

/// Data of another package that holds passages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elsewhere {
    /// The package, as in `docs-corpus 1.0.0`.
    pub package: String,
    /// Its data reference; none where it is its own files.
    pub data: Option<String>,
}

/// Withdraws from the data of `tree` the records that hold a part of a passage that was found in
/// them.
///
/// # Errors
/// As [`exclude`].
pub fn withdraw_traced(
    tree: &SourceTree,
    traced: &Traced,
    whitespace: Whitespace,
    grounds: &Grounds,
    everything: Everything,
    places: &Places<'_>,
) -> Result<Withdrawn> {
    let package = &tree.manifest().package;
    let this = format!("{} {}", package.name, package.version);
    let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut withdrawn = Withdrawn::default();
    for passage in &traced.passages {
        for found in &passage.places {
            let Searched { package, data, .. } = &traced.searched[found.source];
            match data {
                Some(data) if *package == this => {
                    let texts = own.entry(data.clone()).or_default();
                    if texts.last() != Some(&passage.text) {
                        texts.push(passage.text.clone());
                    }
                }
                data => withdrawn
                    .elsewhere
                    .push(Elsewhere { package: package.clone(), data: data.clone() }),
            }
        }
    }
    withdrawn.elsewhere.sort();
    withdrawn.elsewhere.dedup();
    let folded = whitespace == Whitespace::Folded;
    for mode in [Mode::Look, Mode::Write] {
        // Nothing is written before all of it can be.
        withdrawn.own.clear();
        for (data, texts) in &own {
            // An earlier turn of this loop has changed the manifest.
            let tree = SourceTree::open(tree.root())?;
            let options = ExcludeOptions {
                data: data.clone(),
                what: What::Passages { texts: texts.clone(), folded },
                records: None,
                grounds: grounds.clone(),
                everything,
                mode,
            };
            withdrawn.own.push(exclude(&tree, &options, places)?);
        }
    }
    Ok(withdrawn)
}

/// An expression that matches the passage and nothing else.
pub(super) fn expression(passage: &str, folded: bool) -> Result<Regex> {
    let text = match folded {
        false => regex::escape(passage),
        true => passage.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+"),
    };
    // The largest text that is traced makes an expression of a few times its length.
    RegexBuilder::new(&text)
        .size_limit(1 << 28)
        .build()
        .map_err(|error| Error::Expression { why: error.to_string() })
}
