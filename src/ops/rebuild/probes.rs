//! How the predictions of the released package and of the rebuilt one agree.

use serde::Serialize;

use super::Error;
use crate::build::probes::{LONGEST_PREDICTIONS, Predictions};
use crate::fs::read_to_string;
use crate::package::PROBES_FOLDER;
use crate::reproduce::{Agreement, Side, agreement};

/// One probe of both packages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeFacts {
    /// Its name.
    pub name: String,
    /// The place of its predictions in a package.
    #[serde(skip)]
    pub path: String,
    /// How they agree. Those of the released package are made anew here from its own weights,
    /// unless both packages are the same: what stands in it may be another's.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// Compares the predictions of `second`, for which the probes have just run, with those of
/// `first`, or `fresh` ones of it.
pub(super) fn compare(
    first: Side<'_>,
    second: Side<'_>,
    fresh: &[Predictions],
) -> Result<Vec<ProbeFacts>, Error> {
    let mut facts = Vec::new();
    for file in &second.index.files {
        let path = file.path.as_str();
        let Some(name) = path.strip_prefix(PROBES_FOLDER) else { continue };
        let name = name.strip_suffix(".txt").unwrap_or(name).to_owned();
        let ours = read_to_string(&file.path.below(second.folder), LONGEST_PREDICTIONS)?;
        let theirs = match fresh.iter().find(|it| it.path() == path) {
            Some(found) => found.text.clone(),
            None if first.index.files.iter().any(|it| it.path == file.path) => {
                read_to_string(&file.path.below(first.folder), LONGEST_PREDICTIONS)?.into_bytes()
            }
            None => Vec::new(),
        };
        let agreement = agreement(&theirs, ours.as_bytes());
        facts.push(ProbeFacts { name, path: path.to_owned(), agreement });
    }
    Ok(facts)
}
