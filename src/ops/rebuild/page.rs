//! The report of a rebuild: both packages side by side, on one page.

use std::fmt::Write as _;

use super::Rebuilt;
use crate::build::metrics::short;
use crate::build::record::{StepRecord, SystemRecord};
use crate::build::report::{Series, Table, begin, bytes, digest, draw_together, escape};
use crate::reproduce::{FileFacts, TensorFacts, Verdict};

/// The most tensors that a page lists of a file.
const MOST_TENSORS: usize = 1000;

/// The page of `rebuilt`.
pub(super) fn page(rebuilt: &Rebuilt) -> String {
    let mut page = begin(&format!("{}: rebuild", rebuilt.release));
    heading(&mut page, rebuilt);
    files(&mut page, rebuilt);
    for file in &rebuilt.comparison.files {
        tensors(&mut page, file);
    }
    tests(&mut page, rebuilt);
    probes(&mut page, rebuilt);
    curves(&mut page, rebuilt);
    machines(&mut page, rebuilt);
    page.push_str("</html>\n");
    page
}

fn heading(page: &mut String, rebuilt: &Rebuilt) {
    let verdict = rebuilt.comparison.verdict;
    let class = if verdict == Verdict::Different { "bad" } else { "good" };
    let kept = if rebuilt.keeps_promise() { "kept" } else { "not kept" };
    let _ = writeln!(
        page,
        "<h1>{} <small class=\"{class}\">{verdict}</small></h1>\n<p class=\"soft\">{} reproducibility promised: {kept} · rebuilt {} by mpkg {}</p>",
        escape(&rebuilt.release.to_string()),
        escape(&rebuilt.promise.level),
        rebuilt.record.started.strftime("%Y-%m-%d %H:%M UTC"),
        escape(&rebuilt.record.mpkg),
    );
    let mut table = Table::new(page, "Packages", &["", "Package digest"]);
    for (name, value) in
        [("Source", rebuilt.source), ("Released", rebuilt.package), ("Rebuilt", rebuilt.rebuilt)]
    {
        table.row(&[name.to_owned(), digest(&value)]);
    }
    table.end();
    if !rebuilt.record.tainted.is_empty() {
        let taints = escape(&rebuilt.record.tainted.join("; "));
        let _ =
            writeln!(page, "<div class=\"taint\"><p><strong>Tainted.</strong> {taints}</p></div>");
    }
    if !rebuilt.comparison.index_changed.is_empty() {
        let keys = escape(&rebuilt.comparison.index_changed.join(", "));
        let _ = writeln!(page, "<p class=\"bad\">The package indexes differ in {keys}.</p>");
    }
}

fn files(page: &mut String, rebuilt: &Rebuilt) {
    let headings = ["File", "Verdict", "Released#", "Rebuilt#", "What differs"];
    let mut table = Table::new(page, "Files", &headings);
    for file in &rebuilt.comparison.files {
        let size = |side: &Option<crate::reproduce::Found>| {
            side.as_ref().map_or_else(|| "–".to_owned(), |side| bytes(side.size))
        };
        let class = if file.verdict == Verdict::Different { "bad" } else { "good" };
        table.row(&[
            format!("<code>{}</code>", escape(file.path.as_str())),
            format!("<span class=\"{class}\">{}</span>", file.verdict),
            size(&file.first),
            size(&file.second),
            escape(&what_differs(file)),
        ]);
    }
    table.end();
}

/// What differs between both of a file, in words.
pub(super) fn what_differs(file: &FileFacts) -> String {
    match (&file.weights, file.first_difference) {
        (Some(weights), _) => {
            let distance = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
            format!(
                "{} of {} tensors; relative L2 {}; largest difference {}; smallest cosine {}",
                weights.tensors_changed,
                weights.tensors,
                distance(weights.relative_l2),
                distance(weights.max_abs),
                weights.min_cosine.map_or_else(|| "–".to_owned(), |cosine| cosine.to_string()),
            )
        }
        (None, Some(place)) => format!("from byte {place} on"),
        (None, None) => String::new(),
    }
}

fn tensors(page: &mut String, file: &FileFacts) {
    let Some(weights) = file.weights.as_ref().filter(|it| !it.changed.is_empty()) else { return };
    let title = format!("Tensors of {}", file.path);
    let headings =
        ["Tensor", "Type", "Changed#", "Largest difference#", "Cosine#", "Relative L2#", ""];
    let largest = weights.changed.iter().filter_map(|it| it.relative_l2).fold(0.0, f64::max);
    let mut table = Table::new(page, &title, &headings);
    for tensor in weights.changed.iter().take(MOST_TENSORS) {
        table.row(&tensor_row(tensor, largest));
    }
    table.end();
    if let Some(more) = weights.changed.len().checked_sub(MOST_TENSORS).filter(|more| *more > 0) {
        let _ = writeln!(page, "<p class=\"soft\">and {more} more</p>");
    }
}

