//! `mpkg verify`: checks signatures and contents of package files or installed packages.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::{Value, json};

use super::said::{Voices, said_json, said_lines};
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::failure::Plain;
use crate::crypto::{KeyName, Unknown};
use crate::explain::printable;
use crate::ops::key::{self, KnownKey, Owner};
use crate::ops::statements::around;
use crate::ops::verify::{Check, Found, Report, Signatures, What, verify_file};
use crate::package::{InvalidName, PackageName};

/// Flags of `mpkg verify`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Package files, ending in .mpkg, whose signatures stand in FILE.dsse.json; or names of
    /// installed packages [default: every installed package]
    #[arg(value_name = "FILE|NAME")]
    targets: Vec<String>,
    /// Files: count signatures by these keys alone: names of known keys, or files with public keys
    /// [default: every known key]
    #[arg(long, value_name = "NAME|FILE")]
    key: Vec<String>,
    /// Files: how many of the keys must have signed
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    threshold: NonZeroUsize,
    /// Files: check the contents alone, whoever made them
    #[arg(long, conflicts_with_all = ["key", "threshold"])]
    contents_only: bool,
    /// Say as well who said what about each package, as the registries store it and as it lies
    /// beside a file
    #[arg(long)]
    attestations: bool,
    #[command(flatten)]
    profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let Arguments { targets, key, threshold, contents_only, attestations, profile } = arguments;
    let voices = if attestations { Some(Voices::of(context)?) } else { None };
    let voices = voices.as_ref();
    let (files, names): (Vec<String>, Vec<String>) =
        targets.into_iter().partition(|target| is_file(target));
    match (files.first(), names.first()) {
        (Some(file), Some(name)) => Err(Plain {
            kind: "files-and-names",
            message: format!("{file} is a file and {name} an installed package"),
            hint: Some("verify them with two commands".to_owned()),
        }
        .into()),
        (Some(_), None) if contents_only => {
            verify_files(&files, Signatures::Ignored, voices, context)
        }
        (Some(_), None) => {
            let keys = &trusted_keys(&key, context)?;
            verify_files(&files, Signatures::Required { keys, threshold }, voices, context)
        }
        (None, _) => {
            let names: Vec<PackageName> =
                names.into_iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(
                    |error: InvalidName| Plain {
                        kind: "invalid-name",
                        message: error.to_string(),
                        hint: Some("package files end in .mpkg".to_owned()),
                    },
                )?;
            super::verify_installed::run(&names, &profile.profile, voices, context)
        }
    }
}

/// A package's name has neither a dot nor a slash.
fn is_file(target: &str) -> bool {
    target.contains(['/', '.'])
}

fn verify_files(
    files: &[String],
    signatures: Signatures<'_>,
    voices: Option<&Voices>,
    context: &Context,
) -> Result<Outcome, Failure> {
    let (mut text, mut json, mut failures) = (String::new(), Vec::new(), Vec::new());
    for file in files {
        let report = verify_file(Path::new(file), signatures, context.progress());
        let good = report.is_good();
        write_heading(&mut text, &report);
        let mut checks = Vec::new();
        for Check { what, found } in report.checks {
            let word = match what {
                What::Contents => "contents",
                What::Signatures => "signatures",
            };
            checks.push(match found {
                Ok(found) => {
                    write_found(&mut text, word, &found);
                    found_json(word, &found)
                }
                Err(error) => {
                    let _ = writeln!(text, "  failed  {word}");
                    let failure = Failure::from(error);
                    let json = json!({ "check": word, "ok": false, "error": failure.to_json() });
                    failures.push(failure);
                    json
                }
            });
        }
        let mut document = json!({
            "file": report.file.display().to_string(), "ok": good, "checks": checks
        });
        if let Some(identity) = &report.identity {
            document["name"] = json!(identity.release.name);
            document["version"] = json!(identity.release.version);
            document["variant"] = json!(identity.release.variant);
            document["package-digest"] = json!(identity.package);
            document["sha256"] = json!(identity.file);
            if let Some(voices) = voices {
                let beside = around(&report.file)?;
                let said = voices.about(&identity.release.name, identity.package, &beside)?;
                text.push_str(&said_lines(&said));
                document["attestations"] = said_json(&said);
            }
        }
        json.push(document);
    }
    let json = json!({ "ok": failures.is_empty(), "files": json });
    Ok(Outcome::done(text, json).with_failures(failures))
}

/// The keys that `--key` names, or every known one.
fn trusted_keys(named: &[String], context: &Context) -> Result<Vec<KnownKey>, Failure> {
    if named.is_empty() {
        return Ok(key::list(&context.home)?);
    }
    named.iter().map(|key| trusted_key(key, context)).collect()
}

fn trusted_key(named: &str, context: &Context) -> Result<KnownKey, Failure> {
    match named.parse::<KeyName>() {
        Ok(name) if !Path::new(named).is_file() => Ok(key::find(&context.home, &name)?),
        _ => {
            let public = key::public(&context.home, named)?;
            Ok(KnownKey { name: named.to_owned(), public, owner: Owner::Other })
        }
    }
}

fn write_heading(text: &mut String, report: &Report) {
    let file = report.file.display();
    let _ = match &report.identity {
        Some(identity) => writeln!(text, "{file}: {}", identity.release),
        None => writeln!(text, "{file}"),
    };
}

fn write_found(text: &mut String, word: &str, found: &Found) {
    let _ = match found {
        Found::Contents { files, bytes } => {
            writeln!(text, "  ok      {word}: {files} files, {bytes} bytes, as the index says")
        }
        Found::Signatures { signers, unknown, .. } => {
            let by: Vec<String> = signers
                .iter()
                .map(|signer| format!("{} ({})", signer.name, signer.id.short()))
                .collect();
            let _ = writeln!(text, "  ok      {word}: by {}", by.join(", "));
            for one in unknown {
                let _ = match one {
                    Unknown::Key(id) => {
                        let id: String = printable(id).chars().take(64).collect();
                        writeln!(text, "  note    a signature by an unknown key, {id}")
                    }
                    Unknown::Bad(id) => writeln!(text, "  note    a bad signature by key {id}"),
                };
            }
            Ok(())
        }
    };
}

fn found_json(word: &str, found: &Found) -> Value {
    match found {
        Found::Contents { files, bytes } => {
            json!({ "check": word, "ok": true, "files": files, "bytes": bytes })
        }
        Found::Signatures { signers, unknown, predicate } => json!({
            "check": word,
            "ok": true,
            "predicate-type": predicate,
            "signers": signers
                .iter()
                .map(|signer| json!({ "name": signer.name, "id": signer.id.to_string() }))
                .collect::<Vec<_>>(),
            "not-counted": unknown
                .iter()
                .map(|one| match one {
                    Unknown::Key(id) => json!({ "key-id": id, "why": "unknown-key" }),
                    Unknown::Bad(id) => {
                        json!({ "key-id": id.to_string(), "why": "bad-signature" })
                    }
                })
                .collect::<Vec<_>>(),
        }),
    }
}
