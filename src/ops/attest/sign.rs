//! Signs a statement that was made elsewhere: a predicate of any type, or what another key signed.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{About, Error, attest, put};
use crate::crypto::canonical::{self, Limits};
use crate::crypto::statement::Statement;
use crate::crypto::{self, ENVELOPE_LIMIT, Envelope, SigningKey};
use crate::explain::printable;
use crate::fs::read_to_string;

/// How the predicate types begin whose contents mpkg measures.
const MEASURED: &str = "urn:mpkg:";

/// What is to be said.
#[derive(Debug, Clone)]
pub enum Saying {
    /// A predicate: its type, an address, and the file with the JSON object.
    Predicate {
        /// Its type.
        address: String,
        /// The file.
        file: PathBuf,
    },
    /// The very statement that stands in this envelope, whoever signed it: as when it was made on
    /// a machine that has no key.
    Again(PathBuf),
}

/// Signs `saying` about a package; gives the envelope's path.
///
/// # Errors
/// See [`Error`]; then nothing is written.
pub fn sign(
    about: &About,
    saying: &Saying,
    key: &SigningKey,
    folder: &Path,
    label: &str,
) -> Result<PathBuf, Error> {
    match saying {
        Saying::Predicate { address, .. } if address.starts_with(MEASURED) => {
            Err(Error::Measured { predicate: printable(address) })
        }
        Saying::Predicate { address, file } => {
            let predicate = Value::Object(object(file)?);
            attest(about, (address, predicate), key, folder, label)
        }
        Saying::Again(path) => {
            let text = read_to_string(path, ENVELOPE_LIMIT as u64)?;
            let envelope = Envelope::parse(text.as_bytes())?;
            let statement = Statement::parse(envelope.payload())?;
            if statement.packages() != [about.package] {
                let digests = statement.packages().iter().map(ToString::to_string).collect();
                let digests: Vec<String> = digests;
                let why = format!("it names the package digests [{}]", digests.join(", "));
                let (path, release) = (path.clone(), about.release.to_string());
                return Err(Error::OtherPackage { path, release, why });
            }
            let again = Envelope::sign(envelope.payload().to_vec(), &[key]);
            put(about, &again, folder, label)
        }
    }
}

/// The JSON object in a file.
fn object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = read_to_string(path, ENVELOPE_LIMIT as u64)?;
    canonical::read(text.as_bytes(), Limits::of_bytes(ENVELOPE_LIMIT)).map_err(|source| {
        let source = crypto::Error::Json { what: "the predicate", source };
        Error::Predicate { path: path.to_owned(), source }
    })
}
