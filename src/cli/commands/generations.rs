//! `mpkg generations`: lists the generations of the profile.

use serde_json::{Value, json};

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::words::{count, table};
use crate::ops::generations::list;

/// Flags of `mpkg generations`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let (generations, current) = list(&context.home, &arguments.profile.profile)?;
    if generations.is_empty() {
        context.progress().note("Nothing was ever installed");
    }
    let rows: Vec<Vec<String>> = generations
        .iter()
        .map(|generation| {
            let mark = if Some(generation.number) == current { "*" } else { "" };
            vec![
                format!("{}{mark}", generation.number),
                format!("{:.0}", generation.made),
                count(generation.packages.len(), "package", "packages"),
                generation.command.clone(),
            ]
        })
        .collect();
    let document: Vec<Value> = generations
        .iter()
        .map(|generation| {
            let names: Vec<String> =
                generation.packages.iter().map(|package| package.release().to_string()).collect();
            json!({
                "number": generation.number,
                "current": Some(generation.number) == current,
                "made": generation.made,
                "command": generation.command,
                "packages": names,
            })
        })
        .collect();
    Ok(Outcome::done(table(&rows), json!({ "generations": document })))
}
