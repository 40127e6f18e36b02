//! The headers of safetensors and GGUF, and the signs of pickle; pure (spec/container.md,
//! "Weights").

mod dtype;
mod error;
pub mod gguf;
mod inspect;
mod pickle;
pub mod safetensors;

pub use dtype::DType;
pub use error::{Error, Format, Result};
pub use inspect::{Findings, Inspector, LARGEST_HEADER, Tensor, WeightsInfo, check, is_pickle};
pub use pickle::PickleForm;
