//! `mpkg registry mirror-data`: stores the data of source packages, and the wheels of their
//! environments, in a registry.

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
    let search_path = Context::search_path();
    let stored = mirror_data(&arguments.folder, &arguments.names, &search_path, &client, progress)?;
    progress.note(&format!(
        "{} of {} added, {}",
        stored.added,
        count(stored.files, "file of data", "files of data"),
        size(stored.bytes)
    ));
    if stored.wheels > 0 {
        progress.note(&format!("{} kept", count(stored.wheels, "wheel", "wheels")));
    }
    let json = json!({
        "sources": stored.sources,
        "files": stored.files,
        "added": stored.added,
        "bytes": stored.bytes,
        "wheels": stored.wheels,
    });
    Ok(Outcome::done("", json))
}
