//! `mpkg registry refresh`: signs anew what would expire.

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::{folder_of, refresh};

/// Flags of `mpkg registry refresh`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder [default: the one that --registry names]
    folder: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let folder = folder_of(&super::super::publish::target(arguments.folder, context)?)?;
    let passphrases = arguments.passphrase.source()?;
    let now = context.operator_time()?;
    let (client, progress) = (context.client(), context.progress());
    let done = refresh::refresh(&context.home, &folder, &passphrases, now, &client, progress)?;
    progress.note(&format!("Signed timestamp {}, good until {}", done.timestamp, done.expires));
    if let Some(version) = done.snapshot {
        progress.note(&format!("Signed snapshot {version}"));
    }
    if done.bins > 0 {
        progress.note(&format!("Signed {}", crate::explain::count(done.bins, "bin", "bins")));
    }
    for (role, end) in &done.nearly_over {
        progress.note(&format!(
            "The {role} role is good until {end}: renew it with `mpkg registry rotate {} --role {role}`",
            folder.display()
        ));
    }
    let near: Vec<Value> = done
        .nearly_over
        .iter()
        .map(|(role, end)| json!({ "role": role.as_str(), "expires": end }))
        .collect();
    let json = json!({
        "timestamp": done.timestamp,
        "expires": done.expires,
        "snapshot": done.snapshot,
        "bins": done.bins,
        "nearly-over": near,
    });
    Ok(Outcome::done("", json))
}
