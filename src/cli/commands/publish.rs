//! `mpkg publish`: adds packages with their signatures to a registry.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::passphrase::PassphraseArguments;
use crate::cli::words::count;
use crate::crypto::KeyName;
use crate::explain::printable;
use crate::ops::publish::{New, Options, publish};
use crate::registry::operator::{Advised, Attested, Published, State, Writing};

/// Flags of `mpkg publish`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Package files, source beside binary; the signatures of FILE are read from FILE.dsse.json
    #[arg(required_unless_present_any = ["attestation", "advisory"], value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Signed statements about packages that are published, whoever made them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    attestation: Vec<PathBuf>,
    /// Advisories, and OpenVEX documents about them; the signatures of FILE are read from
    /// FILE.dsse.json
    #[arg(long, value_name = "FILE", num_args = 1..)]
    advisory: Vec<PathBuf>,
    /// The registry's folder [default: the one that --registry names]
    #[arg(long, value_name = "DIR")]
    to: Option<String>,
    /// The key that becomes the publisher of a new name [default: those of this machine's keys
    /// that signed it]
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// Begin a registry in an empty or missing folder
    #[arg(long)]
    create: bool,
    /// Check everything, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let registry = target(arguments.to, context)?;
    let options = Options {
        files: arguments.files,
        attestations: arguments.attestation,
        advisories: arguments.advisory,
        registry: registry.clone(),
        key: arguments.key,
        new: if arguments.create { New::Create } else { New::Refuse },
        writing: if arguments.dry_run { Writing::DryRun } else { Writing::Really },
        now: context.operator_time()?,
        clock: context.now,
    };
    let passphrases = arguments.passphrase.source()?;
    let report =
        publish(&context.home, &options, &passphrases, &context.client(), context.progress())?;
    if let Some(made) = &report.created {
        super::registry::say_how_to_add(made, context);
    }
    let published = &report.packages;
    for one in published {
        context.progress().note(&match (one.state, options.writing) {
            (State::Added, Writing::Really) => format!("Published {}", one.release),
            (State::Added, Writing::DryRun) => format!("Would publish {}", one.release),
            (State::SignedAnew, Writing::Really) => format!("Signed anew: {}", one.release),
            (State::SignedAnew, Writing::DryRun) => format!("Would sign anew {}", one.release),
            (State::AlreadyThere, _) => format!("Published already: {}", one.release),
        });
    }
    if report.checkpoints > 0 {
        let stored = count(report.checkpoints, "checkpoint", "checkpoints");
        context.progress().note(&format!("Stored {stored} of their training"));
    }
    for one in &report.attested {
        context.progress().note(&match (one.state, options.writing) {
            (State::AlreadyThere, _) => format!("Stored already beside {}", one.release),
            (_, Writing::Really) => format!("Stored a statement about {}", one.release),
            (_, Writing::DryRun) => format!("Would store a statement about {}", one.release),
        });
    }
    for one in &report.advised {
        let name = printable(&one.name);
        context.progress().note(&match (one.state, options.writing) {
            (State::AlreadyThere, _) => format!("Kept already: {name}"),
            (_, Writing::Really) => format!("Published {name}"),
            (_, Writing::DryRun) => format!("Would publish {name}"),
        });
    }
    let packages: Vec<Value> = published.iter().map(describe).collect();
    let attested: Vec<Value> = report.attested.iter().map(describe_statement).collect();
    let document = json!({
        "registry": registry,
        "dry-run": options.writing == Writing::DryRun,
        "packages": packages,
        "checkpoints": report.checkpoints,
        "attestations": attested,
        "advisories": report.advised.iter().map(describe_advisory).collect::<Vec<_>>(),
    });
    Ok(Outcome::done("", document))
}

fn describe_advisory(advised: &Advised) -> Value {
    json!({
        "name": advised.name,
        "signed-by": advised.signed_by.iter().map(crate::crypto::PublicKey::id).collect::<Vec<_>>(),
        "state": if advised.state == State::AlreadyThere { "already-there" } else { "added" },
    })
}

fn describe_statement(attested: &Attested) -> Value {
    json!({
        "name": attested.release.name,
        "version": attested.release.version,
        "variant": attested.release.variant,
        "package-digest": attested.package,
        "predicate-type": attested.predicate,
        "claims-to-be-signed-by": attested.claimed,
        "state": if attested.state == State::AlreadyThere { "already-there" } else { "added" },
    })
}

/// The folder that was named, or that of the only registry that is asked.
pub(super) fn target(named: Option<String>, context: &Context) -> Result<String, Failure> {
    match (named, context.registries()?.sources.as_slice()) {
        (Some(folder), _) => Ok(folder),
        (None, [only]) => Ok(only.location.clone()),
        (None, _) => Err(Plain {
            kind: "no-registry",
            message: "it is not said which registry is meant".to_owned(),
            hint: Some("name its folder".to_owned()),
        }
        .into()),
    }
}

fn describe(published: &Published) -> Value {
    json!({
        "name": published.release.name,
        "version": published.release.version,
        "variant": published.release.variant,
        "package-digest": published.package,
        "sha256": published.file,
        "size": published.size,
        "signed-by": published.signed_by,
        "state": match published.state {
            State::Added => "added",
            State::AlreadyThere => "already-there",
            State::SignedAnew => "signed-anew",
        },
    })
}
