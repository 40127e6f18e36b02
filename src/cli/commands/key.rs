//! `mpkg key`: makes and manages signing keys.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::passphrase::PassphraseArguments;
use crate::crypto::{ForeignKey, KeyName, canonical};
use crate::ops::key::{self, KnownKey, Owner};

/// Flags of `mpkg key`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes a new ed25519 key
    New(New),
    /// Lists this machine's own keys and those that it trusts
    List,
    /// Prints a public key, or writes a private one to a file
    Export(Export),
    /// Takes in a key: a private one to sign with, or a public one to trust
    Import(Import),
}

#[derive(Debug, clap::Args)]
struct New {
    /// The key's name on this machine: lower-case letters, digits, - and _
    name: KeyName,
    /// Encrypt the private key with a passphrase
    #[arg(long)]
    passphrase: bool,
    #[command(flatten)]
    source: PassphraseArguments,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// The key's name
    name: KeyName,
    /// How the public key is written
    #[arg(long, value_enum, default_value = "pem")]
    format: Format,
    /// Write the private key to a new file of mode 0600 instead; its passphrase stays on it
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    private: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// `-----BEGIN PUBLIC KEY-----`, as OpenSSL writes it
    Pem,
    /// The key object of TUF, canonical JSON
    Tuf,
}

#[derive(Debug, clap::Args)]
struct Import {
    /// PKCS#8 PEM, an OpenSSH key, a public key in PEM, or the key object of TUF
    file: PathBuf,
    /// The key's name on this machine [default: the file's name without its endings]
    #[arg(long)]
    name: Option<KeyName>,
    #[command(flatten)]
    source: PassphraseArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        Action::New(new) => make(&new, context),
        Action::List => list(context),
        Action::Export(export) => match &export.private {
            Some(file) => export_private(&export.name, file, context),
            None => export_public(&export, context),
        },
        Action::Import(import) => take_in(import, context),
    }
}

fn make(new: &New, context: &Context) -> Result<Outcome, Failure> {
    let wants_passphrase = new.passphrase || new.source.passphrase_file.is_some();
    let passphrase = if wants_passphrase { Some(new.source.new_one()?) } else { None };
    let key = key::new(&context.home, &new.name, passphrase.as_ref())?;
    let folder = context.home.keys();
    context.progress().note(&format!("Made the key {} in {}", key.name, folder.display()));
    Ok(Outcome::done(key.public.id().to_string(), describe(&key)))
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let keys = key::list(&context.home)?;
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for key in &keys {
        let owner = match key.owner {
            Owner::Own { encrypted: true } => "own, encrypted",
            Owner::Own { encrypted: false } => "own",
            Owner::Other => "trusted",
        };
        let _ = writeln!(text, "{:width$}  {}  {owner}", key.name, key.public.id());
    }
    if keys.is_empty() {
        context.progress().note("There are no keys yet: `mpkg key new NAME` makes one");
    }
    Ok(Outcome::done(text, json!({ "keys": keys.iter().map(describe).collect::<Vec<_>>() })))
}

fn export_public(export: &Export, context: &Context) -> Result<Outcome, Failure> {
    let key = key::find(&context.home, &export.name)?;
    let text = match export.format {
        Format::Pem => key.public.to_pem(),
        Format::Tuf => {
            let object = canonical::to_vec(&key.public.to_json())?;
            String::from_utf8_lossy(&object).into_owned()
        }
    };
    let mut json = describe(&key);
    json["pem"] = key.public.to_pem().into();
    Ok(Outcome::done(text, json))
}

fn export_private(name: &KeyName, file: &Path, context: &Context) -> Result<Outcome, Failure> {
    let key = KnownKey::from(key::export_private(&context.home, name, file)?);
    context.progress().note(&format!("Wrote the private key {name} to {}", file.display()));
    let mut json = describe(&key);
    json["file"] = file.display().to_string().into();
    Ok(Outcome::done("", json))
}

fn take_in(import: Import, context: &Context) -> Result<Outcome, Failure> {
    let name = match import.name {
        Some(name) => name,
        None => name_of(&import.file)?,
    };
    let file = ForeignKey::load(&import.file)?;
    let passphrase = if file.is_encrypted() {
        import.source.existing(&import.file.display().to_string())?
    } else {
        None
    };
    let key = key::import(&context.home, &name, &file, passphrase.as_ref())?;
    let what = match key.owner {
        Owner::Own { .. } => "Imported the private key",
        Owner::Other => "Now trusting the public key",
    };
    context.progress().note(&format!("{what} {name}"));
    Ok(Outcome::done(key.public.id().to_string(), describe(&key)))
}

/// The file's name up to its first dot.
fn name_of(file: &Path) -> Result<KeyName, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let start = name.split('.').next().unwrap_or_default();
    start.parse().map_err(|_| {
        crate::cli::failure::Plain {
            kind: "invalid-key-name",
            message: format!("the name of {} makes no name for a key", file.display()),
            hint: Some("choose one with --name NAME".to_owned()),
        }
        .into()
    })
}

fn describe(key: &KnownKey) -> Value {
    let (own, encrypted) = match key.owner {
        Owner::Own { encrypted } => (true, encrypted),
        Owner::Other => (false, false),
    };
    json!({
        "name": key.name,
        "id": key.public.id().to_string(),
        "public": key.public.to_json(),
        "own": own,
        "encrypted": encrypted,
    })
}
