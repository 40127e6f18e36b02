//! `mpkg source`: unpacks a source package as a tree that is ready to change.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::words::count;
use crate::cli::workshop::Workshop;
use crate::ops::build::BuildSource;
use crate::ops::source;

/// Flags of `mpkg source`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A published source package by its name, or the file of one
    #[arg(value_name = "NAME[@REQ]|FILE")]
    source: String,
    /// The new folder [default: NAME-VERSION here]
    folder: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let named = match super::build::source(&arguments.source)? {
        // A folder of the package's name may lie here.
        BuildSource::Tree(path) => match arguments.source.parse() {
            Ok(wish) if !arguments.source.contains('/') => BuildSource::Release(wish),
            _ => {
                return Err(Plain {
                    kind: "no-source",
                    message: format!("{} is a folder, and no package", path.display()),
                    hint: Some("name a published package, or a .src.mpkg file".to_owned()),
                }
                .into());
            }
        },
        other => other,
    };
    let workshop = Workshop::of(context)?;
    let unpacked = source::source(&named, arguments.folder, &workshop.setting())?;
    let folder = unpacked.folder.display();
    let patches = match unpacked.patches {
        0 => String::new(),
        number => format!(", {} applied", count(number, "patch", "patches")),
    };
    context.progress().note(&format!(
        "Unpacked {}: {}{patches}. Next:\n  cd {folder}\n  change what you like, and give it a version of its own in mpkg.toml\n  mpkg patch new NAME --description \"what it does and why\"\n  mpkg build",
        unpacked.release,
        count(unpacked.files, "file", "files"),
    ));
    let json = json!({
        "folder": unpacked.folder,
        "name": unpacked.release.name,
        "version": unpacked.release.version,
        "package_digest": unpacked.package,
        "files": unpacked.files,
        "patches": unpacked.patches,
    });
    Ok(Outcome::done(folder.to_string(), json))
}
