//! `mpkg registry mirror` and `unbundle`: copies of a registry.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::words::{count, size};
use crate::ops::registry::mirror::{Form, Options, mirror};
use crate::registry::operator::unbundle;
use crate::resolve::Wish;

/// Flags of `mpkg registry mirror`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry that is copied: its name, folder or address
    #[arg(value_name = "FROM")]
    from: String,
    /// The folder of the copy, empty, missing or an earlier copy; with --bundle a file
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// What is copied, with what it depends on, the sources, and what these need to be built
    /// [default: everything]
    #[arg(value_name = "NAME[@REQUIREMENT][:VARIANT]")]
    wishes: Vec<Wish>,
    /// Write one file, for `mpkg registry unbundle` on another machine
    #[arg(long)]
    bundle: bool,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let form = if arguments.bundle { Form::Bundle } else { Form::Folder };
    let to = arguments.to.display().to_string();
    let options = Options {
        from: context.registry(&arguments.from)?,
        to: arguments.to,
        wishes: arguments.wishes,
        form,
    };
    let done = mirror(&context.home, &options, &context.client(), context.progress())?;
    context.progress().note(&format!(
        "Copied {} to {to}: {}, {}",
        count(done.packages, "package", "packages"),
        count(done.files, "file", "files"),
        size(done.bytes)
    ));
    let json = json!({
        "to": to,
        "packages": done.packages,
        "data": done.data,
        "files": done.files,
        "bytes": done.bytes,
    });
    Ok(Outcome::done("", json))
}

/// Flags of `mpkg registry unbundle`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Unbundle {
    /// The file that `mpkg registry mirror --bundle` wrote
    file: PathBuf,
    /// The folder of the copy, empty, missing or an earlier copy
    folder: PathBuf,
}

pub(super) fn unpack(arguments: &Unbundle, context: &Context) -> Result<Outcome, Failure> {
    let (client, progress) = (context.client(), context.progress());
    let files = unbundle(&arguments.file, &arguments.folder, &client, progress)?;
    let folder = arguments.folder.display();
    progress.note(&format!(
        "Unpacked {} into {folder}; add it with `mpkg registry add {folder} --root-sha256 HEX`",
        count(files, "file", "files")
    ));
    Ok(Outcome::done("", json!({ "registry": folder.to_string(), "files": files })))
}
