//! `mpkg registry rotate`: gives a role other keys, or a new term.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::folder_of;
use crate::ops::registry::rotate::{self, Drafted, Options};
use crate::registry::operator::RotatedRole;
use crate::registry::tuf::TopLevel;

/// Flags of `mpkg registry rotate`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder [default: the one that --registry names]
    folder: Option<String>,
    /// The role
    #[arg(long, value_enum)]
    role: Role,
    /// Keys that come in: names, or files with public keys
    #[arg(long, value_name = "KEY", num_args = 1..)]
    add: Vec<String>,
    /// Keys that go: names, files, or ids
    #[arg(long, value_name = "KEY", num_args = 1..)]
    remove: Vec<String>,
    /// How many of the role's keys must sign from now on
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<NonZeroU32>,
    /// Write the change as a draft, to be signed on other machines, instead of putting it in place
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Role {
    /// Names the keys of all others; offline
    Root,
    /// Delegates to bins, and vouches for changes of publishers; offline
    Targets,
    /// Vouch for the indexes of packages; online
    Bins,
    /// Vouches for the versions of all bins; online
    Snapshot,
    /// Vouches for the snapshot, for a short time; online
    Timestamp,
}

impl From<Role> for RotatedRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Root => Self::TopLevel(TopLevel::Root),
            Role::Targets => Self::TopLevel(TopLevel::Targets),
            Role::Bins => Self::Bins,
            Role::Snapshot => Self::TopLevel(TopLevel::Snapshot),
            Role::Timestamp => Self::TopLevel(TopLevel::Timestamp),
        }
    }
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let folder = folder_of(&super::super::publish::target(arguments.folder, context)?)?;
    let options = Options {
        folder,
        role: arguments.role.into(),
        add: arguments.add,
        remove: arguments.remove,
        threshold: arguments.threshold,
        out: arguments.out,
        now: context.operator_time()?,
    };
    let passphrases = arguments.passphrase.source()?;
    let (client, progress) = (context.client(), context.progress());
    match rotate::rotate(&context.home, &options, &passphrases, &client, progress)? {
        Drafted::InPlace(applied) => Ok(super::apply::report(&applied, context)),
        Drafted::File { file, missing } => {
            Ok(super::drafted(&file, &options.folder, &missing, context))
        }
    }
}
