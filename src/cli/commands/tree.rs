//! `mpkg tree`: shows what a package was built from.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::trace::subject;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::explain::printable;
use crate::ops::lineage::Places;
use crate::ops::tree::{Edge, EdgeRole, Error, Node, Tree, What, tree};
use crate::package::Digest;

/// Flags of `mpkg tree`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, a source tree or a package file
    #[arg(value_name = "NAME[@REQ]|TREE|FILE")]
    subject: String,
    /// Show instead what was made from this part of it: a package's or a piece of data's name, or
    /// the first digits of a digest
    #[arg(short, long, value_name = "PART")]
    invert: Option<String>,
    /// Show digests in full
    #[arg(long)]
    digests: bool,
    /// Draw it, as a page of its own
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let client = context.client();
    let places = Places {
        home: &context.home,
        profile: &arguments.profile.profile,
        client: &client,
        registries: &context.registries()?,
        with: &arguments.with,
        progress: context.progress(),
    };
    let tree = tree(&subject(&arguments.subject)?, &places)?;
    for gap in &tree.gaps {
        let (what, why) = (printable(&gap.what), printable(&gap.why));
        context.progress().warn(&format!("{what} is not to be had: {why}"));
    }
    if let Some(path) = &arguments.html {
        crate::fs::write_atomically(path, tree.page().as_bytes()).map_err(Error::from)?;
    }
    let (shown, roots) = match &arguments.invert {
        Some(part) => (tree.inverted(), tree.find(part)?),
        None => (tree, vec![0]),
    };
    let digests = if arguments.digests { Digests::Full } else { Digests::Short };
    let mut drawing = Drawing { tree: &shown, digests, seen: BTreeSet::new(), text: String::new() };
    for root in &roots {
        drawing.node(*root, "");
    }
    Ok(Outcome::done(drawing.text, document(&shown, &roots)))
}

/// How digests are shown.
#[derive(Clone, Copy)]
enum Digests {
    /// Their first digits.
    Short,
    /// All of them.
    Full,
}

impl Digests {
    fn show(self, digest: Digest) -> String {
        match self {
            Self::Short => digest.short(),
            Self::Full => digest.to_string(),
        }
    }
}

/// A tree that is being drawn in text.
struct Drawing<'a> {
    tree: &'a Tree,
    digests: Digests,
    seen: BTreeSet<usize>,
    text: String,
}

impl Drawing<'_> {
    /// The rest of the line of a node, and all that is below it.
    fn node(&mut self, at: usize, indent: &str) {
        let node = &self.tree.nodes[at];
        let is_new = self.seen.insert(at);
        let repeated = !is_new && !node.needs.is_empty();
        let _ = writeln!(
            self.text,
            "{}{}",
            line(node, self.digests),
            if repeated { "  (*)" } else { "" }
        );
        if repeated {
            return;
        }
        for (number, edge) in node.needs.iter().enumerate() {
            let is_last = number + 1 == node.needs.len();
            let (branch, below) =
                if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            self.text.push_str(indent);
            self.text.push_str(branch);
            self.edge(edge, &format!("{indent}{below}"));
        }
    }

    fn edge(&mut self, edge: &Edge, indent: &str) {
        match edge.node {
            Some(node) => self.node(node, indent),
            None => {
                let _ = writeln!(self.text, "{}  not to be had", edge.name);
            }
        }
    }
}

fn line(node: &Node, digests: Digests) -> String {
    match &node.what {
        What::Package { package, steps, .. } => {
            let mut parts = vec![package.release().to_string(), package.kind.to_string()];
            parts.extend(node.digest().map(|digest| digests.show(digest)));
            if !steps.is_empty() {
                let steps: Vec<&str> = steps.iter().map(crate::package::PartName::as_str).collect();
                parts.push(format!("by {}", steps.join(", ")));
            }
            parts.join("  ")
        }
        What::Data(material) => format!(
            "data {}  {}  {}  {}  {}",
            material.name,
            material.role.as_str(),
            material.license,
            digests.show(material.digest),
            printable(&material.from),
        ),
    }
}

fn document(tree: &Tree, roots: &[usize]) -> Value {
    let nodes: Vec<Value> = tree.nodes.iter().map(of_node).collect();
    let gaps: Vec<Value> =
        tree.gaps.iter().map(|gap| json!({"what": gap.what, "why": gap.why})).collect();
    json!({"roots": roots, "nodes": nodes, "gaps": gaps})
}

fn of_node(node: &Node) -> Value {
    let edge =
        |edge: &Edge| json!({"role": edge.role.as_str(), "name": edge.name, "node": edge.node});
    let mut value = match &node.what {
        What::Package { package, steps, .. } => json!({
            "type": "package", "name": package.name, "version": package.version,
            "variant": package.variant, "kind": package.kind, "source": package.source,
            "steps": steps,
        }),
        What::Data(material) => json!({
            "type": EdgeRole::Data.as_str(), "name": material.name,
            "role": material.role.as_str(), "from": material.from, "shards": material.shards.len(),
        }),
    };
    value["digest"] = json!(node.digest());
    value["license"] = json!(node.license());
    value["needs"] = node.needs.iter().map(edge).collect();
    value
}
