//! `mpkg attest`: signs what somebody found out about a package (spec/attestation.md).

mod about;
mod error;
mod sign;
mod tested;

pub use about::About;
pub use error::Error;
pub use sign::{Saying, sign};
pub use tested::{TestOptions, Tested, test, test_result};

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::crypto::statement::Statement;
use crate::crypto::{Envelope, SigningKey, envelope_path};
use crate::fs::write_atomically;

/// Signs `predicate` about a package into `folder`, as `NAME-VERSION.VARIANT.mpkg.LABEL.dsse.json`.
///
/// # Errors
/// [`Error::Crypto`] where the predicate has no canonical form; [`Error::File`].
pub fn attest(
    about: &About,
    (predicate_type, predicate): (&str, Value),
    key: &SigningKey,
    folder: &Path,
    label: &str,
) -> Result<PathBuf, Error> {
    let statement = Statement::new(about.subjects(), predicate_type, predicate);
    let envelope = Envelope::sign(statement.to_payload()?, &[key]);
    put(about, &envelope, folder, label)
}

fn put(about: &About, envelope: &Envelope, folder: &Path, label: &str) -> Result<PathBuf, Error> {
    let name = format!("{}.{label}", about.release.file_name());
    let path = envelope_path(&folder.join(name));
    write_atomically(&path, &envelope.to_bytes())?;
    Ok(path)
}
