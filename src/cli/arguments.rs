//! The flags that every command takes.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};

use super::commands::Command;
use crate::package::ProfileName;

/// Packs, builds, compares, installs and studies open AI models from their source.
#[derive(Debug, Parser)]
#[command(name = "mpkg", version, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Global {
    /// A registry to use instead of those that are configured: an address, a folder, or the name of
    /// a configured one. Several are asked in turn
    #[arg(
        long,
        global = true,
        env = "MPKG_REGISTRY",
        value_name = "URL|DIR|NAME",
        value_delimiter = ' '
    )]
    pub(super) registry: Vec<String>,
    /// The folder for keys, cache and installed packages [default: the XDG data folder]
    #[arg(long, global = true, env = "MPKG_HOME", value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
    /// A home folder whose packages are used in place and not fetched again; nothing is written
    /// there. Several are separated by ':' [default: `shared` in store.toml]
    #[arg(
        long,
        global = true,
        env = "MPKG_SHARED_STORE",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    pub(super) shared_store: Vec<PathBuf>,
    /// Print exactly one JSON document on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say less
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Do not use the network
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Take a registry's metadata that has expired as it is until then, as 2030-01-31 or
    /// 2030-01-31T12:00:00Z
    #[arg(long, global = true, value_name = "DATE", value_parser = parse_date)]
    pub(super) accept_stale_until: Option<jiff::Timestamp>,
    /// Do not ask
    #[arg(short, long, global = true)]
    pub(super) yes: bool,
    /// Draw no progress bars
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
}

/// A moment, or the end of a day.
fn parse_date(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time);
    }
    let day: jiff::civil::Date = text.parse().map_err(|_| "it is no date".to_owned())?;
    let next = day.tomorrow().and_then(|next| next.to_zoned(jiff::tz::TimeZone::UTC));
    next.map(|next| next.timestamp()).map_err(|error| error.to_string())
}

/// The flag of every command that looks at a profile or changes one.
#[derive(Debug, clap::Args)]
pub(super) struct ProfileArguments {
    /// The profile: a set of packages of its own
    #[arg(long, env = "MPKG_PROFILE", value_name = "NAME", default_value = "default")]
    pub(super) profile: ProfileName,
}

/// The whole command line, for completions and the manual.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}
