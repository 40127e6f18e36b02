//! `mpkg licenses`: says which licence everything has that a package was made from, and on whose
//! word.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::trace::subject;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::outcome::Answer;
use crate::cli::words::count;
use crate::explain::printable;
use crate::ops::licenses::{Licences, Looking, bill, licenses};
use crate::ops::lineage::{Part, Places};
use crate::study::bill::{cyclonedx, spdx};
use crate::study::licences::{Evidence, LicenceFact};

/// Flags of `mpkg licenses`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, a source tree or a package file
    #[arg(value_name = "NAME[@REQ]|TREE|FILE")]
    subject: String,
    /// Read evidence where it is from, too; wheels, and data that it stands in, are fetched
    #[arg(long)]
    check: bool,
    /// Print a bill of materials instead
    #[arg(long, value_name = "FORMAT", value_enum)]
    sbom: Option<Format>,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

/// A format of bills of materials.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// SPDX 3.0.1, JSON-LD, with the profiles for AI and datasets
    Spdx3,
    /// `CycloneDX` 1.6, an ML-BOM
    Cyclonedx,
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
    let search_path = Context::search_path();
    let looking = match arguments.check {
        true => Looking::Everywhere { search_path: &search_path },
        false => Looking::Here,
    };
    let found = licenses(&subject(&arguments.subject)?, looking, &places, context.now)?;
    if let Some(format) = arguments.sbom {
        let bill = bill(&found, context.operator_time()?);
        let document = match format {
            Format::Spdx3 => spdx::document(&bill),
            Format::Cyclonedx => cyclonedx::document(&bill),
        };
        return Ok(Outcome::done(format!("{document:#}"), document));
    }
    let is_clean = found.findings().next().is_none() && found.gaps.is_empty();
    let answer = if is_clean { Answer::Yes } else { Answer::No };
    Ok(Outcome::done(words(&found), document(&found)).answering(answer))
}

fn words(found: &Licences) -> String {
    let mut text = String::new();
    for (number, part) in found.parts.iter().enumerate() {
        let _ = writeln!(text, "{}", title(part));
        let facts = found.facts.iter().filter(|fact| fact.part == number);
        for fact in facts {
            describe(&mut text, fact);
        }
    }
    section(&mut text, "What follows:", |text| {
        for follows in &found.notes {
            let from = list(&follows.note.from);
            let title = title(&found.parts[follows.part]);
            let _ = writeln!(text, "  {title}: {}: {from}", printable(&follows.note.message));
        }
    });
    section(&mut text, "Findings:", |text| {
        for (fact, finding) in found.findings() {
            let (package, what) = (found.package_of(fact), printable(&fact.what.to_string()));
            let _ = writeln!(text, "  {package}, {what}: {}", printable(&finding.message));
        }
        for gap in &found.gaps {
            let (what, why) = (printable(&gap.what), printable(&gap.why));
            let _ = writeln!(text, "  {what} is not to be had: {why}");
        }
    });
    text + &sum(found)
}

/// A heading with what `fill` writes below it, where that is something.
pub(super) fn section(text: &mut String, heading: &str, fill: impl FnOnce(&mut String)) {
    let mut inner = String::new();
    fill(&mut inner);
    if !inner.is_empty() {
        let _ = writeln!(text, "{heading}");
        text.push_str(&inner);
    }
}

pub(super) fn title(part: &Part) -> String {
    let package = &part.package;
    match (&package.variant, part.is_binary) {
        (Some(variant), _) => format!("{} {} ({variant})", package.name, package.version),
        (None, true) => format!("{} {}", package.name, package.version),
        (None, false) => format!("{} {} (source)", package.name, package.version),
    }
}

fn describe(text: &mut String, fact: &LicenceFact) {
    let license = fact.license.as_deref().unwrap_or("no licence known");
    let what = printable(&fact.what.to_string());
    let place = fact.evidence.place().map(printable).unwrap_or_default();
    let by = match &fact.evidence {
        Evidence::None => String::new(),
        Evidence::Seen { .. } => format!(" ({place})"),
        Evidence::Unseen { .. } => format!(" (not read: {place})"),
        Evidence::Gone { .. } => format!(" (gone: {place})"),
    };
    let _ = writeln!(text, "  {:<9} {what}: {license}{by}", fact.level.as_str());
    for (files, license) in fact.members() {
        let _ = writeln!(text, "            {license}: {}", list(files));
    }
}

/// The first few, and how many more there are.
fn list(names: &[String]) -> String {
    const MOST: usize = 4;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| printable(name)).collect();
    match names.len() {
        0..=MOST => shown.join("; "),
        more => format!("{} and {} more", shown.join("; "), more - MOST),
    }
}

fn sum(found: &Licences) -> String {
    let facts = count(found.facts.len(), "licence fact", "licence facts");
    let of_level =
        |level: &str| found.facts.iter().filter(|one| one.level.as_str() == level).count();
    let findings = found.findings().count() + found.gaps.len();
    format!(
        "{facts} in {}: {} checked, {} declared, {} unknown; {}\n",
        count(found.parts.len(), "package", "packages"),
        of_level("checked") + of_level("reproduced"),
        of_level("declared"),
        of_level("unknown"),
        count(findings, "finding", "findings"),
    )
}

fn document(found: &Licences) -> Value {
    let facts: Vec<Value> = found.facts.iter().map(|fact| of_fact(fact, found)).collect();
    let notes: Vec<Value> = found
        .notes
        .iter()
        .map(|follows| {
            let part = title(&found.parts[follows.part]);
            let note = &follows.note;
            json!({
                "package": part, "kind": note.kind, "message": note.message, "from": note.from,
            })
        })
        .collect();
    let findings: Vec<Value> = found
        .findings()
        .map(|(fact, finding)| {
            json!({
                "package": found.package_of(fact), "what": fact.what.kind(),
                "name": fact.what.name(), "kind": finding.kind, "message": finding.message,
            })
        })
        .collect();
    let gaps: Vec<Value> =
        found.gaps.iter().map(|gap| json!({"what": gap.what, "why": gap.why})).collect();
    let subject = found.parts.first().map(title);
    json!({
        "subject": subject, "facts": facts, "notes": notes, "findings": findings, "gaps": gaps,
    })
}

fn of_fact(fact: &LicenceFact, found: &Licences) -> Value {
    json!({
        "package": found.package_of(fact), "what": fact.what.kind(), "name": fact.what.name(),
        "license": fact.license, "freedom": fact.freedom, "level": fact.level,
        "evidence": of_evidence(&fact.evidence),
        "found": fact.sightings.iter().map(|one| json!({
            "licenses": one.any_of, "how": one.how, "files": one.files,
        })).collect::<Vec<_>>(),
    })
}

fn of_evidence(evidence: &Evidence) -> Value {
    let seconds = |date: &Timestamp| date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    match evidence {
        Evidence::None => Value::Null,
        Evidence::Unseen { place, why } => json!({"place": place, "state": "unseen", "why": why}),
        Evidence::Gone { place, why } => json!({"place": place, "state": "gone", "why": why}),
        Evidence::Seen { place, sha256, date } => json!({
            "place": place, "state": "seen", "sha256": sha256, "date": seconds(date),
        }),
    }
}
