//! What is known on this machine alone of what packages were built from, for warnings that cost
//! next to nothing.

use std::collections::BTreeSet;

use super::records::{Records, Unread};
use crate::build::inputs::{Inputs, PackageInput};
use crate::ops::catalogue::Catalogue;
use crate::ops::shelf::Shelf;
use crate::ops::why::inputs_of;
use crate::package::advisory::AdvisoryId;
use crate::package::{Digest, INPUTS_PATH};
use crate::store::{Home, InstalledPackage};
use crate::study::advisories::{Cause, Graph, Piece, PieceData, Withdrawn, judge};

/// A package that an advisory concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// One line that says what is wrong.
    pub summary: String,
    /// The package, then what it was built from, down to what the advisory names.
    pub path: Vec<String>,
}

/// What the registries that were asked already say of `packages`: by name and version, and by what
/// lies on this machine of their lineage. Costs the list of advisories of each of these registries,
/// and the advisories that concern the packages.
#[must_use]
pub fn warnings(
    catalogue: &Catalogue<'_>,
    home: &Home,
    packages: &[&InstalledPackage],
) -> (Vec<Warning>, Vec<Unread>) {
    let graph = graph(home, packages);
    let mut records = Records::default();
    for registry in catalogue.opened() {
        records.add(registry, &graph);
    }
    let roots: Vec<usize> = (0..packages.len()).collect();
    let judged = judge(&graph, &roots, &records.advisories, &records.said);
    let of = |finding: &crate::study::advisories::Finding| {
        let advisory = &records.advisories[finding.advisory];
        Warning {
            advisory: advisory.id.clone(),
            summary: advisory.summary.clone(),
            path: path_words(&graph, &finding.path, &finding.cause),
        }
    };
    (judged.findings.iter().map(of).collect(), records.unread)
}

/// The chain of a finding in words.
#[must_use]
pub fn path_words(graph: &Graph, path: &[usize], cause: &Cause) -> Vec<String> {
    let mut words: Vec<String> =
        path.iter().map(|at| graph.pieces[*at].release.to_string()).collect();
    if let Cause::Data { name, digest } = cause {
        words.push(format!("data {name} ({})", digest.short()));
    }
    words
}

fn graph(home: &Home, packages: &[&InstalledPackage]) -> Graph {
    let mut graph = Graph::default();
    for package in packages {
        graph.pieces.push(Piece {
            release: package.release(),
            digest: Some(package.package),
            data: Vec::new(),
            needs: Vec::new(),
        });
    }
    for (place, package) in packages.iter().enumerate() {
        let meets = |at: &usize| package.dependencies.iter().any(|need| packages[*at].meets(need));
        let needs: Vec<usize> =
            (0..packages.len()).filter(|at| *at != place && meets(at)).collect();
        graph.pieces[place].needs = needs;
        add_inputs(&mut graph, place, package, home, &Withdrawn::Some);
    }
    graph
}

/// Adds to a piece of `graph` what the package itself says went into it, and the same of these as
/// far as they lie on this machine.
///
/// They say of data that records were withdrawn, not which: `withdrawn` is what is made of that.
pub(super) fn add_inputs(
    graph: &mut Graph,
    place: usize,
    package: &InstalledPackage,
    home: &Home,
    withdrawn: &Withdrawn,
) {
    let Some(inputs) = inputs_of(home, package) else { return };
    let mut open = vec![(place, inputs)];
    while let Some((place, inputs)) = open.pop() {
        let data = inputs.data.into_iter();
        let data = data.map(|one| PieceData {
            name: one.name,
            digests: vec![one.sha256],
            withdrawn: match one.records {
                Some(_) => withdrawn.clone(),
                None => Withdrawn::Records(BTreeSet::new()),
            },
        });
        graph.pieces[place].data.extend(data);
        for input in inputs.dependencies {
            let (at, is_new) = piece_of(graph, &input);
            if !graph.pieces[place].needs.contains(&at) {
                graph.pieces[place].needs.push(at);
            }
            if is_new && let Some(inputs) = inputs_by_digest(home, input.package) {
                open.push((at, inputs));
            }
        }
    }
}

fn piece_of(graph: &mut Graph, input: &PackageInput) -> (usize, bool) {
    if let Some(at) = graph.pieces.iter().position(|piece| piece.digest == Some(input.package)) {
        return (at, false);
    }
    graph.pieces.push(Piece {
        release: input.release(),
        digest: Some(input.package),
        data: Vec::new(),
        needs: Vec::new(),
    });
    (graph.pieces.len() - 1, true)
}

/// What a package in the cache or the store says went into it.
fn inputs_by_digest(home: &Home, package: Digest) -> Option<Inputs> {
    let places = [Shelf::of(home).folder(package), home.package(package)];
    let read = |folder: &std::path::PathBuf| {
        let path = folder.join(INPUTS_PATH);
        crate::fs::read_to_string(&path, crate::build::inputs::LONGEST_INPUTS).ok()
    };
    Inputs::parse(places.iter().find_map(read)?.as_bytes()).ok()
}
