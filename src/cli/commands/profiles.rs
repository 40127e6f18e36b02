//! `mpkg profiles`: lists profiles, and removes one.

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::outcome::Answer;
use crate::cli::words::{count, size, table};
use crate::ops::profiles::{list, remove};
use crate::package::ProfileName;

/// Flags of `mpkg profiles`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists profiles, as without a word
    List,
    /// Removes a profile with its generations; its packages stay until `mpkg gc`
    Remove {
        /// A profile
        name: ProfileName,
    },
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        None | Some(Action::List) => show(context),
        Some(Action::Remove { name }) => take_away(&name, context),
    }
}

fn show(context: &Context) -> Result<Outcome, Failure> {
    let profiles = list(&context.home)?;
    if profiles.is_empty() {
        context.progress().note("There are no profiles: the first installation makes one");
    }
    let (mut rows, mut document) = (Vec::new(), Vec::<Value>::new());
    for profile in profiles {
        let packages = profile.current.as_ref().map_or(&[][..], |current| &current.packages);
        let number = profile.current.as_ref().map(|current| current.number);
        let bytes: u64 = packages.iter().map(|package| package.unpacked_size).sum();
        rows.push(vec![
            profile.name.to_string(),
            number.map_or_else(String::new, |number| format!("generation {number}")),
            count(packages.len(), "package", "packages"),
            size(bytes),
        ]);
        document.push(json!({
            "name": profile.name,
            "generation": number,
            "packages": packages.len(),
            "unpacked-size": bytes,
        }));
    }
    Ok(Outcome::done(table(&rows), json!({ "profiles": document })))
}

fn take_away(name: &ProfileName, context: &Context) -> Result<Outcome, Failure> {
    let question = format!("Remove the profile {name} with all of its generations?");
    if !context.confirms(&question) {
        context.progress().note("Nothing was changed");
        return Ok(Outcome::done("", json!({ "removed": null })).answering(Answer::No));
    }
    remove(&context.home, name, context.progress())?;
    context.progress().note(&format!("Removed the profile {name}; `mpkg gc` frees its packages"));
    Ok(Outcome::done("", json!({ "removed": name })))
}
