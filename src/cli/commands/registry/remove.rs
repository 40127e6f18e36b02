//! `mpkg registry remove`: forgets a configured registry.

use serde_json::json;

use super::list::to_json;
use super::{Context, Failure, Outcome};
use crate::ops::sources;

/// Flags of `mpkg registry remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The name under which it is configured
    name: String,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let gone = sources::remove(&context.home, &arguments.name, context.progress())?;
    context.progress().note(&format!("Forgot the registry {}", gone.title()));
    Ok(Outcome::done("", json!({ "removed": to_json(&gone) })))
}
