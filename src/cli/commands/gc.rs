//! `mpkg gc`: removes what no generation needs, and clears the cache.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::words::{count, size, table};
use crate::ops::gc::{Collected, Options, collect};
use crate::ops::install::Purpose;
use crate::package::manifest::{parse_bytes, parse_time};
use crate::store::CacheLimits;

/// Flags of `mpkg gc`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Forget all generations of each profile but the newest of them, and the current one, first
    #[arg(long, value_name = "NUMBER")]
    keep: Option<usize>,
    /// Clear the cache too of what was not used for 30 days, or as the next two flags say
    #[arg(long)]
    cache: bool,
    /// Clear the cache of what was not used for so long, as in 7d or 12h; 0 clears all of it
    #[arg(long, value_name = "TIME", value_parser = age)]
    cache_age: Option<Duration>,
    /// Clear the cache until it has at most so much, as in 20GiB; what was not used for longest
    /// goes first
    #[arg(long, value_name = "SIZE", value_parser = amount)]
    cache_size: Option<u64>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// How long what is in the cache stays there unused, where only `--cache` is given.
const USUAL_AGE: Duration = Duration::from_hours(30 * 24);

fn age(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        _ => parse_time(text).ok_or_else(|| "write it as 7d, 12h or 0".to_owned()),
    }
}

fn amount(text: &str) -> Result<u64, String> {
    match text {
        "0" => Ok(0),
        _ => parse_bytes(text).ok_or_else(|| "write it as 20GiB, 500MB or 0".to_owned()),
    }
}

impl Arguments {
    /// What of the cache stays; none where nobody asked for it to be cleared.
    fn limits(&self, now: jiff::Timestamp) -> Option<CacheLimits> {
        let age = match (self.cache_age, self.cache_size) {
            (None, None) if !self.cache => return None,
            (None, None) => Some(USUAL_AGE),
            (age, _) => age,
        };
        let used_since = age.map(|age| now.saturating_sub(age).unwrap_or(now));
        Some(CacheLimits { used_since, bytes: self.cache_size })
    }
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let purpose = if arguments.dry_run { Purpose::Look } else { Purpose::Change };
    let cache = arguments.limits(context.now);
    let options = Options { keep: arguments.keep, cache, purpose };
    let collected = collect(&context.home, &options, context.progress())?;
    let text = if arguments.dry_run { describe(&collected) } else { String::new() };
    let verbs = if arguments.dry_run {
        ["Would forget", "remove", "free"]
    } else {
        ["Forgot", "removed", "freed"]
    };
    context.progress().note(&summary(&collected, verbs));
    Ok(Outcome::done(text, to_json(&collected, arguments.dry_run)))
}

fn summary(collected: &Collected, [forgot, removed, freed]: [&str; 3]) -> String {
    let Collected { store, cache } = collected;
    let mut parts = count(store.packages.len(), "package", "packages");
    let mut bytes = store.bytes;
    if let Some(cache) = cache {
        let cleared = count(cache.parts.len(), "part of the cache", "parts of the cache");
        parts = format!("{parts} and {cleared}");
        bytes += cache.bytes();
    }
    let generations = count(store.generations.len(), "generation", "generations");
    format!("{forgot} {generations}, {removed} {parts}, {freed} {}", size(bytes))
}

/// What would go, one a line.
fn describe(collected: &Collected) -> String {
    let mut rows = Vec::new();
    for (profile, number) in &collected.store.generations {
        rows.push(vec!["forget".to_owned(), format!("generation {number} of {profile}")]);
    }
    for package in &collected.store.packages {
        let bytes = format!("{} unpacked", size(package.unpacked_size));
        rows.push(vec!["remove".to_owned(), package.what.clone(), bytes]);
    }
    for part in collected.cache.iter().flat_map(|cache| &cache.parts) {
        let name: String = part.name.chars().take(12).collect();
        let used = format!("{}, last used {:.0}", size(part.bytes), part.used);
        let name = crate::explain::printable(&name);
        rows.push(vec!["clear".to_owned(), format!("{} {name}", part.kind), used]);
    }
    table(&rows)
}

fn to_json(collected: &Collected, is_dry_run: bool) -> Value {
    let Collected { store, cache } = collected;
    let generations: Vec<Value> = store
        .generations
        .iter()
        .map(|(profile, number)| json!({ "profile": profile, "number": number }))
        .collect();
    let packages: Vec<Value> = store
        .packages
        .iter()
        .map(|one| json!({ "package": one.what, "unpacked-size": one.unpacked_size }))
        .collect();
    let mut document = json!({
        "dry-run": is_dry_run,
        "generations": generations,
        "packages": packages,
        "files": store.files,
        "bytes": store.bytes,
    });
    if let Some(cache) = cache {
        let parts: Vec<Value> = cache
            .parts
            .iter()
            .map(|part| {
                let (kind, name, bytes) = (part.kind, &part.name, part.bytes);
                json!({ "kind": kind, "name": name, "bytes": bytes, "used": part.used })
            })
            .collect();
        let (bytes, kept) = (cache.bytes(), cache.kept_bytes);
        document["cache"] = json!({ "parts": parts, "bytes": bytes, "kept-bytes": kept });
    }
    document
}
