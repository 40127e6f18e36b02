//! Which packages advisories concern: those that are named, and all that was built from them or
//! from data that is named (spec/advisories.md).

use std::collections::{BTreeSet, VecDeque};

use crate::package::advisory::{Advisory, Justification, Status, Vex, VexStatement};
use crate::package::{Digest, PackageVersion, PartName, Release};

/// Packages and what they were built from.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The packages.
    pub pieces: Vec<Piece>,
}

/// A package in a [`Graph`].
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which.
    pub release: Release,
    /// Its package digest; none for a source tree that nobody packed.
    pub digest: Option<Digest>,
    /// The data that went into it.
    pub data: Vec<PieceData>,
    /// What it needs, as places in [`Graph::pieces`].
    pub needs: Vec<usize>,
}

/// A piece of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceData {
    /// The data reference's name.
    pub name: PartName,
    /// Its digest, and those of its files.
    pub digests: Vec<Digest>,
    /// What was taken out of it.
    pub withdrawn: Withdrawn,
}

/// The records that were taken out of a piece of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawn {
    /// These, by their digests.
    Records(BTreeSet<Digest>),
    /// Some; which is not known.
    Some,
}

impl PieceData {
    /// The digest by which `advisory` names this data, if what is to blame may still be in it.
    fn named_by(&self, advisory: &Advisory) -> Option<Digest> {
        let blames = |digest: &&Digest| {
            advisory.of_data(**digest).any(|data| match &self.withdrawn {
                Withdrawn::Records(withdrawn) => !data.is_mended_by(withdrawn),
                Withdrawn::Some => data.records.is_empty(),
            })
        };
        self.digests.iter().find(blames).copied()
    }
}

/// A package that an advisory concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The advisory's place among those that were looked at.
    pub advisory: usize,
    /// From the package down to what the advisory names, as places in the graph.
    pub path: Vec<usize>,
    /// What it names there.
    pub cause: Cause,
}

/// What an advisory names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The package itself; these versions of it mend it.
    Version {
        /// The versions, ascending.
        fixed: Vec<PackageVersion>,
    },
    /// Data that went into it.
    Data {
        /// The data reference's name.
        name: PartName,
        /// The digest that is named.
        digest: Digest,
    },
}

/// A package that somebody said is not affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// The advisory's place among those that were looked at.
    pub advisory: usize,
    /// The package, as a place in the graph.
    pub piece: usize,
    /// How it stands to the advisory.
    pub status: Status,
    /// Why.
    pub justification: Option<Justification>,
    /// The same in words.
    pub impact: Option<String>,
}

/// What [`judge`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Affected packages.
    pub findings: Vec<Finding>,
    /// Packages that would be affected if nobody had said otherwise.
    pub cleared: Vec<Cleared>,
}

impl Graph {
    /// Every name in it.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.pieces.iter().map(|piece| piece.release.name.as_str()).collect()
    }

    /// The digests of all data in it.
    #[must_use]
    pub fn data(&self) -> BTreeSet<Digest> {
        let data = self.pieces.iter().flat_map(|piece| &piece.data);
        data.flat_map(|data| data.digests.iter().copied()).collect()
    }
}

/// Finds which of the packages `roots` are affected: those from which a chain leads down to what
/// an advisory names, unless a statement clears a package on the way. The shortest chain is given.
/// Of several statements about one package the last counts.
#[must_use]
pub fn judge(graph: &Graph, roots: &[usize], advisories: &[Advisory], said: &[Vex]) -> Judged {
    let mut judged = Judged::default();
    for (number, advisory) in advisories.iter().enumerate() {
        if advisory.withdrawn.is_some() {
            continue;
        }
        let trial = Trial { graph, advisory, said };
        let mut cleared = BTreeSet::new();
        for root in roots {
            if let Some((path, cause)) = trial.search(*root, Some(&mut cleared)) {
                judged.findings.push(Finding { advisory: number, path, cause });
            }
        }
        for piece in cleared {
            let Some(statement) = trial.statement(piece) else { continue };
            judged.cleared.push(Cleared {
                advisory: number,
                piece,
                status: statement.status,
                justification: statement.justification,
                impact: statement.impact.clone(),
            });
        }
    }
    judged
}

