//! `mpkg gc`: removes what no generation needs.

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::words::{count, size};
use crate::ops::generations::collect;

/// Flags of `mpkg gc`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Forget all generations but the newest of them, and the current one, first
    #[arg(long, value_name = "NUMBER")]
    keep: Option<usize>,
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let (forgotten, swept) = collect(&context.home, arguments.keep, context.progress())?;
    let packages = usize::try_from(swept.packages).unwrap_or(usize::MAX);
    context.progress().note(&format!(
        "Forgot {}, removed {}, freed {}",
        count(forgotten, "generation", "generations"),
        count(packages, "package", "packages"),
        size(swept.bytes)
    ));
    let document = json!({
        "generations": forgotten,
        "packages": swept.packages,
        "files": swept.files,
        "bytes": swept.bytes,
    });
    Ok(Outcome::done("", document))
}
