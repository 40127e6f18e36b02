//! `mpkg registry init`: makes a registry.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::passphrase::PassphraseArguments;
use crate::ops::registry::init::{self, Options, Wanted};
use crate::registry::operator::{Lifetime, Lifetimes};

/// Flags of `mpkg registry init`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder, empty or still to be made
    folder: PathBuf,
    /// Keys that name all others: names, or files with public keys; keep them offline [default:
    /// this machine's FOLDER-root, which is made]
    #[arg(long, value_name = "KEY", num_args = 1..)]
    root_key: Vec<String>,
    /// How many of them must sign [default: 1]
    #[arg(long, value_name = "NUMBER")]
    root_threshold: Option<NonZeroU32>,
    /// Keys of the offline targets role [default: those of the root]
    #[arg(long, value_name = "KEY", num_args = 1..)]
    targets_key: Vec<String>,
    /// How many of them must sign [default: 1, or that of the root]
    #[arg(long, value_name = "NUMBER")]
    targets_threshold: Option<NonZeroU32>,
    /// Keys that sign what is published [default: this machine's FOLDER-online, which is made]
    #[arg(long, value_name = "KEY", num_args = 1..)]
    online_key: Vec<String>,
    /// Keys that sign timestamps [default: the online ones]
    #[arg(long, value_name = "KEY", num_args = 1..)]
    timestamp_key: Vec<String>,
    /// Among how many bins names are divided: a power of two from 2 to 65536. 16 do for a
    /// thousand names, 256 for ten thousand, 1024 for a hundred thousand, 4096 for a million
    #[arg(long, value_name = "NUMBER", default_value = "16")]
    bins: u32,
    /// For how long a root is good, as in 12h, 30d, 4w, 2y
    #[arg(long, value_name = "TIME", default_value_t = Lifetimes::default().root)]
    root_lifetime: Lifetime,
    /// For how long the targets role is good
    #[arg(long, value_name = "TIME", default_value_t = Lifetimes::default().targets)]
    targets_lifetime: Lifetime,
    /// For how long bins are good
    #[arg(long, value_name = "TIME", default_value_t = Lifetimes::default().bins)]
    bins_lifetime: Lifetime,
    /// For how long a snapshot is good
    #[arg(long, value_name = "TIME", default_value_t = Lifetimes::default().snapshot)]
    snapshot_lifetime: Lifetime,
    /// For how long a timestamp is good
    #[arg(long, value_name = "TIME", default_value_t = Lifetimes::default().timestamp)]
    timestamp_lifetime: Lifetime,
    /// Where the draft goes if keys of other machines must sign
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let wanted = |keys: Vec<String>, threshold| Wanted { keys, threshold };
    let options = Options {
        folder: arguments.folder,
        root: wanted(arguments.root_key, arguments.root_threshold),
        targets: wanted(arguments.targets_key, arguments.targets_threshold),
        online: wanted(arguments.online_key, None),
        timestamp: wanted(arguments.timestamp_key, None),
        bin_bits: bits(arguments.bins)?,
        lifetimes: Lifetimes {
            root: arguments.root_lifetime,
            targets: arguments.targets_lifetime,
            bins: arguments.bins_lifetime,
            snapshot: arguments.snapshot_lifetime,
            timestamp: arguments.timestamp_lifetime,
        },
        out: arguments.out,
        now: context.operator_time()?,
        clock: context.now,
    };
    let passphrases = arguments.passphrase.source()?;
    let (client, progress) = (context.client(), context.progress());
    match init::init(&context.home, &options, &passphrases, &client, progress)? {
        init::Outcome::Made(made) => {
            super::say_how_to_add(&made, context);
            let json = json!({
                "registry": made.folder.display().to_string(),
                "name": made.name,
                "root-sha256": made.root_sha256,
                "new-keys": made.new_keys,
            });
            Ok(Outcome::done(made.root_sha256.to_string(), json))
        }
        init::Outcome::Drafted { file, missing } => {
            Ok(super::drafted(&file, &options.folder, &missing, context))
        }
    }
}

fn bits(bins: u32) -> Result<u8, Failure> {
    let bits = u8::try_from(bins.trailing_zeros()).unwrap_or(u8::MAX);
    if bins.is_power_of_two() && (1..=16).contains(&bits) {
        return Ok(bits);
    }
    Err(Plain {
        kind: "bad-bins",
        message: format!("names cannot be divided among {bins} bins"),
        hint: Some("choose a power of two from 2 to 65536".to_owned()),
    }
    .into())
}
