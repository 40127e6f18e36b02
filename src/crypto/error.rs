//! What can fail with keys and signatures.

use std::path::PathBuf;

use super::{KeyId, canonical};
use crate::explain::{Explain, printable};
use crate::package::Digest;

/// A failure with a key or a signature.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
    /// JSON that is refused.
    #[error("{what} is not well-formed")]
    Json {
        /// What the JSON should be, as in `the envelope`.
        what: &'static str,
        /// Why it is refused.
        source: canonical::Error,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes for a new key")]
    Random(#[source] getrandom::Error),
    /// A public key that is no point on the curve, or one for which anybody can sign.
    #[error("the public key {0} is not safe: {1}")]
    UnsafeKey(String, &'static str),
    /// A key object of another type.
    #[error("{} keys are not supported, only ed25519 ones", printable(.0))]
    KeyType(String),
    /// A name that no key can have.
    #[error("{0:?} is not a name for a key: 1 to 64 lower-case letters, digits, '-' and '_'")]
    KeyName(String),
    /// A name that a key has already.
    #[error("there is a key named {name} already, in {}", path.display())]
    NameTaken {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// A name that no key has.
    #[error("there is no key named {name} in {}", folder.display())]
    NoSuchKey {
        /// The name that was asked for.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// The names that exist.
        known: Vec<String>,
    },
    /// No key was named, and there is not exactly one.
    #[error("{} keys are in {}; one has to be named", known.len(), folder.display())]
    WhichKey {
        /// Where the keys are.
        folder: PathBuf,
        /// Their names.
        known: Vec<String>,
    },
    /// A private key that others may read.
    #[error("the private key {} has mode {mode:04o}; others may read it", path.display())]
    OpenMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is no key.
    #[error("{what} is not a key that mpkg reads: {why}")]
    NotAKey {
        /// The file, as people know it.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key file with a passphrase, and none was given.
    #[error("the private key {0} is encrypted, and no passphrase was given")]
    PassphraseNeeded(String),
    /// A passphrase that does not open the key.
    #[error("the passphrase does not open the private key {0}")]
    WrongPassphrase(String),
    /// The public half beside a private key belongs to another one.
    #[error("{} is not the public half of the key beside it", .0.display())]
    Halves(PathBuf),
    /// An envelope that is not as DSSE and mpkg's narrower rules want it.
    #[error("the envelope is not well-formed: {0}")]
    Envelope(String),
    /// An envelope around something else than a statement.
    #[error("the envelope holds \"{}\", not a statement (\"{}\")", printable(.0), super::STATEMENT_TYPE)]
    PayloadType(String),
    /// A signature by a trusted key that does not fit the payload.
    #[error("the signature by key {0} does not fit what it signs")]
    BadSignature(KeyId),
    /// Too few signatures by distinct trusted keys.
    #[error("{found} of {needed} signatures by trusted keys were found; signed by {}", list(.signed_by))]
    TooFewSignatures {
        /// How many keys must have signed.
        needed: usize,
        /// How many distinct trusted keys did.
        found: usize,
        /// The key ids that the envelope claims, trusted or not.
        signed_by: Vec<String>,
    },
    /// A statement whose contents are not as they should be.
    #[error("the signed statement is not well-formed: {0}")]
    Statement(String),
    /// A statement about something else.
    #[error("the signed statement is about another {what}: it names {}, this is {found}", list(.stated))]
    OtherSubject {
        /// `package` or `file`.
        what: &'static str,
        /// The digests that it names.
        stated: Vec<String>,
        /// The digest of what lies here.
        found: Digest,
    },
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn list(words: &[String]) -> String {
    if words.is_empty() {
        return "nobody".to_owned();
    }
    printable(&words.join(", "))
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Json { source, .. } => source.kind(),
            Self::Random(_) => "no-random-bytes",
            Self::UnsafeKey(..) => "unsafe-key",
            Self::KeyType(_) => "unsupported-key",
            Self::KeyName(_) => "invalid-key-name",
            Self::NameTaken { .. } => "key-exists",
            Self::NoSuchKey { .. } => "no-such-key",
            Self::WhichKey { .. } => "which-key",
            Self::OpenMode { .. } => "open-key-mode",
            Self::NotAKey { .. } => "not-a-key",
            Self::PassphraseNeeded(_) => "passphrase-needed",
            Self::WrongPassphrase(_) => "wrong-passphrase",
            Self::Halves(_) => "key-halves-differ",
            Self::Envelope(_) => "bad-envelope",
            Self::PayloadType(_) => "wrong-payload-type",
            Self::BadSignature(_) => "bad-signature",
            Self::TooFewSignatures { .. } => "too-few-signatures",
            Self::Statement(_) => "bad-statement",
            Self::OtherSubject { .. } => "other-subject",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NameTaken { .. } => {
                Some("choose another name; keys are never replaced".to_owned())
            }
            Self::NoSuchKey { name, known, .. } => {
                match crate::explain::nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => Some(format!("did you mean {near}?")),
                    None if known.is_empty() => {
                        Some(format!("make one with `mpkg key new {name}`"))
                    }
                    None => Some(format!("the keys are {}", known.join(", "))),
                }
            }
            Self::WhichKey { known, .. } if known.is_empty() => {
                Some("make one with `mpkg key new NAME`".to_owned())
            }
            Self::WhichKey { known, .. } => {
                Some(format!("name one with --key: {}", known.join(", ")))
            }
            Self::OpenMode { path, .. } => Some(format!("run `chmod 600 {}`", path.display())),
            Self::PassphraseNeeded(_) => {
                Some("give it with --passphrase-file FILE or $MPKG_PASSPHRASE".to_owned())
            }
            Self::TooFewSignatures { .. } => Some(
                "import a publisher's public key that you trust with `mpkg key import FILE`"
                    .to_owned(),
            ),
            Self::BadSignature(_) => {
                Some("it was changed after it was signed: fetch it again".to_owned())
            }
            _ => None,
        }
    }
}
