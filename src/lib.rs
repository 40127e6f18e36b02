//! mpkg packs, builds, compares, installs and studies open AI models from their source.
//!
//! # Bird's view
//!
//! A *source tree* (a folder with an `mpkg.toml`) is built into *binary packages* by the steps of
//! its recipe, in a sandbox without network, from data references and dependencies that are known
//! by digest. Source and binary packages are `.mpkg` files, signed, published into a *registry* of
//! static files, and installed from there into a content-addressed *store*.
//!
//! # Layers
//!
//! A module uses only what stands below it; `tests/cli/architecture.rs` holds the arrows.
//!
//! ```text
//! main
//! cli            flags, terminal, exit codes; one file a command
//! ops            one file a use case: plain options in, plain results out
//! resolve  registry  build  reproduce  study
//! store          what lies on this machine
//! archive  net   the container; the only HTTP client
//! formats  crypto  fs
//! package  progress  explain
//! ```
//!
//! # Invariants
//!
//! - Nothing below [`cli`] prints, reads an environment variable or asks for the time of day.
//! - Nothing outside [`fs`] writes below the home folder without going through it: a file is
//!   whole under its final name or it is not there.
//! - Nothing outside [`net`] opens a connection.
//! - Bytes that came from elsewhere meet a digest or a limit before they meet a parser.
//! - `store` never touches the network; `resolve` reads nothing but what it is handed.
//!
//! # Which file on disk belongs to whom
//!
//! | on disk | module |
//! |---|---|
//! | `mpkg.toml`, `mpkg.lock` | [`package`] |
//! | `*.mpkg` | [`archive`] |
//! | `*.mpkg.dsse.json`, `HOME/keys/` | [`crypto`] |
//! | `HOME/cache/` | [`net`] (data), [`build`] (environments, steps), [`ops`] (unpacked packages), [`study`] (indexes of text) |
//! | `HOME/store/`, `HOME/profiles/`, `HOME/lock` | [`store`] |
//! | `HOME/registries.toml`, `HOME/policy.toml` | [`registry`] |
//! | `HOME/trust/` | [`registry`] (publishers of packages), [`crypto`] (other keys) |
//! | a registry's `index/`, `blobs/`, `attestations/` | [`registry`] |
//! | `dist/` in a source tree | [`build`] |

pub mod archive;
pub mod build;
pub mod cli;
pub mod crypto;
pub mod explain;
pub mod formats;
pub mod fs;
pub mod net;
pub mod ops;
pub mod package;
pub mod progress;
pub mod registry;
pub mod reproduce;
pub mod resolve;
pub mod store;
pub mod study;
