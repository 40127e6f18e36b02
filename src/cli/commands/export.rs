//! `mpkg export`: writes what other programs read.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::crypto::KeyName;
use crate::explain::count;
use crate::ops::export::{Model, Signer, oms};
use crate::ops::key;

/// Flags of `mpkg export`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Signs a model as OpenSSF Model Signing 1.0 says, for `model_signing verify key`
    Oms(Oms),
}

#[derive(Debug, clap::Args)]
struct Oms {
    /// An installed package, a package file ending in .mpkg, or a folder (with a / in its name)
    #[arg(value_name = "NAME|FILE|FOLDER")]
    model: String,
    /// Where the signature is written [default: FOLDER/model.sig, FILE.model.sig, and for what is
    /// installed, whose folder is read-only, NAME-VERSION.VARIANT.model.sig in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The key whose P-256 key signs, which is made beside it the first time [default: the only
    /// one there is]
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    #[command(flatten)]
    source: PassphraseArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let What::Oms(Oms { model, out, key, source }) = arguments.what;
    let ring = key::own(&context.home);
    let stored = match &key {
        Some(name) => ring.find(name)?,
        None => ring.only()?,
    };
    let model = model_of(&model)?;
    let passphrase =
        if stored.encrypted { source.existing(&stored.name.to_string())? } else { None };
    let signer = Signer { ring: &ring, key: &stored, passphrase: passphrase.as_ref() };
    let places = (out.as_deref(), Path::new(""));
    let exported = oms(&context.home, &model, &signer, places, context.progress())?;
    let (signature, public) = (exported.signature.display(), exported.public_key.display());
    let folder = exported.folder.as_ref().map(|folder| folder.display().to_string());
    let shown = folder.as_deref().unwrap_or("FOLDER");
    context.progress().note(&format!(
        "Signed {} with {}; check it with: model_signing verify key {shown} --signature {signature} \
         --public_key {public}",
        count(exported.files, "file", "files"),
        stored.name
    ));
    let json = json!({
        "signature": signature.to_string(),
        "public-key": public.to_string(),
        "folder": folder,
        "files": exported.files,
        "key": stored.name.to_string(),
    });
    Ok(Outcome::done(signature.to_string(), json))
}

/// A package's name has neither a dot nor a slash.
fn model_of(text: &str) -> Result<Model, Failure> {
    let path = Path::new(text);
    if path.extension().is_some_and(|end| end == "mpkg") && !path.is_dir() {
        return Ok(Model::File(path.to_owned()));
    }
    if text.contains(['/', '.']) {
        return Ok(Model::Folder(path.to_owned()));
    }
    let name = text.parse().map_err(crate::resolve::InvalidWish::from)?;
    Ok(Model::Installed(name))
}
