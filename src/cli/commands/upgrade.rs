//! `mpkg upgrade`: installs the newest versions of what is installed.

use std::path::PathBuf;

use super::install::{ChangeArguments, Wanted, change};
use super::{Context, Failure, Outcome};
use crate::ops::install::Renewal;
use crate::ops::list::installed;
use crate::package::PackageName;

/// Flags of `mpkg upgrade`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Installed packages; without names all of them. Each stays within what was asked for when
    /// it was installed
    names: Vec<PackageName>,
    /// Take packages from this file, or from those in this folder, before any registry
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    change: ChangeArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    for name in &arguments.names {
        installed(&context.home, &arguments.change.profile.profile, name)?;
    }
    let names: Vec<String> = arguments.names.iter().map(ToString::to_string).collect();
    let command = format!("upgrade {}", names.join(" "));
    let renewal = if arguments.names.is_empty() {
        Renewal::All
    } else {
        Renewal::Named(arguments.names.into_iter().collect())
    };
    let command = command.trim_end().to_owned();
    let wanted = Wanted { targets: Vec::new(), with: arguments.with, renewal, pins: None };
    change(wanted, &arguments.change, command, context)
}
