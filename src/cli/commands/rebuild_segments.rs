//! `mpkg rebuild --segment` and `--segments`: runs parts of a training again, and compares.

use std::path::Path;

use serde_json::Value;

use super::{Context, Failure, Outcome};
use crate::build::local::Local;
use crate::build::record::TestRecord;
use crate::cli::comparison::{lines, weights_lines};
use crate::cli::outcome::Answer;
use crate::cli::workshop::Workshop;
use crate::crypto::draw;
use crate::ops::rebuild::segments::{Checked, Named, Which, attest, check_segments};
use crate::ops::rebuild::{AttestOptions, RebuildOptions};
use crate::reproduce::Verdict;

/// The longest seed, in characters.
const LONGEST_SEED: usize = 200;

/// Flags of `mpkg rebuild` that say which parts of a training are run again.
#[derive(Debug, clap::Args)]
pub(super) struct SegmentArguments {
    /// Run the training again from checkpoint K (0 is the beginning) to the next alone, and what
    /// follows the last one; may be given several times
    #[arg(long, value_name = "[STEP:]K", conflicts_with_all = ["segments", "vary"])]
    segment: Vec<Named>,
    /// The same with N such parts, drawn by chance
    #[arg(long, value_name = "N", conflicts_with = "vary", value_parser = clap::value_parser!(u32).range(1..))]
    segments: Option<u32>,
    /// The seed of the draw [default: one from the system, which is said]
    #[arg(long, value_name = "WORDS", requires = "segments", value_parser = seed)]
    seed: Option<String>,
}

fn seed(text: &str) -> Result<String, String> {
    let good = (1..=LONGEST_SEED).contains(&text.chars().count());
    match good && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(format!("it has 1 to {LONGEST_SEED} characters, none of them a control")),
    }
}

impl SegmentArguments {
    /// The parts that are meant; none where the whole is.
    pub(super) fn which(self) -> Result<Option<Which>, Failure> {
        if let Some(count) = self.segments {
            let seed = self.seed.map_or_else(draw, Ok)?;
            return Ok(Some(Which::Drawn { count: count as usize, seed }));
        }
        Ok((!self.segment.is_empty()).then_some(Which::These(self.segment)))
    }
}

pub(super) fn run(
    options: &RebuildOptions,
    which: &Which,
    signing: Option<&AttestOptions<'_>>,
    executor: &Local,
    context: &Context,
) -> Result<Outcome, Failure> {
    if let Which::Drawn { seed, .. } = which {
        context.progress().note(&format!("Drawing segments with the seed {seed}"));
    }
    let workshop = Workshop::of(context)?;
    let checked = check_segments(options, which, &workshop.setting(), executor)?;
    let statement = signing.map(|signing| attest(&checked, signing)).transpose()?;
    let mut document = checked.document();
    document["report"] = checked.report.display().to_string().into();
    if let Some(statement) = &statement {
        document["attestations"] = vec![Value::from(statement.display().to_string())].into();
    }
    let outcome = Outcome::done(text(&checked, statement.as_deref()), document);
    let different = checked.verdict == Verdict::Different;
    Ok(outcome.answering(if different { Answer::No } else { Answer::Yes }))
}

fn text(checked: &Checked, statement: Option<&Path>) -> String {
    let Checked { release, verdict, share, .. } = checked;
    let mut text = vec![format!("{release}: {verdict} in {}", share.in_words())];
    for segment in &checked.segments {
        text.push(format!("{:16}  {}", segment.verdict.as_str(), segment.in_words()));
        let facts = segment.weights.as_ref().map(weights_lines).unwrap_or_default();
        text.extend(facts.into_iter().map(|line| format!("{:18}{line}", "")));
    }
    let closing = checked.closing.verdict.as_str();
    text.push(format!("{closing:16}  from the last checkpoint to the package"));
    if checked.closing.verdict != Verdict::Identical {
        text.extend(lines(&checked.closing).into_iter().map(|line| format!("  {line}")));
    }
    text.extend(checked.record.tests.iter().map(TestRecord::in_words));
    if let Some(seed) = &checked.seed {
        text.push(format!("Drawn with --seed {seed}"));
    }
    let signers: Vec<String> =
        checked.signed_by.iter().map(|key| key.to_string()[..12].to_owned()).collect();
    text.push(match signers.as_slice() {
        [] => "The chain of checkpoints is signed by nobody whom this machine knows".to_owned(),
        signers => format!("The chain of checkpoints is signed by {}", signers.join(", ")),
    });
    let level = &checked.promise.level;
    text.push(match checked.keeps_promise() {
        true => format!("Promised: {level} reproducibility, which was found in these parts"),
        false => format!("Promised: {level} reproducibility, which was not found"),
    });
    if !checked.tainted().is_empty() {
        text.push(format!("Tainted: {}", checked.tainted().join("; ")));
    }
    text.push(format!("Report: {}", checked.report.display()));
    text.extend(statement.map(|path| format!("Signed: {}", path.display())));
    text.join("\n")
}
