//! `mpkg list`: lists installed packages.

use serde_json::{Value, json};

use super::install::package_json;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::words::{size, table};
use crate::ops::list::list;
use crate::ops::pins::lock_of;

/// Flags of `mpkg list`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Leave out what is there only because others need it
    #[arg(long)]
    requested: bool,
    /// Write a lock file that pins all of it, for `mpkg install --locked`
    #[arg(long, conflicts_with = "requested")]
    lock: bool,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let mut packages = list(&context.home, &arguments.profile.profile)?;
    packages.retain(|package| !arguments.requested || package.requested.is_some());
    if packages.is_empty() {
        context.progress().note("Nothing is installed");
    }
    let document: Vec<Value> = packages.iter().map(package_json).collect();
    let document = json!({ "packages": document });
    if arguments.lock {
        let text = lock_of(&packages).to_text();
        return Ok(Outcome::done(text.trim_end().to_owned(), document));
    }
    let rows: Vec<Vec<String>> = packages
        .iter()
        .map(|package| {
            vec![
                package.name.to_string(),
                package.version.to_string(),
                package.variant.as_ref().map(ToString::to_string).unwrap_or_default(),
                size(package.unpacked_size),
                crate::explain::printable(&package.summary),
            ]
        })
        .collect();
    Ok(Outcome::done(table(&rows), document))
}
