//! `mpkg registry`: makes and looks after registries.

mod add;
mod apply;
mod clean;
mod init;
mod list;
mod mirror;
mod mirror_data;
mod publishers;
mod refresh;
mod remove;
mod rotate;
mod serve;
mod sign;
mod yank;

use super::{Context, Failure, Outcome};
use crate::ops::registry::init::Made;
use crate::registry::operator::Missing;

/// Flags of `mpkg registry`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the registries that are configured, in the order in which they are asked
    List,
    /// Begins to trust a registry, and asks it from now on
    Add(add::Arguments),
    /// Forgets a configured registry; what is installed from it stays
    Remove(remove::Arguments),
    /// Makes a registry in an empty or missing folder
    Init(init::Arguments),
    /// Withdraws a version, or takes that back
    Yank(yank::Arguments),
    /// Says who may publish a name, or changes it
    Publishers(publishers::Arguments),
    /// Signs a new timestamp, and what else would expire soon
    Refresh(refresh::Arguments),
    /// Gives a role other keys, or a new term
    Rotate(rotate::Arguments),
    /// Adds a signature to a draft
    Sign(sign::Arguments),
    /// Puts a signed draft in place
    Apply(apply::Arguments),
    /// Removes metadata that newer metadata has taken the place of
    Clean(clean::Arguments),
    /// Copies a registry, or what is needed of it, with its chain of trust
    Mirror(mirror::Arguments),
    /// Unpacks a copy that is one file
    Unbundle(mirror::Unbundle),
    /// Stores the data of source packages in a registry, by digest
    MirrorData(mirror_data::Arguments),
    /// Serves a registry's files over HTTP, from this machine to itself alone unless told otherwise
    Serve(serve::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        Action::List => list::run(context),
        Action::Add(arguments) => add::run(arguments, context),
        Action::Remove(arguments) => remove::run(&arguments, context),
        Action::Init(arguments) => init::run(arguments, context),
        Action::Yank(arguments) => yank::run(arguments, context),
        Action::Publishers(arguments) => publishers::run(arguments, context),
        Action::Refresh(arguments) => refresh::run(arguments, context),
        Action::Rotate(arguments) => rotate::run(arguments, context),
        Action::Sign(arguments) => sign::run(&arguments, context),
        Action::Apply(arguments) => apply::run(&arguments, context),
        Action::Clean(arguments) => clean::run(arguments, context),
        Action::Mirror(arguments) => mirror::run(arguments, context),
        Action::Unbundle(arguments) => mirror::unpack(&arguments, context),
        Action::MirrorData(arguments) => mirror_data::run(&arguments, context),
        Action::Serve(arguments) => serve::run(&arguments, context),
    }
}

/// Says what others type to add a registry that was made.
pub(super) fn say_how_to_add(made: &Made, context: &Context) {
    let progress = context.progress();
    let folder = made.folder.display();
    progress.note(&format!("Made the registry {folder}, configured here as {}", made.name));
    for key in &made.new_keys {
        progress.note(&format!("Made the key {key} in {}", context.home.keys().display()));
    }
    progress.note(&format!(
        "Others add it with: mpkg registry add {folder} --root-sha256 {}",
        made.root_sha256
    ));
}

/// The lines that say whose signatures a draft still needs.
fn missing_lines(missing: &[Missing]) -> String {
    let line = |one: &Missing| {
        let Missing { what, role, found, needed, .. } = one;
        format!("{what}: {found} of {needed} signatures by keys of {role}\n")
    };
    missing.iter().map(line).collect()
}

/// The end of a command that wrote a draft.
fn drafted(
    file: &std::path::Path,
    folder: &std::path::Path,
    missing: &[Missing],
    context: &Context,
) -> Outcome {
    let (file, folder) = (file.display(), folder.display());
    context.progress().note(&format!(
        "Wrote {file}: sign it with `mpkg registry sign {file} --key NAME`, then put it in place \
         with `mpkg registry apply {folder} {file}`"
    ));
    let json = serde_json::json!({ "draft": file.to_string(), "missing": missing_json(missing) });
    Outcome::done(missing_lines(missing), json)
}

fn missing_json(missing: &[Missing]) -> serde_json::Value {
    let one = |one: &Missing| {
        serde_json::json!({
            "what": one.what,
            "by": one.role,
            "found": one.found,
            "needed": one.needed,
            "keys": one.keys,
        })
    };
    missing.iter().map(one).collect()
}
