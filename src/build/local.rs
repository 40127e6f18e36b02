//! The executor of this machine: each job in a sandbox of its own.

use std::path::PathBuf;

use super::executor::{Done, Executor, Job, JobError};
use super::sandbox::{self, Ended, Limits, Plan, SandboxLevel, Sandboxed};
use super::variation::Variation;

/// Runs jobs on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    mpkg: PathBuf,
    level: SandboxLevel,
    plan: Plan,
    variation: Option<Variation>,
}

impl Local {
    /// Finds out what sandbox this machine gives for `level`; `mpkg` is the program that is
    /// started again inside it.
    ///
    /// # Errors
    /// When nothing here can keep a job off the network.
    pub fn new(level: SandboxLevel, mpkg: PathBuf) -> Result<Self, sandbox::Error> {
        let plan = sandbox::plan(level, &mpkg)?;
        Ok(Self { mpkg, level, plan, variation: None })
    }

    fn sandboxed(&self, job: &Job) -> Sandboxed {
        let mut variables = job.variables.clone();
        let mut limits = Limits::from(&job.resources);
        if let Some(variation) = &self.variation {
            variation.change(&mut variables, limits.cpus);
            limits.cpus = variation.cpus(limits.cpus);
        }
        Sandboxed {
            mpkg: self.mpkg.clone(),
            program: job.program.display().to_string(),
            arguments: job.arguments.clone(),
            variables,
            working_folder: job.working_folder.clone(),
            mounts: job.mounts.clone(),
            scratch: job.scratch.clone(),
            limits,
            plan: self.plan.clone(),
            gpus: job.resources.gpus,
        }
    }

    fn done(&self, ended: &Ended) -> Done {
        Done {
            seconds: ended.wall.as_secs_f64(),
            cpu_seconds: (ended.cpu_user + ended.cpu_system).as_secs_f64(),
            peak_memory: ended.peak_memory,
            layers: ended.layers.clone(),
            tainted: self
                .plan
                .taint()
                .map(str::to_owned)
                .into_iter()
                .chain(self.variation.as_ref().map(Variation::taint))
                .collect(),
        }
    }
}

impl Executor for Local {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn run(&self, job: &Job, on_line: &mut dyn FnMut(&str)) -> Result<Done, JobError> {
        let ended = sandbox::run(&self.sandboxed(job), &mut |_, line| on_line(line))?;
        if ended.succeeded() {
            return Ok(self.done(&ended));
        }
        Err(match ended.limit_hit {
            Some(hit) => JobError::Failed { reason: hit.to_string(), hint: Some(hit.hint()) },
            None => {
                JobError::Failed { reason: format!("it ended with {}", ended.status), hint: None }
            }
        })
    }

    fn shell(&self, job: &Job) -> Result<(), JobError> {
        let sandboxed = Sandboxed {
            program: "/bin/sh".to_owned(),
            arguments: vec!["-i".to_owned()],
            ..self.sandboxed(job)
        };
        sandbox::run_on_terminal(&sandboxed)?;
        Ok(())
    }

    fn varied(&self, variation: &Variation) -> Box<dyn Executor> {
        let conditions = variation.conditions().clone();
        let plan = Plan { conditions, ..self.plan.clone() };
        Box::new(Self { plan, variation: Some(variation.clone()), ..self.clone() })
    }

    fn level(&self) -> &'static str {
        self.level.as_str()
    }
}
