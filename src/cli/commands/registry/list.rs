//! `mpkg registry list`: the registries that are configured.

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::words::table;
use crate::package::PackageName;
use crate::registry::{Source, Sources};

pub(super) fn run(context: &Context) -> Result<Outcome, Failure> {
    let sources = Sources::read(context.home.root())?;
    let list = sources.in_order();
    if list.is_empty() {
        context.progress().note("No registry is configured");
    }
    let rows: Vec<Vec<String>> = list.iter().map(|source| row(source)).collect();
    let registries: Vec<Value> = list.iter().map(|source| to_json(source)).collect();
    Ok(Outcome::done(table(&rows), json!({ "registries": registries })))
}

fn row(source: &Source) -> Vec<String> {
    let pins: Vec<&str> = source.pins.iter().map(PackageName::as_str).collect();
    vec![
        source.title(),
        source.shown_location(),
        format!("priority {}", source.priority),
        if pins.is_empty() { String::new() } else { format!("pins {}", pins.join(", ")) },
    ]
}

/// A configured registry, for programs.
pub(super) fn to_json(source: &Source) -> Value {
    json!({
        "name": source.name,
        "location": source.shown_location(),
        "priority": source.priority,
        "pins": source.pins,
    })
}
