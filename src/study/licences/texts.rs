//! Full texts of licences, recognised by their words: the SPDX list's own texts.

use std::sync::OnceLock;

use spdx::detection::scan::Scanner;
use spdx::detection::{Store, TextData};

use super::{How, Sighting};

/// How alike a text and a licence must be, from 0 to 1.
const ALIKE: f32 = 0.9;
/// How alike they are where nothing else needs to be looked for.
const SURELY: f32 = 0.97;
/// The longest text that licences are looked for in, in bytes; a notice of many is longer at times.
const LONGEST: usize = 384 << 10;
/// Words that some licence's text begins with, or has: a text with none is not looked through.
const SIGNS: &[&str] =
    &["licen", "copyright", "permission", "redistribut", "public domain", "warrant"];
/// The most licences that are looked for in one text.
const MOST: u16 = 8;

/// The texts, unpacked when they are first needed.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| Store::load_inline().expect("the texts come with the program"))
}

/// The licences whose text `text` is, or holds.
pub(super) fn texts(text: &str) -> Vec<Sighting> {
    let cut = text.floor_char_boundary(text.len().min(LONGEST));
    let lower = text[..cut].to_lowercase();
    if !SIGNS.iter().any(|sign| lower.contains(sign)) || lower.len() < 150 {
        return Vec::new();
    }
    let scanner = Scanner::new(store())
        .confidence_threshold(ALIKE)
        .shallow_limit(SURELY)
        .optimize(true)
        .max_passes(MOST);
    let data = TextData::new(&text[..cut]);
    let scanned = scanner.scan(&data);
    let whole = scanned.license.map(|found| found.name);
    let parts = scanned.containing.iter().map(|found| found.license.name);
    let mut names: Vec<&str> = whole.into_iter().chain(parts).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| Sighting { any_of: meant(name), how: How::Text, files: Vec::new() })
        .collect()
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
