//! `mpkg build`: builds binary packages from a source tree or a source package.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Context, Failure, Outcome};
use crate::build::local::Local;
use crate::build::report::bytes;
use crate::build::sandbox::SandboxLevel;
use crate::build::steps::Reuse;
use crate::cli::failure::Plain;
use crate::cli::words::count;
use crate::cli::workshop::Workshop;
use crate::ops::build::{
    BuildOptions, BuildSource, Built, CheckpointsGo, Keep, LockUse, Outcome as Ended, TestRun,
    build, build_twice,
};

/// Flags of `mpkg build`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(in crate::cli) struct Arguments {
    /// A source tree, a source package file, or the name of a published source package
    #[arg(value_name = "TREE|FILE|NAME[@REQ]", default_value = ".")]
    source: String,
    /// Where the results go [default: dist/ in the tree, or here for a package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with what the step that failed had written
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Run every step again, also those whose inputs have not changed
    #[arg(long)]
    fresh: bool,
    /// Keep the build's folder for a look, until the next build of the same tree
    #[arg(long)]
    keep: bool,
    /// Open a shell in the sandbox of STEP in place of building
    #[arg(long, value_name = "STEP", conflicts_with = "dry_run")]
    shell: Option<String>,
    /// The sandbox: full, landlock, seccomp or none
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = level)]
    sandbox: SandboxLevel,
    /// Make only this variant; may be given several times
    #[arg(long, value_name = "VARIANT")]
    only: Vec<String>,
    /// Take dependencies from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    /// Fail where mpkg.lock would change
    #[arg(long)]
    locked: bool,
    /// Build twice, and fail where the two are less alike than [reproducibility] promises
    #[arg(long, conflicts_with_all = ["dry_run", "shell", "keep", "resume"])]
    check: bool,
    /// Put the checkpoints of the steps beside the packages, to be published with them
    #[arg(long)]
    keep_checkpoints: bool,
    /// Print the plan, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave the tests out, which taints the record
    #[arg(long)]
    no_test: bool,
}

pub(super) fn level(word: &str) -> Result<SandboxLevel, String> {
    SandboxLevel::from_word(word)
        .ok_or_else(|| "it is one of full, landlock, seccomp and none".to_owned())
}

/// What a word on the command line names: a folder, a package file or a release.
pub(super) fn source(word: &str) -> Result<BuildSource, Failure> {
    let path = PathBuf::from(word);
    let ends_in = |end: &str| path.extension().is_some_and(|it| it == end);
    if path.is_dir() || ends_in("toml") {
        return Ok(BuildSource::Tree(path));
    }
    if path.is_file() || ends_in("mpkg") {
        return Ok(BuildSource::File(path));
    }
    match word.parse() {
        Ok(wish) if !word.contains('/') => Ok(BuildSource::Release(wish)),
        _ => Err(Plain {
            kind: "no-source",
            message: format!("there is no folder and no file {word}, and it is no package name"),
            hint: None,
        }
        .into()),
    }
}

/// The program that is started again in sandboxes: this one.
pub(super) fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let options = BuildOptions {
        out: arguments.out,
        reuse: match (arguments.resume, arguments.fresh) {
            (true, _) => Reuse::Resume,
            (_, true) => Reuse::Fresh,
            _ => Reuse::Cached,
        },
        keep: if arguments.keep { Keep::Everything } else { Keep::Log },
        shell: arguments.shell,
        only: arguments.only,
        with: arguments.with,
        lock: if arguments.locked { LockUse::Locked } else { LockUse::Update },
        tests: if arguments.no_test { TestRun::Skip } else { TestRun::Run },
        dry_run: arguments.dry_run,
        checkpoints: match arguments.keep_checkpoints {
            true => CheckpointsGo::Beside,
            false => CheckpointsGo::Nowhere,
        },
        ..BuildOptions::of(source(&arguments.source)?)
    };
    if arguments.sandbox == SandboxLevel::None {
        context.progress().warn(
            "--sandbox=none: the steps can reach the network and all of your files; the build record says so",
        );
    }
    let executor = Local::new(arguments.sandbox, this_program())?;
    let workshop = Workshop::of(context)?;
    let setting = workshop.setting();
    let make = if arguments.check { build_twice } else { build };
    Ok(match make(&options, &setting, &executor)? {
        Ended::Planned(plan) => Outcome::done(plan.lines().join("\n"), json!({"plan": plan})),
        Ended::Shell => Outcome::done("", json!({})),
        Ended::Built(built) => Outcome::done(text(&built), document(&built)),
    })
}

fn text(built: &Built) -> String {
    let record = &built.record;
    let mut lines = Vec::new();
    let source = &record.source;
    let outputs = record.outputs.iter();
    let rows = std::iter::once((&source.file, source.size, &source.package_digest))
        .chain(outputs.map(|output| (&output.file, output.size, &output.package_digest)));
    let width = built
        .files
        .iter()
        .map(|file| file.display().to_string().chars().count())
        .max()
        .unwrap_or_default();
    for (file, size, digest) in rows {
        let path = built.results.join(file).display().to_string();
        lines.push(format!("{path:width$}  {:>8}  {digest}", bytes(size)));
    }
    for chain in &record.checkpoints {
        let size = chain.links.iter().map(|link| link.size).sum();
        let found = count(chain.links.len(), "checkpoint", "checkpoints");
        lines.push(format!("{found} of the step {}: {}", chain.step, bytes(size)));
    }
    for file in built.files.iter().rev().take(2).rev() {
        lines.push(file.display().to_string());
    }
    if let Some(kept) = &built.kept {
        lines.push(format!("The build's folder is kept: {}", kept.display()));
    }
    if let Some(verdict) = &record.checked {
        lines.push(format!("Built twice: {verdict}"));
    }
    if !record.tainted.is_empty() {
        lines.push(format!("Tainted: {}", record.tainted.join("; ")));
    }
    lines.join("\n")
}

fn document(built: &Built) -> Value {
    let record = &built.record;
    let packages: Vec<Value> = record
        .outputs
        .iter()
        .map(|output| {
            json!({
                "variant": output.variant,
                "path": built.results.join(&output.file),
                "size": output.size,
                "package-digest": output.package_digest,
                "sha256": output.sha256,
            })
        })
        .collect();
    let steps: Vec<Value> = record
        .steps
        .iter()
        .map(|step| {
            json!({"name": step.result.step, "how": step.how, "seconds": step.result.seconds})
        })
        .collect();
    json!({
        "name": record.name,
        "version": record.version,
        "source": {
            "path": built.results.join(&record.source.file),
            "size": record.source.size,
            "package-digest": record.source.package_digest,
            "sha256": record.source.sha256,
        },
        "packages": packages,
        "record": built.results.join(record.file_name()),
        "report": built.results.join(record.report_name()),
        "log": built.log,
        "kept": built.kept,
        "steps": steps,
        "tests": record.tests,
        "seconds": record.seconds,
        "checked": record.checked,
        "checkpoints": record.checkpoints,
        "tainted": record.tainted,
    })
}
