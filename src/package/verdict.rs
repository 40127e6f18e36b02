//! The verdicts on a rebuild, from the weakest to the strongest.

use serde::{Deserialize, Serialize};

/// How alike two things are: the strongest that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// None of the others.
    Different,
    /// They differ by more than is promised, and every test still holds, and every probe agrees.
    EqualBehaviour,
    /// Every tensor is within the distances that the manifest promises.
    WithinTolerance,
    /// Every tensor has the same name, type, shape and bytes.
    EqualTensors,
    /// The same bytes.
    Identical,
}

impl Verdict {
    /// Every verdict, the weakest first.
    pub const ALL: &[Self] = &[
        Self::Different,
        Self::EqualBehaviour,
        Self::WithinTolerance,
        Self::EqualTensors,
        Self::Identical,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::EqualBehaviour => "equal-behaviour",
            Self::WithinTolerance => "within-tolerance",
            Self::EqualTensors => "equal-tensors",
            Self::Identical => "identical",
        }
    }

    /// The verdict with that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verdict| verdict.as_str() == word)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
