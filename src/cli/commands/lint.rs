//! `mpkg lint`: says what in a source tree or a package should be otherwise.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::outcome::Answer;
use crate::cli::words::{count, table};
use crate::explain::{nearest, printable};
use crate::ops::lint::{Linted, Target, lint};
use crate::study::lint::tags::find;
use crate::study::lint::{Remark, Severity, TAGS};

/// Flags of `mpkg lint`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(in crate::cli) struct Arguments {
    /// A source tree or a package file [default: the current folder]
    #[arg(value_name = "TREE|FILE")]
    target: Option<PathBuf>,
    /// End with exit code 1 on warnings as well
    #[arg(long)]
    strict: bool,
    /// Show matters of taste as well
    #[arg(long)]
    pedantic: bool,
    /// Show what lint.toml puts up with as well
    #[arg(long)]
    show_overridden: bool,
    /// Say what a tag means and what to do, and do nothing else
    #[arg(long, value_name = "TAG", conflicts_with_all = ["target", "list"])]
    explain: Option<String>,
    /// List all tags, and do nothing else
    #[arg(long, conflicts_with = "target")]
    list: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    if arguments.list {
        return Ok(list());
    }
    if let Some(name) = &arguments.explain {
        return explain(name);
    }
    let path = arguments.target.as_deref().unwrap_or(Path::new("."));
    let is_package = path.extension().is_some_and(|end| end == "mpkg") && !path.is_dir();
    let target = match is_package {
        true => Target::File(path.to_owned()),
        false => Target::Tree(path.to_owned()),
    };
    let today = context.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let linted = lint(&target, &context.home, today, context.progress())?;
    let least = if arguments.pedantic { Severity::Pedantic } else { Severity::Info };
    let limit = if arguments.strict { Severity::Warning } else { Severity::Error };
    let fails = linted.judged.remarks.iter().any(|remark| remark.tag.severity >= limit);
    let answer = if fails { Answer::No } else { Answer::Yes };
    let text = words(&linted, least, arguments.show_overridden);
    Ok(Outcome::done(text, document(&linted)).answering(answer))
}

fn words(linted: &Linted, least: Severity, with_overridden: bool) -> String {
    let mut rows = Vec::new();
    let remarks = &linted.judged.remarks;
    for remark in remarks.iter().filter(|remark| remark.tag.severity >= least) {
        rows.push(row(remark, remark.tag.severity.as_str()));
    }
    for (remark, reason) in linted.judged.overridden.iter().filter(|_| with_overridden) {
        let mut row = row(remark, "overridden");
        row[3] = format!("{} ({})", row[3], printable(reason));
        rows.push(row);
    }
    let mut text = table(&rows);
    let number = |severity: Severity| {
        remarks.iter().filter(|remark| remark.tag.severity == severity).count()
    };
    let hidden = if least > Severity::Pedantic { number(Severity::Pedantic) } else { 0 };
    let mut parts = vec![
        count(number(Severity::Error), "error", "errors"),
        count(number(Severity::Warning), "warning", "warnings"),
    ];
    if hidden > 0 {
        parts.push(format!("{hidden} pedantic not shown"));
    }
    if !linted.judged.overridden.is_empty() {
        parts.push(format!("{} overridden", linted.judged.overridden.len()));
    }
    let _ = writeln!(text, "{}: {}", printable(&linted.what), parts.join(", "));
    text
}

fn row(remark: &Remark, word: &str) -> Vec<String> {
    let line = remark.line.map(|line| format!(":{line}")).unwrap_or_default();
    vec![
        word.to_owned(),
        remark.tag.name.to_owned(),
        format!("{}{line}", printable(&remark.about)),
        printable(&remark.what),
    ]
}

fn list() -> Outcome {
    let rows: Vec<Vec<String>> = TAGS
        .iter()
        .map(|tag| {
            let first =
                tag.explanation.split_once(". ").map_or(tag.explanation, |(first, _)| first);
            let first = first.trim_end_matches('.').to_owned();
            vec![tag.severity.to_string(), tag.name.to_owned(), first]
        })
        .collect();
    let one = |tag: &crate::study::lint::Tag| json!({"tag": tag.name, "severity": tag.severity.as_str(), "explanation": tag.explanation});
    let document: Vec<Value> = TAGS.iter().map(one).collect();
    Outcome::done(table(&rows), json!({ "tags": document }))
}

fn explain(name: &str) -> Result<Outcome, Failure> {
    let Some(tag) = find(name) else {
        let near = nearest(name, TAGS.iter().map(|tag| tag.name));
        return Err(Plain {
            kind: "no-such-tag",
            message: format!("there is no tag {}", printable(name)),
            hint: Some(match near {
                Some(near) => format!("there is {near}"),
                None => "see them all with: mpkg lint --list".to_owned(),
            }),
        }
        .into());
    };
    let text = format!("{} ({})\n{}", tag.name, tag.severity, tag.explanation);
    let document =
        json!({"tag": tag.name, "severity": tag.severity.as_str(), "explanation": tag.explanation});
    Ok(Outcome::done(text, document))
}

fn document(linted: &Linted) -> Value {
    let of = |remark: &Remark| {
        json!({
            "tag": remark.tag.name, "severity": remark.tag.severity.as_str(),
            "about": remark.about, "line": remark.line, "what": remark.what,
        })
    };
    let overridden = |(remark, reason): &(Remark, String)| {
        let mut value = of(remark);
        value["reason"] = json!(reason);
        value
    };
    json!({
        "of": linted.what,
        "remarks": linted.judged.remarks.iter().map(of).collect::<Vec<_>>(),
        "overridden": linted.judged.overridden.iter().map(overridden).collect::<Vec<_>>(),
    })
}
