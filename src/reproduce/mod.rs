//! Comparing what was built with what was released, and grading it (spec/attestation.md).

mod agreement;
mod compare;
mod contents;
mod distance;
mod element;
mod error;
mod lanes;
mod quants;
mod shards;
mod tensors;
mod tolerance;
mod weights;

pub use crate::package::Verdict;
pub use agreement::{Agreement, agreement};
pub use contents::{Comparison, FileFacts, Found, Side, compare_contents, compare_files};
pub use error::{Error, Result};
pub use tensors::{TensorFacts, Unlike, WeightsFacts};
pub use tolerance::Tolerance;
pub use weights::{Weights, compare_weights};
