//! What the operator of a registry does, one file a use case.

pub mod serve;
