//! Remarks on data references.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::{Facts, FileFacts, Remarks};
use crate::package::manifest::{
    DataAddress, DataReference, DataRole, DataSource, Manifest, Origin, Placeholder, Template,
    Unpack,
};

/// So many addresses of one kind in one file are a suspicion.
const SUSPECTS: usize = 5;
/// Lines shorter than this are the same in many texts.
const SHORTEST_LINE: usize = 20;

static FLOATING: LazyLock<Regex> = LazyLock::new(|| {
    let parts =
        r"(^|/)(main|master|latest|HEAD|trunk|nightly)(/|$)|refs/heads/|[?&]ref=(main|master)";
    Regex::new(parts).expect("it is a pattern")
});
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}").expect("it is a pattern")
});
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    let parts = r"(\+\d{1,3}[ .-]?\(?\d{1,4}\)?([ .-]?\d{2,4}){2,4}|\(\d{3}\) ?\d{3}-\d{4}|\b\d{3}-\d{3}-\d{4}\b)";
    Regex::new(parts).expect("it is a pattern")
});

pub(super) fn check(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    for data in &manifest.data {
        addresses(data, remarks);
        evidence(facts, data, remarks);
        if !is_used(manifest, data) {
            remarks.add("data-unused", data.name.as_str(), "no step, test or probe names it");
        }
        let files = in_tree(facts, data);
        if matches!(data.source, DataSource::InTree { .. })
            && files.iter().all(|file| file.size == 0)
        {
            remarks.add("data-empty", data.name.as_str(), "it has no bytes");
        }
        for file in files {
            persons(file, remarks);
        }
    }
    twins(facts, manifest, remarks);
    trained_tests(manifest, remarks);
}

fn addresses(data: &DataReference, remarks: &mut Remarks) {
    let DataSource::Fetched { urls, .. } = &data.source else { return };
    let name = data.name.as_str();
    // What pip and apt fetch they fetch from mirrors of their own.
    let is_web = |url: &DataAddress| matches!(url.origin, Origin::Http(_) | Origin::File(_));
    if urls.len() == 1 && is_web(&urls[0]) {
        remarks.add("single-address", name, format!("its one address is {}", urls[0].origin));
    }
    for url in urls {
        let Origin::Http(address) = &url.origin else { continue };
        if address.scheme() == "http" {
            remarks.add("plain-http", name, format!("{address} begins with http:"));
        }
        if FLOATING.is_match(address.path())
            || address.query().is_some_and(|it| FLOATING.is_match(it))
        {
            remarks.add("floating-reference", name, format!("{address} names what will change"));
        }
    }
}

fn evidence(facts: &Facts<'_>, data: &DataReference, remarks: &mut Remarks) {
    let name = data.name.as_str();
    let Some(evidence) = &data.license_evidence else {
        remarks.add(
            "license-evidence-missing",
            name,
            format!("nothing says that it is {}", data.license),
        );
        return;
    };
    let is_address = ["https:", "http:", "pypi:", "deb:", "file:"];
    if is_address.iter().any(|start| evidence.starts_with(start)) {
        return;
    }
    let in_folder =
        in_tree(facts, data).iter().any(|file| file.path.ends_with(&format!("/{evidence}")));
    let is_there = facts.files.iter().any(|file| file.path == *evidence) || in_folder;
    let has_one_file = match &data.source {
        DataSource::InTree { .. } => true,
        DataSource::Fetched { .. } => matches!(data.unpack, Unpack::None | Unpack::Gz),
        DataSource::Shards { .. } => false,
    };
    if !is_there && has_one_file {
        remarks.add("license-evidence-not-there", name, format!("there is no {evidence}"));
    }
}

/// The files in the tree that a reference stands for.
fn in_tree<'a>(facts: &'a Facts<'_>, data: &DataReference) -> Vec<&'a FileFacts> {
    let DataSource::InTree { path, .. } = &data.source else { return Vec::new() };
    let below = format!("{path}/");
    let is_of_it = |file: &&FileFacts| file.path == path.as_str() || file.path.starts_with(&below);
    facts.files.iter().filter(is_of_it).collect()
}

