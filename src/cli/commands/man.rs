//! `mpkg man`: writes the manual pages.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};

/// Flags of `mpkg man`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Write a page for every command into a folder, instead of printing that of mpkg
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One manual page.
struct Page {
    /// Its file's name, as in `mpkg-build.1`.
    name: String,
    text: Vec<u8>,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let mut command = crate::cli::command();
    command.build();
    let Some(folder) = arguments.out else {
        let text = String::from_utf8_lossy(&page(command).text).into_owned();
        let json = json!({ "page": text });
        return Ok(Outcome::done(text, json));
    };
    let mut pages = Vec::new();
    collect(command, &mut pages);
    let mut written = Vec::new();
    for page in pages {
        let path = folder.join(&page.name);
        crate::fs::write_atomically(&path, &page.text)?;
        written.push(path.display().to_string());
    }
    context.progress().note(&format!("Wrote {} pages to {}", written.len(), folder.display()));
    Ok(Outcome::done("", json!({ "files": written })))
}

/// The pages of `command` and of all commands below it.
fn collect(command: clap::Command, pages: &mut Vec<Page>) {
    for below in command.get_subcommands() {
        collect(below.clone(), pages);
    }
    pages.push(page(command));
}

fn page(command: clap::Command) -> Page {
    let man = clap_mangen::Man::new(command);
    let name = man.get_filename();
    let mut text = Vec::new();
    man.render(&mut text).expect("memory takes every byte");
    Page { name, text }
}
