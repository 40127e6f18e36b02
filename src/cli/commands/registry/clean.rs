//! `mpkg registry clean`: removes superseded metadata.

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::words::{count, size};
use crate::ops::registry::folder_of;
use crate::registry::operator::{Age, Lifetime, Writing, clean};

/// Flags of `mpkg registry clean`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder [default: the one that --registry names]
    folder: Option<String>,
    /// Keep what is younger: a reader may have begun with it
    #[arg(long, value_name = "TIME", default_value_t = Lifetime::days(7))]
    older_than: Lifetime,
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let folder = folder_of(&super::super::publish::target(arguments.folder, context)?)?;
    let writing = if arguments.dry_run { Writing::DryRun } else { Writing::Really };
    let age = Age { before: arguments.older_than.before(context.now)?, writing };
    let done = clean(&folder, age, &context.client(), context.progress())?;
    let word = if arguments.dry_run { "Would remove" } else { "Removed" };
    context.progress().note(&format!(
        "{word} {}, {}",
        count(done.files, "file", "files"),
        size(done.bytes)
    ));
    let json = json!({ "dry-run": arguments.dry_run, "files": done.files, "bytes": done.bytes });
    Ok(Outcome::done("", json))
}
