//! What steps and tests find around them: software, variables, data and dependencies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::environment::{self, Environment, StepVariables};
use super::error::Error;
use super::outputs::hash_file;
use super::record::{EnvironmentRecord, PythonRecord, SystemRecord, Wheel};
use super::sandbox::{Access, Mount, Plan};
use crate::package::manifest::{Placeholder, Resources};
use crate::package::{Digest, PackageName, PartName};

/// Where programs of the system are looked for.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Seconds since 1970 that programs take for the present: the first that a zip file can hold.
pub const SOURCE_DATE_EPOCH: i64 = 315_532_800;

/// A file or folder that is ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Where it lies.
    pub path: PathBuf,
    /// The name that a job sees it under, such as `data/plays.txt`.
    pub name: String,
    /// The digest that it goes into step keys with.
    pub digest: Digest,
}

/// Data references and dependencies by name.
#[derive(Debug, Clone, Default)]
pub struct Materials {
    /// Data references.
    pub data: BTreeMap<PartName, Material>,
    /// Dependencies and build dependencies.
    pub dependencies: BTreeMap<PackageName, Material>,
}

impl Materials {
    /// What a placeholder stands for, where it is a data reference or a dependency.
    #[must_use]
    pub fn get(&self, placeholder: &Placeholder) -> Option<&Material> {
        match placeholder {
            Placeholder::Data(name) => self.data.get(name),
            Placeholder::Dependency(name) => self.dependencies.get(name),
            Placeholder::Out
            | Placeholder::Seed
            | Placeholder::Package
            | Placeholder::Checkpoint
            | Placeholder::Until
            | Placeholder::Step(_) => None,
        }
    }

    /// The digest of the same.
    #[must_use]
    pub fn digest(&self, placeholder: &Placeholder) -> Option<Digest> {
        self.get(placeholder).map(|material| material.digest)
    }
}

/// The software around steps and tests.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// What the manifest asks for, ready.
    pub environment: Environment,
    /// The environment package that steps use, unpacked.
    pub package: Option<Material>,
}

/// A program that a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the job sees it.
    pub path: PathBuf,
    /// The digest of its file, where it is a program of this machine that nothing pins.
    pub unpinned: Option<Digest>,
}

impl Surroundings {
    /// The whole environment of a job, the manifest's variables last.
    #[must_use]
    pub fn variables(&self, plan: &Plan, resources: &Resources) -> BTreeMap<String, String> {
        let programs: Vec<PathBuf> = self.package_programs(plan).into_iter().collect();
        self.environment.variables(&StepVariables {
            plan,
            cpus: resources.cpus,
            source_date_epoch: SOURCE_DATE_EPOCH,
            programs: &programs,
        })
    }

    /// What a job sees of the software.
    #[must_use]
    pub fn mounts(&self, plan: &Plan) -> Vec<Mount> {
        let mut mounts = self.environment.mounts(plan);
        mounts.extend(self.package.iter().map(|package| package_mount(package, plan)));
        mounts
    }

    fn package_programs(&self, plan: &Plan) -> Option<PathBuf> {
        self.package.as_ref().map(|package| package_mount(package, plan).inside.join("bin"))
    }

