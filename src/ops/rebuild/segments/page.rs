//! The report of a check of parts, on one page.

use std::fmt::Write as _;

use super::super::page::what_differs;
use super::{Checked, SegmentFacts};
use crate::build::metrics::short;
use crate::build::report::{Table, begin, digest, duration, escape};
use crate::reproduce::Verdict;

/// The page of `checked`.
pub(super) fn page(checked: &Checked) -> String {
    let mut page = begin(&format!("{}: segments", checked.release));
    heading(&mut page, checked);
    segments(&mut page, checked);
    closing(&mut page, checked);
    page.push_str("</html>\n");
    page
}

fn graded(verdict: Verdict) -> String {
    let class = if verdict == Verdict::Different { "bad" } else { "good" };
    format!("<span class=\"{class}\">{verdict}</span>")
}

fn heading(page: &mut String, checked: &Checked) {
    let kept = if checked.keeps_promise() { "kept" } else { "not kept" };
    let _ = writeln!(
        page,
        "<h1>{} <small>{}</small></h1>\n<p>Run again: {}.</p>\n<p class=\"soft\">{} reproducibility promised: {kept} in these parts · {} by mpkg {}</p>",
        escape(&checked.release.to_string()),
        graded(checked.verdict),
        escape(&checked.share.in_words()),
        escape(&checked.promise.level),
        checked.record.started.strftime("%Y-%m-%d %H:%M UTC"),
        escape(&checked.record.mpkg),
    );
    let mut table = Table::new(page, "What was checked", &["", "Digest"]);
    table.row(&["Source".to_owned(), digest(&checked.source)]);
    table.row(&["Package".to_owned(), digest(&checked.package)]);
    for chain in &checked.chains {
        table.row(&[format!("Chain of {}", escape(chain.step.as_str())), digest(&chain.head())]);
    }
    table.end();
    if let Some(seed) = &checked.seed {
        let _ = writeln!(page, "<p>Drawn with the seed <code>{}</code></p>", escape(seed));
    }
    if !checked.tainted().is_empty() {
        let taints = escape(&checked.tainted().join("; "));
        let _ =
            writeln!(page, "<div class=\"taint\"><p><strong>Tainted.</strong> {taints}</p></div>");
    }
}

fn segments(page: &mut String, checked: &Checked) {
    let headings = ["Step", "Checkpoint", "Steps#", "Checked", "What differs"];
    let mut table = Table::new(page, "Segments", &headings);
    for chain in &checked.chains {
        for (number, link) in chain.links.iter().enumerate() {
            let found =
                checked.segments.iter().find(|it| it.step == chain.step && it.segment == number);
            let steps = chain.steps_of(number).map_or_else(|| "–".to_owned(), |it| it.to_string());
            let (verdict, differs) = match found {
                Some(found) => (
                    format!("{} in {}", graded(found.verdict), duration(found.seconds)),
                    in_words(found),
                ),
                None => ("<span class=\"soft\">no</span>".to_owned(), String::new()),
            };
            table.row(&[
                escape(chain.step.as_str()),
                format!("<code>{}</code>", escape(link.path.as_str())),
                steps,
                verdict,
                escape(&differs),
            ]);
        }
    }
    table.end();
}

fn in_words(segment: &SegmentFacts) -> String {
    let Some(weights) = &segment.weights else { return String::new() };
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

fn closing(page: &mut String, checked: &Checked) {
    let title = "From the last checkpoint to the package";
    let mut table = Table::new(page, title, &["File", "Verdict", "What differs"]);
    for file in &checked.closing.files {
        table.row(&[
            format!("<code>{}</code>", escape(file.path.as_str())),
            graded(file.verdict),
            escape(&what_differs(file)),
        ]);
    }
    table.end();
}
