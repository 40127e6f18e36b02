//! `mpkg patch`: records changes to an unpacked source as patches.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::build::patches::{Forwarded, Header, PatchKind};
use crate::build::tree::SourceTree;
use crate::explain::printable;
use crate::ops::patch::{self, Listed, Listing, NewPatch};

/// Flags of `mpkg patch`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The source tree [default: the one that this folder belongs to]
    #[arg(long, value_name = "DIR", global = true)]
    tree: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Records what is changed and in no patch as a new patch, at the end of patches/series
    New(New),
    /// Lists the patches, and what is changed and in none
    List,
    /// Takes a patch out, and its changes out of the tree
    Drop {
        /// The patch
        name: String,
    },
    /// Takes what is changed into a patch that is there
    Refresh(Refresh),
}

#[derive(Debug, clap::Args)]
struct New {
    /// What the patch is called; .patch is added
    name: String,
    /// Take the changes to these files alone
    files: Vec<PathBuf>,
    /// What it does and why
    #[arg(long, value_name = "TEXT")]
    description: String,
    /// What it changes: code, config, data, tokenizer or architecture
    #[arg(long, value_name = "KIND", default_value = "code", value_parser = PatchKind::from_word)]
    kind: PatchKind,
    #[command(flatten)]
    facts: Facts,
}

#[derive(Debug, clap::Args)]
struct Refresh {
    /// The patch [default: the last]
    name: Option<String>,
    /// What it does and why
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What it changes: code, config, data, tokenizer or architecture
    #[arg(long, value_name = "KIND", value_parser = PatchKind::from_word)]
    kind: Option<PatchKind>,
    #[command(flatten)]
    facts: Facts,
}

#[derive(Debug, clap::Args)]
struct Facts {
    /// Who wrote it, as in "Name <address>"
    #[arg(long, value_name = "NAME", env = "MPKG_AUTHOR")]
    author: Option<String>,
    /// Whether it was sent on: no, not-needed, or where it can be read
    #[arg(long, value_name = "WORD|ADDRESS")]
    forwarded: Option<String>,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let tree = match &arguments.tree {
        Some(path) => SourceTree::open(path)?,
        None => SourceTree::find(Path::new("."))?,
    };
    let today = context.now.strftime("%Y-%m-%d").to_string();
    let (said, listed) = match arguments.action {
        Action::List => return Ok(listing(&patch::list(&tree)?)),
        Action::New(New { name, files, description, kind, facts }) => {
            let header = Header {
                description: one_paragraph(&description),
                kind: Some(kind),
                author: facts.author.as_deref().map(one_line),
                date: Some(today),
                forwarded: forwarded(facts.forwarded.as_deref()).unwrap_or_default(),
            };
            ("Recorded", patch::new(&tree, &NewPatch { name, header, files })?)
        }
        Action::Drop { name } => ("Took out", patch::drop(&tree, &name)?),
        Action::Refresh(Refresh { name, description, kind, facts }) => {
            let change = |header: &mut Header| {
                if let Some(text) = &description {
                    header.description = one_paragraph(text);
                }
                header.kind = kind.or(header.kind);
                if let Some(author) = &facts.author {
                    header.author = Some(one_line(author));
                }
                if let Some(state) = forwarded(facts.forwarded.as_deref()) {
                    header.forwarded = state;
                }
                header.date = Some(today);
            };
            ("Refreshed", patch::refresh(&tree, name.as_deref(), change)?)
        }
    };
    let files: Vec<String> =
        listed.files.iter().map(|(path, what)| format!("{path} {what}")).collect();
    let place = format!("patches/{}", listed.name);
    context.progress().note(&format!("{said} {place}: {}", files.join(", ")));
    Ok(Outcome::done("", document(&listed)))
}

fn forwarded(word: Option<&str>) -> Option<Forwarded> {
    word.map(|word| Forwarded::from_words(&one_line(word)))
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A description without what would end a header, or move the cursor.
fn one_paragraph(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(|line| printable(line.trim_end())).collect();
    lines.join("\n")
}

fn listing(listing: &Listing) -> Outcome {
    let mut text = String::new();
    for patch in &listing.patches {
        let kind = patch.header.kind.map_or("-", PatchKind::as_str);
        let summary = printable(patch.header.summary());
        let _ = writeln!(text, "{}  {kind}  {summary}", patch.name);
        for (path, what) in &patch.files {
            let _ = writeln!(text, "  {path} {what}");
        }
    }
    for change in listing.unrecorded.iter().flatten() {
        let _ = writeln!(text, "in no patch: {} {}", change.path, change.in_a_word());
    }
    let patches: Vec<Value> = listing.patches.iter().map(document).collect();
    let unrecorded = listing.unrecorded.as_ref().map(|changes| {
        let change = |it: &crate::build::pristine::Unrecorded| {
            json!({"path": it.path, "what": it.in_a_word()})
        };
        changes.iter().map(change).collect::<Vec<Value>>()
    });
    Outcome::done(text, json!({"patches": patches, "unrecorded": unrecorded}))
}

fn document(patch: &Listed) -> Value {
    let header = &patch.header;
    let files: Vec<Value> =
        patch.files.iter().map(|(path, what)| json!({"path": path, "what": what})).collect();
    json!({
        "name": patch.name,
        "sha256": patch.digest,
        "description": header.description,
        "kind": header.kind.map(PatchKind::as_str),
        "author": header.author,
        "date": header.date,
        "forwarded": header.forwarded.as_str(),
        "files": files,
    })
}
