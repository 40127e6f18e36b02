//! `mpkg tree`: what a package was built from, as a graph from data to the package itself.

mod page;

use super::lineage::{self, Gap, Genealogist, Lineage, Part, Places, Relation, Subject};
use super::materials::{Material, materials};
use crate::build::data;
use crate::explain::{Explain, nearest};
use crate::package::manifest::Manifest;
use crate::package::{Digest, Kind, PackageName, PartName, VariantName};
use crate::store::{CacheUse, InstalledPackage};

/// What went into a package; the first node is the package itself.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Packages and data.
    pub nodes: Vec<Node>,
    /// What could not be had.
    pub gaps: Vec<Gap>,
}

/// A package or a piece of data.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub what: What,
    /// What it was made from, data first.
    pub needs: Vec<Edge>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum What {
    /// A package.
    Package {
        /// Which.
        package: Box<InstalledPackage>,
        /// Its package digest; none for a source tree that nobody packed.
        digest: Option<Digest>,
        /// The steps of its recipe that lead to it, in order.
        steps: Vec<PartName>,
    },
    /// Data.
    Data(Material),
}

/// What a node needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// What for.
    pub role: EdgeRole,
    /// What is needed, by name.
    pub name: String,
    /// Its place in [`Tree::nodes`]; none where it is a gap.
    pub node: Option<usize>,
}

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeRole {
    /// It is data.
    Data,
    /// To build.
    Build,
    /// To use, and to build.
    Use,
}

impl EdgeRole {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Build => "build",
            Self::Use => "use",
        }
    }
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.what {
            What::Package { package, .. } => package.name.as_str(),
            What::Data(material) => material.name.as_str(),
        }
    }

    /// Its digest, where it has one.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        match &self.what {
            What::Package { digest, .. } => *digest,
            What::Data(material) => Some(material.digest),
        }
    }

    /// Its licence.
    #[must_use]
    pub fn license(&self) -> &str {
        match &self.what {
            What::Package { package, .. } => &package.license,
            What::Data(material) => &material.license,
        }
    }
}

/// What can fail in drawing a tree.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lineage.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// Data in a source cannot be read.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
    /// What the tree should begin with is not in it.
    #[error("nothing in it is called {name}, or has a digest that begins so")]
    NotInIt {
        /// What was looked for.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lineage(error) => error.kind(),
            Self::Data(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::NotInIt { .. } => "not-in-tree",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::NotInIt { nearest: Some(name), .. } => Some(format!("there is {name}")),
            Self::NotInIt { .. } => Some("`mpkg tree` without --invert lists them all".to_owned()),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Lineage(error) => error.details(),
            _ => None,
        }
    }
}

/// Follows the lineage of `subject`, and makes a graph of it.
///
/// # Errors
/// When the subject is not to be had, or something is damaged or not believed. What else is not
/// to be had is a [`Gap`].
pub fn tree(subject: &Subject, places: &Places<'_>) -> Result<Tree, Error> {
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })
    .map_err(lineage::Error::from)?;
    let lineage = Genealogist::new(places)?.follow(subject)?;
    graph(lineage, places)
}

fn graph(lineage: Lineage, places: &Places<'_>) -> Result<Tree, Error> {
    let Lineage { parts, gaps } = lineage;
    let mut nodes: Vec<Node> = parts.iter().map(node).collect();
    for (place, part) in parts.iter().enumerate() {
        let mut edges = Vec::new();
        for material in materials(part, places.client)? {
            let name = material.name.to_string();
            let is_same = |node: &Node| matches!(&node.what, What::Data(one) if *one == material);
            let node = nodes.iter().position(is_same).unwrap_or_else(|| {
                nodes.push(Node { what: What::Data(material), needs: Vec::new() });
                nodes.len() - 1
            });
            edges.push(Edge { role: EdgeRole::Data, name, node: Some(node) });
        }
        let mut needs: Vec<&lineage::Need> = part.needs.iter().collect();
        needs.sort_by_key(|need| need.part.map(|part| rank(parts[part].package.kind)));
        edges.extend(needs.into_iter().map(|need| Edge {
            role: match need.relation {
                Relation::Use => EdgeRole::Use,
                Relation::Build => EdgeRole::Build,
            },
            name: need.name.to_string(),
            node: need.part,
        }));
        nodes[place].needs = edges;
    }
    Ok(Tree { nodes, gaps })
}

/// What is made earlier comes first.
const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Dataset => 0,
        Kind::Tokenizer => 1,
        Kind::Model => 2,
        Kind::Adapter => 3,
        Kind::Environment => 4,
    }
}

fn node(part: &Part) -> Node {
    let is_packed = part.package.package != Digest::of(b"");
    let steps = match (&part.tree, &part.package.variant) {
        (Some(tree), Some(variant)) => steps_to(tree.manifest(), variant),
        _ => Vec::new(),
    };
    let what = What::Package {
        digest: is_packed.then_some(part.package.package),
        package: Box::new(part.package.clone()),
        steps,
    };
    Node { what, needs: Vec::new() }
}

/// The steps that a variant needs, in order.
fn steps_to(manifest: &Manifest, variant: &VariantName) -> Vec<PartName> {
    let Some(variant) = manifest.variants.iter().find(|it| it.name == *variant) else {
        return Vec::new();
    };
    let mut wanted = vec![&variant.from];
    // Each step stands after all that it needs.
    for step in manifest.steps.iter().rev() {
        if wanted.contains(&&step.name) {
            wanted.extend(&step.needs);
        }
    }
    let steps = manifest.steps.iter().map(|step| &step.name);
    steps.filter(|name| wanted.contains(name)).cloned().collect()
}

impl Tree {
    /// The nodes with this name, or whose digest begins with it.
    ///
    /// # Errors
    /// [`Error::NotInIt`].
    pub fn find(&self, name: &str) -> Result<Vec<usize>, Error> {
        let is_it = |node: &Node| {
            node.name() == name
                || (name.len() >= 8
                    && node.digest().is_some_and(|digest| digest.to_string().starts_with(name)))
        };
        let found: Vec<usize> =
            (0..self.nodes.len()).filter(|at| is_it(&self.nodes[*at])).collect();
        if found.is_empty() {
            let nearest = nearest(name, self.nodes.iter().map(Node::name)).map(str::to_owned);
            return Err(Error::NotInIt { name: name.to_owned(), nearest });
        }
        Ok(found)
    }

    /// The same graph with every arrow the other way round: what was made from each node.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let mut nodes = self.nodes.clone();
        for node in &mut nodes {
            node.needs.clear();
        }
        for (from, node) in self.nodes.iter().enumerate() {
            for edge in &node.needs {
                let Some(to) = edge.node else { continue };
                let name = node.name().to_owned();
                nodes[to].needs.push(Edge { role: edge.role, name, node: Some(from) });
            }
        }
        Self { nodes, gaps: self.gaps.clone() }
    }

    /// What of the tree is a package called `name`.
    #[must_use]
    pub fn packages_called(&self, name: &PackageName) -> Vec<&InstalledPackage> {
        let packages = self.nodes.iter().filter_map(|node| match &node.what {
            What::Package { package, .. } => Some(&**package),
            What::Data(_) => None,
        });
        packages.filter(|package| package.name == *name).collect()
    }
}
