//! How a series of builds under changed conditions is said.

use serde_json::Value;

use super::outcome::{Answer, Outcome};
use super::words::table;
use crate::build::variation::Kind;
use crate::explain::nearest;
use crate::ops::rebuild::Varied;

/// What stands for everything that can be varied.
pub(super) const EVERYTHING: &str = "all";

/// What is to be varied.
#[derive(Debug, Clone)]
pub(super) struct Kinds(pub(super) Vec<Kind>);

/// Reads a list such as `cores,kernels`.
pub(super) fn kinds(text: &str) -> Result<Kinds, String> {
    if text == EVERYTHING {
        return Ok(Kinds(Kind::ALL.to_vec()));
    }
    let mut kinds = Vec::new();
    for word in text.split(',') {
        let kind = Kind::from_word(word).ok_or_else(|| unknown(word))?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(Kinds(kinds))
}

fn unknown(word: &str) -> String {
    let known = Kind::ALL.map(Kind::as_str);
    match nearest(word, known) {
        Some(nearest) => format!("nothing is called {word:?}; did you mean {nearest:?}?"),
        None => format!("nothing is called {word:?}; there is {}", known.join(", ")),
    }
}

/// What is printed, and the answer.
pub(super) fn outcome(varied: &Varied) -> Outcome {
    let answer = if varied.holds() { Answer::Yes } else { Answer::No };
    Outcome::done(text(varied), document(varied)).answering(answer)
}

fn text(varied: &Varied) -> String {
    let control = &varied.control;
    let mut text = vec![format!("{}: rebuilt {}", control.release, control.comparison.verdict)];
    let rows: Vec<Vec<String>> = varied
        .trials
        .iter()
        .map(|trial| {
            let variation = trial.variation.as_ref();
            vec![
                variation.map_or_else(String::new, |it| it.kind.to_string()),
                variation.map_or_else(String::new, |it| it.to.clone()),
                trial.word().to_owned(),
                trial.difference().unwrap_or_default(),
            ]
        })
        .collect();
    text.extend(table(&rows).lines().map(str::to_owned));
    if let Some(repeated) = &varied.repeated {
        text.push(match repeated.is_identical() {
            true => "A second rebuild without a change is identical to the first: differences are due to the changes".to_owned(),
            false => format!(
                "A second rebuild without a change is {} already{}: no difference is due to a change alone",
                repeated.word(),
                repeated.difference().map(|it| format!(" ({it})")).unwrap_or_default(),
            ),
        });
    }
    if varied.is_steady() {
        text.push(format!("Breaks bitwise equality: {}", words(&varied.breaking())));
        text.push(format!("Harmless: {}", words(&varied.harmless())));
    }
    for it in &varied.not_varied {
        text.push(format!("Not varied here: {}, since {}", it.kind, it.reason));
    }
    text.push(format!("Report: {}", varied.report.display()));
    text.join("\n")
}

fn words(kinds: &[Kind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn document(varied: &Varied) -> Value {
    let mut document = varied.document();
    document["report"] = varied.report.display().to_string().into();
    document["path"] = varied.control.rebuilt_file.display().to_string().into();
    document
}
