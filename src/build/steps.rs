//! Runs the steps of a recipe in their order, or takes them from the cache.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cache::{STEP_FORMAT, StepCache, StepResult};
use super::checkpoints::{self, Checkpoint};
use super::error::Error;
use super::executor::{Access, Executor, Job, JobError, Mount};
use super::log::{BuildLog, shown};
use super::metrics::{Curves, MetricLine};
use super::outputs;
use super::record::{How, StepRecord};
use super::segments::{Span, Start};
use super::surroundings::{Materials, Surroundings};
use super::view::Views;
use super::work::Work;
use crate::explain::count;
use crate::fs::{create_folder, remove_folder};
use crate::package::manifest::{Manifest, Placeholder, Step, Template};
use crate::package::{Digest, IndexedFile, PartName};
use crate::progress::{Progress, Unit};

/// How a build treats steps that are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// A step whose inputs have not changed is taken from the cache.
    #[default]
    Cached,
    /// The same, and the step that an earlier build broke off in goes on with what it had left.
    Resume,
    /// Every step runs again.
    Fresh,
}

/// All that the steps of one build need.
pub struct Recipe<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The source tree's folder.
    pub tree: &'a Path,
    /// What each step sees of it.
    pub views: &'a Views,
    /// Data and dependencies, ready to be read.
    pub materials: &'a Materials,
    /// The software around each step.
    pub surroundings: &'a Surroundings,
    /// The folder in which the build works.
    pub work: &'a Work,
    /// Results of earlier builds.
    pub cache: &'a StepCache,
    /// Where the steps run.
    pub executor: &'a dyn Executor,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// How steps that are done are treated.
    pub reuse: Reuse,
    /// The checkpoints that steps go on from, in place of beginning anew.
    pub starts: &'a BTreeMap<PartName, Start>,
    /// Reads the clock.
    pub clock: &'a dyn Fn() -> jiff::Timestamp,
}

/// The outputs of the steps that are done: where they lie, and what they are.
#[derive(Debug, Default)]
pub struct Finished {
    steps: BTreeMap<PartName, (PathBuf, Vec<IndexedFile>)>,
}

impl Finished {
    /// The folder and the files that `step` left.
    #[must_use]
    pub fn get(&self, step: &PartName) -> Option<(&Path, &[IndexedFile])> {
        self.steps.get(step).map(|(folder, files)| (folder.as_path(), files.as_slice()))
    }
}

