//! How the facts of a comparison are said.

use super::words::{count, size};
use crate::build::metrics::short;
use crate::explain::printable;
use crate::reproduce::{Agreement, Comparison, FileFacts, Verdict, WeightsFacts};

/// The most tensors, names or files that are listed one by one.
const MOST_LISTED: usize = 20;

/// Every file that is not identical, a line each, and how many are.
pub(super) fn lines(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    let same = comparison.files.iter().filter(|it| it.verdict == Verdict::Identical).count();
    if same > 0 {
        lines.push(format!("{:16}  {}", "identical", count(same, "file", "files")));
    }
    for file in comparison.changed() {
        lines.push(format!("{:16}  {}", file.verdict.as_str(), file.path));
        lines.extend(about(file).into_iter().map(|line| format!("{:18}{line}", "")));
    }
    if !comparison.index_changed.is_empty() {
        let keys = comparison.index_changed.join(", ");
        lines.push(format!("{:16}  the package index: {keys}", Verdict::Different.as_str()));
    }
    lines
}

fn about(file: &FileFacts) -> Vec<String> {
    let (first, second) = match (&file.first, &file.second) {
        (Some(first), Some(second)) => (first, second),
        (Some(_), None) => return vec!["only the first has it".to_owned()],
        _ => return vec!["only the second has it".to_owned()],
    };
    let mut lines = Vec::new();
    if first.mode != second.mode {
        lines.push("it is a program in one and not in the other".to_owned());
    }
    if let Some(found) = &file.predictions {
        lines.push(agreement(found));
    } else if let Some(weights) = &file.weights {
        lines.extend(weights_lines(weights));
    } else if let Some(place) = file.first_difference {
        let sizes = format!("{} and {}", size(first.size), size(second.size));
        lines.push(format!("{sizes}, differing from byte {place} on"));
    }
    lines
}

/// How many predictions are the same.
pub(super) fn agreement(found: &Agreement) -> String {
    let all = found.first.max(found.second);
    format!("{} of {all} predictions agree ({})", found.agreeing, short(found.agreement))
}

/// What was measured of weights.
pub(super) fn weights_lines(facts: &WeightsFacts) -> Vec<String> {
    let mut lines = vec![format!(
        "{} of {} changed, {} of {}",
        facts.tensors_changed,
        count(usize::try_from(facts.tensors).unwrap_or(usize::MAX), "tensor", "tensors"),
        size(facts.bytes_changed),
        size(facts.bytes),
    )];
    if let Some(distance) = distances(facts) {
        lines.push(distance);
    }
    if facts.odd > 0 {
        lines.push(format!(
            "{} NaN or infinite in either, {} of them not the same in both; left out of the distances",
            facts.odd, facts.odd_changed
        ));
    }
    if facts.unmeasured > 0 {
        lines.push(format!("no distance known for {} of the changed tensors", facts.unmeasured));
    }
    let named = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what}: {}", listed(names)))
    };
    let unlike: Vec<String> = facts
        .unlike
        .iter()
        .map(|it| format!("{} ({} and {})", it.name, it.first, it.second))
        .collect();
    lines.extend(named("another type or shape", &unlike));
    lines.extend(named("only the first has", &facts.only_in_first));
    lines.extend(named("only the second has", &facts.only_in_second));
    lines.extend(named("metadata differs in", &facts.metadata_changed));
    lines
}

fn distances(facts: &WeightsFacts) -> Option<String> {
    let (largest, smallest) = (facts.max_abs?, facts.min_cosine?);
    let relative = facts.relative_l2.map_or_else(|| "infinite".to_owned(), short);
    let place = |name: &Option<String>| printable(name.as_deref().unwrap_or_default());
    Some(format!(
        "relative L2 {relative}; largest difference {} in {}; smallest cosine {smallest} in {}",
        short(largest),
        place(&facts.max_abs_tensor),
        place(&facts.min_cosine_tensor),
    ))
}

fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(MOST_LISTED).map(|it| printable(it)).collect();
    if names.len() > MOST_LISTED {
        shown.push(format!("and {} more", names.len() - MOST_LISTED));
    }
    shown.join(", ")
}
