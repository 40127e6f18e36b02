//! What can be learnt of a model because its source is there (spec/study.md).

pub mod advisories;
pub mod bill;
pub mod class;
mod error;
pub mod facts;
pub mod licences;
pub mod lint;
pub mod trace;

pub use error::{Error, Result};
