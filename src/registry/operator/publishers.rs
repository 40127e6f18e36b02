//! Who may publish a name, and the draft that changes it.

use std::num::NonZeroUsize;

use super::commit::Signing;
use super::draft::{Draft, PublishersDraft};
use super::repository::Repository;
use super::{Error, Result};
use crate::crypto::{Envelope as SignedStatement, KeyId, PublicKey, Subject, verify_package};
use crate::package::{PackageName, Release};
use crate::registry::tuf::Envelope;
use crate::registry::{NameIndex, PublisherChange, Publishers, ReleaseEntry, layout};

/// Other publishers of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublishers {
    /// The name.
    pub name: PackageName,
    /// Keys that come in.
    pub add: Vec<PublicKey>,
    /// Keys that go.
    pub remove: Vec<KeyId>,
    /// How many must sign from now on, where that changes.
    pub threshold: Option<NonZeroUsize>,
    /// Why.
    pub reason: Option<String>,
}

/// Who may publish a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishersNow {
    /// The keys and their threshold.
    pub publishers: Publishers,
    /// Releases that these keys have not signed: nobody can install them until they do.
    pub unsigned: Vec<Release>,
}

impl NewPublishers {
    fn apply(&self, before: &Publishers) -> Result<Publishers> {
        let mut keys = before.keys.clone();
        for id in &self.remove {
            if keys.remove(id).is_none() {
                let known = before.ids().iter().map(ToString::to_string).collect();
                return Err(Error::NoSuch { what: format!("publisher key {id}"), known });
            }
        }
        keys.extend(self.add.iter().map(|key| (key.id(), *key)));
        let threshold = self.threshold.unwrap_or(before.threshold);
        if threshold.get() > keys.len() {
            let why = format!("{threshold} signatures cannot be had from {} keys", keys.len());
            let source = crate::registry::tuf::Error::Form(why);
            return Err(Error::Role { role: "publisher", source });
        }
        Ok(Publishers { keys, threshold })
    }
}

impl Repository<'_> {
    /// Who may publish `name`, and which of its releases they have not signed.
    ///
    /// # Errors
    /// [`Error::NoSuch`], and whatever is wrong with the registry.
    pub fn publishers(&mut self, name: &PackageName) -> Result<PublishersNow> {
        let (index, publishers) = self.published(name)?;
        let mut unsigned = Vec::new();
        for entry in &index.releases {
            if !self.is_signed_by(entry, &publishers)? {
                unsigned.push(entry.release(name));
            }
        }
        Ok(PublishersNow { publishers, unsigned })
    }

    fn published(&mut self, name: &PackageName) -> Result<(NameIndex, Publishers)> {
        let index = self.name(name)?;
        let published = index.and_then(|index| {
            let publishers = index.publishers.clone()?;
            Some((index, publishers))
        });
        published
            .ok_or_else(|| Error::NoSuch { what: format!("package {name}"), known: Vec::new() })
    }

    fn is_signed_by(&self, entry: &ReleaseEntry, publishers: &Publishers) -> Result<bool> {
        let (Some(signatures), Some(stock)) = (entry.signatures(), entry.stock()) else {
            return Ok(false);
        };
        let place = signatures.place(entry.package);
        let bytes = self.bytes_at(&place, layout::LARGEST_ATTACHMENT)?;
        let subject = Subject { package: entry.package, file: Some(stock.sha256) };
        Ok(verify_package(&bytes, subject, &publishers.list(), publishers.threshold).is_ok())
    }

    /// Drafts other publishers of a name, signed by whatever keys this machine has: those of the
    /// publishers until now, or of the offline targets role.
    ///
    /// # Errors
    /// [`Error::NoSuch`] and [`Error::Role`].
    pub fn draft_publishers(
        &mut self,
        new: &NewPublishers,
        signing: &Signing<'_>,
    ) -> Result<Draft> {
        let (_, from) = self.published(&new.name)?;
        let change = PublisherChange {
            name: new.name.clone(),
            to: new.apply(&from)?,
            from,
            time: signing.now,
            reason: new.reason.clone(),
        };
        let signed: Option<SignedStatement> = None;
        let before = Envelope::parse(self.root_bytes(), self.root_bytes().len())
            .expect("it was read before");
        let mut draft = Draft {
            before: Some(before),
            publishers: Some(PublishersDraft { change, signed }),
            ..Draft::default()
        };
        draft.sign_with_all(signing.keys)?;
        Ok(draft)
    }
}
