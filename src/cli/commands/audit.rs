//! `mpkg audit`: says which packages advisories concern, and through what.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::trace::subject;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::outcome::Answer;
use crate::cli::words::count;
use crate::explain::printable;
use crate::ops::audit::{AuditOptions, Audited, Origin, audit, path_words};
use crate::ops::key::{self, KnownKey};
use crate::ops::lineage::Places;
use crate::package::advisory::Justification;
use crate::study::advisories::{Cause, Cleared, Finding};

/// Flags of `mpkg audit`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, a source tree or a package file [default: everything that is installed]
    #[arg(value_name = "NAME[@REQ]|TREE|FILE")]
    subject: Option<String>,
    /// Take this advisory, or this OpenVEX document, into account as well; may be given several
    /// times
    #[arg(long, value_name = "FILE")]
    advisory: Vec<PathBuf>,
    /// Audit what is there, where some of the lineage cannot be had
    #[arg(long)]
    partial: bool,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let options = AuditOptions {
        subject: arguments.subject.as_deref().map(subject).transpose()?,
        advisories: arguments.advisory,
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
    let audited = audit(&options, &places)?;
    for gap in &audited.gaps {
        let (what, why) = (printable(&gap.what), printable(&gap.why));
        context.progress().warn(&format!("{what} was not audited: {why}"));
    }
    for unread in &audited.unread {
        let (what, why) = (printable(&unread.what), printable(&unread.why));
        context.progress().warn(&format!("{what} cannot be read, and is passed over: {why}"));
    }
    let known = key::list(&context.home)?;
    let is_told = audited.unread.is_empty() && (audited.gaps.is_empty() || arguments.partial);
    let answer = if audited.findings.is_empty() && is_told { Answer::Yes } else { Answer::No };
    let outcome = Outcome::done(words(&audited, &known), document(&audited, &known));
    Ok(outcome.answering(answer))
}

fn words(audited: &Audited, known: &[KnownKey]) -> String {
    let mut text = String::new();
    for (number, advisory) in audited.advisories.iter().enumerate() {
        let findings: Vec<(usize, &Finding)> = audited
            .findings
            .iter()
            .enumerate()
            .filter(|(_, finding)| finding.advisory == number)
            .collect();
        if findings.is_empty() {
            continue;
        }
        let severity = advisory.severity.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}{}: {}",
            advisory.id,
            printable(&severity),
            printable(&advisory.summary)
        );
        for (at, finding) in &findings {
            let path = path_words(&audited.graph, &finding.path, &finding.cause);
            let _ = writeln!(text, "  affects  {}", path.join(" → "));
            for line in remedy(audited, *at, finding) {
                let _ = writeln!(text, "           {line}");
            }
        }
        let _ = writeln!(text, "  issued   {}", issuer(&audited.origins[number], known));
        for reference in &advisory.references {
            let _ = writeln!(text, "  see      {}", printable(reference));
        }
    }
    for cleared in &audited.cleared {
        let _ = writeln!(text, "{}", clearance(audited, cleared));
    }
    let affected: BTreeSet<usize> = audited.findings.iter().map(|one| one.path[0]).collect();
    let packages = count(audited.roots.len(), "package", "packages");
    let advisories = count(audited.listed, "advisory", "advisories");
    let built = audited.graph.pieces.len() - audited.roots.len();
    let _ = writeln!(
        text,
        "{} of {packages} affected ({advisories}; {} that went into them looked at as well)",
        affected.len(),
        count(built, "package", "packages"),
    );
    text
}

/// The command that begins a rebuild on other packages.
const REBUILD: &str = "mpkg source";

