//! What a command found, and how it is printed.

use std::io::Write as _;
use std::process::ExitCode;

use super::failure::Failure;

/// The end of a command that ran: what to print, and yes or no.
#[derive(Debug)]
pub(super) struct Outcome {
    text: String,
    json: serde_json::Value,
    answer: Answer,
    failures: Vec<Failure>,
}

/// Exit code 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes, or done.
    Yes,
    /// No.
    No,
}

impl Outcome {
    /// A command that is done: `text` for people (it may be empty), `json` for programs.
    pub(super) fn done(text: impl Into<String>, json: serde_json::Value) -> Self {
        Self { text: text.into(), json, answer: Answer::Yes, failures: Vec::new() }
    }

    /// The same with another answer.
    pub(super) fn answering(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// The same, having failed in part: the answer is no as soon as there is one failure, and each
    /// is said on stderr.
    pub(super) fn with_failures(mut self, failures: Vec<Failure>) -> Self {
        if !failures.is_empty() {
            self.answer = Answer::No;
        }
        self.failures = failures;
        self
    }

    /// Prints to stdout; a closed pipe is a quiet success.
    pub(super) fn print(&self, json: bool) -> ExitCode {
        let mut text = if json { format!("{:#}", self.json) } else { self.text.clone() };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        // Nobody is left to tell when stdout is closed.
        let _ = anstream::stdout().write_all(text.as_bytes());
        self.failures.iter().for_each(Failure::say);
        match self.answer {
            Answer::Yes => ExitCode::SUCCESS,
            Answer::No => ExitCode::from(1),
        }
    }
}