struct Trial<'a> {
    graph: &'a Graph,
    advisory: &'a Advisory,
    said: &'a [Vex],
}

impl Trial<'_> {
    /// The shortest chain from `root` to what the advisory names. Packages that a statement clears
    /// are not entered, and are noted in `cleared` where they would lead to it; without `cleared`
    /// statements count for nothing.
    fn search(
        &self,
        root: usize,
        mut cleared: Option<&mut BTreeSet<usize>>,
    ) -> Option<(Vec<usize>, Cause)> {
        let mut seen = BTreeSet::from([root]);
        let mut open = VecDeque::from([vec![root]]);
        while let Some(path) = open.pop_front() {
            let at = *path.last().expect("a path has a beginning");
            if let Some(cleared) = &mut cleared
                && self.statement(at).is_some_and(|statement| statement.status.clears())
            {
                if self.search(at, None).is_some() {
                    cleared.insert(at);
                }
                continue;
            }
            if let Some(cause) = self.cause(&self.graph.pieces[at]) {
                return Some((path, cause));
            }
            for next in &self.graph.pieces[at].needs {
                if seen.insert(*next) {
                    open.push_back([&path[..], &[*next]].concat());
                }
            }
        }
        None
    }

    fn cause(&self, piece: &Piece) -> Option<Cause> {
        let Release { name, version, .. } = &piece.release;
        if let Some(entry) = self.advisory.of_package(name, version) {
            let mut fixed: Vec<PackageVersion> =
                entry.fixed().filter(|fixed| *fixed > version).cloned().collect();
            fixed.sort();
            return Some(Cause::Version { fixed });
        }
        piece.data.iter().find_map(|data| {
            let named = data.named_by(self.advisory);
            named.map(|digest| Cause::Data { name: data.name.clone(), digest })
        })
    }

    /// The last statement about a package.
    fn statement(&self, piece: usize) -> Option<&VexStatement> {
        let piece = &self.graph.pieces[piece];
        let statements = self.said.iter().flat_map(|vex| {
            let about_it = |one: &&VexStatement| {
                one.advisory == self.advisory.id
                    && one.products.iter().any(|product| product.is(&piece.release, piece.digest))
            };
            vex.statements.iter().filter(about_it).map(|one| (vex.time, one))
        });
        statements.max_by_key(|(time, _)| *time).map(|(_, statement)| statement)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn piece(name: &str, needs: &[usize], data: &[&str]) -> Piece {
        let release = Release {
            name: name.parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            variant: Some("f32".parse().unwrap()),
        };
        let data = data.iter().map(|word| PieceData {
            name: word.parse().unwrap(),
            digests: vec![Digest::of(word.as_bytes())],
            withdrawn: Withdrawn::Records(BTreeSet::new()),
        });
        let digest = Some(Digest::of(name.as_bytes()));
        Piece { release, digest, data: data.collect(), needs: needs.to_vec() }
    }

    /// Adapter on a base on a corpus, with a tokenizer from the same corpus.
    fn graph() -> Graph {
        let pieces = vec![
            piece("adapter", &[1], &[]),
            piece("base", &[2, 3], &["notes"]),
            piece("tokenizer", &[3], &[]),
            piece("corpus", &[], &["plays", "letters"]),
        ];
        Graph { pieces }
    }

    fn advisory(affected: &serde_json::Value) -> Advisory {
        Advisory::read(&json!({
            "id": "MSA-2026-0001", "modified": "2026-11-26T15:00:00Z", "affected": [affected],
        }))
        .unwrap()
    }

    fn by_data(word: &str) -> Advisory {
        let digest = Digest::of(word.as_bytes());
        advisory(&json!({"database_specific": {"data": [{"sha256": digest}]}}))
    }

    fn clears(name: &str, status: &str, time: &str) -> Vex {
        Vex::read(&json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "x",
            "timestamp": time, "version": 1,
            "statements": [{"vulnerability": {"name": "MSA-2026-0001"}, "status": status,
                "products": [{"@id": format!("pkg:mpkg/{name}@1.0.0")}],
                "justification": "component_not_present"}],
        }))
        .unwrap()
    }

    fn affected(judged: &Judged) -> Vec<Vec<usize>> {
        judged.findings.iter().map(|finding| finding.path.clone()).collect()
    }

    #[test]
    fn what_was_built_from_it_is_affected_through_the_shortest_chain() {
        let all = [0, 1, 2, 3];
        let judged = judge(&graph(), &all, &[by_data("letters")], &[]);
        assert_eq!(affected(&judged), [vec![0, 1, 3], vec![1, 3], vec![2, 3], vec![3]]);
        assert!(
            matches!(&judged.findings[0].cause, Cause::Data { name, .. } if name.as_str() == "letters")
        );
        let judged = judge(&graph(), &all, &[by_data("notes")], &[]);
        assert_eq!(affected(&judged), [vec![0, 1], vec![1]]);
        let range = json!({"package": {"ecosystem": "mpkg", "name": "tokenizer"}, "ranges": [
            {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}]});
        let judged = judge(&graph(), &[1], &[advisory(&range)], &[]);
        assert_eq!(affected(&judged), [vec![1, 2]]);
        let fixed = vec!["1.0.1".parse().unwrap()];
        assert_eq!(judged.findings[0].cause, Cause::Version { fixed });
    }

    #[test]
    fn data_without_the_records_to_blame_is_mended() {
        let (bad, other) = (Digest::of(b"bad"), Digest::of(b"other"));
        let named = json!({"sha256": Digest::of(b"letters"), "records": [bad]});
        let advisory = advisory(&json!({"database_specific": {"data": [named]}}));
        let found = |withdrawn: Withdrawn, advisory: &Advisory| {
            let mut graph = graph();
            graph.pieces[3].data[1].withdrawn = withdrawn;
            judge(&graph, &[3], std::slice::from_ref(advisory), &[]).findings.len()
        };
        assert_eq!(found(Withdrawn::Records(BTreeSet::from([other])), &advisory), 1);
        assert_eq!(found(Withdrawn::Records(BTreeSet::from([other, bad])), &advisory), 0);
        assert_eq!(found(Withdrawn::Some, &advisory), 0);
        // Where all of it is to blame, nothing but leaving it out mends it.
        assert_eq!(found(Withdrawn::Records(BTreeSet::from([bad])), &by_data("letters")), 1);
        assert_eq!(found(Withdrawn::Some, &by_data("letters")), 1);
    }

    #[test]
    fn a_statement_clears_a_package_and_what_is_affected_through_it_alone() {
        let advisories = [by_data("letters")];
        let said = [clears("base", "not_affected", "2026-11-26T16:00:00Z")];
        let judged = judge(&graph(), &[0, 1, 2], &advisories, &said);
        assert_eq!(affected(&judged), [vec![2, 3]]);
        let cleared: Vec<usize> = judged.cleared.iter().map(|one| one.piece).collect();
        assert_eq!(cleared, [1]);
        // A statement about the tokenizer leaves the base affected through the corpus.
        let said = [clears("tokenizer", "not_affected", "2026-11-26T16:00:00Z")];
        assert_eq!(affected(&judge(&graph(), &[1], &advisories, &said)), [vec![1, 3]]);
        // One about nothing that is affected clears nothing.
        let judged = judge(&graph(), &[0], &[by_data("nothing")], &said);
        assert_eq!(judged, Judged::default());
    }

    #[test]
    fn the_last_statement_counts_and_a_withdrawn_advisory_does_not() {
        let said = [
            clears("corpus", "affected", "2026-11-27T16:00:00Z"),
            clears("corpus", "not_affected", "2026-11-26T16:00:00Z"),
        ];
        assert_eq!(affected(&judge(&graph(), &[3], &[by_data("plays")], &said)), [vec![3]]);
        let withdrawn = Advisory {
            withdrawn: Some("2026-11-28T00:00:00Z".parse().unwrap()),
            ..by_data("plays")
        };
        assert_eq!(judge(&graph(), &[3], &[withdrawn], &[]), Judged::default());
    }
}
