//! `mpkg why`: says what an installed package is there for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::why::{Link, built_with, why};
use crate::package::PackageName;
use crate::resolve::Wish;
use crate::store::Error;

/// Flags of `mpkg why`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// An installed package, or one that an installed package was built with
    name: PackageName,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let (home, profile) = (&context.home, &arguments.profile.profile);
    let built = built_with(home, profile, &arguments.name)?;
    let chains = match why(home, profile, &arguments.name) {
        Err(Error::NotInstalled { .. }) if !built.is_empty() => None,
        chains => Some(chains?),
    };
    let is_installed = chains.is_some();
    let chains = chains.unwrap_or_default();
    let mut text = String::new();
    for (package, input) in built.iter().filter(|_| !is_installed) {
        let (package, input) = (package.release(), input.release());
        let _ = writeln!(text, "not installed: {package} was built with {input}");
    }
    for chain in &chains {
        text.push_str(&describe(chain));
        text.push('\n');
    }
    if is_installed && chains.is_empty() {
        context.progress().note("Nothing needs it any more: `mpkg remove` may take it away");
    }
    let document: Vec<Vec<Value>> = chains
        .iter()
        .map(|chain| {
            chain
                .iter()
                .map(|(package, need)| {
                    json!({ "name": package.name, "version": package.version, "needs": need })
                })
                .collect()
        })
        .collect();
    let built: Vec<Value> = built
        .iter()
        .map(|(package, input)| {
            json!({
                "name": package.name, "version": package.version, "variant": package.variant,
                "with": {"version": input.version, "variant": input.variant, "digest": input.package},
            })
        })
        .collect();
    let document = json!({ "name": arguments.name, "chains": document, "built-with-it": built });
    Ok(Outcome::done(text, document))
}

fn describe(chain: &[Link]) -> String {
    let mut text = String::from("you asked for ");
    for (place, (package, need)) in chain.iter().enumerate() {
        if place > 0 {
            text.push_str(", met by ");
        }
        let _ = write!(text, "{} {}", package.name, package.version);
        if let Some(need) = need {
            let _ = write!(text, ", which needs {}", Wish::from(need));
        }
    }
    text
}
