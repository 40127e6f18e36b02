//! Runs the tests that a package's source has for it, for the in-toto predicate Test Result.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{About, Error};
use crate::build::executor::Executor;
use crate::build::machine::Machine;
use crate::build::record::TestRecord;
use crate::crypto::statement::package_url;
use crate::ops::build::{BuildOptions, BuildSource, LockUse, Setting, ready};
use crate::ops::rebuild::source_of;
use crate::ops::released::{Operand, released};
use crate::ops::test::check;
use crate::package::{Digest, INDEX_PATH, Release};

/// What is to be tested.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// The package.
    pub package: Operand,
    /// The file of its source package; without it the one beside it, or a registry's.
    pub source: Option<PathBuf>,
    /// Package files, or folders of them, that dependencies may come from.
    pub with: Vec<PathBuf>,
}

/// What the tests found.
#[derive(Debug)]
pub struct Tested {
    /// The package.
    pub about: About,
    /// The package digest of the source whose tests ran.
    pub source: Digest,
    /// Every test that is meant for the variant; there is at least one.
    pub tests: Vec<TestRecord>,
    /// When they began.
    pub started: Timestamp,
    /// Where they ran.
    pub machine: Machine,
    /// Where their whole output is.
    pub log: PathBuf,
}

impl Tested {
    /// Whether every test passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.tests.iter().all(|test| test.passed)
    }
}

/// Runs the tests of the source that the package names on the package as it was released.
///
/// # Errors
/// When the package, its source or what the tests need cannot be had, a test cannot be run, or
/// there is none. A value outside its bound is no error.
pub fn test(
    options: &TestOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Tested, Error> {
    let package = released(&options.package, setting)?.package;
    package.verify(setting.progress)?;
    let release = package.index().release();
    let (Some(source), Some(variant)) = (package.index().source, &release.variant) else {
        return Err(Error::NoSource { release });
    };
    let file = source_of(&package, source, options.source.as_deref(), setting)?;
    let build = BuildOptions {
        with: options.with.clone(),
        lock: LockUse::Locked,
        ..BuildOptions::of(BuildSource::File(file))
    };
    let prepared = ready(&build, setting)?;
    let started = (setting.now)();
    let on = [(variant.clone(), package.path().to_owned())];
    let tested = check(&prepared, &on, setting, executor)?;
    if tested.tests.is_empty() {
        return Err(Error::NoTests { release });
    }
    Ok(Tested {
        about: About {
            release: release.clone(),
            package: package.package_digest(),
            file: package.file_digest()?,
            beside: Vec::new(),
        },
        source,
        tests: tested.tests,
        started,
        machine: Machine::here(),
        log: tested.log,
    })
}

/// What was found, as the predicate `https://in-toto.io/attestation/test-result/v0.1`. Its own
/// fields name tests alone; what they measured, and where, stands in fields that other readers
/// pass over.
#[must_use]
pub fn test_result(tested: &Tested, tester: &str) -> Value {
    let named = |passed: bool| -> Vec<String> {
        let tests = tested.tests.iter().filter(|test| test.passed == passed);
        tests.map(|test| test.name.to_string()).collect()
    };
    let measured = tested.tests.iter().map(|test| {
        json!({
            "name": test.name,
            "metric": test.metric,
            "value": test.value.to_string(),
            "bound": test.bound,
            "passed": test.passed,
        })
    });
    let release = &tested.about.release;
    let source = Release { variant: None, ..release.clone() };
    json!({
        "result": if tested.is_passed() { "PASSED" } else { "FAILED" },
        "configuration": [{
            "name": format!("{}/{INDEX_PATH}", release.name),
            "uri": package_url(&source),
            "digest": { "sha256": tested.source },
        }],
        "passedTests": named(true),
        "warnedTests": [],
        "failedTests": named(false),
        "mpkgTests": measured.collect::<Value>(),
        "mpkgTester": tester,
        "mpkgStarted": tested.started,
        "mpkgMachine": tested.machine,
        "mpkgVersion": env!("CARGO_PKG_VERSION"),
    })
}
