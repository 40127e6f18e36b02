//! What a statement about the openness class of a package says (spec/facts.md, "Statements").

use jiff::Timestamp;
use serde::Deserialize;

use super::statement::{CLASS_V1, Statement, package_url};
use super::{Error, Rebuildable, Result};
use crate::package::{Class, Digest};

/// What is relied on of the predicate `urn:mpkg:class:1`; the facts beside it are for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClassClaim {
    /// The release, as a package URL.
    pub package: String,
    /// Its package digest.
    pub package_digest: Digest,
    /// The package digest of its source.
    pub source: Digest,
    /// Its class.
    pub class: Class,
    /// When it was computed.
    pub computed: Timestamp,
}

impl ClassClaim {
    /// Reads a statement; nothing where it is of another type.
    ///
    /// # Errors
    /// [`Error::Statement`] where something is missing or is none of the known words.
    pub fn of(statement: &Statement) -> Result<Option<Self>> {
        if statement.predicate_type != CLASS_V1 {
            return Ok(None);
        }
        let claim = Self::deserialize(&statement.predicate)
            .map_err(|error| Error::Statement(format!("its predicate is incomplete: {error}")))?;
        Ok(Some(claim))
    }

    /// Whether it is about `package`, made from the very same source.
    #[must_use]
    pub fn is_about(&self, package: Rebuildable<'_>) -> bool {
        self.package_digest == package.package
            && self.package == package_url(package.release)
            && Some(self.source) == package.source
    }
}
