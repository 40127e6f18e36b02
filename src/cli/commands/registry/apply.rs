//! `mpkg registry apply`: puts a signed draft in place.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::draft;
use crate::registry::operator::Applied;

/// Flags of `mpkg registry apply`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder
    folder: PathBuf,
    /// The draft, with all its signatures
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let passphrases = arguments.passphrase.source()?;
    let applied = draft::apply(
        &context.home,
        &arguments.folder,
        &arguments.file,
        &passphrases,
        (context.operator_time()?, context.now),
        &context.client(),
        context.progress(),
    )?;
    Ok(report(&applied, context))
}

/// Says what changed.
pub(super) fn report(applied: &draft::InPlace, context: &Context) -> Outcome {
    let progress = context.progress();
    let json = match &applied.change {
        Applied::Created(created) => {
            if let Some(made) = &applied.made {
                super::say_how_to_add(made, context);
            }
            json!({ "root-sha256": created.root_sha256 })
        }
        Applied::Changed { root, targets, publishers } => {
            if let Some(version) = root {
                progress.note(&format!("Root {version} is in place"));
            }
            if let Some(version) = targets {
                progress.note(&format!("Version {version} of the targets role is in place"));
            }
            if let Some(name) = publishers {
                progress.note(&format!("{name} has other publishers now"));
            }
            json!({ "root": root, "targets": targets, "publishers-of": publishers })
        }
    };
    Outcome::done("", json)
}
