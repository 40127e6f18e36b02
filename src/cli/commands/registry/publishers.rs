//! `mpkg registry publishers`: who may publish a name.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::folder_of;
use crate::ops::registry::publishers::{self, Options};
use crate::package::PackageName;

/// Flags of `mpkg registry publishers`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The name
    name: PackageName,
    /// Keys that may publish it from now on: names, or files with public keys
    #[arg(long, value_name = "KEY", num_args = 1..)]
    add: Vec<String>,
    /// Keys that may not any more: names, files, or ids
    #[arg(long, value_name = "KEY", num_args = 1..)]
    remove: Vec<String>,
    /// How many of the keys must sign a package from now on
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<NonZeroUsize>,
    /// Why, for whoever looks at the change
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Write the change as a draft, to be signed on other machines, instead of putting it in place
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The registry's folder [default: the one that --registry names]
    #[arg(long = "in", value_name = "DIR")]
    folder: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let folder = folder_of(&super::super::publish::target(arguments.folder, context)?)?;
    let options = Options {
        folder,
        name: arguments.name,
        add: arguments.add,
        remove: arguments.remove,
        threshold: arguments.threshold,
        reason: arguments.reason,
        out: arguments.out,
        now: context.operator_time()?,
    };
    let passphrases = arguments.passphrase.source()?;
    let (client, progress) = (context.client(), context.progress());
    match publishers::publishers(&context.home, &options, &passphrases, &client, progress)? {
        publishers::Outcome::Now(now) => {
            let mut text = format!("{} of\n", now.publishers.threshold);
            for id in now.publishers.ids() {
                let _ = writeln!(text, "  {id}");
            }
            for release in &now.unsigned {
                progress.note(&format!(
                    "{release} is not signed by them: sign it anew and publish it again"
                ));
            }
            let unsigned: Vec<String> = now.unsigned.iter().map(ToString::to_string).collect();
            let json = json!({
                "name": options.name,
                "publishers": now.publishers,
                "unsigned": unsigned,
            });
            Ok(Outcome::done(text, json))
        }
        publishers::Outcome::Drafted { file, missing } => {
            Ok(super::drafted(&file, &options.folder, &missing, context))
        }
    }
}
