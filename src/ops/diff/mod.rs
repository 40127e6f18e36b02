//! Compares two packages, or two files of weights.

mod code;
mod error;
mod layers;
mod page;

use std::path::{Path, PathBuf};

use super::build::Setting;
use super::catalogue::open;
use super::rebuild::source_of;
use super::released::{self, Operand, Released, Unpacked, released};
use crate::package::{Digest, PackageType, Release};
use crate::reproduce::{
    Comparison, Tolerance, Verdict, Weights, WeightsFacts, compare_contents, compare_weights,
};

pub use code::CodeChange;
pub use error::Error;
pub use layers::{Change, DataDifference};

/// What two things have in common and what not.
#[derive(Debug)]
pub enum Difference {
    /// Of two packages.
    Packages(Box<PackageDifference>),
    /// Of two files of weights.
    Weights {
        /// How alike they are.
        verdict: Verdict,
        /// What was measured.
        facts: Box<WeightsFacts>,
    },
}

/// What two packages have in common and what not.
#[derive(Debug)]
pub struct PackageDifference {
    /// The first.
    pub first: Named,
    /// The second.
    pub second: Named,
    /// Keys of the manifest with other values.
    pub manifest: Vec<Change>,
    /// What differs in the data.
    pub data: DataDifference,
    /// Files of the sources that differ; none where one source is not to be had.
    pub code: Option<Vec<CodeChange>>,
    /// Packages and wheels that are locked otherwise, where both sources are at hand.
    pub environment: Vec<Change>,
    /// Their contents.
    pub contents: Comparison,
    /// Test results that differ, where both build records are known.
    pub tests: Vec<Change>,
}

/// One of two packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub digest: Digest,
}

impl Difference {
    /// How alike they are.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Packages(difference) => difference.contents.verdict,
            Self::Weights { verdict, .. } => *verdict,
        }
    }
}

/// Compares what `first` and `second` name.
///
/// # Errors
/// When one cannot be had or read, or they are no two things of one kind.
pub fn diff(first: &Operand, second: &Operand, setting: &Setting<'_>) -> Result<Difference, Error> {
    if let (Some(one), Some(other)) = (weights(first), weights(second)) {
        return weights_difference(one, other, setting);
    }
    if let Some(path) = weights(first).or_else(|| weights(second)) {
        return Err(Error::NoPair { path: path.to_owned() });
    }
    let Released { package: first, record: before, .. } = released(first, setting)?;
    let Released { package: second, record: after, .. } = released(second, setting)?;
    let (one, other) = (first.index(), second.index());
    if (one.package_type, one.kind) != (other.package_type, other.kind) {
        return Err(Error::Kinds {
            first: first.path().to_owned(),
            second: second.path().to_owned(),
        });
    }
    let (first, second) = (Unpacked::of(first, setting)?, Unpacked::of(second, setting)?);
    let contents =
        compare_contents(first.side(), second.side(), &Tolerance::default(), setting.progress)?;
    let mut difference = PackageDifference {
        first: named(&first),
        second: named(&second),
        manifest: layers::manifest(first.side(), second.side()),
        data: layers::data(first.side(), second.side()),
        code: None,
        environment: Vec::new(),
        contents,
        tests: layers::tests(before.as_ref(), after.as_ref()),
    };
    let withdrawn = layers::withdrawn(first.side(), second.side());
    if let Some((first, second)) = sources(first, second, setting)? {
        difference.data = layers::data(first.side(), second.side());
        difference.code = Some(code::code(first.side(), second.side()));
        difference.environment = layers::environment(first.side(), second.side());
    }
    for (name, (more, less)) in withdrawn {
        difference.data.records_in.insert(name.clone(), more);
        difference.data.records_out.insert(name, less);
    }
    Ok(Difference::Packages(Box::new(difference)))
}

/// The source packages of both, unpacked; none where one is not to be had.
fn sources(
    first: Unpacked,
    second: Unpacked,
    setting: &Setting<'_>,
) -> Result<Option<(Unpacked, Unpacked)>, Error> {
    if first.package().index().package_type == PackageType::Source {
        return Ok(Some((first.patched()?, second.patched()?)));
    }
    let source = |unpacked: &Unpacked| -> Result<Option<Unpacked>, Error> {
        let package = unpacked.package();
        let Some(digest) = package.index().source else { return Ok(None) };
        match source_of(package, digest, None, setting) {
            Ok(path) => {
                let package = open(&path).map_err(released::Error::from)?;
                Ok(Some(Unpacked::of(package, setting)?.patched()?))
            }
            Err(error) => {
                setting.progress.note(&format!("The code is not compared: {error}"));
                Ok(None)
            }
        }
    };
    Ok(source(&first)?.zip(source(&second)?))
}

fn named(unpacked: &Unpacked) -> Named {
    let package = unpacked.package();
    Named { release: package.index().release(), digest: package.package_digest() }
}

/// The path of what is a file of weights by its name.
fn weights(operand: &Operand) -> Option<&Path> {
    match operand {
        Operand::File(path) if path.extension().is_none_or(|end| end != "mpkg") => Some(path),
        _ => None,
    }
}

fn weights_difference(
    first: &Path,
    second: &Path,
    setting: &Setting<'_>,
) -> Result<Difference, Error> {
    let open = |path: &Path| Weights::open(&PathBuf::from(path));
    let (first, second) = (open(first)?, open(second)?);
    let facts = compare_weights(&first, &second, setting.progress)?;
    let verdict = if !facts.has_equal_tensors() || !facts.metadata_describes {
        Verdict::Different
    } else if first.wrapping()? == second.wrapping()? {
        Verdict::Identical
    } else {
        Verdict::EqualTensors
    };
    Ok(Difference::Weights { verdict, facts: Box::new(facts) })
}
