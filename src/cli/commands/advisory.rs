//! `mpkg advisory`: makes, checks and signs advisories, and lists those of registries.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::cli::passphrase::PassphraseArguments;
use crate::cli::words::{count, table};
use crate::crypto::KeyName;
use crate::explain::printable;
use crate::ops::advisory::{self, Listed, NewAdvisory, NewVex, ProductName, Revision};
use crate::ops::key;
use crate::package::advisory::{
    Advisory, AdvisoryId, AffectedData, Justification, Product, Status,
};
use crate::package::{Digest, PackageName, PackageVersion, Requirement};
use crate::registry::Notice;

/// Flags of `mpkg advisory`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Writes a new advisory, an OSV record
    New(New),
    /// Checks a file: an OSV record, or an OpenVEX document
    Check(FileArguments),
    /// Signs a file; the signatures of FILE are written to FILE.dsse.json
    Sign(Sign),
    /// Changes an advisory in its file; it is to be signed anew then
    Update(Update),
    /// Writes a statement that packages are not affected, an OpenVEX document
    Vex(VexArguments),
    /// Lists the advisories of the registries
    List,
    /// Prints an advisory of a registry, its signatures checked
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Its id [default: the next MSA-YEAR-NUMBER that no registry has]
    #[arg(long)]
    id: Option<AdvisoryId>,
    /// The package that is affected
    #[arg(long, value_name = "NAME")]
    package: Option<PackageName>,
    /// Which versions of it
    #[arg(long, value_name = "REQUIREMENT", default_value = "*", requires = "package")]
    versions: Requirement,
    /// The version that mends it
    #[arg(long, value_name = "VERSION", requires = "package")]
    fixed: Option<PackageVersion>,
    /// Data that is affected, by the SHA-256 that stands in manifests; may be given several times
    #[arg(long, value_name = "SHA256")]
    data: Vec<Digest>,
    /// The records of that data that are to blame, by their SHA-256: data from which all of them are
    /// withdrawn (`mpkg exclude --record`) is mended. May be given several times
    #[arg(long, value_name = "SHA256", requires = "data")]
    record: Vec<Digest>,
    /// One line that says what is wrong
    #[arg(long, value_name = "TEXT")]
    summary: String,
    /// All that there is to say, in Markdown
    #[arg(long, value_name = "TEXT", default_value = "")]
    details: String,
    /// How bad it is: a CVSS vector, or a word
    #[arg(long, value_name = "CVSS|WORD", value_parser = parse_severity)]
    severity: Option<String>,
    /// An address where more is said; may be given several times
    #[arg(long, value_name = "URL")]
    reference: Vec<url::Url>,
    /// The id of the same in another database; may be given several times
    #[arg(long, value_name = "ID")]
    alias: Vec<AdvisoryId>,
    /// The file to write [default: ID.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A word of the usual four, or a CVSS vector.
fn parse_severity(text: &str) -> Result<String, String> {
    let words = ["low", "moderate", "high", "critical"];
    match words.contains(&text) || text.starts_with("CVSS:3.") || text.starts_with("CVSS:4.") {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("write one of {}, or a vector CVSS:3.1/… or CVSS:4.0/…", words.join(", ")))
        }
    }
}