/// What mends it, and by which command.
fn remedy(audited: &Audited, at: usize, finding: &Finding) -> Vec<String> {
    let root = &audited.graph.pieces[finding.path[0]].release;
    let end = &audited.graph.pieces[finding.path[finding.path.len() - 1]].release;
    let mut lines = Vec::new();
    if let Cause::Version { fixed } = &finding.cause {
        lines.push(match fixed.first() {
            Some(version) => format!("mended in {} {version}", end.name),
            None => format!("no version of {} mends it yet", end.name),
        });
    }
    if let Some(upgrade) = &audited.upgrades[at] {
        lines.push(format!("{upgrade} is not affected: mpkg upgrade {}", root.name));
        return lines;
    }
    let name = &root.name;
    match &finding.cause {
        Cause::Version { .. } if finding.path.len() == 1 => {
            lines.push(format!("until there is one that is not: mpkg remove {name}"));
        }
        Cause::Version { fixed } => {
            let with = match fixed.first() {
                Some(version) => format!("{} {version} or newer", end.name),
                None => format!("a mended {}", end.name),
            };
            lines.push(format!("{name} is to be built anew with {with}: {REBUILD} {name}"));
        }
        Cause::Data { name: data, .. } => {
            lines.push(format!(
                "{end_name} is to be built anew without data {data}, and then what was built from it: {REBUILD} {end_name}",
                end_name = end.name
            ));
        }
    }
    lines
}

fn issuer(origin: &Origin, known: &[KnownKey]) -> String {
    let Some(registry) = &origin.registry else { return "in a file of your own".to_owned() };
    let name = |id: &crate::crypto::KeyId| {
        let key = known.iter().find(|key| key.public.id() == *id);
        key.map_or_else(|| id.short(), |key| format!("{} ({})", key.name, id.short()))
    };
    let names: Vec<String> = origin.signed_by.iter().map(name).collect();
    format!("by {} in {registry}", names.join(", "))
}

fn clearance(audited: &Audited, cleared: &Cleared) -> String {
    let id = &audited.advisories[cleared.advisory].id;
    let release = &audited.graph.pieces[cleared.piece].release;
    let mut why: Vec<String> =
        cleared.justification.iter().map(|it| it.as_str().to_owned()).collect();
    why.extend(cleared.impact.as_deref().map(printable));
    format!("{id}: {release} is said to be {}: {}", cleared.status.as_str(), why.join("; "))
}

fn document(audited: &Audited, known: &[KnownKey]) -> Value {
    let finding = |(at, finding): (usize, &Finding)| {
        let advisory = &audited.advisories[finding.advisory];
        let (data, fixed) = match &finding.cause {
            Cause::Version { fixed } => (None, fixed.clone()),
            Cause::Data { name, digest } => {
                (Some(json!({"name": name, "sha256": digest})), Vec::new())
            }
        };
        let release = &audited.graph.pieces[finding.path[0]].release;
        let path: Vec<Value> = finding.path.iter().map(|at| of_piece(audited, *at)).collect();
        json!({
            "id": advisory.id, "summary": advisory.summary, "severity": advisory.severity,
            "aliases": advisory.aliases, "references": advisory.references,
            "name": release.name, "version": release.version, "variant": release.variant,
            "path": path, "data": data, "fixed": fixed,
            "upgrade": audited.upgrades[at].as_ref().map(|it| &it.version),
            "remedy": remedy(audited, at, finding),
            "issued-by": issuer(&audited.origins[finding.advisory], known),
        })
    };
    let cleared = |cleared: &Cleared| {
        let mut value = of_piece(audited, cleared.piece);
        value["id"] = json!(audited.advisories[cleared.advisory].id);
        value["status"] = json!(cleared.status.as_str());
        value["justification"] = json!(cleared.justification.map(Justification::as_str));
        value["impact"] = json!(cleared.impact);
        value
    };
    json!({
        "audited": audited.roots.iter().map(|at| of_piece(audited, *at)).collect::<Vec<_>>(),
        "advisories": audited.listed,
        "findings": audited.findings.iter().enumerate().map(finding).collect::<Vec<_>>(),
        "not-affected": audited.cleared.iter().map(cleared).collect::<Vec<_>>(),
        "not-audited": audited.gaps.iter()
            .map(|gap| json!({"what": gap.what, "why": gap.why})).collect::<Vec<_>>(),
        "not-read": audited.unread.iter()
            .map(|one| json!({"what": one.what, "why": one.why})).collect::<Vec<_>>(),
    })
}

fn of_piece(audited: &Audited, at: usize) -> Value {
    let piece = &audited.graph.pieces[at];
    json!({
        "name": piece.release.name, "version": piece.release.version,
        "variant": piece.release.variant, "digest": piece.digest,
    })
}
