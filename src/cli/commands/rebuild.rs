//! `mpkg rebuild`: builds a package again from its source, and compares.

use std::path::PathBuf;

use serde_json::Value;

use super::build::{level, this_program};
use super::diff::operand;
use super::{Context, Failure, Outcome, rebuild_segments};
use crate::build::local::Local;
use crate::build::record::TestRecord;
use crate::build::sandbox::SandboxLevel;
use crate::cli::comparison::{agreement, lines};
use crate::cli::outcome::Answer;
use crate::cli::passphrase::PassphraseArguments;
use crate::cli::vary;
use crate::cli::workshop::Workshop;
use crate::crypto::statement::LOCAL_BUILDER;
use crate::crypto::{KeyName, SigningKey};
use crate::explain::printable;
use crate::ops::key;
use crate::ops::rebuild::{
    self as ops, AttestOptions, Attested, RebuildOptions, Rebuilt, attest, rebuild,
};
use crate::reproduce::Verdict;

/// Flags of `mpkg rebuild`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The verdict is the strongest that holds: identical, equal-tensors, \
within-tolerance, equal-behaviour or different. The exit code is 1 for `different`.

--vary builds once without a change and then once for each change, and says which of them the \
bytes depend on. LIST has, with commas between them: path, user, time, locale, time-zone, umask, \
file-order, cores, kernels, hash-seed. Kernels are those of numeric libraries that this processor \
has, one build each.")]
pub(in crate::cli) struct Arguments {
    /// A binary package: a release in a registry, or a file
    #[arg(value_name = "NAME[@REQ][:VARIANT]|FILE")]
    package: String,
    /// The file of its source package [default: the one beside it, or a registry's]
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Take dependencies from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    /// Where the rebuilt package, the record and the report go
    #[arg(long, value_name = "DIR", default_value = "rebuilt")]
    out: PathBuf,
    /// The sandbox: full, landlock, seccomp or none
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = level)]
    sandbox: SandboxLevel,
    /// Sign the verdict with this key
    #[arg(long, value_name = "KEY")]
    attest: Option<KeyName>,
    /// The address that says who rebuilt the package, put into the statements
    #[arg(long, value_name = "URI", default_value = LOCAL_BUILDER, requires = "attest")]
    builder: url::Url,
    /// Build again with one thing at a time changed around the build: all that this machine can
    /// change, or those of LIST
    #[arg(long, value_name = "LIST", num_args = 0..=1, require_equals = true,
        default_missing_value = vary::EVERYTHING, value_parser = vary::kinds, conflicts_with = "attest")]
    vary: Option<vary::Kinds>,
    #[command(flatten)]
    parts: rebuild_segments::SegmentArguments,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let options = RebuildOptions {
        package: operand(&arguments.package)?,
        source: arguments.source,
        with: arguments.with,
        out: arguments.out,
    };
    // The key is opened first: nobody wants to be asked for it after hours.
    let key = arguments.attest.map(|name| signing_key(&name, &arguments.passphrase, context));
    let key = key.transpose()?;
    let executor = Local::new(arguments.sandbox, this_program())?;
    if let Some(which) = arguments.parts.which()? {
        let builder = arguments.builder.as_str();
        let signing = key.as_ref().map(|key| AttestOptions { key, builder });
        return rebuild_segments::run(&options, &which, signing.as_ref(), &executor, context);
    }
    let workshop = Workshop::of(context)?;
    let setting = workshop.setting();
    if let Some(vary::Kinds(kinds)) = arguments.vary {
        return Ok(vary::outcome(&ops::vary(&options, &kinds, &setting, &executor)?));
    }
    let rebuilt = rebuild(&options, &setting, &executor)?;
    let attested = match &key {
        Some(key) => {
            let options = AttestOptions { key, builder: arguments.builder.as_str() };
            Some(attest(&rebuilt, &options, context.progress())?)
        }
        None => None,
    };
    let outcome =
        Outcome::done(text(&rebuilt, attested.as_ref()), document(&rebuilt, attested.as_ref()));
    let different = rebuilt.comparison.verdict == Verdict::Different;
    Ok(outcome.answering(if different { Answer::No } else { Answer::Yes }))
}

/// Opens one of this machine's keys.
pub(super) fn signing_key(
    name: &KeyName,
    source: &PassphraseArguments,
    context: &Context,
) -> Result<SigningKey, Failure> {
    let ring = key::own(&context.home);
    let stored = ring.find(name)?;
    let passphrase =
        if stored.encrypted { source.existing(&stored.name.to_string())? } else { None };
    Ok(ring.open(&stored, passphrase.as_ref())?)
}

fn text(rebuilt: &Rebuilt, attested: Option<&Attested>) -> String {
    let mut text = vec![format!("{}: {}", rebuilt.release, rebuilt.comparison.verdict)];
    text.extend(lines(&rebuilt.comparison));
    text.extend(rebuilt.tests.iter().map(TestRecord::in_words));
    let least = rebuilt.promise.min_agreement.unwrap_or(1.0);
    text.extend(rebuilt.probes.iter().map(|probe| {
        let found = agreement(&probe.agreement);
        format!("Probe {}: {found}, must be at least {least}", probe.name)
    }));
    let level = &rebuilt.promise.level;
    text.push(match rebuilt.keeps_promise() {
        true => format!("Promised: {level} reproducibility, which was found"),
        false => format!("Promised: {level} reproducibility, which was not found"),
    });
    match rebuilt.software_changed() {
        Some(changes) => text.extend(changes.iter().map(|change| {
            let of = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
            let (first, second) = (of(&change.first), of(&change.second));
            printable(&format!("Other software: {} was {first}, and is {second} here", change.what))
        })),
        None if rebuilt.record.environment.system.is_empty() => {}
        None => text.push(
            "The record of the first build is not known: whether its programs were the same is not either".to_owned(),
        ),
    }
    if !rebuilt.record.tainted.is_empty() {
        text.push(format!("Tainted: {}", rebuilt.record.tainted.join("; ")));
    }
    text.push(format!("Report: {}", rebuilt.report.display()));
    if let Some(Attested { verdict, provenance }) = attested {
        text.push(format!("Signed: {}", verdict.display()));
        text.push(format!("Signed: {}", provenance.display()));
    }
    text.join("\n")
}

fn document(rebuilt: &Rebuilt, attested: Option<&Attested>) -> Value {
    let mut document = rebuilt.document();
    document["path"] = rebuilt.rebuilt_file.display().to_string().into();
    document["report"] = rebuilt.report.display().to_string().into();
    if let Some(Attested { verdict, provenance }) = attested {
        let paths = [verdict, provenance].map(|path| path.display().to_string());
        document["attestations"] = paths.as_slice().into();
    }
    document
}