    /// Finds the program that `name` stands for in the job `title`: a path in the tree's `view`,
    /// which the job sees at `inside`, where it has a slash; else a program of the environment,
    /// of its package or of the system.
    ///
    /// # Errors
    /// When there is none.
    pub fn program(
        &self,
        title: &str,
        name: &str,
        view: (&Path, &Path),
        plan: &Plan,
    ) -> Result<Program, Error> {
        let missing = |looked_in: String| Error::NoProgram {
            title: title.to_owned(),
            program: name.to_owned(),
            looked_in,
        };
        let pinned = |path| Program { path, unpinned: None };
        if name.starts_with('/') {
            let path = PathBuf::from(name);
            // A path that is not here is one of a package, as the job sees it.
            let unpinned = if is_program(&path) { Some(hash_file(&path)?.0) } else { None };
            return Ok(Program { path, unpinned });
        }
        if name.contains('/') {
            let relative = name.strip_prefix("./").unwrap_or(name);
            let there = view.0.join(relative).is_file();
            return there
                .then(|| pinned(view.1.join(relative)))
                .ok_or_else(|| missing("the tree".to_owned()));
        }
        if let Some(root) = &self.environment.root
            && is_program(&root.join("bin").join(name))
        {
            let inside = plan.mount(root, "env", Access::ReadOnly).inside;
            return Ok(pinned(inside.join("bin").join(name)));
        }
        if let Some(package) = &self.package
            && is_program(&package.path.join("bin").join(name))
        {
            return Ok(pinned(package_mount(package, plan).inside.join("bin").join(name)));
        }
        if let Some(found) = self.environment.system.iter().find(|found| found.program == name) {
            return Ok(pinned(found.path.clone()));
        }
        // A machine may know Python 3 by its longer name alone.
        let names = if name == "python" { vec!["python", "python3"] } else { vec![name] };
        let found = names.iter().find_map(|name| {
            SYSTEM_FOLDERS.iter().map(|it| Path::new(it).join(name)).find(|it| is_program(it))
        });
        let path = found.ok_or_else(|| missing(SYSTEM_FOLDERS.join(", ")))?;
        let (digest, _) = hash_file(&path)?;
        Ok(Program { path, unpinned: Some(digest) })
    }

    /// What of the software goes into step keys.
    #[must_use]
    pub fn identity(&self) -> Value {
        let environment = &self.environment;
        let system: Vec<Value> = environment
            .system
            .iter()
            .map(|found| {
                json!({
                    "program": found.program,
                    "version": found.version,
                    "package": found.package,
                })
            })
            .collect();
        let python = environment.python.as_ref().map(|python| {
            json!({
                "version": python.version,
                "implementation": python.implementation,
                "platform": python.platform,
            })
        });
        json!({
            "lock": environment.lock_digest,
            "python": python,
            "system": system,
            "package": self.package.as_ref().map(|package| package.digest),
        })
    }

    /// What the build record says of it; `variables` are the manifest's.
    #[must_use]
    pub fn record(&self, variables: &BTreeMap<String, String>) -> EnvironmentRecord {
        let environment = &self.environment;
        let wheel = |wheel: &environment::Wheel| Wheel {
            name: wheel.name.clone(),
            version: wheel.version.clone(),
            sha256: wheel.sha256,
        };
        let system = |found: &environment::SystemFound| SystemRecord {
            program: found.program.clone(),
            version: found.version.clone(),
            package: found.package.clone(),
            path: found.path.clone(),
        };
        EnvironmentRecord {
            python: environment.python.as_ref().map(|python| PythonRecord {
                version: python.version.clone(),
                implementation: python.implementation.clone(),
                platform: python.platform.clone(),
            }),
            lock: environment.lock_digest,
            wheels: environment.wheels.iter().map(wheel).collect(),
            installer: environment.installer.clone(),
            system: environment.system.iter().map(system).collect(),
            variables: variables.clone(),
        }
    }
}

fn package_mount(package: &Material, plan: &Plan) -> Mount {
    plan.mount(&package.path, &package.name, Access::ReadOnly)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::sandbox::Plan;
    use crate::package::manifest::EnvironmentSection;

    fn nothing() -> Surroundings {
        let request = environment::Request {
            section: &EnvironmentSection::default(),
            tree: Path::new("/"),
            cache: Path::new("/"),
            search_path: &[],
            network: environment::Network::Offline,
            mirrors: None,
        };
        let environment = environment::prepare(&request, &crate::progress::Silent).unwrap();
        Surroundings { environment, package: None }
    }

    #[test]
    fn programs_are_found_or_named() {
        let plan = Plan::none();
        let tree = (Path::new("/nowhere"), Path::new("/mpkg/tree"));
        let found = nothing().program("step \"x\"", "sh", tree, &plan).unwrap();
        assert!(found.path.is_absolute() && found.unpinned.is_some());
        for name in ["no-such-program", "./no-such-script"] {
            let error = nothing().program("step \"x\"", name, tree, &plan).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(&format!("the step \"x\" runs {name:?}")), "{message}");
        }
    }
}
