//! `mpkg registry sign`: adds a signature to a draft.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::crypto::KeyName;
use crate::ops::registry::draft;

/// Flags of `mpkg registry sign`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The draft; the signature is added to it in place
    file: PathBuf,
    /// The key to sign with [default: every key of this machine that may sign it]
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// Say what the draft changes and whose signatures it needs, and sign nothing
    #[arg(long, conflicts_with = "key")]
    show: bool,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let passphrases = arguments.passphrase.source()?;
    let signing = match (arguments.show, &arguments.key) {
        (true, _) => draft::With::Nothing,
        (false, Some(key)) => draft::With::Key(key),
        (false, None) => draft::With::All,
    };
    let report = draft::sign(&context.home, &arguments.file, signing, &passphrases)?;
    for line in &report.changes {
        context.progress().note(line);
    }
    if report.missing.is_empty() {
        context.progress().note("It has every signature that it needs");
    }
    let json = json!({
        "draft": arguments.file.display().to_string(),
        "changes": report.changes,
        "missing": super::missing_json(&report.missing),
    });
    Ok(Outcome::done(super::missing_lines(&report.missing), json))
}
