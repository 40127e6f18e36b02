//! Runs the tests of a manifest on packed variants.

use std::path::Path;
use std::time::Instant;

use super::error::Error;
use super::executor::{Access, Executor, Job};
use super::log::{BuildLog, shown};
use super::record::{TestRecord, bound_in_words};
use super::steps::{Placer, fill_view, job_error};
use super::surroundings::{Materials, Surroundings};
use super::work::Work;
use crate::archive::Package;
use crate::fs::{create_folder, remove_folder};
use crate::package::manifest::{Manifest, Placeholder, Resources, Template, Test};
use crate::package::{IndexedFile, VariantName};
use crate::progress::Progress;

/// All that the tests of one tree need.
pub struct Checks<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The source tree's folder and files: tests see all of it.
    pub tree: (&'a Path, &'a [IndexedFile]),
    /// Data and dependencies.
    pub materials: &'a Materials,
    /// The software around each test.
    pub surroundings: &'a Surroundings,
    /// The folder in which the build works.
    pub work: &'a Work,
    /// Where the tests run.
    pub executor: &'a dyn Executor,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

impl Checks<'_> {
    /// Whether a test is to run on `variant`.
    #[must_use]
    pub fn any_for(&self, variant: &VariantName) -> bool {
        self.manifest.tests.iter().any(|test| runs_on(test, variant))
    }

    /// Unpacks the package `file` of `variant` anew and runs every test that is meant for it.
    ///
    /// # Errors
    /// When the package cannot be unpacked or a test cannot be run. A value outside its bound is
    /// no error here: see [`TestRecord::passed`].
    pub fn run(
        &self,
        variant: &VariantName,
        file: &Path,
        log: &mut BuildLog,
    ) -> Result<Vec<TestRecord>, Error> {
        if !self.any_for(variant) {
            return Ok(Vec::new());
        }
        let folder = self.work.package(variant);
        remove_folder(&folder)?;
        create_folder(&folder)?;
        let threads =
            std::thread::available_parallelism().unwrap_or(std::num::NonZero::<usize>::MIN);
        Package::open(file)?.extract(&folder, threads, self.progress)?;
        fill_view(self.tree.0, self.tree.1, &self.work.test_tree())?;
        let tests = self.manifest.tests.iter().filter(|test| runs_on(test, variant));
        tests.map(|test| self.test(test, variant, &folder, log)).collect()
    }

    /// Runs a job to its end, with its lines in the log; hands back the last that is not empty.
    pub(super) fn watch(
        &self,
        job: &Job,
        variant: &VariantName,
        log: &mut BuildLog,
    ) -> Result<String, Error> {
        log.begin(&format!("{} on variant \"{variant}\"", job.title))?;
        let task = self.progress.start(&job.title, None, crate::progress::Unit::Items);
        let mut last = String::new();
        let mut trouble = None;
        let result = self.executor.run(job, &mut |line| {
            if let Err(error) = log.line(line) {
                trouble.get_or_insert(error);
            }
            if !line.trim().is_empty() {
                if !last.is_empty() && !last.starts_with('{') {
                    self.progress.output(&shown(&last));
                }
                line.clone_into(&mut last);
            }
        });
        drop(task);
        if let Some(error) = trouble {
            return Err(error.into());
        }
        let title = format!("{} on the variant \"{variant}\"", job.title);
        result.map_err(|error| job_error(&title, error, log, None))?;
        Ok(last)
    }

    fn test(
        &self,
        test: &Test,
        variant: &VariantName,
        package: &Path,
        log: &mut BuildLog,
    ) -> Result<TestRecord, Error> {
        let title = format!("test \"{}\"", test.name);
        let job = self.job(title, &test.run, &test.resources, package)?;
        let began = Instant::now();
        let last = self.watch(&job, variant, log)?;
        let value = metric(&last, &test.metric).map_err(|what| Error::NoMetric {
            test: test.name.clone(),
            variant: variant.clone(),
            what,
        })?;
        let record = TestRecord {
            name: test.name.clone(),
            variant: variant.clone(),
            metric: test.metric.clone(),
            bound: bound_in_words(test.bound),
            value,
            passed: test.bound.holds(value),
            seconds: began.elapsed().as_secs_f64(),
        };
        self.progress.note(&record.in_words());
        Ok(record)
    }

    /// The job of a test or a probe; what it may write to is empty.
    pub(super) fn job(
        &self,
        title: String,
        run: &[Template],
        resources: &Resources,
        package: &Path,
    ) -> Result<Job, Error> {
        let scratch = self.work.scratch();
        remove_folder(&scratch)?;
        create_folder(&scratch)?;
        let view = self.work.test_tree();
        let mut placer = Placer::new(self.executor);
        let working_folder = placer.mount(&view, "tree", Access::ReadOnly);
        let out = placer.mount(&scratch, "out", Access::Writable);
        let mut arguments = Vec::new();
        for template in run {
            arguments.push(template.fill(|placeholder| {
                Ok::<_, Error>(match placeholder {
                    Placeholder::Package => placer.text(package, "package"),
                    Placeholder::Out => out.display().to_string(),
                    other => placer.material(self.materials, other),
                })
            })?);
        }
        let plan = self.executor.plan();
        let tree = (view.as_path(), working_folder.as_path());
        let program = self.surroundings.program(&title, &arguments.remove(0), tree, plan)?;
        Ok(Job {
            title,
            program: program.path,
            arguments,
            variables: self.surroundings.variables(plan, resources),
            working_folder,
            mounts: placer.finish(self.surroundings),
            scratch: self.work.temporary(),
            resources: resources.clone(),
        })
    }
}

/// The error that the first failed test of `records` makes.
///
/// # Errors
/// That one.
pub fn demand(records: &[TestRecord]) -> Result<(), Error> {
    match records.iter().find(|record| !record.passed) {
        None => Ok(()),
        Some(failed) => Err(Error::BelowBound {
            test: failed.name.clone(),
            variant: failed.variant.clone(),
            metric: failed.metric.clone(),
            value: failed.value,
            bound: failed.bound.clone(),
        }),
    }
}

fn runs_on(test: &Test, variant: &VariantName) -> bool {
    test.variants.is_empty() || test.variants.contains(variant)
}

/// The number that `line`, a JSON object, has under `name`.
fn metric(line: &str, name: &str) -> Result<f64, String> {
    if line.is_empty() {
        return Err("printed nothing".to_owned());
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)
        .map_err(|_| format!("ended with a line that is no JSON object: {}", shown(line)))?;
    let Some(value) = object.get(name) else {
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        return Err(format!("printed no {name:?}, but {}", shown(&names.join(", "))));
    };
    value.as_f64().ok_or_else(|| format!("printed {name:?} as {value}, which is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_found_or_what_is_wrong() {
        assert_eq!(metric("{\"loss\": 1.5, \"n\": 3}", "loss"), Ok(1.5));
        assert_eq!(metric("", "loss").unwrap_err(), "printed nothing");
        assert!(metric("done", "loss").unwrap_err().contains("no JSON object: done"));
        assert_eq!(metric("{\"lost\": 1}", "loss").unwrap_err(), "printed no \"loss\", but lost");
        assert!(metric("{\"loss\": null}", "loss").unwrap_err().contains("no number"));
    }
}
