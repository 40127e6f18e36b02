//! `mpkg registry`: makes and looks after registries.

mod list;
mod remove;
mod serve;

use super::{Context, Failure, Outcome};

/// Flags of `mpkg registry`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the registries that are configured, in the order in which they are asked
    List,
    /// Forgets a configured registry; what is installed from it stays
    Remove(remove::Arguments),
    /// Serves a registry's files over HTTP, from this machine to itself alone unless told otherwise
    Serve(serve::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        Action::List => list::run(context),
        Action::Remove(arguments) => remove::run(&arguments, context),
        Action::Serve(arguments) => serve::run(&arguments, context),
    }
}