#[derive(Debug, clap::Args)]
struct FileArguments {
    /// The file
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Sign {
    /// The file
    file: PathBuf,
    /// The key to sign with [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    #[command(flatten)]
    source: PassphraseArguments,
}

#[derive(Debug, clap::Args)]
struct Update {
    /// The advisory
    file: PathBuf,
    /// Another line that says what is wrong
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// Other details
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// Another severity
    #[arg(long, value_name = "CVSS|WORD", value_parser = parse_severity)]
    severity: Option<String>,
    /// The version that mends the package
    #[arg(long, value_name = "VERSION")]
    fixed: Option<PackageVersion>,
    /// More data that is affected
    #[arg(long, value_name = "SHA256")]
    data: Vec<Digest>,
    /// One more address where something is said
    #[arg(long, value_name = "URL")]
    reference: Vec<url::Url>,
    /// From now on it counts for nothing
    #[arg(long)]
    withdraw: bool,
}

#[derive(Debug, clap::Args)]
struct VexArguments {
    /// The advisory
    id: AdvisoryId,
    /// The packages: as NAME, NAME@VERSION or NAME@VERSION:VARIANT, or package files, which are
    /// meant by their digests
    #[arg(required = true, value_name = "PACKAGE|FILE")]
    products: Vec<String>,
    /// How they stand to it
    #[arg(long, value_name = "STATUS", default_value = "not_affected")]
    status: Status,
    /// Why they are not affected
    #[arg(long, value_name = "WORD")]
    justification: Option<Justification>,
    /// The same in words
    #[arg(long, value_name = "TEXT")]
    impact: Option<String>,
    /// Who says so, for people
    #[arg(long, value_name = "TEXT", default_value = "the publisher")]
    author: String,
    /// The file to write [default: ID.NAME.vex.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The advisory's id
    id: AdvisoryId,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.action {
        Action::New(new) => make(new, context),
        Action::Check(check) => {
            let (notice, _) = advisory::read(&check.file)?;
            let text = match &notice {
                Notice::Advisory(advisory) => describe(advisory),
                Notice::Vex(vex) => format!(
                    "{} about {}",
                    count(vex.statements.len(), "statement", "statements"),
                    joined(&vex.packages()),
                ),
            };
            Ok(Outcome::done(text, of_notice(&notice)))
        }
        Action::Sign(sign) => signed(&sign, context),
        Action::Update(update) => updated(update, context),
        Action::Vex(vex) => state(vex, context),
        Action::List => list(context),
        Action::Show(show) => {
            let (home, registries) = (&context.home, context.registries()?);
            let (advisory, bytes) = advisory::show(home, &registries, &context.client(), &show.id)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let record = serde_json::from_str(&text).unwrap_or_else(|_| advisory.to_json());
            Ok(Outcome::done(text, record))
        }
    }
}

fn make(new: New, context: &Context) -> Result<Outcome, Failure> {
    let known = if new.id.is_some() {
        Vec::new()
    } else {
        let all = advisory::list(&context.home, &context.registries()?, &context.client())?;
        all.into_iter().map(|listed| listed.entry.id).collect()
    };
    let (records, data) = (new.record, new.data.into_iter());
    let data = data.map(|digest| AffectedData { digest, records: records.clone() });
    let wanted = NewAdvisory {
        id: new.id,
        package: new.package,
        versions: new.versions,
        fixed: new.fixed,
        data: data.collect(),
        summary: new.summary,
        details: new.details,
        severity: new.severity,
        references: new.reference.into_iter().map(String::from).collect(),
        aliases: new.alias.iter().map(ToString::to_string).collect(),
        now: context.operator_time()?,
    };
    let (advisory, path) = advisory::new(&wanted, &known, new.out.as_deref())?;
    let shown = path.display();
    context.progress().note(&format!("Wrote {}. Next:", describe(&advisory)));
    context.progress().note(&format!("  mpkg advisory sign {shown}"));
    context.progress().note(&format!("  mpkg publish --advisory {shown} --to REGISTRY"));
    Ok(Outcome::done(path.display().to_string(), file_json(&path, &advisory.to_json())))
}

fn signed(sign: &Sign, context: &Context) -> Result<Outcome, Failure> {
    let ring = key::own(&context.home);
    let stored = match &sign.key {
        Some(name) => ring.find(name)?,
        None => ring.only()?,
    };
    let passphrase =
        if stored.encrypted { sign.source.existing(&stored.name.to_string())? } else { None };
    let key = ring.open(&stored, passphrase.as_ref())?;
    let (notice, beside) = advisory::sign(&sign.file, &key)?;
    let stem = printable(notice.stem());
    context.progress().note(&format!("Signed {stem} with {}", stored.name));
    let document = json!({
        "key": { "name": stored.name.to_string(), "id": key.id().to_string() },
        "file": sign.file.display().to_string(), "signatures": beside.display().to_string(),
    });
    Ok(Outcome::done(beside.display().to_string(), document))
}

fn updated(update: Update, context: &Context) -> Result<Outcome, Failure> {
    let revision = Revision {
        summary: update.summary,
        details: update.details,
        severity: update.severity,
        fixed: update.fixed,
        data: update.data,
        references: update.reference.into_iter().map(String::from).collect(),
        withdraw: update.withdraw,
    };
    let advisory = advisory::revise(&update.file, &revision, context.operator_time()?)?;
    context.progress().note(&format!("Changed {}", describe(&advisory)));
    Ok(Outcome::done("", file_json(&update.file, &advisory.to_json())))
}

fn state(vex: VexArguments, context: &Context) -> Result<Outcome, Failure> {
    let wanted = NewVex {
        advisory: vex.id,
        products: vex.products.iter().map(|text| product(text)).collect::<Result<_, _>>()?,
        status: vex.status,
        justification: vex.justification,
        impact: vex.impact,
        author: vex.author,
        now: context.operator_time()?,
    };
    let (document, path) = advisory::vex(&wanted, vex.out.as_deref())?;
    let shown = path.display();
    context
        .progress()
        .note(&format!("Wrote a statement about {}. Next:", joined(&document.packages())));
    context.progress().note(&format!("  mpkg advisory sign {shown}"));
    context.progress().note(&format!("  mpkg publish --advisory {shown} --to REGISTRY"));
    Ok(Outcome::done(path.display().to_string(), file_json(&path, &document.to_json())))
}

fn product(text: &str) -> Result<ProductName, Failure> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|end| end == "mpkg") || text.contains('/') {
        return Ok(ProductName::File(path));
    }
    let (name, rest) = match text.split_once('@') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let (version, variant) = match rest.map(|rest| rest.split_once(':').unwrap_or((rest, ""))) {
        Some((version, variant)) => (Some(version), Some(variant).filter(|it| !it.is_empty())),
        None => (None, None),
    };
    let refused = |why: String| -> Failure {
        Plain {
            kind: "bad-release",
            message: format!("\"{}\" names no package: {why}", printable(text)),
            hint: Some("write NAME, NAME@VERSION or NAME@VERSION:VARIANT".to_owned()),
        }
        .into()
    };
    Ok(ProductName::Release(Product {
        name: name.parse().map_err(|error| refused(format!("{error}")))?,
        version: version
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::package::InvalidVersion| refused(error.to_string()))?,
        variant: variant
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::package::InvalidName| refused(error.to_string()))?,
        digest: None,
    }))
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let all = advisory::list(&context.home, &context.registries()?, &context.client())?;
    let row = |listed: &Listed| {
        let entry = &listed.entry;
        let modified = entry.modified.strftime("%Y-%m-%d").to_string();
        let state = if entry.withdrawn.is_some() { "withdrawn" } else { "" };
        let about = match entry.packages.as_slice() {
            [] => count(entry.data.len(), "piece of data", "pieces of data"),
            packages => joined(packages),
        };
        let summary = printable(&entry.summary);
        vec![entry.id.to_string(), modified, state.to_owned(), about, summary]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let one = |listed: &Listed| {
        let entry = &listed.entry;
        json!({
            "id": entry.id, "modified": entry.modified, "withdrawn": entry.withdrawn,
            "summary": entry.summary, "packages": entry.packages, "data": entry.data,
            "registry": listed.registry,
        })
    };
    let document: Vec<Value> = all.iter().map(one).collect();
    if all.is_empty() {
        context.progress().note("The registries have no advisories");
    }
    Ok(Outcome::done(table(&rows), json!({ "advisories": document })))
}

fn joined(names: &[PackageName]) -> String {
    names.iter().map(PackageName::as_str).collect::<Vec<_>>().join(", ")
}

fn describe(advisory: &Advisory) -> String {
    let state = if advisory.withdrawn.is_some() { ", withdrawn" } else { "" };
    format!("{}{state}: {}", advisory.id, printable(&advisory.summary))
}

fn file_json(path: &std::path::Path, record: &Value) -> Value {
    json!({ "file": path.display().to_string(), "record": record })
}

fn of_notice(notice: &Notice) -> Value {
    match notice {
        Notice::Advisory(advisory) => json!({
            "form": "osv", "id": advisory.id, "withdrawn": advisory.withdrawn,
            "packages": advisory.packages(), "data": advisory.data(),
        }),
        Notice::Vex(vex) => json!({
            "form": "openvex", "advisories": vex.advisories(), "packages": vex.packages(),
        }),
    }
}
