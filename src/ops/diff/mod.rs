//! Compares two packages, or two files of weights.

mod error;

use std::path::{Path, PathBuf};

use super::build::Setting;
use super::released::{Operand, Unpacked, released};
use crate::package::{Digest, Release};
use crate::reproduce::{
    Comparison, Tolerance, Verdict, Weights, WeightsFacts, compare_contents, compare_weights,
};

pub use error::Error;

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
    /// Their contents.
    pub contents: Comparison,
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
    let first = released(first, setting)?.package;
    let second = released(second, setting)?.package;
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
    let (first, second) = (named(&first), named(&second));
    Ok(Difference::Packages(Box::new(PackageDifference { first, second, contents })))
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
