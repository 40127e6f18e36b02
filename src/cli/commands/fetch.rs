//! `mpkg fetch`: fetches everything that a build needs, so that it can run offline.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::build::data::{Checked, Depth, Planned, Provenance};
use crate::build::tree::SourceTree;
use crate::cli::outcome::Answer;
use crate::cli::workshop::Workshop;
use crate::explain::Explain as _;
use crate::net::{Client, NetOptions};
use crate::ops::build::Prepared;
use crate::ops::fetch::{self, Brought};

/// Flags of `mpkg fetch`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The source tree [default: that of the current folder]
    tree: Option<PathBuf>,
    /// Only say what would be fetched, and how much
    #[arg(long)]
    dry_run: bool,
    /// Only ask every address whether it still has the file, with the right size
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// With --check: read all bytes and check their digests; none are kept
    #[arg(long, requires = "check")]
    full: bool,
    /// Take dependencies from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    patience: Patience,
}

/// How patient the network's users are.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(in crate::cli) struct Patience {
    /// How long next to nothing may come from a server
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    timeout: u64,
    /// How often an address is tried again after a failure that may pass
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    retries: usize,
}

impl Patience {
    /// A client that is as patient as that.
    pub(in crate::cli) fn client(self, context: &Context) -> Client {
        Client::new(NetOptions {
            idle: Duration::from_secs(self.timeout),
            retries: self.retries,
            ..context.net_options()
        })
    }
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let Arguments { tree, dry_run, check, full, with, patience } = arguments;
    let tree = match tree {
        Some(tree) => SourceTree::open(&tree)?,
        None => SourceTree::find(Path::new("."))?,
    };
    let client = patience.client(context);
    if dry_run {
        return Ok(planned(&fetch::plan(&tree, &client)?));
    }
    if check {
        let depth = if full { Depth::Bytes } else { Depth::Size };
        let progress = context.progress();
        return Ok(checked(&fetch::check(&tree, depth, &client, progress, context.now)?));
    }
    let workshop = Workshop::with(context, client)?;
    let (registries, client) = (&workshop.registries, &workshop.client);
    let data = fetch::fetch(&tree, registries, client, context.progress(), context.now)?;
    let software = fetch::software(&tree, with, &workshop.setting())?;
    Ok(brought(&data, software.as_ref()))
}

fn planned(plan: &[Planned]) -> Outcome {
    let mut text = String::new();
    for data in plan {
        let state = match (data.to_fetch, data.size) {
            (0, 0) => "in the tree".to_owned(),
            (0, _) => "in the cache".to_owned(),
            (missing, size) if missing == size => "to fetch".to_owned(),
            (missing, _) => format!("{} to fetch", HumanBytes(missing)),
        };
        let Planned { name, license, from, size, .. } = data;
        let _ = writeln!(text, "{name}\t{}\t{license}\t{state}\t{from}", HumanBytes(*size));
    }
    let total: u64 = plan.iter().map(|data| data.to_fetch).sum();
    let _ = writeln!(text, "{} to fetch", HumanBytes(total));
    let data: Vec<Value> = plan
        .iter()
        .map(|data| {
            json!({
                "name": data.name, "license": data.license, "from": data.from,
                "files": data.files, "size": data.size, "to_fetch": data.to_fetch,
            })
        })
        .collect();
    Outcome::done(text, json!({"data": data, "to_fetch": total}))
}

fn checked(checked: &[Checked]) -> Outcome {
    let mut text = String::new();
    let mut documents = Vec::new();
    for Checked { name, address, fault, .. } in checked {
        let message = fault.as_ref().map(ToString::to_string);
        let verdict = message.as_deref().unwrap_or("good");
        let _ = writeln!(text, "{name}\t{address}\t{verdict}");
        documents.push(json!({
            "name": name, "address": address, "good": fault.is_none(),
            "fault": fault.as_ref().map(|fault| {
                json!({"kind": fault.kind(), "message": message})
            }),
        }));
    }
    let answer =
        if checked.iter().all(|one| one.fault.is_none()) { Answer::Yes } else { Answer::No };
    Outcome::done(text, json!({"addresses": documents})).answering(answer)
}

fn brought(brought: &[Brought], software: Option<&Prepared>) -> Outcome {
    let mut text = String::new();
    let mut documents = Vec::new();
    for Brought { data, path } in brought {
        let from = match &data.provenance {
            Provenance::Tree => "in the tree".to_owned(),
            Provenance::Cache => "in the cache".to_owned(),
            Provenance::Address(address) => format!("fetched from {address}"),
            Provenance::Shards { fetched, cached } => {
                format!("{fetched} files fetched, {cached} in the cache")
            }
        };
        let reference = &data.reference;
        let (name, license) = (&reference.name, &reference.license);
        let _ = writeln!(text, "{name}\t{}\t{license}\t{from}", HumanBytes(data.size));
        documents.push(json!({
            "name": name, "license": license, "digest": data.digest, "size": data.size,
            "files": data.files, "path": path, "provenance": provenance(&data.provenance),
        }));
    }
    let dependencies = software.map_or(&[][..], |prepared| &prepared.dependencies[..]);
    for dependency in dependencies {
        let (name, version, license) = (&dependency.name, &dependency.version, &dependency.license);
        let _ = writeln!(text, "{name}\t{version}\t{license}\tfrom {}", dependency.from);
    }
    let wheels = software.map_or(&[][..], |prepared| &prepared.surroundings.environment.wheels[..]);
    for wheel in wheels {
        let _ = writeln!(text, "{}\t{}\twheel", wheel.name, wheel.version);
    }
    let document = json!({"data": documents, "dependencies": dependencies, "wheels": wheels});
    Outcome::done(text, document)
}

fn provenance(provenance: &Provenance) -> Value {
    match provenance {
        Provenance::Tree => json!({"kind": "tree"}),
        Provenance::Cache => json!({"kind": "cache"}),
        Provenance::Address(address) => json!({"kind": "address", "address": address}),
        Provenance::Shards { fetched, cached } => {
            json!({"kind": "shards", "fetched": fetched, "cached": cached})
        }
    }
}
