//! `mpkg pack`: packs a source tree into a source package, without building it.

use std::path::{Path, PathBuf};

use super::{Context, Failure, Outcome};
use crate::build::tree::SourceTree;
use crate::ops::pack::{PackOptions, pack};

/// Flags of `mpkg pack`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The source tree [default: the one that this folder belongs to]
    tree: Option<PathBuf>,
    /// Write the package into this folder [default: dist in the tree]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let tree = match &arguments.tree {
        Some(path) => SourceTree::open(path)?,
        None => SourceTree::find(Path::new("."))?,
    };
    let options = PackOptions { out: arguments.out, ..PackOptions::default() };
    let package = pack(&tree, &options, context.progress())?;
    let files = package.index.files.len();
    context.progress().note(&format!(
        "Packed {}: {files} files, {} bytes, package digest {}",
        package.index.release(),
        package.packed.file_size,
        package.packed.package_digest,
    ));
    let json = serde_json::json!({
        "package": package.path,
        "type": "source",
        "name": package.index.name,
        "version": package.index.version,
        "package_digest": package.packed.package_digest,
        "file_digest": package.packed.file_digest,
        "file_size": package.packed.file_size,
        "unpacked_size": package.packed.unpacked_size,
        "files": files,
    });
    Ok(Outcome::done(package.path.display().to_string(), json))
}
