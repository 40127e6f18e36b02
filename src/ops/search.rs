//! `mpkg search`: packages by words.

use super::catalogue::{Catalogue, Error, Result};
use crate::package::Kind;
use crate::registry::SearchEntry;

/// A package that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What the registry says about it.
    pub entry: SearchEntry,
    /// The registry.
    pub registry: String,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The packages, those whose name fits best first.
    pub hits: Vec<Hit>,
    /// The registries that could not be read, each with the reason.
    pub unread: Vec<(String, Error)>,
}

/// The packages in which every word stands, in the name, the summary, the tasks or the provided
/// names. Without words: all. A registry that cannot be read does not keep the others from it.
///
/// # Errors
/// [`Error::NoRegistry`].
pub fn search(catalogue: &Catalogue<'_>, words: &[String], kind: Option<Kind>) -> Result<Found> {
    if catalogue.selected().is_empty() {
        return Err(Error::NoRegistry);
    }
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let mut hits: Vec<(usize, Hit)> = Vec::new();
    let mut unread = Vec::new();
    for (place, source) in catalogue.selected().iter().enumerate() {
        let list = catalogue.registry(place).and_then(|one| Ok((one, one.search_list()?)));
        let (registry, list) = match list {
            Ok(found) => found,
            Err(error) => {
                unread.push((source.title(), error));
                continue;
            }
        };
        for entry in list.packages {
            let is_known = hits.iter().any(|(_, hit)| hit.entry.name == entry.name);
            let fits = kind.is_none_or(|kind| entry.kind == kind);
            if let (false, true, Some(distance)) = (is_known, fits, distance(&entry, &words)) {
                let registry = registry.location().to_owned();
                hits.push((distance, Hit { entry, registry }));
            }
        }
    }
    hits.sort_by(|(a, one), (b, other)| (a, &one.entry.name).cmp(&(b, &other.entry.name)));
    Ok(Found { hits: hits.into_iter().map(|(_, hit)| hit).collect(), unread })
}

/// How far an entry is from the words; none where one of them does not stand in it.
fn distance(entry: &SearchEntry, words: &[String]) -> Option<usize> {
    let name = entry.name.as_str();
    let mut text = format!("{name} {} {}", entry.summary.to_lowercase(), entry.kind);
    for more in
        entry.tasks.iter().map(String::as_str).chain(entry.provides.iter().map(AsRef::as_ref))
    {
        text.push(' ');
        text.push_str(&more.to_lowercase());
    }
    words.iter().try_fold(0, |sum, word| {
        text.contains(word.as_str()).then_some(())?;
        Some(
            sum + if name == word {
                0
            } else if name.contains(word.as_str()) {
                1
            } else {
                2
            },
        )
    })
}
