//! Builds binary packages from a source tree, a source package file or a published source.

mod dependencies;
mod error;
mod finish;
mod options;
mod plan;
mod prepare;
mod source;
mod twin;

pub use dependencies::{Dependencies, Pinned, Place};
pub use error::BuildError;
pub use finish::Built;
pub use options::{
    Beside, BuildOptions, BuildSource, CheckpointsGo, Keep, LockUse, Segments, Setting, StepShelf,
    TestRun,
};
pub use plan::{Plan, PlannedData, PlannedPackage, PlannedStep, PlannedTest};
pub use prepare::{Prepared, prepare};
pub use source::{Opened, Origin, published_source};
pub use twin::build_twice;

use std::time::Instant;

use crate::build::cache::StepCache;
use crate::build::dist::demand_writable;
use crate::build::executor::Executor;
use crate::build::log::BuildLog;
use crate::build::steps::Recipe;
use crate::build::view::Views;
use crate::build::work::Work;

/// What a build came to.
#[derive(Debug)]
pub enum Outcome {
    /// Only the plan was asked for.
    Planned(Box<Plan>),
    /// A shell was opened and closed.
    Shell,
    /// It is built.
    Built(Box<Built>),
}

/// Builds as `options` say.
///
/// # Errors
/// The first thing that fails; then `dist/` is as it was.
pub fn build(
    options: &BuildOptions,
    setting: &Setting<'_>,
    executor: &dyn Executor,
) -> Result<Outcome, BuildError> {
    let began = Instant::now();
    let started = (setting.now)();
    let opened = source::open(options, setting)?;
    let dependencies = dependencies::resolve(&opened.tree, options, setting)?;
    let plan = plan::plan(&opened.tree, &dependencies, options, setting)?;
    if options.dry_run {
        return Ok(Outcome::Planned(Box::new(plan)));
    }
    plan.say(setting.progress);
    let prepared = prepare(opened, &dependencies, setting)?;
    if let Some(expected) = &options.inputs {
        prepared.demand_inputs(expected)?;
    }
    let Prepared { opened, .. } = &prepared;
    let work = &opened.work;
    let cache = StepCache::at(match &options.shelf {
        StepShelf::Home => setting.home.cache().join("steps"),
        StepShelf::Apart(folder) => folder.clone(),
    });
    let manifest = options.limit(opened.tree.manifest())?;
    let views = Views::of(&manifest, &prepared.files, opened.tree.root())?;
    if options.shell.is_none() {
        demand_writable(&opened.results)?;
    }
    let mut log = BuildLog::create(work.log())?;
    let recipe = Recipe {
        manifest: &manifest,
        tree: opened.tree.root(),
        views: &views,
        materials: &prepared.materials,
        surroundings: &prepared.surroundings,
        work,
        cache: &cache,
        executor,
        progress: setting.progress,
        reuse: options.reuse,
        starts: &options.segments.starts,
        clock: setting.now,
    };
    if let Some(step) = &options.shell {
        recipe.shell(step, &mut log)?;
        leave(work, options)?;
        return Ok(Outcome::Shell);
    }
    let prepare_seconds = began.elapsed().as_secs_f64();
    let ran = recipe.run(&mut log);
    let built = ran.map_err(BuildError::from).and_then(|(finished, steps)| {
        let runs = options.segments.runs.iter();
        let segments = runs.map(|run| recipe.segment(run, &finished, &mut log));
        let segments = segments.collect::<Result<_, crate::build::Error>>()?;
        let ending = finish::Ending {
            prepared: &prepared,
            manifest: &manifest,
            finished: &finished,
            cache: &cache,
            steps,
            segments,
            options,
            setting,
            executor,
            started,
            prepare_seconds,
        };
        ending.run(&mut log)
    });
    match built {
        Ok(mut built) => {
            leave(work, options)?;
            built.kept = (options.keep == Keep::Everything).then(|| work.folder().to_owned());
            Ok(Outcome::Built(Box::new(built)))
        }
        Err(error) => {
            leave_after_failure(work, options, setting)?;
            Err(error)
        }
    }
}

/// Opens and prepares what `options` name, and runs nothing of it.
///
/// # Errors
/// When something cannot be had.
pub fn ready(options: &BuildOptions, setting: &Setting<'_>) -> Result<Prepared, BuildError> {
    let opened = source::open(options, setting)?;
    let dependencies = dependencies::resolve(&opened.tree, options, setting)?;
    prepare(opened, &dependencies, setting)
}

fn leave(work: &Work, options: &BuildOptions) -> Result<(), BuildError> {
    match options.keep {
        Keep::Everything => Ok(()),
        Keep::Log => Ok(work.clear()?),
    }
}

/// The output of the step that broke off stays for `--resume`.
fn leave_after_failure(
    work: &Work,
    options: &BuildOptions,
    setting: &Setting<'_>,
) -> Result<(), BuildError> {
    match options.keep {
        Keep::Everything => {
            let folder = work.folder().display();
            setting.progress.note(&format!("The build's folder is kept: {folder}"));
            Ok(())
        }
        Keep::Log => Ok(work.clear_all_but_outputs()?),
    }
}
