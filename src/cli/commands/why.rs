//! `mpkg why`: says what an installed package is there for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::why::{Link, why};
use crate::package::PackageName;
use crate::resolve::Wish;

/// Flags of `mpkg why`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// An installed package
    name: PackageName,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let chains = why(&context.home, &arguments.profile.profile, &arguments.name)?;
    let mut text = String::new();
    for chain in &chains {
        text.push_str(&describe(chain));
        text.push('\n');
    }
    if chains.is_empty() {
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
    Ok(Outcome::done(text, json!({ "name": arguments.name, "chains": document })))
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
