//! `mpkg registry mirror-data`: stores the data of source packages in a registry.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::words::{count, size};
use crate::ops::registry::data::mirror_data;
use crate::package::PackageName;

/// Flags of `mpkg registry mirror-data`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder
    folder: PathBuf,
    /// Names of source packages [default: all]
    names: Vec<PackageName>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let (client, progress) = (context.client(), context.progress());
    let stored = mirror_data(&arguments.folder, &arguments.names, &client, progress)?;
    progress.note(&format!(
        "{} of {} added, {}",
        stored.added,
        count(stored.files, "file of data", "files of data"),
        size(stored.bytes)
    ));
    let json = json!({
        "sources": stored.sources,
        "files": stored.files,
        "added": stored.added,
        "bytes": stored.bytes,
    });
    Ok(Outcome::done("", json))
}
