//! `mpkg remove`: removes packages from the profile.

use std::fmt::Write as _;

use serde_json::json;

use super::install::package_json;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::outcome::Answer;
use crate::ops::remove::{Dependencies, plan};
use crate::package::PackageName;

/// Flags of `mpkg remove`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Installed packages
    #[arg(required = true)]
    names: Vec<PackageName>,
    /// Keep the dependencies that nothing needs any more
    #[arg(long)]
    keep_dependencies: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let dependencies =
        if arguments.keep_dependencies { Dependencies::Keep } else { Dependencies::RemoveUnneeded };
    let profile = &arguments.profile.profile;
    let removal = plan(&context.home, profile, &arguments.names, dependencies, context.progress())?;
    let mut text = String::new();
    for package in &removal.named {
        let _ = writeln!(text, "remove  {}", package.release());
    }
    for package in &removal.unneeded {
        let _ = writeln!(text, "remove  {}, which nothing else needs", package.release());
    }
    let gone = removal.named.iter().chain(&removal.unneeded);
    let mut document =
        json!({ "removed": gone.map(package_json).collect::<Vec<_>>(), "changed": false });
    if arguments.dry_run {
        return Ok(Outcome::done(text, document));
    }
    context.progress().note(text.trim_end());
    if !removal.unneeded.is_empty() && !context.confirms("Go on?") {
        context.progress().note("Nothing was changed");
        return Ok(Outcome::done("", document).answering(Answer::No));
    }
    let names: Vec<String> = arguments.names.iter().map(ToString::to_string).collect();
    let command = format!("remove {}", names.join(" "));
    let generation = removal.carry_out(&command, context.now)?;
    document["changed"] = json!(true);
    document["generation"] = json!(generation.number);
    context.progress().note(&format!("Made generation {}", generation.number));
    Ok(Outcome::done("", document))
}
