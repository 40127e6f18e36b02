//! `mpkg test`: runs the tests of a source tree on what was built.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::build::{level, this_program};
use super::{Context, Failure, Outcome};
use crate::build::local::Local;
use crate::build::record::TestRecord;
use crate::build::sandbox::SandboxLevel;
use crate::cli::outcome::Answer;
use crate::cli::workshop::Workshop;
use crate::ops::build::{BuildOptions, BuildSource};
use crate::ops::test::test;

/// Flags of `mpkg test`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A source tree, whose dist/ is tested, or package files that were built from it
    #[arg(value_name = "TREE|FILE")]
    sources: Vec<PathBuf>,
    /// The sandbox: full, landlock, seccomp or none
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = level)]
    sandbox: SandboxLevel,
    /// Take dependencies from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let (packages, trees): (Vec<PathBuf>, Vec<PathBuf>) =
        arguments.sources.into_iter().partition(|path| path.is_file());
    let beside = packages.first().and_then(|file| file.parent()).map(Path::to_owned);
    let tree = trees.into_iter().next().or(beside).unwrap_or_default();
    let tree = if tree.as_os_str().is_empty() { PathBuf::from(".") } else { tree };
    let options =
        BuildOptions { with: arguments.with, ..BuildOptions::of(BuildSource::Tree(tree)) };
    let executor = Local::new(arguments.sandbox, this_program())?;
    let workshop = Workshop::of(context)?;
    let setting = workshop.setting();
    let tested = test(&options, &packages, &setting, &executor)?;
    let lines: Vec<String> = tested.tests.iter().map(TestRecord::in_words).collect();
    let outcome =
        Outcome::done(lines.join("\n"), json!({"tests": tested.tests, "log": tested.log}));
    let passed = tested.tests.iter().all(|record| record.passed);
    Ok(outcome.answering(if passed { Answer::Yes } else { Answer::No }))
}
