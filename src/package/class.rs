//! The openness classes (spec/facts.md, "Classes").

use serde::{Deserialize, Serialize};

/// Where an archive in the manner of Debian would put a package; the least open first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Its own files are not under a free licence, or nothing is known of it.
    NonFree,
    /// Its files are free; of its training data or code something is missing or not free.
    ToxicCandy,
    /// It is free, and something that it needs to be built is not, or is not known to be there.
    Contrib,
    /// Free in everything.
    Main,
}

impl Class {
    /// Every class, the least open first.
    pub const ALL: &[Self] = &[Self::NonFree, Self::ToxicCandy, Self::Contrib, Self::Main];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonFree => "non-free",
            Self::ToxicCandy => "toxic-candy",
            Self::Contrib => "contrib",
            Self::Main => "main",
        }
    }

    /// The class with that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == word)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