impl Recipe<'_> {
    /// Runs every step, each after all that it needs.
    ///
    /// # Errors
    /// The first failure; steps that were done stay in the cache.
    pub fn run(&self, log: &mut BuildLog) -> Result<(Finished, Vec<StepRecord>), Error> {
        let mut finished = Finished::default();
        let mut records = Vec::new();
        for step in &self.manifest.steps {
            let record = self.step(step, &finished, log)?;
            let place = self.cache.outputs(&record.result.key);
            finished.steps.insert(step.name.clone(), (place, record.result.outputs.clone()));
            records.push(record);
        }
        Ok((finished, records))
    }

    /// Runs what `step` needs, then opens a shell in its place.
    ///
    /// # Errors
    /// When there is no such step, one that it needs fails, or no shell can be opened.
    pub fn shell(&self, name: &str, log: &mut BuildLog) -> Result<(), Error> {
        let steps = &self.manifest.steps;
        let step = steps.iter().find(|step| step.name.as_str() == name).ok_or_else(|| {
            let steps = steps.iter().map(|step| step.name.to_string()).collect();
            Error::NoStep { name: name.to_owned(), steps }
        })?;
        let mut finished = Finished::default();
        for needed in steps.iter().take_while(|it| it.name != step.name) {
            let record = self.step(needed, &finished, log)?;
            let place = self.cache.outputs(&record.result.key);
            finished.steps.insert(needed.name.clone(), (place, record.result.outputs));
        }
        let out = self.work.output(&step.name);
        create_folder(&out)?;
        let job = self.job(step, &finished, &out, Span::default())?;
        let arguments: Vec<String> =
            job.arguments.iter().map(|argument| format!("{argument:?}")).collect();
        self.progress.note(&format!(
            "The step runs: {} {}",
            job.program.display(),
            arguments.join(" ")
        ));
        self.executor.shell(&job).map_err(|error| job_error(&job.title, error, log, None))
    }

    fn step(
        &self,
        step: &Step,
        finished: &Finished,
        log: &mut BuildLog,
    ) -> Result<StepRecord, Error> {
        let (key, unpinned) = self.key(step, finished)?;
        let record = |how, result| StepRecord {
            command: step.run.iter().map(ToString::to_string).collect(),
            seed: step.seed,
            how,
            result,
        };
        let earlier = self.cache.find(&key)?;
        if let Some(result) = earlier.as_ref().filter(|_| self.reuse != Reuse::Fresh) {
            self.progress.note(&format!("Step {}: done before, taken from the cache", step.name));
            return Ok(record(How::Cached, result.clone()));
        }
        let resumed = self.reuse == Reuse::Resume && self.work.left_by(&step.name) == Some(key);
        let mut tainted: Vec<String> =
            unpinned.map(|program| format!("unpinned-program: {program}")).into_iter().collect();
        if self.starts.contains_key(&step.name) {
            tainted.push(format!("from-checkpoint: {}", step.name));
        }
        let mut newest = None;
        if resumed {
            tainted.push(format!("resumed-step: {}", step.name));
            newest = self.newest_checkpoint(step)?;
        } else {
            remove_folder(&self.work.output(&step.name))?;
        }
        let from = self.starts.get(&step.name).or(newest.as_ref());
        let result = self.run_step(step, from, key, finished, log, tainted)?;
        if earlier.is_some_and(|earlier| earlier.outputs != result.outputs) {
            self.progress.warn(&format!(
                "the step {} left other bytes than an earlier run on the same inputs: it is not reproducible",
                step.name
            ));
        }
        Ok(record(if resumed { How::Resumed } else { How::Ran }, result))
    }

    fn run_step(
        &self,
        step: &Step,
        from: Option<&Start>,
        key: Digest,
        finished: &Finished,
        log: &mut BuildLog,
        mut tainted: Vec<String>,
    ) -> Result<StepResult, Error> {
        let out = self.work.output(&step.name);
        create_folder(&out)?;
        self.work.mark(&step.name, key)?;
        let span = Span { from, until: None };
        let job = self.job(step, finished, &out, span)?;
        let started = (self.clock)();
        log.begin(&job.title)?;
        self.progress.note(&format!("Step {}: {}", step.name, in_words(step)));
        let (done, metrics) = self.watch(&job, step, log)?;
        let outputs = outputs::list(&out)
            .map_err(|source| Error::OddOutput { step: step.name.clone(), source })?;
        let (outputs, checkpoints) = self.take_checkpoints(step, outputs, &out)?;
        tainted.extend(done.tainted);
        let result = StepResult {
            format: STEP_FORMAT,
            step: step.name.clone(),
            key,
            started,
            seconds: done.seconds,
            cpu_seconds: done.cpu_seconds,
            peak_memory: done.peak_memory,
            layers: done.layers,
            tainted,
            metrics,
            outputs,
            checkpoints,
        };
        self.cache.keep(&result, &out, &self.work.checkpoints(&step.name))?;
        self.work.unmark(&step.name)?;
        self.progress.note(&format!(
            "Step {}: done in {}",
            step.name,
            super::report::duration(result.seconds)
        ));
        Ok(result)
    }

    /// The newest whole checkpoint that an interrupted run of `step` has left.
    fn newest_checkpoint(&self, step: &Step) -> Result<Option<Start>, Error> {
        let Some(declared) = &step.checkpoints else { return Ok(None) };
        let out = self.work.output(&step.name);
        let odd = |source| Error::OddOutput { step: step.name.clone(), source };
        let (_, left) = checkpoints::divide(outputs::list(&out).map_err(odd)?, &declared.files);
        for file in left.into_iter().rev() {
            let place = file.path.below(&out);
            if checkpoints::training_step(&place, &file.path).is_ok() {
                self.progress.note(&format!("Step {}: going on from {}", step.name, file.path));
                return Ok(Some(Start { place, sha256: file.sha256 }));
            }
            // It was being written.
            fs::remove_file(&place).map_err(crate::fs::Error::at("remove", &place))?;
        }
        Ok(None)
    }

    /// Moves the checkpoints among what `step` left out of its output: no later step and no variant
    /// sees them.
    fn take_checkpoints(
        &self,
        step: &Step,
        files: Vec<IndexedFile>,
        out: &Path,
    ) -> Result<(Vec<IndexedFile>, Vec<Checkpoint>), Error> {
        let Some(declared) = &step.checkpoints else { return Ok((files, Vec::new())) };
        let (outputs, found) = checkpoints::divide(files, &declared.files);
        // Those of a step that went on from one are not all, and make no chain.
        let is_whole = !self.starts.contains_key(&step.name);
        let odd = |source| Error::OddCheckpoints { step: step.name.clone(), source };
        let places: Vec<_> = found.iter().map(|file| file.path.clone()).collect();
        let checkpoints = match is_whole {
            true => checkpoints::read(out, found, &declared.files).map_err(odd)?,
            false => Vec::new(),
        };
        let shelf = self.work.checkpoints(&step.name);
        remove_folder(&shelf)?;
        for path in places {
            let goal = path.below(&shelf);
            create_folder(goal.parent().unwrap_or(&shelf))?;
            fs::rename(path.below(out), &goal)
                .map_err(crate::fs::Error::at("rename a file to", &goal))?;
        }
        Ok((outputs, checkpoints))
    }

    /// Runs the job, with its lines in the log, its metrics in a bar and the rest on the
    /// terminal.
    pub(super) fn watch(
        &self,
        job: &Job,
        step: &Step,
        log: &mut BuildLog,
    ) -> Result<(super::executor::Done, Curves), Error> {
        let task = self.progress.start(step.name.as_str(), None, Unit::Items);
        let mut metrics = Curves::default();
        let mut trouble = None;
        let mut tenth = 0;
        let result = self.executor.run(job, &mut |line| {
            if let Err(error) = log.line(line) {
                trouble.get_or_insert(error);
            }
            let Some(metric) = MetricLine::parse(line) else {
                return self.progress.output(&shown(line));
            };
            metrics.add(&metric);
            let (position, total) = (whole(metric.step), metric.of.map(whole));
            task.set(position, total);
            task.describe(&metric.summary());
            let now = position.saturating_mul(10) / total.unwrap_or(u64::MAX).max(1);
            if now > tenth && !self.progress.draws() {
                tenth = now;
                self.progress.output(&format!(
                    "{position} of {}: {}",
                    total.unwrap_or_default(),
                    metric.summary()
                ));
            }
        });
        drop(task);
        if let Some(error) = trouble {
            return Err(error.into());
        }
        let done = result.map_err(|error| {
            let hint = "mend it and run the same command again: steps that are done are not run twice; `--resume` goes on with what this step has written".to_owned();
            job_error(&job.title, error, log, Some(hint))
        })?;
        Ok((done, metrics))
    }

    /// The job of `step`, which writes to `out`.
    pub(super) fn job(
        &self,
        step: &Step,
        finished: &Finished,
        out: &Path,
        span: Span<'_>,
    ) -> Result<Job, Error> {
        let view = self.work.view(&step.name);
        fill_view(self.tree, self.views.step(&step.name), &view)?;
        let mut placer = Placer::new(self.executor);
        let working_folder = placer.mount(&view, "tree", Access::ReadOnly);
        let out = placer.mount(out, "out", Access::Writable);
        let mut arguments = Vec::new();
        for template in &step.run {
            arguments.push(template.fill(|placeholder| {
                Ok::<_, Error>(match placeholder {
                    Placeholder::Out => out.display().to_string(),
                    Placeholder::Seed => step.seed.unwrap_or_default().to_string(),
                    Placeholder::Step(name) => finished.get(name).map_or_else(
                        || placeholder.to_string(),
                        |(folder, _)| placer.text(folder, &format!("step/{name}")),
                    ),
                    other => placer.material(self.materials, other),
                })
            })?);
        }
        arguments.extend(span.arguments(step, &mut placer));
        let title = format!("step \"{}\"", step.name);
        let plan = self.executor.plan();
        let tree = (view.as_path(), working_folder.as_path());
        let program = self.surroundings.program(&title, &arguments.remove(0), tree, plan)?;
        Ok(Job {
            title,
            program: program.path,
            arguments,
            variables: self.surroundings.variables(plan, &step.resources),
            working_folder,
            mounts: placer.finish(self.surroundings),
            scratch: self.work.temporary(),
            resources: step.resources.clone(),
        })
    }

    /// The digest of all that goes into `step`, and the program of this machine that it runs
    /// without pinning it.
    fn key(&self, step: &Step, finished: &Finished) -> Result<(Digest, Option<String>), Error> {
        let run: Vec<String> = step.run.iter().map(ToString::to_string).collect();
        let unpinned = match step.run.first() {
            Some(program) if program.placeholders().next().is_none() => {
                let title = format!("step \"{}\"", step.name);
                let tree = (self.tree, self.tree);
                let plan = self.executor.plan();
                self.surroundings.program(&title, &run[0], tree, plan)?.unpinned
            }
            _ => None,
        };
        let mut materials = serde_json::Map::new();
        for placeholder in step.run.iter().flat_map(Template::placeholders) {
            if let Some(digest) = self.materials.digest(placeholder) {
                materials.insert(placeholder.to_string(), json!(digest));
            }
        }
        let steps: serde_json::Map<String, Value> = step
            .needs
            .iter()
            .filter_map(|name| Some((name, finished.get(name)?.1)))
            .map(|(name, files)| (name.to_string(), json!(outputs::digest_of(files))))
            .collect();
        let mut all = json!({
            "format": STEP_FORMAT,
            "run": run,
            "tree": outputs::digest_of(self.views.step(&step.name)),
            "materials": materials,
            "steps": steps,
            "environment": self.surroundings.identity(),
            "variables": self.manifest.environment.variables,
            "program": unpinned,
            "seed": step.seed.map(|seed| seed.to_string()),
            "cpus": step.resources.cpus,
            "gpus": step.resources.gpus,
            "sandbox": self.executor.level(),
            "architecture": std::env::consts::ARCH,
        });
        if let Some(declared) = &step.checkpoints {
            all["checkpoints"] = json!(declared.files);
        }
        if let Some(start) = self.starts.get(&step.name) {
            all["from"] = json!(start.sha256);
        }
        let name = unpinned.map(|_| run[0].clone());
        Ok((Digest::of(all.to_string().as_bytes()), name))
    }
}

