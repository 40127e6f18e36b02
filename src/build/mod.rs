//! From a source tree to packages: recipe, environment, sandbox, steps, build record.

pub mod cache;
pub mod checkpoints;
pub mod checks;
pub mod data;
pub mod dist;
pub mod environment;
mod error;
pub mod executor;
mod ignore;
pub mod inputs;
pub mod local;
pub mod log;
pub mod machine;
pub mod metrics;
pub mod outputs;
pub mod packing;
pub mod patches;
pub mod pristine;
pub mod probes;
pub mod record;
pub mod report;
pub mod sandbox;
pub mod segments;
pub mod source;
pub mod steps;
pub mod surroundings;
pub mod tree;
pub mod variation;
pub mod view;
pub mod work;

pub use error::Error;
