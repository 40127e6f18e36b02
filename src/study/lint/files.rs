//! Remarks on single files.

use std::sync::LazyLock;

use regex::Regex;

use super::{Facts, FileFacts, Remarks};
use crate::formats::is_pickle;
use crate::formats::safetensors::Header;
use crate::package::manifest::{DataSource, Manifest};

/// Files from this size on are better named by address.
const LARGE: u64 = 16 << 20;
/// The ends of names of weights.
const WEIGHTS: &[&str] = &[".safetensors", ".gguf", ".pt", ".pth", ".ckpt", ".h5", ".onnx"];
/// The ends of names of files that people write.
const TEXTS: &[&str] = &[".py", ".md", ".toml", ".txt", ".json", ".sh", ".yaml", ".yml", ".cfg"];

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let parts = r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bhf_[A-Za-z0-9]{30,}\b|\bsk-[A-Za-z0-9_-]{32,}\b|\bglpat-[A-Za-z0-9_-]{20,}\b";
    Regex::new(parts).expect("it is a pattern")
});

pub(super) fn check(facts: &Facts<'_>, remarks: &mut Remarks) {
    for file in facts.files {
        let is_data = facts.manifest.is_some_and(|manifest| is_data(manifest, file));
        looks(facts, file, is_data, remarks);
        secrets(file, remarks);
        weights(facts, file, is_data, remarks);
    }
}

/// Whether a data reference names the file.
fn is_data(manifest: &Manifest, file: &FileFacts) -> bool {
    manifest.data.iter().any(|data| match &data.source {
        DataSource::InTree { path, .. } => {
            file.path == path.as_str() || file.path.starts_with(&format!("{path}/"))
        }
        DataSource::Shards { list } => file.path == list.as_str(),
        DataSource::Fetched { .. } => false,
    })
}

fn looks(facts: &Facts<'_>, file: &FileFacts, is_data: bool, remarks: &mut Remarks) {
    let path = file.path.clone();
    if file.executable && !file.start.starts_with(b"#!") && !file.start.starts_with(b"\x7fELF") {
        remarks.add("executable-not-a-program", path.clone(), "it may be executed");
    }
    let is_text = TEXTS.iter().any(|end| file.ends_in(end));
    if is_text && !is_data && file.text().is_none() {
        remarks.add("code-not-utf8", path.clone(), "it is not UTF-8");
    }
    if facts.is_source && file.size >= LARGE {
        remarks.add("large-file", path, format!("it has {} MiB", file.size >> 20));
    }
}

fn secrets(file: &FileFacts, remarks: &mut Remarks) {
    let text = String::from_utf8_lossy(&file.start);
    if let Some(found) = SECRET.find(&text) {
        let line = text[..found.start()].matches('\n').count() + 1;
        let start: String = found.as_str().chars().take(8).collect();
        let what = format!("it holds what looks like a secret, {start}…");
        remarks.add_at("secret-in-tree", file.path.clone(), Some(line), what);
    }
}

fn weights(facts: &Facts<'_>, file: &FileFacts, is_data: bool, remarks: &mut Remarks) {
    let path = file.path.clone();
    let allowed = facts.manifest.is_some_and(|manifest| manifest.package.pickle_reason.is_some());
    if !allowed && let Some(form) = is_pickle(&file.start) {
        remarks.add("pickle", path.clone(), format!("it is {form}"));
    }
    if facts.is_source && !is_data && WEIGHTS.iter().any(|end| file.ends_in(end)) {
        remarks.add("weights-in-source", path.clone(), "it looks like weights");
    }
    if file.ends_in(".safetensors")
        && let Ok(header) = Header::parse(&file.start, file.size)
        && !header.canonical
    {
        remarks.add("weights-header", path, "its header is not in canonical form");
    }
}
