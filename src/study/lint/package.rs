//! Remarks on what a package says of itself.

use std::collections::BTreeSet;

use super::{Facts, FileFacts, Remarks};
use crate::package::manifest::{DataReference, Level, Manifest};
use crate::package::{Kind, LOCK_NAME};
use crate::study::licences::{Ingredient, licences_in, notes};

/// The fewest characters of a model card that says something.
const SHORTEST_CARD: usize = 200;
/// The longest summary in good style, in characters.
const LONGEST_SUMMARY: usize = 90;
/// Words in a licence's name that say that nobody knows it.
const UNKNOWN: &[&str] = &["unknown", "unclear", "none", "other", "todo", "unspecified"];

pub(super) fn check(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    words(facts, manifest, remarks);
    card(facts, manifest, remarks);
    changelog(facts, manifest, remarks);
    licences(facts, manifest, remarks);
    let has_needs = !manifest.dependencies.is_empty() || !manifest.build_dependencies.is_empty();
    if has_needs && find(facts, LOCK_NAME).is_none() {
        remarks.add("lock-missing", LOCK_NAME, "the dependencies are pinned nowhere");
    }
    if !facts.manifest_text.contains("[reproducibility") {
        remarks.add("reproducibility-missing", "mpkg.toml", "it has no [reproducibility]");
    }
    if manifest.reproducibility.level == Level::Behaviour && manifest.probes.is_empty() {
        let is_promised = facts.manifest_text.contains("[reproducibility");
        if is_promised {
            remarks.add(
                "probe-missing",
                "mpkg.toml",
                "level is \"behaviour\", and there is no [[probe]]",
            );
        }
    }
}

fn find<'a>(facts: &'a Facts<'_>, path: &str) -> Option<&'a FileFacts> {
    facts.files.iter().find(|file| file.path == path)
}

fn words(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let package = &manifest.package;
    let summary = package.summary.trim();
    let first = summary.chars().next();
    let fault = if summary.ends_with('.') {
        Some("it ends in a full stop")
    } else if first.is_some_and(char::is_lowercase) {
        Some("it begins with a small letter")
    } else if summary.to_lowercase().starts_with(package.name.as_str()) {
        Some("it begins with the package's name")
    } else if summary.chars().count() > LONGEST_SUMMARY {
        Some("it has more than 90 characters")
    } else {
        None
    };
    if let Some(fault) = fault {
        remarks.add("summary-style", "summary", fault);
    }
    if package.maintainers.is_empty() {
        remarks.add("maintainer-missing", "mpkg.toml", "there are no `maintainers`");
    }
    match &package.homepage {
        None => remarks.add("homepage-missing", "mpkg.toml", "there is no `homepage`"),
        Some(page) if page.starts_with("http:") => {
            remarks.add("plain-http", "homepage", format!("{page} begins with http:"));
        }
        Some(_) => {}
    }
    let is_model = matches!(package.kind, Kind::Model | Kind::Adapter);
    if is_model && package.tasks.is_empty() {
        remarks.add("tasks-missing", "mpkg.toml", "there are no `tasks`");
    }
    if manifest.tests.is_empty() && facts.is_source {
        remarks.add("test-missing", "mpkg.toml", "there is no [[test]]");
    }
}

fn card(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let Some(card) = find(facts, "README.md") else {
        remarks.add("model-card-missing", "README.md", "it is not there");
        return;
    };
    let text = card.text().unwrap_or_default();
    let body: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let length = body.trim().chars().count();
    if length < SHORTEST_CARD {
        let what = format!("it has {length} characters beside its headings");
        remarks.add("model-card-empty", "README.md", what);
    }
    for (line, number) in text.lines().zip(1..) {
        let open = ["TODO", "TBD", "FIXME", "XXX", "Lorem ipsum", "[More Information Needed]"];
        if let Some(word) = open.into_iter().find(|word| line.contains(word)) {
            remarks.add_at("model-card-todo", "README.md", Some(number), format!("it says {word}"));
        }
    }
    let is_packed = manifest.variants.iter().any(|variant| {
        variant.files.iter().any(|glob| {
            globset::Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match("README.md"))
        })
    });
    if !is_packed {
        remarks.add("model-card-not-packed", "README.md", "no `files` of a variant names it");
    }
}

fn changelog(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let Some(file) = find(facts, "CHANGELOG.md") else {
        remarks.add("changelog-missing", "CHANGELOG.md", "it is not there");
        return;
    };
    let version = manifest.package.version.to_string();
    let text = file.text().unwrap_or_default();
    let names_it = |line: &str| {
        let is_part = |c: char| !(c.is_ascii_alphanumeric() || ".+-".contains(c));
        line.starts_with('#')
            && line.split(is_part).any(|word| word.trim_start_matches('v') == version)
    };
    if !text.lines().any(names_it) {
        remarks.add(
            "changelog-without-version",
            "CHANGELOG.md",
            format!("no heading names {version}"),
        );
    }
}

fn licences(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let data = |data: &DataReference| (data.name.to_string(), data.license.clone());
    let own = ("the package".to_owned(), manifest.package.license.clone());
    let stated: Vec<(String, String)> =
        std::iter::once(own).chain(manifest.data.iter().map(data)).collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    for (name, expression) in &stated {
        for licence in licences_in(expression) {
            let plain = licence.trim_start_matches("LicenseRef-").to_lowercase();
            let is_own_word = licence.starts_with("LicenseRef-");
            let is_unknown =
                is_own_word && plain.split(['-', '.']).any(|word| UNKNOWN.contains(&word));
            if is_unknown {
                remarks.add("license-unknown", name.clone(), format!("its licence is {licence}"));
            }
            named.extend(licence.split(" WITH ").map(str::to_owned));
        }
    }
    // The texts of what is packed are needed; those of data fetched from elsewhere come with it.
    for licence in licences_in(&manifest.package.license) {
        let licence = licence.split(" WITH ").next().unwrap_or_default();
        if find(facts, &format!("LICENSES/{licence}.txt")).is_none() {
            let what = format!("LICENSES/{licence}.txt is not there");
            remarks.add("license-text-missing", licence, what);
        }
    }
    for file in facts.files {
        let Some(name) = file.path.strip_prefix("LICENSES/") else { continue };
        let name = name.strip_suffix(".txt").unwrap_or(name);
        if !named.contains(name) {
            let what = format!("no licence in mpkg.toml is called {name}");
            remarks.add("license-text-unused", file.path.clone(), what);
        }
    }
    let ingredients: Vec<Ingredient> = facts
        .licences
        .iter()
        .map(|(name, license)| Ingredient { name: name.clone(), license: license.clone() })
        .collect();
    for note in notes(&manifest.package.license, &ingredients) {
        if note.kind == "conflict" {
            remarks.add("license-conflict", note.from.join(", "), note.message);
        }
    }
}