fn tensor_row(tensor: &TensorFacts, largest: f64) -> [String; 7] {
    let distance = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
    let share = tensor.relative_l2.filter(|_| largest > 0.0).unwrap_or(0.0) / largest.max(1e-300);
    [
        format!("<code>{}</code>", escape(&tensor.name)),
        format!("{} {:?}", escape(&tensor.dtype), tensor.shape),
        tensor.elements_changed.map_or_else(|| bytes(tensor.bytes_changed), |it| it.to_string()),
        distance(tensor.max_abs),
        tensor.cosine.map_or_else(|| "–".to_owned(), |cosine| cosine.to_string()),
        distance(tensor.relative_l2),
        format!("<span class=\"bar\" style=\"width:{:.1}em\"></span>", 8.0 * share),
    ]
}

fn tests(page: &mut String, rebuilt: &Rebuilt) {
    if rebuilt.tests.is_empty() {
        return;
    }
    let headings = ["Test", "Metric", "Released#", "Rebuilt#", "Bound", ""];
    let mut table = Table::new(page, "Tests", &headings);
    for test in &rebuilt.tests {
        let mut before = rebuilt.earlier.iter().flat_map(|record| &record.tests);
        let before = before.find(|it| (&it.name, &it.variant) == (&test.name, &test.variant));
        let (class, word) = if test.passed { ("good", "passed") } else { ("bad", "failed") };
        table.row(&[
            escape(test.name.as_str()),
            escape(&test.metric),
            before.map_or_else(|| "–".to_owned(), |before| short(before.value)),
            short(test.value),
            escape(&test.bound),
            format!("<span class=\"{class}\">{word}</span>"),
        ]);
    }
    table.end();
}

fn probes(page: &mut String, rebuilt: &Rebuilt) {
    if rebuilt.probes.is_empty() {
        return;
    }
    let headings = ["Probe", "Predictions#", "Agreeing#", "Agreement#"];
    let mut table = Table::new(page, "Probes", &headings);
    for probe in &rebuilt.probes {
        let found = &probe.agreement;
        table.row(&[
            escape(&probe.name),
            found.first.max(found.second).to_string(),
            found.agreeing.to_string(),
            short(found.agreement),
        ]);
    }
    table.end();
}

/// Both runs of each step on the same axes.
fn curves(page: &mut String, rebuilt: &Rebuilt) {
    let earlier = |step: &StepRecord| {
        let mut steps = rebuilt.earlier.iter().flat_map(|record| &record.steps);
        steps.find(|it| it.result.step == step.result.step)
    };
    for step in rebuilt.record.steps.iter().filter(|step| !step.result.metrics.is_empty()) {
        let _ = writeln!(page, "<h2>What {} measured</h2>", escape(step.result.step.as_str()));
        for (name, points) in step.result.metrics.iter() {
            let before = earlier(step)
                .and_then(|it| it.result.metrics.iter().find(|(other, _)| *other == name))
                .map(|(_, points)| points)
                .unwrap_or_default();
            page.push_str(&draw_together(
                name,
                &[
                    Series { label: "released", points: &before },
                    Series { label: "rebuilt", points: &points },
                ],
            ));
        }
    }
    if rebuilt.earlier.is_none() {
        page.push_str("<p class=\"soft\">The record of the first build is not known.</p>\n");
    }
}

fn machines(page: &mut String, rebuilt: &Rebuilt) {
    let mut table = Table::new(page, "Machines", &["", "Released", "Rebuilt"]);
    let here = &rebuilt.record.machine;
    let there = rebuilt.earlier.as_ref().map(|record| &record.machine);
    let python = |record: &crate::build::record::BuildRecord| {
        record.environment.python.as_ref().map(|python| python.version.clone())
    };
    let rows = [
        ("Kernel", there.map(|it| it.kernel.clone()), here.kernel.clone()),
        ("Processor", there.map(|it| it.cpu.clone()), here.cpu.clone()),
        ("Features", there.map(|it| it.features.join(" ")), here.features.join(" ")),
        (
            "Python",
            rebuilt.earlier.as_ref().and_then(python),
            python(&rebuilt.record).unwrap_or_default(),
        ),
    ];
    for (name, before, now) in rows {
        let before = before.unwrap_or_else(|| "–".to_owned());
        table.row(&[name.to_owned(), escape(&before), escape(&now)]);
    }
    let before = rebuilt.earlier.as_ref().map(|record| &record.environment.system);
    for program in &rebuilt.record.environment.system {
        let earlier = before.and_then(|all| all.iter().find(|it| it.program == program.program));
        let earlier = earlier.map_or_else(|| "–".to_owned(), SystemRecord::in_words);
        table.row(&[escape(&program.program), escape(&earlier), escape(&program.in_words())]);
    }
    table.end();
}
