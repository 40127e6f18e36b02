//! Keys, signatures, DSSE envelopes, canonical JSON; the only place that names ed25519-dalek.

pub mod canonical;
mod claim;
mod class_claim;
mod envelope;
mod error;
mod foreign;
mod key;
mod keyring;
pub mod oms;
mod p256;
mod p256_secret;
mod package;
mod secret;
pub mod statement;
mod trusted;
mod verifying;

pub use claim::{RebuildClaim, Rebuildable, WHOLE};
pub use class_claim::ClassClaim;
pub use envelope::{ENVELOPE_LIMIT, Envelope, STATEMENT_TYPE, Signature, Unknown, Verified};
pub use error::{Error, Result};
pub use foreign::ForeignKey;
pub use key::{KeyId, PublicKey};
pub use keyring::{KeyName, Keyring, StoredKey};
pub use p256::P256Key;
pub use p256_secret::P256SigningKey;
pub use package::{Subject, VerifiedPackage, envelope_path, sign_package, verify_package};
pub use secret::{Passphrase, SigningKey, draw};
pub use trusted::{NamedKey, PublicKeys};
pub use verifying::VerifyingKey;
