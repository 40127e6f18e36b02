//! `mpkg search`: looks for packages by words.

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::outcome::Answer;
use crate::cli::words::table;
use crate::explain::printable;
use crate::ops::catalogue::Catalogue;
use crate::ops::install::trust;
use crate::ops::search::{Found, search};
use crate::package::Kind;

/// Flags of `mpkg search`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Words that stand in a package's name, summary, tasks or provided names; all of them must.
    /// Without words every package is listed
    words: Vec<String>,
    /// Only packages of this kind
    #[arg(long)]
    kind: Option<Kind>,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let client = context.client();
    let catalogue =
        Catalogue::open(&context.registries()?, Vec::new(), trust(&context.home)?, &client)?;
    let Found { hits, unread } = search(&catalogue, &arguments.words, arguments.kind)?;
    let mut unread = unread.into_iter();
    if hits.is_empty()
        && let Some((_, error)) = unread.next()
    {
        return Err(error.into());
    }
    for (registry, error) in unread {
        let why = printable(&error.to_string());
        context.progress().warn(&format!("The registry {registry} was not searched: {why}"));
    }
    let rows: Vec<Vec<String>> = hits
        .iter()
        .map(|hit| {
            vec![
                hit.entry.name.to_string(),
                hit.entry.version.to_string(),
                hit.entry.kind.to_string(),
                printable(&hit.entry.summary),
            ]
        })
        .collect();
    let packages: Vec<Value> = hits
        .iter()
        .map(|hit| {
            let mut value = json!(hit.entry);
            value["registry"] = json!(hit.registry);
            value
        })
        .collect();
    if hits.is_empty() {
        context.progress().note("Nothing was found");
    }
    let answer = if hits.is_empty() { Answer::No } else { Answer::Yes };
    Ok(Outcome::done(table(&rows), json!({ "packages": packages })).answering(answer))
}
