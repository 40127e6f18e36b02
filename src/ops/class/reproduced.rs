//! Who has built a package again, and made the same of it.

use std::num::NonZeroUsize;

use jiff::Timestamp;

use crate::crypto::statement::Statement;
use crate::crypto::{Envelope, PublicKey, RebuildClaim, Rebuildable};
use crate::ops::licenses::Result;
use crate::ops::lineage::{Genealogist, Part};
use crate::package::Verdict;
use crate::study::class::Fact;
use crate::study::licences::Level;

/// A rebuild by somebody whom this machine knows.
#[derive(Debug, Clone)]
pub(super) struct Reproduced {
    /// What came of it.
    verdict: Verdict,
    /// When it began.
    started: Timestamp,
    /// The id of the key that signed it.
    key: String,
}

impl Reproduced {
    /// The best rebuild of a binary package that registries have a statement of, signed by a key
    /// that this machine knows and that is not the publisher's.
    ///
    /// # Errors
    /// Statements that a registry lists and that cannot be had.
    pub(super) fn of(part: &Part, genealogist: &mut Genealogist<'_>) -> Result<Option<Self>> {
        if !part.is_binary {
            return Ok(None);
        }
        let release = part.package.release();
        let (package, source) = (part.package.package, part.package.source);
        let about = Rebuildable { release: &release, package, source };
        let Some(said) = genealogist.said(&part.package.name, package)? else { return Ok(None) };
        let found = said
            .envelopes
            .iter()
            .flat_map(|bytes| said.listened_to.iter().filter_map(|key| read(bytes, *key, about)));
        Ok(found.max_by_key(|one| (one.verdict, one.started)))
    }

    /// The fact `fact`, known as well as somebody else's rebuild makes it.
    pub(super) fn strengthen(&self, fact: Fact) -> Fact {
        let source = format!("{} rebuilt it: {}", self.key, self.verdict);
        Fact { source, ..fact.at(Level::Reproduced, Some(self.started)) }
    }
}

fn read(bytes: &[u8], key: PublicKey, about: Rebuildable<'_>) -> Option<Reproduced> {
    let envelope = Envelope::parse(bytes).ok()?;
    envelope.verify(&[key], NonZeroUsize::MIN).ok()?;
    let statement = Statement::parse(envelope.payload()).ok()?;
    let claim = RebuildClaim::of(&statement).ok()??;
    let is_one = statement.packages() == [about.package]
        && claim.fault(about).is_none()
        && claim.verdict > Verdict::Different;
    let key = key.id().short();
    is_one.then_some(Reproduced { verdict: claim.verdict, started: claim.started, key })
}
