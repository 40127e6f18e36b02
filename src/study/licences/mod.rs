//! Licence facts: what a text says about licences, and whether that is what was declared
//! (spec/facts.md, "Licence facts").
//!
//! [`recognise`] finds the licences that a text names. [`judge`] holds them against a declared
//! expression, and says which level of evidence the declaration has and what is wrong with it.
//! Nothing here reads files; `ops::evidence` brings the texts.

mod facts;
mod fields;
mod judge;
mod names;
mod notes;
mod statements;
mod terms;
mod texts;

use serde::{Deserialize, Serialize};

pub use facts::{Evidence, Finding, LicenceFact, What};
pub use judge::{Fault, Judged, judge};
pub use notes::{Ingredient, Note, notes};
pub use terms::{Freedom, Obligation, clash, freedom, licences_in, obligations};

/// The longest text that is taken as evidence, in bytes.
pub const LONGEST_EVIDENCE: u64 = 1 << 20;

/// Changes when the same text would be recognised otherwise than before.
pub const RECOGNISER: u32 = 1;

/// How well a fact is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nobody said it.
    Unknown,
    /// Somebody said it.
    Declared,
    /// The evidence was read, and says so.
    Checked,
    /// Somebody else came to the same by doing it again.
    Reproduced,
}

impl Level {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Declared => "declared",
            Self::Checked => "checked",
            Self::Reproduced => "reproduced",
        }
    }
}

/// How a text names a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// In a field, as in `License: GPL-2+`.
    Field,
    /// By `SPDX-License-Identifier`.
    Tag,
    /// It is the licence's own text.
    Text,
    /// In a sentence.
    Sentence,
    /// By the licence's address.
    Address,
}

impl How {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Tag => "tag",
            Self::Text => "text",
            Self::Sentence => "sentence",
            Self::Address => "address",
        }
    }
}

/// A licence that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// SPDX expressions of which the text means one: the text of the GPL alone does not say
    /// whether later versions count.
    pub any_of: Vec<String>,
    /// How it names it.
    pub how: How,
    /// The files that it is about, as globs; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

impl Sighting {
    /// A licence of all files.
    #[must_use]
    pub fn one(expression: String, how: How) -> Self {
        Self { any_of: vec![expression], how, files: Vec::new() }
    }

    /// What it is called where one name must do.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.any_of[..] {
            [one] => one.clone(),
            several => match several[0].strip_suffix("-only") {
                Some(bare) => bare.to_owned(),
                None => several.join(" or "),
            },
        }
    }
}

/// The licences that `text` names, sorted, each once. A text in fields is taken at its fields
/// alone; so is one with SPDX tags. Else the SPDX list's texts and sentences are looked for.
#[must_use]
pub fn recognise(text: &str) -> Vec<Sighting> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let in_fields = fields::metadata(text).or_else(|| fields::debian(text));
    let mut found = match in_fields {
        Some(found) if !found.is_empty() => found,
        _ => of_prose(text),
    };
    found.sort();
    found.dedup();
    found
}

/// The names of the licence files that the metadata of a wheel lists.
#[must_use]
pub fn licence_files(metadata: &str) -> Vec<String> {
    fields::licence_files(metadata)
}

/// The expressions of the `SPDX-License-Identifier` tags in `text`.
#[must_use]
pub fn tags(text: &str) -> Vec<Sighting> {
    statements::tags(text)
}

/// The licences that a text without fields names.
fn of_prose(text: &str) -> Vec<Sighting> {
    let tags = statements::tags(text);
    if !tags.is_empty() {
        return tags;
    }
    let mut found = texts::texts(text);
    found.extend(statements::sentences(without_terms(text)));
    without_doubles(found)
}

/// A text without the terms of a GNU licence in it: these speak of later versions and of other
/// licences without granting them.
fn without_terms(text: &str) -> &str {
    let terms = ["TERMS AND CONDITIONS", "GNU GENERAL PUBLIC LICENSE\n", "Preamble"];
    let is_whole = text.contains("END OF TERMS AND CONDITIONS") || text.len() > 6000;
    let start = terms.iter().filter_map(|words| text.find(words)).min();
    match start {
        Some(start) if is_whole => &text[..start],
        _ => text,
    }
}

/// Leaves out what another sighting says more exactly, and sentences within a licence's text.
fn without_doubles(mut found: Vec<Sighting>) -> Vec<Sighting> {
    found.sort();
    found.dedup();
    // The same licence by its text and in a sentence is seen once.
    let all = found.clone();
    found.retain(|one| {
        let is_more_exact = |other: &Sighting| {
            other != one
                && other.any_of.iter().all(|name| one.any_of.contains(name))
                && (other.any_of.len() < one.any_of.len() || other.how < one.how)
        };
        !all.iter().any(is_more_exact)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        recognise(text).iter().map(Sighting::shown).collect()
    }

    const MIT: &str = "Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the \"Software\"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
";

    #[test]
    fn whole_texts() {
        assert_eq!(names(MIT), ["MIT"]);
        let example = |name: &str| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(root.join("registry-example").join(name)).unwrap()
        };
        assert_eq!(names(&example("docs-lm/LICENSES/GPL-3.0-or-later.txt")), ["GPL-3.0"]);
        assert_eq!(names(&example("docs-corpus/LICENSES/BSD-3-Clause.txt")), ["BSD-3-Clause"]);
        assert_eq!(names(&example("fashion-classifier/LICENSES/MIT.txt")), ["MIT"]);
        let domain = names(&example("docs-corpus/LICENSES/LicenseRef-public-domain.txt"));
        assert_eq!(domain, ["LicenseRef-public-domain"]);
    }

    #[test]
    fn a_text_in_another() {
        let surrounded =
            format!("{}\n{MIT}\n{}", "A guide.\n".repeat(30), "More of it.\n".repeat(30));
        assert_eq!(names(&surrounded), ["MIT"]);
    }

    #[test]
    fn the_exact_word_counts() {
        let text =
            "GPL version 2. Either version 2 of the GPL, or (at your option) any later version";
        assert_eq!(names("License: GPL-2+\nThis is under GPL version 2."), ["GPL-2.0-or-later"]);
        assert!(names(text).len() == 1, "{:?}", names(text));
    }

    #[test]
    fn no_licence_and_foreign_bytes() {
        for text in ["", "\u{feff}", "Dear diary,\n today I ate.", "\0\u{1}\u{1b}[31m", "License:"]
        {
            assert_eq!(names(text), Vec::<String>::new(), "{text:?}");
        }
    }
}
