//! `mpkg exclude`: withdraws records from a data reference.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::build::tree::SourceTree;
use crate::cli::failure::Plain;
use crate::explain::printable;
use crate::fs;
use crate::ops::exclude::{
    Closure, Everything, ExcludeOptions, Excluded, Grounds, Mode, What, exclude,
};
use crate::ops::lineage::Places;
use crate::package::Digest;
use crate::package::manifest::RecordKind;

/// The longest file of digests, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// Flags of `mpkg exclude`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(in crate::cli) struct Arguments {
    /// The data reference
    data: String,
    /// Withdraw records that match; ^ and $ stand at lines
    #[arg(long = "match", value_name = "REGEX", group = "what")]
    expression: Option<String>,
    /// Withdraw the record with this SHA-256; may be given several times
    #[arg(long, value_name = "DIGEST", group = "what")]
    record: Vec<Digest>,
    /// Withdraw the records with the digests in this file, one a line
    #[arg(long, value_name = "FILE", group = "what")]
    from: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Where more can be read
    #[arg(long, value_name = "URL")]
    reference: Option<String>,
    /// What a record is, where the manifest does not say: lines, paragraphs, jsonl, csv or files
    #[arg(long, value_name = "WORD", value_parser = records)]
    records: Option<RecordKind>,
    /// Show what would go, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// The source tree [default: the one that this folder belongs to]
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

fn records(word: &str) -> Result<RecordKind, String> {
    RecordKind::from_word(word)
        .ok_or_else(|| "it is one of lines, paragraphs, jsonl, csv and files".to_owned())
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let tree = match &arguments.tree {
        Some(path) => SourceTree::open(path)?,
        None => SourceTree::find(Path::new("."))?,
    };
    let what = match (arguments.expression, arguments.from) {
        (Some(text), _) => What::Match(text),
        (None, Some(file)) => What::Records(digests(&file)?),
        (None, None) => What::Records(arguments.record),
    };
    let options = ExcludeOptions {
        data: arguments.data,
        what,
        records: arguments.records,
        grounds: grounds(
            arguments.reason.as_deref().unwrap_or("REASON"),
            arguments.reference.as_deref(),
            context,
        ),
        everything: everything(context, arguments.dry_run),
        mode: if arguments.dry_run { Mode::Look } else { Mode::Write },
    };
    let client = context.client();
    let places = Places {
        home: &context.home,
        profile: &arguments.profile.profile,
        client: &client,
        registries: &context.registries()?,
        with: &arguments.with,
        progress: context.progress(),
    };
    let excluded = exclude(&tree, &options, &places)?;
    warn(&excluded.closure, context);
    let text = words(&excluded, options.mode);
    Ok(Outcome::done(text, document(&excluded, options.mode)))
}

/// Whether all records may go: where somebody says so, or only looks.
pub(super) fn everything(context: &Context, looks: bool) -> Everything {
    if context.yes || looks { Everything::Allowed } else { Everything::Refused }
}

pub(super) fn grounds(reason: &str, reference: Option<&str>, context: &Context) -> Grounds {
    Grounds {
        reason: one_line(reason),
        reference: reference.map(one_line),
        date: context.now.strftime("%Y-%m-%d").to_string(),
    }
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The digests in a file, one a line; `#` begins a comment.
fn digests(file: &Path) -> Result<Vec<Digest>, Failure> {
    let text = fs::read_to_string(file, LONGEST_FILE)?;
    let mut digests = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        digests.push(word.parse().map_err(|_| Plain {
            kind: "bad-digest",
            message: format!("{}:{number}: this is no SHA-256", file.display()),
            hint: Some("write one digest a line, 64 hexadecimal digits".to_owned()),
        })?);
    }
    Ok(digests)
}

pub(super) fn warn(closure: &Closure, context: &Context) {
    for gap in &closure.gaps {
        let (what, why) = (printable(&gap.what), printable(&gap.why));
        context.progress().warn(&format!("{what} was not looked into: {why}"));
    }
}

pub(super) fn words(excluded: &Excluded, mode: Mode) -> String {
    let Excluded { data, records, scan, list, closure } = excluded;
    let said = match mode {
        Mode::Write => "withdrawn",
        Mode::Look => "would be withdrawn",
    };
    let mut text = format!(
        "{} of {} records of {data} ({}) {said}\n",
        scan.found,
        scan.records,
        records.as_str()
    );
    for seen in &scan.seen {
        let (path, shown) = (printable(&seen.path), printable(&seen.text));
        let _ = writeln!(text, "  {path}:{}  {}  {shown}", seen.line, seen.digest.short());
    }
    let more = scan.found - scan.seen.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    if mode == Mode::Write {
        let _ = writeln!(text, "{} says so, and mpkg.toml names it", list.display());
    }
    for package in &closure.packages {
        let why = match (&package.data[..], &package.from[..]) {
            ([], from) => {
                let names: Vec<String> = from.iter().map(ToString::to_string).collect();
                format!("was built from {}", names.join(", "))
            }
            (data, _) => {
                let names: Vec<String> = data.iter().map(ToString::to_string).collect();
                format!("was built from the same data, its {}", names.join(", "))
            }
        };
        let _ = writeln!(text, "{} {} {why}:", package.name, package.version);
        for command in &package.commands {
            let _ = writeln!(text, "  {}", printable(command));
        }
    }
    if !closure.packages.is_empty() {
        let _ = writeln!(text, "and then:\n  {}", printable(&closure.build));
    }
    for package in &closure.installed {
        let _ = writeln!(text, "installed, and built from this data: {package}");
    }
    text
}

pub(super) fn document(excluded: &Excluded, mode: Mode) -> Value {
    let Excluded { data, records, scan, list, closure } = excluded;
    let seen: Vec<Value> = scan
        .seen
        .iter()
        .map(|it| json!({"path": it.path, "line": it.line, "digest": it.digest, "text": it.text}))
        .collect();
    let packages: Vec<Value> = closure
        .packages
        .iter()
        .map(|it| {
            json!({
                "name": it.name, "version": it.version, "data": it.data, "from": it.from,
                "commands": it.commands,
            })
        })
        .collect();
    let gaps: Vec<Value> =
        closure.gaps.iter().map(|gap| json!({"what": gap.what, "why": gap.why})).collect();
    json!({
        "data": data,
        "records": records.as_str(),
        "before": scan.records,
        "removed": scan.found,
        "after": scan.records - scan.found,
        "shown": seen,
        "digests": scan.digests,
        "written": mode == Mode::Write,
        "list": list,
        "also_built_from_it": packages,
        "build": closure.build,
        "installed": closure.installed,
        "not_looked_into": gaps,
    })
}
