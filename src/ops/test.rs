//! Runs the tests of a source tree on packages that are built already.

use std::path::{Path, PathBuf};

use crate::archive::Package;
use crate::build::checks::Checks;
use crate::build::executor::Executor;
use crate::build::log::BuildLog;
use crate::build::record::TestRecord;
use crate::ops::build::{BuildError, BuildOptions, Prepared, Setting, ready};
use crate::package::VariantName;

/// What the tests found.
#[derive(Debug)]
pub struct Tested {
    /// Every test on every package, in the manifest's order of variants and tests.
    pub tests: Vec<TestRecord>,
    /// Where the whole output of the tests is.
    pub log: PathBuf,
}

/// Tests `packages`, or without any those in the results of the tree that `options` name.
///
/// # Errors
/// When there is nothing to test, or a test cannot be run. A value outside its bound is no error
/// here: see [`TestRecord::passed`].
pub fn test(
    options: &BuildOptions,
    packages: &[PathBuf],
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Tested, BuildError> {
    let prepared = ready(options, setting)?;
    let opened = &prepared.opened;
    let found = match packages {
        [] => in_results(&prepared, &opened.results),
        named => {
            named.iter().map(|path| of_this_tree(&prepared, path)).collect::<Result<_, _>>()?
        }
    };
    if found.is_empty() {
        return Err(BuildError::NothingBuilt {
            name: opened.tree.manifest().package.name.to_string(),
            folder: opened.results.clone(),
        });
    }
    check(&prepared, &found, setting, executor)
}

/// Runs the tests of a source tree on the package of each variant in `found`.
///
/// # Errors
/// When a test cannot be run.
pub(super) fn check(
    prepared: &Prepared,
    found: &[(VariantName, PathBuf)],
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Tested, BuildError> {
    let opened = &prepared.opened;
    let checks = Checks {
        manifest: opened.tree.manifest(),
        tree: (opened.tree.root(), &prepared.files),
        materials: &prepared.materials,
        surroundings: &prepared.surroundings,
        work: &opened.work,
        executor,
        progress: setting.progress,
    };
    let mut log = BuildLog::create(opened.work.log())?;
    let mut tests = Vec::new();
    for (variant, path) in found {
        tests.extend(checks.run(variant, path, &mut log)?);
    }
    opened.work.clear_all_but_outputs()?;
    Ok(Tested { tests, log: log.path().to_owned() })
}

/// The variants of the manifest whose packages lie in `results`.
fn in_results(prepared: &Prepared, results: &Path) -> Vec<(VariantName, PathBuf)> {
    let manifest = prepared.opened.tree.manifest();
    let package = &manifest.package;
    let files = manifest.variants.iter().map(|variant| {
        let release = crate::package::Release {
            name: package.name.clone(),
            version: package.version.clone(),
            variant: Some(variant.name.clone()),
        };
        (variant.name.clone(), results.join(release.file_name()))
    });
    files.filter(|(_, path)| path.is_file()).collect()
}

fn of_this_tree(prepared: &Prepared, path: &Path) -> Result<(VariantName, PathBuf), BuildError> {
    let package = Package::open(path)?;
    let name = &prepared.opened.tree.manifest().package.name;
    match &package.index().variant {
        Some(variant) if package.index().name == *name => Ok((variant.clone(), path.to_owned())),
        _ => Err(BuildError::OtherPackage {
            path: path.to_owned(),
            found: package.index().release().to_string(),
            expected: name.to_string(),
        }),
    }
}
