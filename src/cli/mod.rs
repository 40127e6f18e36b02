//! The command line: the only place that knows clap, the terminal, the environment and exit codes.

mod arguments;
mod commands;
mod comparison;
mod context;
mod failure;
mod outcome;
mod passphrase;
mod terminal;
mod vary;
mod words;
mod workshop;

pub use arguments::command;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use context::Context;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return failure::usage(&error),
    };
    let json = arguments.global.json;
    let result = Context::new(arguments.global)
        .and_then(|context| commands::run(arguments.command, &context));
    match result {
        Ok(outcome) => outcome.print(json),
        Err(failure) => failure.print(json),
    }
}
