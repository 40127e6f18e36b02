//! `mpkg rollback`: goes back to the generation before, or to another.

use serde_json::json;

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::generations::rollback;

/// Flags of `mpkg rollback`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The generation's number [default: the one before the current]
    number: Option<u64>,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let profile = &arguments.profile.profile;
    let generation = rollback(&context.home, profile, arguments.number, context.progress())?;
    context.progress().note(&format!("Generation {} is current now", generation.number));
    Ok(Outcome::done("", json!({ "generation": generation.number })))
}
