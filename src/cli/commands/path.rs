//! `mpkg path`: prints the folder of an installed package.

use serde_json::json;

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::list::path;
use crate::package::PackageName;

/// Flags of `mpkg path`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// An installed package
    name: PackageName,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let path = path(&context.home, &arguments.profile.profile, &arguments.name)?;
    let text = path.display().to_string();
    Ok(Outcome::done(text.clone(), json!({ "name": arguments.name, "path": text })))
}
