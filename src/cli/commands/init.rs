//! `mpkg init`: writes a source tree that builds as it is.

use std::path::{Path, PathBuf};

use super::{Context, Failure, Outcome};
use crate::ops::init::{InitOptions, init};
use crate::package::{Kind, PackageName};

/// Flags of `mpkg init`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The folder to write into: a new or an empty one
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// What the package is
    #[arg(long)]
    kind: Template,
    /// The package's name [default: made of the folder's name]
    #[arg(long)]
    name: Option<PackageName>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Template {
    /// Weights with their configuration
    Model,
    /// Training data made from other data
    Dataset,
    /// What cuts text into tokens
    Tokenizer,
    /// Weights that change a model
    Adapter,
}

impl From<Template> for Kind {
    fn from(template: Template) -> Self {
        match template {
            Template::Model => Self::Model,
            Template::Dataset => Self::Dataset,
            Template::Tokenizer => Self::Tokenizer,
            Template::Adapter => Self::Adapter,
        }
    }
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let tree = init(InitOptions {
        folder: arguments.folder,
        kind: arguments.kind.into(),
        name: arguments.name,
    })?;
    let folder = tree.folder.display().to_string();
    let next = if tree.folder == Path::new(".") {
        vec!["mpkg build".to_owned()]
    } else {
        vec![format!("cd {}", quoted(&folder)), "mpkg build".to_owned()]
    };
    context.progress().note(&format!(
        "Wrote {} files of the {} {} into {folder}. Next:",
        tree.files.len(),
        tree.kind,
        tree.name,
    ));
    for command in &next {
        context.progress().note(&format!("  {command}"));
    }
    let json = serde_json::json!({
        "tree": folder,
        "kind": tree.kind,
        "name": tree.name,
        "files": tree.files,
        "next": next,
    });
    Ok(Outcome::done("", json))
}

/// `text` as a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+@".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
