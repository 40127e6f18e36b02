//! The advisories of registries that concern a graph of packages: listed, fetched, and believed
//! only with the signatures of who issued them.

use crate::crypto::KeyId;
use crate::package::advisory::{Advisory, Vex};
use crate::registry::{AdvisoryList, Notice, Registry};
use crate::study::advisories::Graph;

/// Advisories that may concern a graph, and statements about them.
#[derive(Debug, Default)]
pub struct Records {
    /// The advisories.
    pub advisories: Vec<Advisory>,
    /// Who issued each, and the registry that lists it; nothing for a file of one's own.
    pub origins: Vec<Origin>,
    /// The statements.
    pub said: Vec<Vex>,
    /// How many advisories were listed in all.
    pub listed: usize,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

/// Where an advisory is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The keys that signed it.
    pub signed_by: Vec<KeyId>,
    /// The registry.
    pub registry: Option<String>,
}

/// An advisory, or a list of them, that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Records {
    /// Adds what `registry` says of `graph`. What cannot be read is noted in [`Records::unread`].
    pub fn add(&mut self, registry: &Registry<'_>, graph: &Graph) {
        match registry.advisories() {
            Ok(Some(list)) => self.add_list(registry, &list, graph),
            Ok(None) => {}
            Err(error) => self.note(format!("the advisories of {}", registry.location()), &error),
        }
    }

    fn add_list(&mut self, registry: &Registry<'_>, list: &AdvisoryList, graph: &Graph) {
        let (names, data, keys) = (graph.names(), graph.data(), list.keys());
        self.listed += list.advisories.len();
        let mut relevant = Vec::new();
        for entry in list.advisories.iter().filter(|entry| entry.withdrawn.is_none()) {
            let concerns = entry.packages.iter().any(|name| names.contains(name.as_str()))
                || entry.data.iter().any(|digest| data.contains(digest));
            if !concerns {
                continue;
            }
            let what = format!("the advisory {} of {}", entry.id, registry.location());
            let bytes = match registry.listed(&entry.place(), entry.sha256, entry.size) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.note(what, &error);
                    continue;
                }
            };
            let read = Notice::parse(&bytes, &what).and_then(|notice| {
                let signers = notice.signers(&bytes, &entry.signatures, &keys, &what)?;
                Ok((notice, signers))
            });
            match read {
                Ok((Notice::Advisory(advisory), signers)) if advisory.id == entry.id => {
                    relevant.push(entry.id.clone());
                    self.advisories.push(*advisory);
                    self.origins.push(Origin {
                        signed_by: signers.iter().map(crate::crypto::PublicKey::id).collect(),
                        registry: Some(registry.location().to_owned()),
                    });
                }
                Ok(_) => self.unread.push(Unread { what, why: "it is another one".to_owned() }),
                Err(error) => self.note(what, &error),
            }
        }
        for entry in &list.statements {
            let concerns = entry.advisories.iter().any(|id| relevant.contains(id))
                && entry.packages.iter().any(|name| names.contains(name.as_str()));
            if !concerns {
                continue;
            }
            let what = format!("a VEX statement of {}", registry.location());
            let bytes = match registry.listed(&entry.place(), entry.sha256, entry.size) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.note(what, &error);
                    continue;
                }
            };
            let read = Notice::parse(&bytes, &what).and_then(|notice| {
                notice.signers(&bytes, &entry.signatures, &keys, &what).map(|_| notice)
            });
            match read {
                Ok(Notice::Vex(vex)) => self.said.push(vex),
                Ok(Notice::Advisory(_)) => {}
                Err(error) => self.note(what, &error),
            }
        }
    }

    /// Adds a file of one's own; its signatures do not matter.
    pub fn add_own(&mut self, notice: Notice) {
        match notice {
            Notice::Advisory(advisory) => {
                self.advisories.push(*advisory);
                self.origins.push(Origin::default());
            }
            Notice::Vex(vex) => self.said.push(vex),
        }
    }

    /// Notes something that could not be read.
    pub fn note(&mut self, what: String, error: &dyn std::error::Error) {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        self.unread.push(Unread { what, why });
    }
}
