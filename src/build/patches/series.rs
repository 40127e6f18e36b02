//! `patches/series`: the names of patches, one a line.

use std::path::Path;

use super::{Error, LONGEST_PATCH, MOST_PATCHES, PATCHES_FOLDER, Patch, Result, SERIES_NAME};
use crate::fs;
use crate::package::PackagePath;

/// The longest list of patches, in bytes.
const LONGEST_SERIES: u64 = 1 << 20;

/// The list of a tree's patches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Their names, in the order in which they are applied.
    pub names: Vec<PackagePath>,
}

impl Series {
    /// Reads the list of the tree in `root`; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read, or a line names no patch.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(SERIES_NAME);
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&fs::read_to_string(&path, LONGEST_SERIES)?)
    }

    /// Reads the text of the list. As in quilt, `#` begins a comment, and `-p1` may follow a name.
    ///
    /// # Errors
    /// [`Error::Series`] and [`Error::TooMany`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut names: Vec<PackagePath> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let fault = |why: String| Error::Series { line, why };
            let text = text.split_once(" #").map_or(text, |(before, _)| before).trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let name = text.strip_suffix(" -p1").unwrap_or(text).trim_end();
            if name.split_whitespace().any(|word| word.starts_with('-')) {
                return Err(fault("a patch takes no option but -p1".to_owned()));
            }
            let name: PackagePath = name.parse().map_err(|error| fault(format!("{error}")))?;
            if names.contains(&name) {
                return Err(fault(format!("{name} is listed twice")));
            }
            if format!("{PATCHES_FOLDER}{name}") == SERIES_NAME {
                return Err(fault("the list is no patch".to_owned()));
            }
            names.push(name);
            if names.len() > MOST_PATCHES {
                return Err(Error::TooMany);
            }
        }
        Ok(Self { names })
    }

    /// The list as it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.names.iter().flat_map(|name| [name.as_str(), "\n"]).collect()
    }

    /// Reads the patches of the tree in `root`, in order.
    ///
    /// # Errors
    /// The first that is not there, or is no patch.
    pub fn patches(&self, root: &Path) -> Result<Vec<Patch>> {
        self.names.iter().map(|name| read(root, name)).collect()
    }
}

fn read(root: &Path, name: &PackagePath) -> Result<Patch> {
    let path = root.join(PATCHES_FOLDER).join(name.as_str());
    if !path.exists() {
        return Err(Error::NoPatch { name: name.clone() });
    }
    Patch::parse(name, &fs::read_to_string(&path, LONGEST_PATCH)?)
}
