//! `mpkg registry add`: begins to trust a registry, and configures it.

use std::path::PathBuf;

use serde_json::json;

use super::list::to_json;
use super::{Context, Failure, Outcome};
use crate::fs;
use crate::ops::sources::{self, Added};
use crate::package::{Digest, PackageName, RegistryName};
use crate::registry::{FirstRoot, Source};

/// The longest root file that is read, in bytes.
const LARGEST_ROOT: u64 = 512 << 10;

/// Flags of `mpkg registry add`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The registry's folder or address
    #[arg(value_name = "URL|DIR")]
    location: String,
    #[command(flatten)]
    first: First,
    /// What to call it [default: made of its location]
    #[arg(long, value_name = "NAME")]
    name: Option<RegistryName>,
    /// Registries of higher priority are asked first
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1000..=1000))]
    priority: i64,
    /// Names that are taken from this registry alone
    #[arg(long, value_name = "PACKAGE", num_args = 1..)]
    pin: Vec<PackageName>,
}

/// How the first root is known.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct First {
    /// The SHA-256 of the registry's root, as its operator says it
    #[arg(long, value_name = "HEX")]
    root_sha256: Option<Digest>,
    /// The registry's root itself, as its operator gave it to you
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Trust whatever the registry says now, and hold on to that
    #[arg(long)]
    tofu: bool,
}

impl First {
    fn read(&self) -> Result<FirstRoot, Failure> {
        Ok(match (self.root_sha256, &self.root) {
            (Some(digest), _) => FirstRoot::Sha256(digest),
            (_, Some(path)) => {
                FirstRoot::Bytes(fs::read_to_string(path, LARGEST_ROOT)?.into_bytes())
            }
            _ => FirstRoot::FirstUse,
        })
    }
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let first = arguments.first.read()?;
    let source = Source {
        name: arguments.name,
        location: arguments.location,
        priority: arguments.priority,
        pins: arguments.pin.into_iter().collect(),
    };
    let (client, progress) = (context.client(), context.progress());
    let added = sources::add(&context.home, source, &first, context.clock(), &client, progress)?;
    say(&added, context);
    let document = json!({
        "added": to_json(&added.source),
        "first-root-sha256": added.sight.first_root,
        "root-version": added.sight.version,
        "root-keys": added.sight.keys,
        "root-threshold": added.sight.threshold,
    });
    Ok(Outcome::done("", document))
}

fn say(added: &Added, context: &Context) {
    let sight = &added.sight;
    let progress = context.progress();
    progress.note(&format!("Added the registry {}", added.source.title()));
    progress.note(&format!("Its trust begins with the root of SHA-256 {}", sight.first_root));
    progress.note(&format!(
        "Its root has version {}, signed by {} of {}",
        sight.version,
        sight.threshold,
        sight.keys.join(", ")
    ));
}
