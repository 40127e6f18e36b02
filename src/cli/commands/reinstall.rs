//! `mpkg reinstall`: writes installed packages anew, as a damaged one needs.

use std::path::PathBuf;

use serde_json::json;

use super::fetch::Patience;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::reinstall::{Sources, reinstall};
use crate::package::PackageName;

/// Flags of `mpkg reinstall`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Installed packages
    #[arg(required = true)]
    names: Vec<PackageName>,
    /// Take them from this package file, or from those in this folder, before any registry
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let written = reinstall(
        &context.home,
        &arguments.profile.profile,
        &arguments.names,
        &Sources { registries: &context.registries()?, policies: &context.policies()? },
        &arguments.with,
        &arguments.patience.client(context),
        context.progress(),
    )?;
    for release in &written {
        context.progress().note(&format!("Wrote {release} anew"));
    }
    let releases: Vec<serde_json::Value> = written
        .iter()
        .map(|one| json!({ "name": one.name, "version": one.version, "variant": one.variant }))
        .collect();
    Ok(Outcome::done("", json!({ "packages": releases })))
}
