//! A binary package that somebody names: by its file, or as a release in a registry.

use std::path::PathBuf;

use super::build::Setting;
use super::catalogue::{self, Catalogue, open};
use super::install;
use crate::archive::Package;
use crate::explain::Explain;
use crate::package::{PackageType, PackageVersion, VariantName};
use crate::resolve::Wish;

/// How a package is named.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A file.
    File(PathBuf),
    /// A release in a registry.
    Release(Wish),
}

/// Why a package cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not sound, not signed as it should be, or cannot be fetched.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// No release answers a wish.
    #[error("there is no binary package of {wish}")]
    NoRelease {
        /// What was looked for.
        wish: String,
        /// The versions and variants that there are.
        exists: Vec<String>,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Catalogue(error) => error.kind(),
            Self::NoRelease { .. } => "no-such-package",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalogue(error) => error.hint(),
            Self::NoRelease { exists, .. } if exists.is_empty() => None,
            Self::NoRelease { exists, .. } => Some(format!("there is {}", exists.join(", "))),
        }
    }
}

/// Opens what `operand` names; of releases the newest that answers, in the default variant where
/// none is named, its signatures checked.
///
/// # Errors
/// See [`Error`].
pub fn released(operand: &Operand, setting: &Setting<'_>) -> Result<Package, Error> {
    match operand {
        Operand::File(path) => Ok(open(path)?),
        Operand::Release(wish) => published(wish, setting),
    }
}

fn published(wish: &Wish, setting: &Setting<'_>) -> Result<Package, Error> {
    let trust = install::trust(setting.home)?;
    let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
    let Some((index, _)) = catalogue.name(&wish.name)? else {
        return Ok(catalogue.no_such_package(&wish.name)?);
    };
    let is_meant = |variant: Option<&VariantName>, default: bool| match &wish.variant {
        Some(wanted) => variant == Some(wanted),
        None => default,
    };
    let all = index.releases.iter();
    let offered = all.filter(|it| it.package_type == PackageType::Binary && it.yanked.is_none());
    let best = offered
        .clone()
        .filter(|it| wish.requirement.matches(&it.version))
        .filter(|it| is_meant(it.variant.as_ref(), it.default_variant))
        .max_by(|one, other| one.version.cmp(&other.version));
    let Some(best) = best else {
        let mut exists: Vec<(PackageVersion, Option<VariantName>)> =
            offered.map(|it| (it.version.clone(), it.variant.clone())).collect();
        exists.sort();
        let words = |(version, variant): (PackageVersion, Option<VariantName>)| match variant {
            Some(variant) => format!("{version}:{variant}"),
            None => version.to_string(),
        };
        let exists = exists.into_iter().map(words).collect();
        return Err(Error::NoRelease { wish: wish.to_string(), exists });
    };
    let digest = best.package;
    catalogue.seek(&wish.name, digest)?;
    catalogue.vouch(digest)?;
    Ok(catalogue.fetch(digest, setting.progress)?)
}
