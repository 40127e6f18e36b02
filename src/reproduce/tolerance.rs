//! What verdicts are measured by.

use super::agreement::Agreement;
use super::tensors::WeightsFacts;
use crate::package::manifest::Reproducibility;

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
