//! The publisher keys that this machine has seen for a name: trusted at first use, and held on to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, Publishers, Registry, Result, leads_to};
use crate::crypto::Envelope;
use crate::crypto::canonical::{self, Limits};
use crate::fs;
use crate::package::PackageName;

const FORMAT: u32 = 1;
const LARGEST: u64 = 1 << 20;

/// What is remembered about a name, in `HOME/trust/packages/NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remembered {
    format: u32,
    /// The name.
    pub name: PackageName,
    /// The keys that publish it, as far as this machine has followed them.
    pub publishers: Publishers,
    /// Where they were seen.
    pub origin: String,
    /// When.
    pub first_seen: jiff::Timestamp,
}

impl Remembered {
    /// What a first look at a name is remembered as.
    #[must_use]
    pub fn new(
        name: &PackageName,
        publishers: &Publishers,
        origin: &str,
        first_seen: jiff::Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            name: name.clone(),
            publishers: publishers.clone(),
            origin: origin.to_owned(),
            first_seen,
        }
    }

    /// Where it is remembered below the folder `trust`.
    #[must_use]
    pub fn place(trust: &Path, name: &PackageName) -> PathBuf {
        trust.join("packages").join(format!("{name}.json"))
    }

    /// What is remembered about `name`, if something is.
    ///
    /// # Errors
    /// [`Error::Remembered`]; file errors.
    pub fn recall(trust: &Path, name: &PackageName) -> Result<Option<Self>> {
        let path = Self::place(trust, name);
        let text = match fs::read_to_string(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let limits = Limits::of_bytes(text.len());
        canonical::read_canonical(text.as_bytes(), limits)
            .map(Some)
            .map_err(|source| Error::Remembered { path, source })
    }

    /// Remembers it; a crash leaves it remembered or not.
    ///
    /// # Errors
    /// File errors.
    pub fn keep(&self, trust: &Path) -> Result<()> {
        let path = Self::place(trust, &self.name);
        let unwritable = |source| Error::Remembered { path: path.clone(), source };
        let value = serde_json::to_value(self)
            .map_err(|error| unwritable(canonical::Error::Shape(error)))?;
        let text = canonical::to_vec(&value).map_err(unwritable)?;
        Ok(fs::write_atomically(&path, &text)?)
    }

    /// Demands that a registry still names the same publishers, or that those of before, or the
    /// offline targets role of the registry, said that others follow them.
    ///
    /// # Errors
    /// [`Error::PublisherChanged`] with the keys of both.
    pub fn demand(
        trust: &Path,
        name: &PackageName,
        now: &Publishers,
        changes: &[Envelope],
        registry: &Registry<'_>,
    ) -> Result<()> {
        let Some(known) = Self::recall(trust, name)? else { return Ok(()) };
        let follows = || leads_to(name, changes, &known.publishers, now, &registry.targets_role());
        if known.publishers == *now || follows() {
            return Ok(());
        }
        Err(Error::PublisherChanged {
            name: name.clone(),
            location: registry.location().to_owned(),
            known: known.publishers.ids().into(),
            found: now.ids().into(),
            path: Self::place(trust, name),
        })
    }

    /// Holds on to the publishers of a name: for the first time, or to those that follow the ones
    /// of before.
    ///
    /// # Errors
    /// [`Error::Remembered`]; file errors.
    pub fn hold_on(
        trust: &Path,
        name: &PackageName,
        publishers: &Publishers,
        origin: &str,
        now: jiff::Timestamp,
    ) -> Result<()> {
        match Self::recall(trust, name)? {
            Some(known) if known.publishers == *publishers => Ok(()),
            Some(known) => Self { publishers: publishers.clone(), ..known }.keep(trust),
            None => Self::new(name, publishers, origin, now).keep(trust),
        }
    }
}
