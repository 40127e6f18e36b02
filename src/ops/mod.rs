//! The use cases, one a file: plain options in, plain results out.

pub mod build;
pub mod catalogue;
pub mod diff;
pub mod fetch;
pub mod generations;
pub mod init;
pub mod install;
pub mod key;
pub mod list;
pub mod local;
pub mod pack;
mod provenance;
pub mod publish;
pub mod rebuild;
pub mod registry;
pub mod reinstall;
pub mod released;
pub mod remove;
pub mod said;
pub mod search;
pub mod sign;
pub mod sources;
pub mod test;
pub mod tuf;
pub mod verify;
pub mod verify_installed;
pub mod why;
