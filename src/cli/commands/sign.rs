//! `mpkg sign`: signs packages.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::crypto::KeyName;
use crate::crypto::statement::LOCAL_BUILDER;
use crate::ops::key;
use crate::ops::sign::{Others, SignOptions, Signed, sign};

/// Flags of `mpkg sign`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Package files; the signatures of FILE are written to FILE.dsse.json
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The key to sign with [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// The address that says who built the packages, put into the statement
    #[arg(long, value_name = "URI", default_value = LOCAL_BUILDER)]
    builder: url::Url,
    /// Drop signatures of others over another statement about the same package
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    source: PassphraseArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let Arguments { files, key, builder, replace, source } = arguments;
    let ring = key::own(&context.home);
    let stored = match &key {
        Some(name) => ring.find(name)?,
        None => ring.only()?,
    };
    let passphrase =
        if stored.encrypted { source.existing(&stored.name.to_string())? } else { None };
    let key = ring.open(&stored, passphrase.as_ref())?;
    let options = SignOptions {
        key: &key,
        builder: builder.as_str(),
        others: if replace { Others::Replace } else { Others::Keep },
    };
    let mut signed = Vec::new();
    for file in &files {
        let one = sign(file, &options, context.progress())?;
        context.progress().note(&format!("Signed {} with {}", one.release, stored.name));
        signed.push(one);
    }
    let places: Vec<String> = signed.iter().map(|one| one.envelope.display().to_string()).collect();
    let json = json!({
        "key": { "name": stored.name.to_string(), "id": key.id().to_string() },
        "signed": signed.iter().map(describe).collect::<Vec<_>>(),
    });
    Ok(Outcome::done(places.join("\n"), json))
}

fn describe(signed: &Signed) -> serde_json::Value {
    json!({
        "file": signed.file.display().to_string(),
        "signatures": signed.envelope.display().to_string(),
        "name": signed.release.name,
        "version": signed.release.version,
        "variant": signed.release.variant,
        "package-digest": signed.package,
        "predicate-type": signed.predicate,
        "key-ids": signed.signers,
    })
}
