//! What can fail between a registry and us.

use std::path::PathBuf;

use super::tuf;
use crate::crypto::{self, KeyId, canonical};
use crate::explain::Explain;
use crate::package::{Digest, PackageName, RegistryName};
use crate::{archive, fs, net};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed action on a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// Something could not be fetched.
    #[error(transparent)]
    Net(Box<net::Error>),
    /// A server could not be started.
    #[error(transparent)]
    Serve(#[from] net::serve::Error),
    /// A package is not what it should be.
    #[error("{} is refused", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: archive::Error,
    },
    /// A folder or address is no registry.
    #[error("{location} is not a registry")]
    NotARegistry {
        /// The folder or address.
        location: String,
    },
    /// A registry of a later format.
    #[error(
        "{location} has registry format {found}; this mpkg knows format {}",
        super::INDEX_FORMAT
    )]
    Format {
        /// The registry.
        location: String,
        /// Its format.
        found: u32,
    },
    /// A file of the registry cannot be read.
    #[error("{file} of the registry {location} cannot be believed")]
    Malformed {
        /// The registry.
        location: String,
        /// The file in it.
        file: String,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// The signed metadata of a registry is not believed.
    #[error("the registry {location} is not believed")]
    Metadata {
        /// The registry.
        location: String,
        /// Why.
        #[source]
        source: Box<tuf::Error>,
    },
    /// A registry vouches for a file that is not there: as in a copy of a part.
    #[error("the registry {location} vouches for {file} and does not carry it")]
    NotCarried {
        /// The registry.
        location: String,
        /// The file in it, or the package.
        file: String,
    },
    /// A registry cannot be reached.
    #[error("the registry {title} cannot be reached")]
    Unreachable {
        /// Its name, where it is configured, else its address.
        title: String,
        /// Why.
        #[source]
        source: Box<net::Error>,
    },
    /// Nobody said why a registry should be believed.
    #[error("the registry {location} is not trusted on this machine")]
    Untrusted {
        /// The registry.
        location: String,
        /// Its name, where it is configured.
        name: Option<RegistryName>,
    },
    /// A file of the registry contradicts itself.
    #[error("{file} of the registry {location} cannot be believed: {why}")]
    Contradiction {
        /// The registry.
        location: String,
        /// The file in it.
        file: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A file has other bytes than the index says.
    #[error(
        "{file} of the registry {location} has the wrong digest: expected {expected}, found {found}"
    )]
    WrongDigest {
        /// The registry.
        location: String,
        /// The file in it.
        file: String,
        /// What the index says.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// The network may not be used, and no copy of a file is at hand.
    #[error(
        "{file} of the registry {location} is needed, and there is no copy of it to use offline"
    )]
    NoCopy {
        /// The registry.
        location: String,
        /// The file in it.
        file: String,
    },
    /// A package has no signature of the right keys.
    #[error("the signature of {release} is refused (publisher keys: {})", ids(expected))]
    Signature {
        /// The package.
        release: String,
        /// The keys that may sign it.
        expected: Vec<KeyId>,
        /// Why.
        #[source]
        source: Box<crypto::Error>,
    },
    /// A package stands alone.
    #[error("{} is not signed: {} is not there", path.display(), envelope.display())]
    Unsigned {
        /// The package.
        path: PathBuf,
        /// Where its signatures would be.
        envelope: PathBuf,
    },
    /// A registry lists a release without signatures.
    #[error("{release} of the registry {location} is not signed")]
    UnsignedRelease {
        /// The release.
        release: String,
        /// The registry.
        location: String,
    },
    /// Someone else publishes this name.
    #[error(
        "{name} is published by {}; the package is signed by {}",
        ids(expected),
        signers(found)
    )]
    OtherPublisher {
        /// The name.
        name: PackageName,
        /// The keys that may publish it.
        expected: Vec<KeyId>,
        /// The key ids that the signatures claim.
        found: Vec<String>,
    },
    /// A registry names other publishers than it did before.
    #[error(
        "the publisher of {name} has changed: this machine knows {}, the registry {location} now says {}",
        ids(known),
        ids(found)
    )]
    PublisherChanged {
        /// The name.
        name: PackageName,
        /// The registry.
        location: String,
        /// The keys that this machine remembers.
        known: Box<[KeyId]>,
        /// The keys that the registry names.
        found: Box<[KeyId]>,
        /// Where they are remembered.
        path: PathBuf,
    },
    /// Nobody here knows the key of a package.
    #[error("no key on this machine made the signature of {} (it claims {})", path.display(), signers(found))]
    UnknownSigner {
        /// The package.
        path: PathBuf,
        /// The key ids that the signatures claim.
        found: Vec<String>,
    },
    /// The release exists with other contents.
    #[error("{release} is published already with package digest {published}; {} has {found}", path.display())]
    Immutable {
        /// The release.
        release: String,
        /// The file.
        path: PathBuf,
        /// The digest in the registry.
        published: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// A binary package without its source.
    #[error(
        "{release} names the source package {source_digest}, which is neither in the registry nor among the files"
    )]
    SourceMissing {
        /// The binary package.
        release: String,
        /// The package digest of its source.
        source_digest: Digest,
    },
    /// The source that a binary package names is of something else.
    #[error("{release} names a source package that is {found}")]
    OtherSource {
        /// The binary package.
        release: String,
        /// What the source is.
        found: String,
    },
    /// A folder for a new registry has other things in it.
    #[error("{} is not empty and no registry", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// One writes only into folders.
    #[error("{location} is not a folder: one can publish only into a folder")]
    NotAFolder {
        /// The address.
        location: String,
    },
    /// What is remembered about a name cannot be read.
    #[error("{} is damaged", path.display())]
    Remembered {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// Words that canonical JSON has no form for.
    #[error("{release} cannot be listed")]
    Unlistable {
        /// The package.
        release: String,
        /// Why.
        #[source]
        source: canonical::Error,
    },
}

