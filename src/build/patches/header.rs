//! What a patch says of itself: the fields of DEP-3, and its kind.

use std::fmt::Write as _;

use crate::explain::nearest;

/// What a patch changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchKind {
    /// Programs.
    Code,
    /// Settings of the training.
    Config,
    /// Data in the tree.
    Data,
    /// How text becomes tokens.
    Tokenizer,
    /// The shape of the model.
    Architecture,
}

impl PatchKind {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Code, Self::Config, Self::Data, Self::Tokenizer, Self::Architecture];

    /// The word that patches use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Config => "config",
            Self::Data => "data",
            Self::Tokenizer => "tokenizer",
            Self::Architecture => "architecture",
        }
    }

    /// The kind that a word names.
    ///
    /// # Errors
    /// What is wrong with the word, with the nearest that is known.
    pub fn from_word(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.iter().map(|kind| kind.as_str());
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| match nearest(word, words()) {
            Some(near) => format!("there is no kind {word:?}; did you mean {near}?"),
            None => {
                format!(
                    "there is no kind {word:?}: it is one of {}",
                    words().collect::<Vec<_>>().join(", ")
                )
            }
        })
    }
}

/// Whether a patch was sent to those whose tree it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Forwarded {
    /// Not yet, or not known.
    #[default]
    No,
    /// There is nobody whom it concerns.
    NotNeeded,
    /// It was sent, and can be read here.
    At(String),
}

impl Forwarded {
    /// The words of the field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::No => "no",
            Self::NotNeeded => "not-needed",
            Self::At(place) => place,
        }
    }

    /// What the words of the field say.
    #[must_use]
    pub fn from_words(words: &str) -> Self {
        match words {
            "no" | "" => Self::No,
            "not-needed" => Self::NotNeeded,
            place => Self::At(place.to_owned()),
        }
    }
}

/// The fields at the top of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// What it does and why; the first line is a summary.
    pub description: String,
    /// What it changes, where it says so.
    pub kind: Option<PatchKind>,
    /// Who wrote it.
    pub author: Option<String>,
    /// When it last changed, as it is written: `2026-11-26`.
    pub date: Option<String>,
    /// Whether it was sent on.
    pub forwarded: Forwarded,
}

impl Header {
    /// The first line of the description.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.description.lines().next().unwrap_or_default()
    }

    /// Reads the lines above the first diff. Fields that are not known count for nothing, as does
    /// text that is no field.
    ///
    /// # Errors
    /// The line, from 0, and what is wrong with it.
    pub(super) fn parse(lines: &[&str]) -> Result<Self, (usize, String)> {
        let mut header = Self::default();
        let mut last = String::new();
        for (place, line) in lines.iter().enumerate() {
            if line.trim_end() == "---" {
                break;
            }
            if let Some(more) = line.strip_prefix([' ', '\t']) {
                if last == "description" {
                    header.description.push('\n');
                    // DEP-3 writes an empty line as a dot.
                    header.description.push_str(if more.trim() == "." { "" } else { more });
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim().to_lowercase(), value.trim());
            match name.as_str() {
                "description" | "subject" => value.clone_into(&mut header.description),
                "kind" => {
                    let kind = PatchKind::from_word(value).map_err(|why| (place, why))?;
                    header.kind = Some(kind);
                }
                "author" | "from" => header.author = Some(value.to_owned()),
                "last-update" | "date" => header.date = Some(value.to_owned()),
                "forwarded" => header.forwarded = Forwarded::from_words(value),
                _ => {}
            }
            last = if name == "subject" { "description".to_owned() } else { name };
        }
        Ok(header)
    }

    /// The fields as they stand at the top of a patch.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (place, line) in self.description.lines().enumerate() {
            let line = line.trim_end();
            let _ = match (place, line) {
                (0, line) => writeln!(text, "Description: {line}"),
                (_, "") => writeln!(text, " ."),
                (_, line) => writeln!(text, " {line}"),
            };
        }
        if let Some(kind) = self.kind {
            let _ = writeln!(text, "Kind: {}", kind.as_str());
        }
        if let Some(author) = &self.author {
            let _ = writeln!(text, "Author: {author}");
        }
        if let Some(date) = &self.date {
            let _ = writeln!(text, "Last-Update: {date}");
        }
        let _ = writeln!(text, "Forwarded: {}\n---", self.forwarded.as_str());
        text
    }
}
