//! `mpkg registry yank`: withdraws a version, or takes that back.

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::{folder_of, yank};
use crate::registry::operator::Withdrawal;

/// Flags of `mpkg registry yank`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The release; without a variant all of the version is meant, its source package too
    #[arg(value_name = "NAME@VERSION[:VARIANT]")]
    release: String,
    /// Why; it is shown to whoever asks for the release
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    reason: Option<String>,
    /// Take the withdrawal back
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
    /// The registry's folder [default: the one that --registry names]
    #[arg(long = "in", value_name = "DIR")]
    folder: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let folder = folder_of(&super::super::publish::target(arguments.folder, context)?)?;
    let wish = withdrawal(&arguments.release, arguments.reason)?;
    let passphrases = arguments.passphrase.source()?;
    let now = context.operator_time()?;
    let (client, progress) = (context.client(), context.progress());
    let changed = yank::yank(&context.home, &folder, &wish, &passphrases, now, &client, progress)?;
    let word = if wish.reason.is_some() { "Withdrew" } else { "Brought back" };
    for release in &changed {
        progress.note(&format!("{word} {release}"));
    }
    if changed.is_empty() {
        progress.note("Nothing to do");
    }
    let releases: Vec<_> = changed
        .iter()
        .map(|one| json!({ "name": one.name, "version": one.version, "variant": one.variant }))
        .collect();
    Ok(Outcome::done("", json!({ "yanked": wish.reason, "releases": releases })))
}

fn withdrawal(release: &str, reason: Option<String>) -> Result<Withdrawal, Failure> {
    let refused = |why: String| -> Failure {
        Plain {
            kind: "bad-release",
            message: format!("\"{}\" names no release: {why}", crate::explain::printable(release)),
            hint: Some("write NAME@VERSION or NAME@VERSION:VARIANT".to_owned()),
        }
        .into()
    };
    let (name, rest) =
        release.split_once('@').ok_or_else(|| refused("it has no version".to_owned()))?;
    let (version, variant) = match rest.split_once(':') {
        Some((version, variant)) => (version, Some(variant)),
        None => (rest, None),
    };
    Ok(Withdrawal {
        name: name
            .parse()
            .map_err(|error: crate::package::InvalidName| refused(error.to_string()))?,
        version: version.parse().map_err(|_| refused("its version is none".to_owned()))?,
        variant: variant
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::package::InvalidName| refused(error.to_string()))?,
        reason,
    })
}
