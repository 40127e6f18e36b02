//! Full texts of licences, recognised by their words: the SPDX list's own texts.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use spdx::detection::scan::Scanner;
use spdx::detection::{Store, TextData};

use super::{How, Sighting};
use crate::package::Digest;

/// How alike a text and a licence must be, from 0 to 1.
const ALIKE: f32 = 0.9;
/// How alike they are where nothing else needs to be looked for.
const SURELY: f32 = 0.97;
/// The longest text that licences are looked for in, in bytes; a notice of many is longer at times.
const LONGEST: usize = 384 << 10;
/// Words that some licence's text begins with, or has: a text with none is not looked through.
const SIGNS: &[&str] =
    &["licen", "copyright", "permission", "redistribut", "public domain", "warrant"];
/// The shortest text that is looked through, in bytes.
const SHORTEST: usize = 150;
/// The most licences that are looked for in one text.
const MOST: u16 = 8;

/// The texts, unpacked when they are first needed.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| Store::load_inline().expect("the texts come with the program"))
}

/// What was found in texts of this run, by the digest of what is looked at of them.
static FOUND: LazyLock<Mutex<HashMap<Digest, Vec<Sighting>>>> = LazyLock::new(Mutex::default);

/// The licences whose text `text` is, or holds. Many texts are one licence with another name in
/// it; they are looked through once.
pub(super) fn texts(text: &str) -> Vec<Sighting> {
    let cut = text.floor_char_boundary(text.len().min(LONGEST));
    let text = without_names(&text[..cut]);
    let lower = text.to_lowercase();
    if !SIGNS.iter().any(|sign| lower.contains(sign)) || lower.len() < SHORTEST {
        return Vec::new();
    }
    let key = Digest::of(text.as_bytes());
    let known = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&key) {
        return found.clone();
    }
    let found = looked_through(&text);
    known().insert(key, found.clone());
    found
}

/// The text without the lines that say who has the copyright, which are no part of a licence.
fn without_names(text: &str) -> String {
    let is_name = |line: &str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with("copyright (c)") || line.starts_with("copyright ©")
    };
    let lines = text.lines().filter(|line| !is_name(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn looked_through(text: &str) -> Vec<Sighting> {
    let scanner = Scanner::new(store())
        .confidence_threshold(ALIKE)
        .shallow_limit(SURELY)
        .optimize(true)
        .max_passes(MOST);
    let data = TextData::new(text);
    let scanned = scanner.scan(&data);
    let whole = scanned.license.map(|found| found.name);
    let parts = scanned.containing.iter().map(|found| found.license.name);
    let mut names: Vec<&str> = whole.into_iter().chain(parts).collect();
    names.sort_unstable();
    names.dedup();
    let sighting = |name: &str| Sighting { any_of: meant(name), how: How::Text, files: Vec::new() };
    names.into_iter().map(sighting).collect()
}

/// The licences that have this text: those of GNU have one text for "only" and "or later".
fn meant(name: &str) -> Vec<String> {
    let bare = name.trim_end_matches("-only").trim_end_matches("-or-later").trim_end_matches('+');
    let both = [format!("{bare}-only"), format!("{bare}-or-later")];
    if both.iter().all(|name| spdx::license_id(name).is_some()) {
        return both.into();
    }
    vec![name.to_owned()]
}
