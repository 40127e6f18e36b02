//! `mpkg publish`: adds packages with their signatures to a registry.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::crypto::KeyName;
use crate::ops::publish::{Options, publish};
use crate::registry::{NewRegistry, Published, State, Writing};

/// Flags of `mpkg publish`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Package files, source beside binary; the signatures of FILE are read from FILE.dsse.json
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
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
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let registry = match (arguments.to, context.registries()?.sources.as_slice()) {
        (Some(folder), _) => folder,
        (None, [only]) => only.location.clone(),
        (None, _) => {
            return Err(Plain {
                kind: "no-registry",
                message: "it is not said which registry to publish into".to_owned(),
                hint: Some("name its folder with --to DIR".to_owned()),
            }
            .into());
        }
    };
    let options = Options {
        files: arguments.files,
        registry: registry.clone(),
        key: arguments.key,
        new: if arguments.create { NewRegistry::Create } else { NewRegistry::Refuse },
        writing: if arguments.dry_run { Writing::DryRun } else { Writing::Really },
        now: context.now,
    };
    let published = publish(&context.home, &options, &context.client(), context.progress())?;
    for one in &published {
        context.progress().note(&match (one.state, options.writing) {
            (State::Added, Writing::Really) => format!("Published {}", one.release),
            (State::Added, Writing::DryRun) => format!("Would publish {}", one.release),
            (State::AlreadyThere, _) => format!("Published already: {}", one.release),
        });
    }
    let packages: Vec<Value> = published.iter().map(describe).collect();
    let document = json!({
        "registry": registry,
        "dry-run": options.writing == Writing::DryRun,
        "packages": packages,
    });
    Ok(Outcome::done("", document))
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
        },
    })
}
