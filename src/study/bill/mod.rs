//! Bills of materials: what a package was made from, in the words of other people's formats
//! (spec/facts.md, "Bills of materials").
//!
//! [`Bill`] says it in ours; [`spdx`] and [`cyclonedx`] say it in theirs. The same bill makes the
//! same bytes.

pub mod cyclonedx;
pub mod spdx;

use jiff::Timestamp;

use super::licences::Level;
use crate::package::{Digest, Kind};

/// What a package was made from.
#[derive(Debug, Clone)]
pub struct Bill {
    /// The things, the package itself first.
    pub items: Vec<Item>,
    /// What they have to do with each other.
    pub links: Vec<Link>,
    /// When the bill was made.
    pub created: Timestamp,
}

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A package.
    Package(Kind),
    /// A data reference.
    Data,
    /// The code of a source.
    Code,
    /// A wheel.
    Library,
}

/// A thing with a name and a licence.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// A name that no other has in this bill.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// One line that says what it is.
    pub summary: Option<String>,
    /// Its package URL, where there is one.
    pub url: Option<String>,
    /// The SHA-256 of its bytes; of a package, its package digest.
    pub sha256: Option<Digest>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// The addresses where it is to be had.
    pub addresses: Vec<String>,
    /// Who looks after it.
    pub maintainers: Vec<String>,
    /// What it can be used for.
    pub tasks: Vec<String>,
    /// The declared licence.
    pub license: Option<String>,
    /// How well that is known.
    pub level: Level,
    /// The file or address that says so.
    pub evidence: Option<String>,
    /// What is wrong with it.
    pub findings: Vec<String>,
    /// Further things to say: names and values.
    pub properties: Vec<(String, String)>,
}

impl Item {
    /// The licence that holds by what was read; none where the evidence was not read or says
    /// something else.
    #[must_use]
    pub fn concluded(&self) -> Option<&str> {
        let is_sound = self.level >= Level::Checked && self.findings.is_empty();
        self.license.as_deref().filter(|_| is_sound)
    }

    /// Whether it is a set of data.
    #[must_use]
    pub fn is_data(&self) -> bool {
        matches!(self.kind, ItemKind::Data | ItemKind::Package(Kind::Dataset))
    }

    /// Whether it has weights.
    #[must_use]
    pub fn is_model(&self) -> bool {
        matches!(self.kind, ItemKind::Package(Kind::Model | Kind::Adapter))
    }
}

/// What one thing has to do with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// It was trained on it.
    TrainedOn,
    /// It was tested on it.
    TestedOn,
    /// It was made from it, in another way than by training.
    MadeFrom,
    /// It needs it to be used.
    DependsOn,
    /// Its build needs it.
    BuiltWith,
}

/// Two things, by their places in [`Bill::items`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// From.
    pub from: usize,
    /// How.
    pub relation: Relation,
    /// To.
    pub to: usize,
}

/// The time as these formats write it.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A digest of everything in the bill but its time, for names that say what they name.
fn digest_of(bill: &Bill) -> Digest {
    let mut text = String::new();
    for item in &bill.items {
        let digest = item.sha256.map(|it| it.to_string()).unwrap_or_default();
        let license = item.license.as_deref().unwrap_or_default();
        text.push_str(
            &[&item.id, "\t", &digest, "\t", license, "\t", item.level.as_str(), "\n"].concat(),
        );
    }
    Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn bill() -> Bill {
        let item = |kind, id: &str, license: Option<&str>| Item {
            kind,
            id: id.to_owned(),
            name: id.to_owned(),
            version: Some("1.0.0".to_owned()),
            summary: None,
            url: None,
            sha256: Some(Digest::of(id.as_bytes())),
            size: Some(7),
            addresses: vec!["https://example.org/a".to_owned()],
            maintainers: vec!["A <a@example.org>".to_owned()],
            tasks: vec!["text-generation".to_owned()],
            license: license.map(str::to_owned),
            level: Level::Checked,
            evidence: None,
            findings: Vec::new(),
            properties: Vec::new(),
        };
        Bill {
            items: vec![
                item(ItemKind::Package(Kind::Model), "lm", Some("MIT")),
                item(ItemKind::Data, "page", Some("CC0-1.0")),
                item(ItemKind::Library, "numpy", None),
            ],
            links: vec![
                Link { from: 0, relation: Relation::TrainedOn, to: 1 },
                Link { from: 0, relation: Relation::BuiltWith, to: 2 },
            ],
            created: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn nothing_is_concluded_from_bad_evidence() {
        let mut item = bill().items.remove(0);
        assert_eq!(item.concluded(), Some("MIT"));
        item.findings.push("the evidence says GPL".to_owned());
        assert_eq!(item.concluded(), None);
        let unread = Item { level: Level::Declared, findings: Vec::new(), ..item };
        assert_eq!(unread.concluded(), None);
    }

    #[test]
    fn the_same_bill_makes_the_same_documents() {
        assert_eq!(spdx::document(&bill()), spdx::document(&bill()));
        assert_eq!(cyclonedx::document(&bill()), cyclonedx::document(&bill()));
        let mut other = bill();
        other.items[1].license = Some("MIT".to_owned());
        assert_ne!(digest_of(&bill()), digest_of(&other));
    }
}
