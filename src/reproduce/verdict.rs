//! The verdicts, from the weakest to the strongest.

use serde::{Deserialize, Serialize};

use super::agreement::Agreement;
use super::tensors::WeightsFacts;
use crate::package::manifest::Reproducibility;

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
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The distances that a manifest promises.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tolerance {
    /// The largest absolute difference of two elements.
    pub max_abs: Option<f64>,
    /// The smallest cosine of two tensors.
    pub min_cosine: Option<f64>,
    /// The smallest share of a probe's predictions that is the same.
    pub min_agreement: Option<f64>,
}

impl From<&Reproducibility> for Tolerance {
    fn from(contract: &Reproducibility) -> Self {
        let Reproducibility { max_abs, min_cosine, min_agreement, .. } = *contract;
        Self { max_abs, min_cosine, min_agreement }
    }
}

impl Tolerance {
    /// Whether predictions agree as is promised; where nothing is, all of them must.
    #[must_use]
    pub fn agrees(&self, found: &Agreement) -> bool {
        found.first == found.second && found.agreement >= self.min_agreement.unwrap_or(1.0)
    }

    /// Whether weights that differ are within the tolerance. Where nothing is promised nothing is
    /// within it, and neither is what could not be measured.
    pub(super) fn holds(&self, facts: &WeightsFacts) -> bool {
        let promised = self.max_abs.is_some() || self.min_cosine.is_some();
        let measured = facts.is_comparable() && facts.unmeasured == 0 && facts.odd_changed == 0;
        let below = |limit: f64| facts.max_abs.is_some_and(|found| found <= limit);
        let above = |limit: f64| facts.min_cosine.is_some_and(|found| found >= limit);
        promised && measured && self.max_abs.is_none_or(below) && self.min_cosine.is_none_or(above)
    }
}