fn is_used(manifest: &Manifest, data: &DataReference) -> bool {
    let names_it = |argument: &Template| {
        argument
            .placeholders()
            .any(|it| matches!(it, Placeholder::Data(name) if *name == data.name))
    };
    let steps = manifest.steps.iter().flat_map(|step| &step.run);
    let tests = manifest.tests.iter().flat_map(|test| &test.run);
    let probes = manifest.probes.iter().flat_map(|probe| &probe.run);
    steps.chain(tests).chain(probes).any(names_it)
}

fn persons(file: &FileFacts, remarks: &mut Remarks) {
    let Some(text) = file.text() else { return };
    for (pattern, what) in [(&EMAIL, "e-mail addresses"), (&PHONE, "telephone numbers")] {
        let found: HashSet<&str> = pattern.find_iter(text).map(|found| found.as_str()).collect();
        if found.len() >= SUSPECTS {
            let first = pattern.find(text).map_or(0, |found| found.start());
            let line = text[..first].matches('\n').count() + 1;
            let what = format!("it has {} {what}", found.len());
            remarks.add_at("personal-data", file.path.clone(), Some(line), what);
        }
    }
}

const fn is_trained(role: DataRole) -> bool {
    matches!(role, DataRole::Train | DataRole::Tokenizer)
}

const fn is_held_out(role: DataRole) -> bool {
    matches!(role, DataRole::Validation | DataRole::Test)
}

/// References that are the same bytes, and held-out text that is trained on.
fn twins(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    for (place, one) in manifest.data.iter().enumerate() {
        for other in &manifest.data[place + 1..] {
            let name = format!("{}, {}", one.name, other.name);
            let (trained, held_out) = match (one.role, other.role) {
                (first, second) if is_trained(first) && is_held_out(second) => (one, other),
                (first, second) if is_held_out(first) && is_trained(second) => (other, one),
                (first, second) if first == second && is_same(facts, one, other) => {
                    remarks.add("duplicate-data", name, "they are the same bytes");
                    continue;
                }
                _ => continue,
            };
            if is_same(facts, one, other) {
                remarks.add("test-data-in-training-data", name, "they are the same bytes");
                continue;
            }
            let (all, both) = shared_lines(facts, trained, held_out);
            if all > 0 && 2 * both >= all {
                let what =
                    format!("{both} of {all} lines of {} stand in {}", held_out.name, trained.name);
                remarks.add("test-data-in-training-data", name, what);
            }
        }
    }
}

fn is_same(facts: &Facts<'_>, one: &DataReference, other: &DataReference) -> bool {
    let same_choice = one.select == other.select;
    match (&one.source, &other.source) {
        (DataSource::Fetched { sha256: one, .. }, DataSource::Fetched { sha256: other, .. }) => {
            one == other && same_choice
        }
        (DataSource::InTree { path: first, .. }, DataSource::InTree { path: second, .. }) => {
            let digests = |data| {
                let files = in_tree(facts, data).into_iter().filter(|file| file.size > 0);
                files.map(|file| file.digest).collect::<Vec<_>>()
            };
            (first == second && same_choice)
                || (!digests(one).is_empty() && digests(one) == digests(other))
        }
        _ => false,
    }
}

/// How many longer lines `held_out` has, and how many of these `trained` has too.
fn shared_lines(
    facts: &Facts<'_>,
    trained: &DataReference,
    held_out: &DataReference,
) -> (usize, usize) {
    let lines = |data: &DataReference| {
        let files = in_tree(facts, data);
        let texts = files.into_iter().filter_map(FileFacts::text);
        let lines = texts.flat_map(str::lines).map(str::trim);
        lines.filter(|line| line.len() >= SHORTEST_LINE).collect::<HashSet<_>>()
    };
    let (trained, held_out) = (lines(trained), lines(held_out));
    (held_out.len(), held_out.intersection(&trained).count())
}

fn trained_tests(manifest: &Manifest, remarks: &mut Remarks) {
    for test in &manifest.tests {
        for placeholder in test.run.iter().flat_map(Template::placeholders) {
            let Placeholder::Data(name) = placeholder else { continue };
            let role = manifest.data.iter().find(|data| data.name == *name).map(|data| data.role);
            if role == Some(DataRole::Train) {
                let what = format!("it measures on {name}, which is trained on");
                remarks.add("test-uses-training-data", test.name.as_str(), what);
            }
        }
    }
}
