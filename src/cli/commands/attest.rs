//! `mpkg attest`: signs what was found out about a package, and shows what was said about one.

use std::path::PathBuf;

use serde_json::json;

use super::build::{level, this_program};
use super::diff::operand;
use super::rebuild::signing_key;
use super::said::{Voices, said_json, said_lines};
use super::{Context, Failure, Outcome};
use crate::build::local::Local;
use crate::build::record::TestRecord;
use crate::build::sandbox::SandboxLevel;
use crate::cli::outcome::Answer;
use crate::cli::passphrase::PassphraseArguments;
use crate::cli::workshop::Workshop;
use crate::crypto::KeyName;
use crate::crypto::statement::{LOCAL_BUILDER, TEST_RESULT_V01};
use crate::ops::attest::{About, Saying, TestOptions, attest, sign, test, test_result};

/// Flags of `mpkg attest`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Shows every statement about a package: who said what, as registries store it and as it lies
    /// beside a file
    Show(Show),
    /// Runs the tests of a package's source on the package as it was released, and signs what they
    /// found, as the in-toto predicate Test Result
    Test(Test),
    /// Signs a statement that was made elsewhere: a predicate of any type, or what was signed by
    /// another key
    Sign(Sign),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A binary package: a release in a registry, or a file
    #[arg(value_name = "NAME[@REQ][:VARIANT]|FILE")]
    package: String,
}

#[derive(Debug, clap::Args)]
struct Test {
    /// A binary package: a release in a registry, or a file
    #[arg(value_name = "NAME[@REQ][:VARIANT]|FILE")]
    package: String,
    /// The key that signs
    #[arg(long, value_name = "KEY")]
    key: KeyName,
    /// The address that says who tested the package, put into the statement
    #[arg(long, value_name = "URI", default_value = LOCAL_BUILDER)]
    tester: url::Url,
    /// The file of its source package [default: the one beside it, or a registry's]
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Take dependencies from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    /// The folder that the statement is written to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// The sandbox: full, landlock, seccomp or none
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = level)]
    sandbox: SandboxLevel,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("saying").required(true))]
struct Sign {
    /// A binary package: a release in a registry, or a file
    #[arg(value_name = "NAME[@REQ][:VARIANT]|FILE")]
    package: String,
    /// The key that signs
    #[arg(long, value_name = "KEY")]
    key: KeyName,
    /// A file with the predicate, a JSON object without fractions
    #[arg(long, value_name = "FILE", group = "saying", requires = "type_address")]
    predicate: Option<PathBuf>,
    /// The type of the predicate
    #[arg(
        long = "type", value_name = "URI", id = "type_address", conflicts_with = "again",
        value_parser = address
    )]
    type_address: Option<String>,
    /// An envelope whose very statement is signed, as when it was made where no key is
    #[arg(long, value_name = "FILE", group = "saying")]
    again: Option<PathBuf>,
    /// The folder that the statement is written to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// What stands in the file's name before .dsse.json [default: the name of the key]
    #[arg(long, value_name = "WORD")]
    label: Option<KeyName>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// An address, as it was written.
fn address(text: &str) -> Result<String, url::ParseError> {
    url::Url::parse(text).map(|_| text.to_owned())
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    match arguments.what {
        What::Show(show) => run_show(&show, context),
        What::Test(test) => run_test(test, context),
        What::Sign(sign) => run_sign(sign, context),
    }
}

fn run_show(show: &Show, context: &Context) -> Result<Outcome, Failure> {
    let workshop = Workshop::of(context)?;
    let about = About::of(&operand(&show.package)?, &workshop.setting())?;
    let name = &about.release.name;
    let said = Voices::of(context)?.about(name, about.package, &about.beside)?;
    let text = format!("{}\n{}", about.release, said_lines(&said));
    let document = json!({
        "release": about.release.to_string(),
        "package-digest": about.package,
        "attestations": said_json(&said),
    });
    Ok(Outcome::done(text, document))
}

fn run_test(arguments: Test, context: &Context) -> Result<Outcome, Failure> {
    let key = signing_key(&arguments.key, &arguments.passphrase, context)?;
    let options = TestOptions {
        package: operand(&arguments.package)?,
        source: arguments.source,
        with: arguments.with,
    };
    let executor = Local::new(arguments.sandbox, this_program())?;
    let workshop = Workshop::of(context)?;
    let tested = test(&options, &workshop.setting(), &executor)?;
    let predicate = test_result(&tested, arguments.tester.as_str());
    let saying = (TEST_RESULT_V01, predicate);
    let path = attest(&tested.about, saying, &key, &arguments.out, "test")?;
    let mut lines: Vec<String> = tested.tests.iter().map(TestRecord::in_words).collect();
    lines.push(format!("Signed: {}", path.display()));
    let document = json!({
        "release": tested.about.release.to_string(),
        "package-digest": tested.about.package,
        "source": tested.source,
        "tests": tested.tests,
        "log": tested.log,
        "attestation": path.display().to_string(),
    });
    let answer = if tested.is_passed() { Answer::Yes } else { Answer::No };
    Ok(Outcome::done(lines.join("\n"), document).answering(answer))
}

fn run_sign(arguments: Sign, context: &Context) -> Result<Outcome, Failure> {
    let key = signing_key(&arguments.key, &arguments.passphrase, context)?;
    let workshop = Workshop::of(context)?;
    let about = About::of(&operand(&arguments.package)?, &workshop.setting())?;
    let saying = match (arguments.predicate, arguments.type_address, arguments.again) {
        (Some(file), Some(address), _) => Saying::Predicate { address, file },
        (_, _, again) => Saying::Again(again.expect("clap demands one of the two")),
    };
    let label = arguments.label.unwrap_or(arguments.key).to_string();
    let path = sign(&about, &saying, &key, &arguments.out, &label)?;
    context.progress().note(&format!("Signed a statement about {}", about.release));
    let document = json!({
        "release": about.release.to_string(),
        "package-digest": about.package,
        "attestation": path.display().to_string(),
    });
    Ok(Outcome::done(path.display().to_string(), document))
}
