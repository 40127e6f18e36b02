//! The tests of mpkg as its users meet it: the real binary, real files, real servers.

#![allow(
    clippy::disallowed_methods,
    reason = "a test writes plain files and looks at its surroundings"
)]
#![allow(clippy::unwrap_used, reason = "what surprises a test ends it")]
#![allow(clippy::needless_raw_string_hashes, reason = "snapbox writes its snapshots with them")]
#![allow(unreachable_pub, reason = "nothing here is seen from outside")]

mod advisories;
mod architecture;
mod attest;
mod bills;
mod build;
mod checkpoints;
mod class;
mod container;
mod data;
mod diff;
mod environment;
mod examples;
mod exclude;
mod export;
mod faults;
mod faults_http;
mod init;
mod install;
mod keys;
mod licenses;
mod lint;
mod loaders;
mod manifest;
mod operator;
mod operator_attestations;
mod operator_mirror;
mod operator_nginx;
mod operator_serve;
mod overfit;
mod packing;
mod patches;
mod pins;
mod policy;
mod policy_rebuilds;
mod probes;
mod profiles;
mod quants;
mod readme;
mod rebuild;
mod rebuild_missing;
mod registries;
mod registry;
mod sandbox;
mod segments;
mod store;
mod support;
mod system;
mod trace;
mod transfer;
mod tree;
mod tuf;
mod vary;
mod weights;
