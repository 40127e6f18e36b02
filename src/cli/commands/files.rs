//! `mpkg files`: lists the files of a package.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::{Context, Failure, Outcome, ProfileArguments};
use crate::ops::catalogue::open;
use crate::ops::list::index;
use crate::package::PackageName;

/// Flags of `mpkg files`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// An installed package, or a package file
    #[arg(value_name = "NAME|FILE")]
    package: String,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let text = arguments.package.as_str();
    let index =
        if text.contains('/') || Path::new(text).extension().is_some_and(|end| end == "mpkg") {
            open(Path::new(text))?.index().clone()
        } else {
            let name: PackageName = text.parse().map_err(crate::resolve::InvalidWish::from)?;
            index(&context.home, &arguments.profile.profile, &name)?
        };
    let mut lines = String::new();
    for file in &index.files {
        let _ = writeln!(lines, "{}", file.path);
    }
    let document = json!({
        "name": index.name,
        "version": index.version,
        "variant": index.variant,
        "files": index.files,
    });
    Ok(Outcome::done(lines, document))
}