/// The error of a build whose job failed.
pub(super) fn job_error(
    title: &str,
    error: JobError,
    log: &BuildLog,
    hint: Option<String>,
) -> Error {
    match error {
        JobError::Trouble(source) => Error::Run { title: title.to_owned(), source },
        JobError::Failed { reason, hint: first } => Error::Failed {
            title: title.to_owned(),
            reason,
            last_lines: log.last_lines(),
            log: log.path().to_owned(),
            hint: first.or(hint),
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position of a progress bar; out of range means an end of the range"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn in_words(step: &Step) -> String {
    let resources = &step.resources;
    let mut words = format!(
        "{}, up to {} of memory",
        count(resources.cpus as usize, "processor", "processors"),
        super::report::bytes(resources.memory)
    );
    if let Some(seed) = step.seed {
        let _ = write!(words, ", seed {seed}");
    }
    words
}

/// Copies what a step sees of the tree into a folder of its own.
///
/// # Errors
/// When a file cannot be copied.
pub fn fill_view(tree: &Path, files: &[IndexedFile], view: &Path) -> Result<(), crate::fs::Error> {
    use std::os::unix::fs::PermissionsExt as _;
    remove_folder(view)?;
    create_folder(view)?;
    for file in files {
        let goal = file.path.below(view);
        if let Some(folder) = goal.parent() {
            create_folder(folder)?;
        }
        let source = file.path.below(tree);
        reflink_copy::reflink_or_copy(&source, &goal)
            .map_err(crate::fs::Error::at("copy", &source))?;
        fs::set_permissions(&goal, fs::Permissions::from_mode(file.mode.bits() & 0o555))
            .map_err(crate::fs::Error::at("change the mode of", &goal))?;
    }
    Ok(())
}

/// Gathers what a job sees, and says under which path it sees it.
pub struct Placer<'a> {
    executor: &'a dyn Executor,
    mounts: Vec<Mount>,
}

impl<'a> Placer<'a> {
    /// Begins with nothing.
    #[must_use]
    pub fn new(executor: &'a dyn Executor) -> Self {
        Self { executor, mounts: Vec::new() }
    }

    /// Adds `outside`, and returns the path under which the job sees it.
    pub fn mount(&mut self, outside: &Path, name: &str, access: Access) -> PathBuf {
        let mount = self.executor.plan().mount(outside, name, access);
        let inside = mount.inside.clone();
        if !self.mounts.contains(&mount) {
            self.mounts.push(mount);
        }
        inside
    }

    /// The same, read-only and as text.
    pub fn text(&mut self, outside: &Path, name: &str) -> String {
        self.mount(outside, name, Access::ReadOnly).display().to_string()
    }

    /// The path of a data reference or a dependency; another placeholder stays as it is.
    pub fn material(&mut self, materials: &Materials, placeholder: &Placeholder) -> String {
        match materials.get(placeholder) {
            Some(material) => self.text(&material.path, &material.name),
            None => placeholder.to_string(),
        }
    }

    /// Everything, with the software of the environment.
    #[must_use]
    pub fn finish(mut self, surroundings: &Surroundings) -> Vec<Mount> {
        for mount in surroundings.mounts(self.executor.plan()) {
            if !self.mounts.contains(&mount) {
                self.mounts.push(mount);
            }
        }
        self.mounts
    }
}
