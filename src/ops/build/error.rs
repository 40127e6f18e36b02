//! What can fail in `mpkg build` and `mpkg test`.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::ops::{catalogue, released};
use crate::package::{InvalidLock, PartName, VariantName};
use crate::{archive, build, crypto, fs, reproduce};

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// There is no tree, or it is not sound.
    #[error(transparent)]
    Tree(Box<build::tree::TreeError>),
    /// The tree cannot be made into a source package.
    #[error(transparent)]
    Source(Box<build::source::SourceError>),
    /// A step, a test or packing failed.
    #[error(transparent)]
    Build(Box<build::Error>),
    /// A package is not sound or cannot be written.
    #[error(transparent)]
    Archive(Box<archive::Error>),
    /// Data cannot be had.
    #[error(transparent)]
    Data(Box<build::data::Error>),
    /// Something cannot be written as canonical JSON.
    #[error(transparent)]
    Canonical(Box<crypto::canonical::Error>),
    /// Dependencies cannot be resolved, believed or fetched.
    #[error(transparent)]
    Catalogue(Box<catalogue::Error>),
    /// The environment cannot be made ready.
    #[error(transparent)]
    Environment(Box<build::environment::Error>),
    /// The sandbox cannot be made.
    #[error(transparent)]
    Sandbox(Box<build::sandbox::Error>),
    /// A binary package where a source package is needed.
    #[error("{} is a binary package, and a build starts from a source package", path.display())]
    NotASource {
        /// The file.
        path: PathBuf,
    },
    /// The lock file cannot be read.
    #[error("{} cannot be used", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidLock,
    },
    /// `--locked`, and the lock file would change.
    #[error("{} would change: {why}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What is missing or differs.
        why: String,
    },
    /// No source package answers a wish.
    #[error("there is no source package of {wish}")]
    NoSource {
        /// What was looked for.
        wish: String,
        /// The versions that there are.
        exists: Vec<String>,
    },
    /// A pinned package that nobody has.
    #[error("nobody has {package}, which mpkg.lock pins")]
    Gone {
        /// Its name, version and digest.
        package: String,
    },
    /// Two different packages of one name among those named by `--with`.
    #[error("--with names two packages that are {name}: {} and {}", one.display(), other.display())]
    Ambiguous {
        /// The name, version and variant.
        name: String,
        /// One file.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A build that repeats another has other inputs.
    #[error("{} does not give the inputs that are recorded: {} differ", tree.display(), keys.join(", "))]
    OtherInputs {
        /// The tree.
        tree: PathBuf,
        /// The keys of `.mpkg/inputs.json` that differ.
        keys: Vec<String>,
    },
    /// Two builds in a row are less alike than is promised.
    #[error("two builds in a row made two {variant}: {}", files.join("; "))]
    NotAlike {
        /// The variant.
        variant: VariantName,
        /// What is promised.
        level: &'static str,
        /// What differs, in words.
        files: Vec<String>,
        /// The first step that left other bytes.
        step: Option<String>,
        /// All that was measured.
        facts: serde_json::Value,
    },
    /// Two builds in a row went different ways, which a promise of the same bytes excludes.
    #[error("two builds in a row made two checkpoints {number} of the step \"{step}\"")]
    CheckpointsNotAlike {
        /// The step.
        step: PartName,
        /// The number of the first that differs, from 1.
        number: usize,
    },
    /// The packages of two builds cannot be compared.
    #[error(transparent)]
    Compare(#[from] reproduce::Error),
    /// A package cannot be unpacked to be compared.
    #[error(transparent)]
    Released(#[from] released::Error),
    /// A package of another tree.
    #[error("{} is {found}, and the tree makes {expected}", path.display())]
    OtherPackage {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// The tree's package.
        expected: String,
    },
    /// There is no package to test.
    #[error("there is no package of {name} in {}", folder.display())]
    NothingBuilt {
        /// The package's name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
}

macro_rules! boxed {
    ($($variant:ident: $error:ty,)*) => {$(
        impl From<$error> for BuildError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        }
    )*};
}

boxed! {
    Tree: build::tree::TreeError,
    Source: build::source::SourceError,
    Build: build::Error,
    Archive: archive::Error,
    Data: build::data::Error,
    Canonical: crypto::canonical::Error,
    Catalogue: catalogue::Error,
    Environment: build::environment::Error,
    Sandbox: build::sandbox::Error,
}

macro_rules! inner {
    ($self:ident, $method:ident, $other:expr) => {
        match $self {
            Self::File(error) => error.$method(),
            Self::Tree(error) => error.$method(),
            Self::Source(error) => error.$method(),
            Self::Build(error) => error.$method(),
            Self::Archive(error) => error.$method(),
            Self::Data(error) => error.$method(),
            Self::Canonical(error) => error.$method(),
            Self::Catalogue(error) => error.$method(),
            Self::Environment(error) => error.$method(),
            Self::Sandbox(error) => error.$method(),
            Self::Compare(error) => error.$method(),
            Self::Released(error) => error.$method(),
            _ => $other,
        }
    };
}

impl Explain for BuildError {
    fn kind(&self) -> &'static str {
        let own = match self {
            Self::NotASource { .. } => "not-a-source",
            Self::Lock { .. } => "lock-file",
            Self::Locked { .. } => "locked",
            Self::Ambiguous { .. } => "ambiguous",
            Self::OtherInputs { .. } => "other-inputs",
            Self::NotAlike { .. } | Self::CheckpointsNotAlike { .. } => "not-alike",
            Self::OtherPackage { .. } => "other-package",
            Self::NothingBuilt { .. } => "nothing-built",
            _ => "no-such-package",
        };
        inner!(self, kind, own)
    }

    fn hint(&self) -> Option<String> {
        let own = match self {
            Self::NotASource { .. } => Some(
                "build the file that ends in .src.mpkg, or test this one with `mpkg test`"
                    .to_owned(),
            ),
            Self::Lock { .. } => Some("remove it, and the next build writes it anew".to_owned()),
            Self::Locked { .. } => {
                Some("without --locked the build brings the lock file up to date".to_owned())
            }
            Self::NoSource { exists, .. } if exists.is_empty() => {
                Some("its registries have only binary packages of it".to_owned())
            }
            Self::NoSource { exists, .. } => Some(format!("there is {}", exists.join(", "))),
            Self::Gone { .. } => Some(
                "name a registry that has it with --registry, or its file with --with".to_owned(),
            ),
            Self::CheckpointsNotAlike { .. } => Some(
                "nobody could check a part of this training: a checkpoint holds nothing that changes from run to run"
                    .to_owned(),
            ),
            Self::NotAlike { level, step, .. } => Some(unlike(level, step.as_deref())),
            Self::NothingBuilt { .. } => Some("`mpkg build` makes it".to_owned()),
            _ => None,
        };
        inner!(self, hint, own)
    }

    fn rendered(&self) -> Option<String> {
        inner!(self, rendered, None)
    }

    fn details(&self) -> Option<serde_json::Value> {
        let own = match self {
            Self::NotAlike { facts, .. } => Some(facts.clone()),
            _ => None,
        };
        inner!(self, details, own)
    }
}

/// What helps where two builds differ: where to look, and what else can be promised.
fn unlike(level: &str, step: Option<&str>) -> String {
    let look = match step {
        Some(step) => format!(
            "the step {step} is the first that left other bytes: look for time, randomness without a seed, threads, or the order of files"
        ),
        None => "every step left the same bytes".to_owned(),
    };
    format!("{look}; or promise less than level = \"{level}\" in [reproducibility]")
}
