//! What can fail in a build.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::outputs::OddOutput;
use crate::explain::Explain;
use crate::package::{PartName, VariantName};

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
    /// The container could not be written or read.
    #[error(transparent)]
    Archive(#[from] crate::archive::Error),
    /// A step or a test could not be started or watched.
    #[error("cannot run the {title}")]
    Run {
        /// `step "train"`.
        title: String,
        /// What the executor says.
        source: super::sandbox::Error,
    },
    /// A step or a test ran and failed.
    #[error("the {title} failed: {reason} (its log is {})", log.display())]
    Failed {
        /// `step "train"`.
        title: String,
        /// `it ended with exit code 3`.
        reason: String,
        /// Its last lines, safe to be shown.
        last_lines: Vec<String>,
        /// Where the whole log lies.
        log: PathBuf,
        /// What else can be done.
        hint: Option<String>,
    },
    /// A program is not there.
    #[error("the {title} runs {program:?}, and there is no such program")]
    NoProgram {
        /// `step "train"`.
        title: String,
        /// The program as the manifest names it.
        program: String,
        /// Where it was looked for.
        looked_in: String,
    },
    /// A step left something odd.
    #[error("the output of the step \"{step}\" cannot be kept")]
    OddOutput {
        /// The step.
        step: PartName,
        /// What is odd.
        source: OddOutput,
    },
    /// A step left checkpoints that make no chain.
    #[error("the checkpoints of the step \"{step}\" make no chain")]
    OddCheckpoints {
        /// The step.
        step: PartName,
        /// What is wrong with them.
        source: super::checkpoints::Fault,
    },
    /// A step that was to end with a checkpoint did not write it.
    #[error("the step \"{step}\" ended without having written {until}")]
    NoCheckpoint {
        /// The step.
        step: PartName,
        /// The checkpoint.
        until: String,
        /// What it left.
        found: Vec<String>,
    },
    /// A probe left no predictions.
    #[error("the probe \"{probe}\" on the variant \"{variant}\" {what}")]
    NoPredictions {
        /// The probe.
        probe: PartName,
        /// The variant.
        variant: VariantName,
        /// What it did in place of it.
        what: String,
    },
    /// A pattern of a variant finds nothing.
    #[error("the variant \"{variant}\" packs {pattern:?}, and nothing is there by that name")]
    NothingFound {
        /// The variant.
        variant: VariantName,
        /// The pattern, as the manifest writes it.
        pattern: String,
        /// The step whose output was searched.
        step: PartName,
        /// What is there.
        found: Vec<String>,
    },
    /// A pattern cannot be read.
    #[error("the variant \"{variant}\" has a pattern that cannot be read: {why}")]
    BadPattern {
        /// The variant.
        variant: VariantName,
        /// Why.
        why: String,
    },
    /// A pattern would put a file where mpkg writes its own.
    #[error("the variant \"{variant}\" packs {path:?}, a name that mpkg keeps for itself")]
    Reserved {
        /// The variant.
        variant: VariantName,
        /// The path.
        path: String,
    },
    /// A test did not print what it should.
    #[error("the test \"{test}\" on the variant \"{variant}\" {what}")]
    NoMetric {
        /// The test.
        test: PartName,
        /// The variant.
        variant: VariantName,
        /// What is wrong, as in `printed nothing`.
        what: String,
    },
    /// A test found a value outside its bound.
    #[error(
        "the test \"{test}\" failed on the variant \"{variant}\": {metric} is {value}, and must be {bound}"
    )]
    BelowBound {
        /// The test.
        test: PartName,
        /// The variant.
        variant: VariantName,
        /// What it measures.
        metric: String,
        /// What it found.
        value: f64,
        /// The bound, as in `at most 1.75`.
        bound: String,
    },
    /// There is no step of that name.
    #[error("there is no step \"{name}\"")]
    NoStep {
        /// The name.
        name: String,
        /// The steps that there are.
        steps: Vec<String>,
    },
    /// There is no variant of that name.
    #[error("there is no variant \"{name}\"")]
    NoVariant {
        /// The name.
        name: String,
        /// The variants that there are.
        variants: Vec<String>,
    },
}

fn there_are(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("the manifest has no {what}s");
    }
    format!("the {what}s are: {}", names.join(", "))
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Run { source, .. } => source.kind(),
            Self::Failed { .. } => "step-failed",
            Self::NoProgram { .. } => "program-not-found",
            Self::OddOutput { .. } => "odd-output",
            Self::OddCheckpoints { source, .. } => source.kind(),
            Self::NoCheckpoint { .. } => "no-checkpoint",
            Self::NothingFound { .. } => "no-such-output",
            Self::BadPattern { .. } => "bad-pattern",
            Self::Reserved { .. } => "reserved-name",
            Self::NoMetric { .. } => "no-metric",
            Self::NoPredictions { .. } => "no-predictions",
            Self::BelowBound { .. } => "test-failed",
            Self::NoStep { .. } => "no-such-step",
            Self::NoVariant { .. } => "no-such-variant",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Archive(error) => error.hint(),
            Self::Run { source, .. } => source.hint(),
            Self::Failed { hint, .. } => hint.clone(),
            Self::NoProgram { looked_in, .. } => Some(format!("it was looked for in {looked_in}")),
            Self::OddCheckpoints { source, .. } => source.hint(),
            Self::NoCheckpoint { found, .. } if found.is_empty() => {
                Some("it left no files in {out}".to_owned())
            }
            Self::NoCheckpoint { found, .. } => Some(format!("it left: {}", found.join(", "))),
            Self::NothingFound { step, found, .. } if found.is_empty() => {
                Some(format!("the step \"{step}\" left no files in {{out}}"))
            }
            Self::NothingFound { step, found, .. } => {
                Some(format!("the step \"{step}\" left: {}", found.join(", ")))
            }
            Self::NoMetric { .. } => Some(
                "the last line that a test prints is one JSON object, such as {\"loss\": 1.5}"
                    .to_owned(),
            ),
            Self::NoPredictions { .. } => {
                Some("a probe writes one prediction a line to {out}/predictions.txt".to_owned())
            }
            Self::NoStep { steps, .. } => Some(there_are("step", steps)),
            Self::NoVariant { variants, .. } => Some(there_are("variant", variants)),
            Self::OddOutput { .. }
            | Self::BadPattern { .. }
            | Self::Reserved { .. }
            | Self::BelowBound { .. } => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        let Self::Failed { title, reason, last_lines, log, .. } = self else { return None };
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let mut text = format!("{red}error:{red:#} the {title} failed: {reason}\n");
        for line in last_lines {
            let _ = writeln!(text, "  │ {line}");
        }
        let _ = writeln!(text, "its whole log is {}", log.display());
        Some(text)
    }
}
