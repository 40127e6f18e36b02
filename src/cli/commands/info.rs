//! `mpkg info`: shows what a registry says about a package.

use std::fmt::Write as _;

use serde_json::json;

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::words::{size, table};
use crate::explain::printable;
use crate::ops::catalogue::Catalogue;
use crate::ops::install::trust;
use crate::ops::list::list;
use crate::package::{Dependency, PackageType};
use crate::registry::{NameIndex, ReleaseEntry};
use crate::resolve::Wish;

/// Flags of `mpkg info`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, as NAME, NAME@REQUIREMENT or NAME@REQUIREMENT:VARIANT
    package: Wish,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let wish = &arguments.package;
    let client = context.client();
    let catalogue =
        Catalogue::open(&context.registries()?, Vec::new(), trust(&context.home)?, &client)?;
    let Some((index, registry)) = catalogue.name(&wish.name)? else {
        return Ok(catalogue.no_such_package(&wish.name)?);
    };
    let releases: Vec<&ReleaseEntry> =
        index.releases.iter().rev().filter(|entry| is_wished(entry, wish)).collect();
    let installed = list(&context.home, &arguments.profile.profile)?
        .into_iter()
        .find(|package| package.name == wish.name);
    let mut text = String::new();
    if let Some(newest) = releases.iter().find(|entry| entry.default_variant).or(releases.first()) {
        describe(&mut text, &index, newest);
    }
    let mut line = |word: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{word:<14}{value}");
        }
    };
    line("registry", registry.location().to_owned());
    line("provided by", joined(&index.providers));
    if let Some(installed) = &installed {
        line("installed", installed.release().to_string());
    }
    if !releases.is_empty() {
        text.push_str("releases\n");
        text.push_str(&indented(&table(
            &releases.iter().map(|entry| row(entry)).collect::<Vec<_>>(),
        )));
    }
    let document = json!({
        "name": index.name,
        "registry": registry.location(),
        "publishers": index.publishers,
        "providers": index.providers,
        "releases": releases,
        "installed": installed.map(|package| package.version),
    });
    Ok(Outcome::done(text, document))
}

fn is_wished(entry: &ReleaseEntry, wish: &Wish) -> bool {
    let any = wish.requirement == crate::package::Requirement::any();
    (any || wish.requirement.matches(&entry.version))
        && (wish.variant.is_none() || entry.variant == wish.variant)
}

fn describe(text: &mut String, index: &NameIndex, newest: &ReleaseEntry) {
    let mut line = |word: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{word:<14}{value}");
        }
    };
    line("name", index.name.to_string());
    line("summary", printable(&newest.summary));
    line("kind", newest.kind.to_string());
    line("license", printable(&newest.license));
    line("version", newest.version.to_string());
    let tasks: Vec<String> = newest.tasks.iter().map(|task| printable(task)).collect();
    line("tasks", tasks.join(", "));
    line("needs", dependencies(&newest.dependencies));
    line("provides", joined(&newest.provides));
    line("conflicts", joined(&newest.conflicts));
    if let Some(publishers) = &index.publishers {
        line("published by", joined(&publishers.ids()));
    }
}

fn joined<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn dependencies(list: &[Dependency]) -> String {
    joined(&list.iter().map(Wish::from).collect::<Vec<_>>())
}

fn row(entry: &ReleaseEntry) -> Vec<String> {
    let variant = match (&entry.variant, entry.package_type) {
        (Some(variant), _) if entry.default_variant => format!("{variant} (default)"),
        (Some(variant), _) => variant.to_string(),
        (None, PackageType::Source | PackageType::Binary) => "source".to_owned(),
    };
    vec![
        entry.version.to_string(),
        variant,
        entry.stock().map(|stock| size(stock.size)).unwrap_or_default(),
        entry.package.short(),
        match &entry.yanked {
            Some(reason) => format!("yanked: {}", printable(reason)),
            None => String::new(),
        },
    ]
}

fn indented(lines: &str) -> String {
    lines.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}
