//! How a failed command says so.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::explain::Explain;

/// A command that failed.
#[derive(Debug)]
pub(super) struct Failure {
    error: Box<dyn Explain>,
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error) }
    }
}

/// A failure that is known only on the command line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Plain {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Explain for Plain {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl Failure {
    fn message(&self) -> String {
        let mut message = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let _ = write!(message, ": {error}");
            cause = error.source();
        }
        message
    }

    /// Prints to stderr, and with `json` the one document to stdout.
    pub(super) fn print(&self, json: bool) -> ExitCode {
        if json {
            let document = serde_json::json!({ "error": self.to_json() });
            let _ = writeln!(anstream::stdout(), "{document:#}");
        }
        self.say();
        ExitCode::from(1)
    }

    /// The failure for programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let hints: Vec<String> = self.error.hint().into_iter().collect();
        let mut json = serde_json::json!({
            "kind": self.error.kind(), "message": self.message(), "hints": hints
        });
        if let Some(details) = self.error.details() {
            json["details"] = details;
        }
        json
    }

    /// Prints to stderr.
    pub(super) fn say(&self) {
        let message = self.message();
        let hint = self.error.hint();
        let style = anstyle::AnsiColor::Red.on_default().bold();
        let mut text = match self.error.rendered() {
            Some(rendered) => rendered,
            None => format!("{style}error:{style:#} {message}\n"),
        };
        if let Some(hint) = hint {
            let style = anstyle::AnsiColor::Cyan.on_default().bold();
            let _ = writeln!(text, "{style}hint:{style:#} {hint}");
        }
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

/// Prints what clap says: help and version are no failure, wrong usage is exit code 2.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() {
        if wants_json {
            let document = serde_json::json!({
                "error": {"kind": "usage", "message": error.to_string(), "hints": []}
            });
            let _ = writeln!(anstream::stdout(), "{document:#}");
        }
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
