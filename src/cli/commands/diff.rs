//! `mpkg diff`: compares two packages, or two files of weights.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::comparison::{lines, weights_lines};
use crate::cli::outcome::Answer;
use crate::cli::workshop::Workshop;
use crate::explain::printable;
use crate::ops::diff::{Change, Difference, Named, PackageDifference, diff};
use crate::ops::released::Operand;
use crate::reproduce::Verdict;

/// Flags of `mpkg diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 0 where both are identical, and 1 where they differ.")]
pub(in crate::cli) struct Arguments {
    /// A package file, a release in a registry, or a file of weights
    #[arg(value_name = "A")]
    first: String,
    /// What it is compared with
    #[arg(value_name = "B")]
    second: String,
    /// Write the difference of two packages as a page as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What a word on the command line names: a file or a release.
pub(super) fn operand(word: &str) -> Result<Operand, Failure> {
    let path = PathBuf::from(word);
    let is_file =
        path.is_file() || word.contains('/') || path.extension().is_some_and(|end| end == "mpkg");
    if is_file {
        return Ok(Operand::File(path));
    }
    Ok(Operand::Release(word.parse()?))
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let workshop = Workshop::of(context)?;
    let setting = workshop.setting();
    let (first, second) = (operand(&arguments.first)?, operand(&arguments.second)?);
    let difference = diff(&first, &second, &setting)?;
    if let (Some(path), Difference::Packages(packages)) = (&arguments.html, &difference) {
        crate::fs::write_atomically(path, packages.page().as_bytes())?;
    }
    let verdict = difference.verdict();
    let outcome = Outcome::done(text(&difference), document(&difference));
    let same = verdict == Verdict::Identical;
    Ok(outcome.answering(if same { Answer::Yes } else { Answer::No }))
}

fn text(difference: &Difference) -> String {
    let mut text = vec![difference.verdict().to_string()];
    match difference {
        Difference::Packages(packages) => {
            text[0] = format!(
                "{} and {}: {}",
                packages.first.release, packages.second.release, packages.contents.verdict
            );
            text.extend(lines(&packages.contents));
            text.extend(layers(packages));
        }
        Difference::Weights { facts, .. } => text.extend(weights_lines(facts)),
    }
    text.join("\n")
}

/// The layers above the files, each with a heading where it has anything.
fn layers(packages: &PackageDifference) -> Vec<String> {
    let mut lines = section("Manifest", &packages.manifest);
    lines.extend(section("Data", &packages.data.changes));
    for (name, more) in &packages.data.records_in {
        let less = packages.data.records_out.get(name).copied().unwrap_or_default();
        lines.push(format!("  records of {name}: {more} in, {less} out"));
    }
    for (way, licences) in
        [("in", &packages.data.licences_in), ("out", &packages.data.licences_out)]
    {
        if !licences.is_empty() {
            lines.push(format!("  licences {way}: {}", licences.join(", ")));
        }
    }
    lines.extend(section("Environment", &packages.environment));
    lines.extend(section("Tests", &packages.tests));
    for file in packages.code.iter().flatten() {
        lines.push(String::new());
        lines.push(match &file.diff {
            Some(diff) => plain(diff),
            None => format!("{} differs, and is no text or too long", file.path),
        });
    }
    lines
}

fn section(title: &str, changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    if !changes.is_empty() {
        lines.push(format!("\n{title}"));
    }
    for change in changes {
        lines.push(format!("  {}", printable(&change.what)));
        lines.extend(change.first.iter().map(|it| format!("    - {}", printable(it))));
        lines.extend(change.second.iter().map(|it| format!("    + {}", printable(it))));
    }
    lines
}

/// A diff whose foreign lines cannot move the cursor.
fn plain(diff: &str) -> String {
    let lines: Vec<String> =
        diff.lines().map(|line| printable(&line.replace('\t', "    "))).collect();
    lines.join("\n")
}

fn document(difference: &Difference) -> Value {
    let named = |named: &Named| json!({"release": named.release.to_string(), "package-digest": named.digest});
    match difference {
        Difference::Packages(packages) => json!({
            "verdict": packages.contents.verdict,
            "first": named(&packages.first),
            "second": named(&packages.second),
            "index-changed": packages.contents.index_changed,
            "files": packages.contents.files,
            "manifest": packages.manifest,
            "data": packages.data,
            "code": packages.code,
            "environment": packages.environment,
            "tests": packages.tests,
        }),
        Difference::Weights { verdict, facts } => json!({"verdict": verdict, "weights": facts}),
    }
}
