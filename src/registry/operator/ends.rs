//! When each bin ends, kept beside the registry for its operator alone, so that a refresh among
//! thousands of bins reads those that changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Result;
use super::repository::Stored;
use super::write::Writer;
use crate::crypto::canonical::{self, Limits};
use crate::fs;
use crate::registry::tuf::{Metadata as _, Targets};

/// The file; no reader asks for it.
pub(super) const FILE: &str = ".mpkg-bins.json";
const FORMAT: u32 = 1;
const LARGEST: u64 = 16 << 20;

/// The ends of bins, each of one version. An entry of another version than the snapshot's says
/// nothing, so the file may be missing, old or of another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ends {
    format: u32,
    bins: BTreeMap<String, (u64, jiff::Timestamp)>,
    #[serde(skip)]
    is_changed: bool,
}

impl Ends {
    /// What is kept beside the registry in `folder`. A file that is not of our form is as none.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let text = match fs::read_to_string(&folder.join(FILE), LARGEST) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let kept = canonical::read::<Self>(text.as_bytes(), Limits::of_bytes(text.len()));
        let kept = kept.ok().filter(|kept| kept.format == FORMAT);
        let nothing = || Self { format: FORMAT, bins: BTreeMap::new(), is_changed: false };
        Ok(kept.unwrap_or_else(nothing))
    }

    /// When version `version` of a bin ends, where that is known.
    pub(super) fn get(&self, name: &str, version: u64) -> Option<jiff::Timestamp> {
        self.bins.get(name).filter(|(known, _)| *known == version).map(|(_, end)| *end)
    }

    /// Remembers when a bin ends.
    pub(super) fn set(&mut self, name: &str, bin: &Targets) {
        let entry = (bin.version(), bin.head().expires);
        self.is_changed |= self.bins.insert(name.to_owned(), entry) != Some(entry);
    }

    /// Remembers the ends of bins that were read or written.
    pub(super) fn learn(&mut self, bins: &BTreeMap<String, Stored<Targets>>) {
        for (name, bin) in bins {
            self.set(name, &bin.document);
        }
    }

    /// Writes the file, where anything in it is new.
    pub(super) fn keep(&self, writer: &Writer<'_>) -> Result<()> {
        if self.is_changed { writer.write_json(FILE, self) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_counts_for_its_version_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut ends = Ends::of(folder.path()).unwrap();
        assert_eq!(ends.get("bins-0", 1), None);
        let end: jiff::Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        ends.set("bins-0", &Targets::new(end));
        assert_eq!((ends.get("bins-0", 1), ends.get("bins-0", 2)), (Some(end), None));
        fs::write_atomically(&folder.path().join(FILE), &serde_json::to_vec(&ends).unwrap())
            .unwrap();
        assert_eq!(Ends::of(folder.path()).unwrap().get("bins-0", 1), Some(end));
        fs::write_atomically(&folder.path().join(FILE), b"{}").unwrap();
        assert_eq!(Ends::of(folder.path()).unwrap().get("bins-0", 1), None);
    }
}
