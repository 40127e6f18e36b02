//! Models that are spread over several files: `model.safetensors.index.json` says which tensor is
//! in which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{Error, Result};
use super::weights::Weights;
use crate::fs::read_to_string;

/// How the names of lists end.
pub(super) const LIST_END: &str = ".safetensors.index.json";
/// The longest list that is read, in bytes.
const LONGEST_LIST: u64 = 64 << 20;

#[derive(Deserialize)]
struct List {
    weight_map: BTreeMap<String, String>,
}

/// Whether `path` names a list of shards.
pub(super) fn is_list(path: &Path) -> bool {
    path.to_string_lossy().to_ascii_lowercase().ends_with(LIST_END)
}

fn read(path: &Path) -> Result<List> {
    let text = read_to_string(path, LONGEST_LIST)?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Shards { path: path.to_owned(), why: error.to_string() })
}

/// The files that the list at `path` names, which lie beside it; every tensor is where the list
/// says.
pub(super) fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |why: String| Error::Shards { path: path.to_owned(), why };
    let list = read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let names: BTreeSet<&String> = list.weight_map.values().collect();
    for name in &names {
        let odd = name.contains(['/', '\\', '\0']) || name.starts_with('.');
        if odd || !name.ends_with(".safetensors") {
            return Err(wrong(format!("{name:?} is no file of weights beside it")));
        }
        if !folder.join(name).is_file() {
            return Err(wrong(format!("there is no {name}")));
        }
    }
    let parts: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let weights = Weights::of_parts(&parts)?;
    let mut found = 0;
    for (tensor, place) in weights.names() {
        let stated = list.weight_map.get(tensor).map(|name| folder.join(name));
        if stated.as_deref() != Some(place) {
            return Err(wrong(format!("the tensor {tensor:?} is not where it says")));
        }
        found += 1;
    }
    if found != list.weight_map.len() {
        let missing = list.weight_map.len() - found;
        return Err(wrong(format!("{missing} of its tensors are in none of its files")));
    }
    Ok(parts)
}
