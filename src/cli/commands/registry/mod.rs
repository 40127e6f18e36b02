//! `mpkg registry`: makes and looks after registries.

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
    /// Serves a registry's files over HTTP, from this machine to itself alone unless told otherwise
    Serve(serve::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        Action::Serve(arguments) => serve::run(&arguments, context),
    }
}