impl Error {
    /// What is wrong with the metadata of the registry at `address`.
    #[must_use]
    pub fn metadata(address: &net::Address, error: tuf::Error) -> Self {
        let location = || address.to_string();
        match error {
            tuf::Error::File(error) => Self::File(error),
            tuf::Error::Net(error) => Self::reaching(&location(), error),
            tuf::Error::NoFirstRoot => Self::NotARegistry { location: location() },
            tuf::Error::NoRoot(_) => Self::Untrusted { location: location(), name: None },
            // The timestamp and the snapshot stand in every copy.
            tuf::Error::Missing(file) if !is_in_every_copy(&file) => {
                Self::NotCarried { location: location(), file: crate::explain::printable(&file) }
            }
            error => Self::Metadata { location: location(), source: Box::new(error) },
        }
    }

    /// What failed on the way to the registry that is called `title`.
    fn reaching(title: &str, error: Box<net::Error>) -> Self {
        match *error {
            net::Error::Unreachable { .. } => {
                Self::Unreachable { title: title.to_owned(), source: error }
            }
            _ => Self::Net(error),
        }
    }

    /// The same, of a registry that is called `title`.
    #[must_use]
    pub fn called(self, title: &str) -> Self {
        match self {
            Self::Unreachable { source, .. } => {
                Self::Unreachable { title: title.to_owned(), source }
            }
            other => other,
        }
    }
}

/// Whether a copy of a part of a registry has this file as well.
fn is_in_every_copy(file: &str) -> bool {
    ["timestamp.json", "snapshot.json", "targets.json"].iter().any(|end| file.ends_with(end))
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        Self::Net(Box::new(error))
    }
}

fn ids(keys: &[KeyId]) -> String {
    let words: Vec<String> = keys.iter().map(ToString::to_string).collect();
    if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
}

fn signers(claimed: &[String]) -> String {
    let words: Vec<String> = claimed.iter().map(|word| crate::explain::printable(word)).collect();
    if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Serve(error) => error.kind(),
            Self::Package { source, .. } => source.kind(),
            Self::NotARegistry { .. } => "not-a-registry",
            Self::NotCarried { .. } => "not-carried",
            Self::Unreachable { source, .. } => source.kind(),
            Self::Format { .. } => "registry-format",
            Self::Metadata { source, .. } => source.kind(),
            Self::Untrusted { .. } => "registry-untrusted",
            Self::Malformed { .. } | Self::Contradiction { .. } => "bad-index",
            Self::WrongDigest { .. } => "wrong-digest",
            Self::NoCopy { .. } => "offline",
            Self::Signature { .. } => "bad-signature",
            Self::Unsigned { .. } | Self::UnsignedRelease { .. } => "unsigned",
            Self::OtherPublisher { .. } => "other-publisher",
            Self::PublisherChanged { .. } => "publisher-changed",
            Self::UnknownSigner { .. } => "unknown-signer",
            Self::Immutable { .. } => "release-exists",
            Self::SourceMissing { .. } => "source-missing",
            Self::OtherSource { .. } => "other-source",
            Self::NotEmpty { .. } => "not-empty",
            Self::NotAFolder { .. } => "not-a-folder",
            Self::Remembered { .. } => "damaged-trust",
            Self::Unlistable { .. } => "unlistable",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Serve(error) => error.hint(),
            Self::Package { source, .. } => source.hint(),
            Self::NotARegistry { .. } => {
                Some("`mpkg publish --create` begins a registry in an empty folder".to_owned())
            }
            Self::Metadata { source, .. } => source.hint(),
            Self::NotCarried { .. } => Some(
                "it may be a copy of a part: ask the registry that it was copied from as well, with \
                 --registry, or have it mirrored too"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => Some(
                "go on with what is on this machine, with --offline, or ask other registries, \
                 with --registry"
                    .to_owned(),
            ),
            Self::Untrusted { location, name } => {
                let named = name.as_ref().map(|name| format!(" --name {name}"));
                Some(format!(
                    "ask its operator for the digest of its root, then: mpkg registry add \
                     {location}{} --root-sha256 HEX; or believe it as it is, with --tofu",
                    named.unwrap_or_default()
                ))
            }
            Self::Format { .. } => Some("a newer mpkg is needed".to_owned()),
            Self::WrongDigest { .. } | Self::Malformed { .. } | Self::Contradiction { .. } => {
                Some("the copy may be broken; ask another mirror of the registry".to_owned())
            }
            Self::NoCopy { .. } => Some("repeat it once without --offline".to_owned()),
            Self::Signature { .. } => {
                Some("do not install it; tell the registry's operator".to_owned())
            }
            Self::Unsigned { path, .. } => {
                Some(format!("sign it with: mpkg sign {}", path.display()))
            }
            Self::OtherPublisher { .. } => {
                Some("sign with the publisher's key, or choose another name".to_owned())
            }
            Self::PublisherChanged { path, .. } => Some(format!(
                "if the publisher confirms the new key elsewhere, remove {}",
                path.display()
            )),
            Self::UnknownSigner { .. } => {
                Some("take in the publisher's public key with: mpkg key import FILE".to_owned())
            }
            Self::Immutable { .. } => Some(
                "give the new contents a new version, or a packaging revision such as +1"
                    .to_owned(),
            ),
            Self::SourceMissing { .. } => {
                Some("name the .src.mpkg file beside it in the same command".to_owned())
            }
            Self::NotEmpty { .. } => {
                Some("name an empty folder, or one that is to be made".to_owned())
            }
            _ => None,
        }
    }
}
