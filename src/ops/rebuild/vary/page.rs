//! The report of a series of builds, on one page.

use std::fmt::Write as _;

use super::{Found, Trial, Varied};
use crate::build::metrics::short;
use crate::build::report::{Table, begin, digest, duration, escape};
use crate::build::variation::Kind;
use crate::reproduce::{FileFacts, Verdict};

/// The page of `varied`.
pub(super) fn page(varied: &Varied) -> String {
    let mut page = begin(&format!("{}: built under changed conditions", varied.control.release));
    heading(&mut page, varied);
    trials(&mut page, varied);
    not_varied(&mut page, varied);
    for trial in varied.repeated.iter().chain(&varied.trials) {
        tensors(&mut page, trial);
    }
    machine(&mut page, varied);
    page.push_str("</html>\n");
    page
}

fn heading(page: &mut String, varied: &Varied) {
    let control = &varied.control;
    let _ = writeln!(
        page,
        "<h1>{} <small>built under changed conditions</small></h1>\n<p class=\"soft\">{} reproducibility promised · {} by mpkg {} · source {}</p>",
        escape(&control.release.to_string()),
        escape(&control.promise.level),
        control.record.started.strftime("%Y-%m-%d %H:%M UTC"),
        escape(&control.record.mpkg),
        digest(&control.source),
    );
    let said = match (varied.is_steady(), varied.breaking().as_slice()) {
        (false, _) => ("bad", "The build differs from run to run where nothing is changed: no difference below is due to a change.".to_owned()),
        (true, []) => ("good", "No change breaks bitwise equality.".to_owned()),
        (true, kinds) => ("bad", format!("Bitwise equality is broken by: {}.", words(kinds))),
    };
    let _ = writeln!(page, "<p class=\"{}\">{}</p>", said.0, escape(&said.1));
    let _ = writeln!(page, "<p>Harmless: {}.</p>", escape(&words(&varied.harmless())));
}

/// Kinds with commas between them.
fn words(kinds: &[Kind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn trials(page: &mut String, varied: &Varied) {
    let headings = ["Changed", "From", "To", "Verdict", "What differs", "First step", "Took#"];
    let mut table = Table::new(page, "Builds", &headings);
    let control = &varied.control;
    let text = |text: &str| text.to_owned();
    table.row(&[
        text("nothing"),
        String::new(),
        String::new(),
        verdict(control.comparison.verdict.as_str()),
        text("compared with the released package"),
        String::new(),
        duration(control.record.seconds.total()),
    ]);
    for trial in varied.repeated.iter().chain(&varied.trials) {
        let variation = trial.variation.as_ref();
        let step = match &trial.found {
            Found::Package { first_step, .. } => first_step.clone().unwrap_or_default(),
            Found::Failure { .. } => String::new(),
        };
        table.row(&[
            variation.map_or_else(|| text("nothing, once more"), |it| text(it.kind.as_str())),
            escape(variation.map_or("", |it| &it.from)),
            escape(variation.map_or("", |it| &it.to)),
            verdict(trial.word()),
            escape(&trial.difference().unwrap_or_default()),
            escape(&step),
            duration(trial.seconds),
        ]);
    }
    table.end();
}

fn verdict(word: &str) -> String {
    let class = if word == Verdict::Identical.as_str() { "good" } else { "bad" };
    format!("<span class=\"{class}\">{word}</span>")
}

fn not_varied(page: &mut String, varied: &Varied) {
    if varied.not_varied.is_empty() {
        return;
    }
    let mut table = Table::new(page, "Not varied on this machine", &["What", "Why"]);
    for it in &varied.not_varied {
        table.row(&[it.kind.to_string(), escape(&it.reason)]);
    }
    table.end();
}

/// The distances of each file of weights under one change.
fn tensors(page: &mut String, trial: &Trial) {
    let Found::Package { comparison, .. } = &trial.found else { return };
    let has_tensors =
        |file: &&FileFacts| file.weights.as_ref().is_some_and(|it| !it.changed.is_empty());
    let files: Vec<&FileFacts> = comparison.files.iter().filter(has_tensors).collect();
    if files.is_empty() {
        return;
    }
    let title = match &trial.variation {
        Some(variation) => format!("Tensors under {}: {}", variation.kind, variation.to),
        None => "Tensors where nothing is changed".to_owned(),
    };
    let headings = ["Tensor", "Largest difference#", "Cosine#", "Relative L2#"];
    let mut table = Table::new(page, &title, &headings);
    let distance = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
    for tensor in files
        .iter()
        .filter_map(|it| it.weights.as_ref())
        .flat_map(|it| &it.changed)
        .take(MOST_TENSORS)
    {
        table.row(&[
            format!("<code>{}</code>", escape(&tensor.name)),
            distance(tensor.max_abs),
            tensor.cosine.map_or_else(|| "–".to_owned(), |cosine| cosine.to_string()),
            distance(tensor.relative_l2),
        ]);
    }
    table.end();
}

/// The most tensors that a page lists under one change.
const MOST_TENSORS: usize = 100;

fn machine(page: &mut String, varied: &Varied) {
    let mut table = Table::new(page, "Machine", &["", ""]);
    let here = &varied.control.record.machine;
    for (name, value) in [
        ("Kernel", here.kernel.clone()),
        ("Processor", here.cpu.clone()),
        ("Processors", here.cpus.to_string()),
        ("Features", here.features.join(" ")),
    ] {
        table.row(&[name.to_owned(), escape(&value)]);
    }
    table.end();
}
