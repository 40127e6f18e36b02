//! The software that steps run in: an interpreter found on this machine, wheels pinned by hash,
//! programs whose versions are checked, and a fixed set of variables (spec/environment.md).

mod error;
mod interpreter;
mod lock;
mod pip;
mod programs;
mod requirement;
mod uv;
mod variables;
mod venv;
mod wheel;

pub use error::{Error, Result};
pub use interpreter::Python;
pub use programs::SystemFound;
pub use variables::StepVariables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sandbox::{Access, Mount, Plan};
use crate::fs;
use crate::package::manifest::EnvironmentSection;
use crate::package::{Digest, KeptWheel};
use crate::progress::Progress;

/// The longest lock file that is read.
const LONGEST_LOCK: u64 = 64 << 20;

/// What is to be made ready.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The manifest's `[environment]`.
    pub section: &'a EnvironmentSection,
    /// The source tree.
    pub tree: &'a Path,
    /// The cache folder, `HOME/cache`.
    pub cache: &'a Path,
    /// The folders in which programs are looked for, in the order of `$PATH`.
    pub search_path: &'a [PathBuf],
    /// Whether wheels may be fetched.
    pub network: Network,
    /// Who keeps wheels by digest; asked before any other address.
    pub mirrors: Option<&'a dyn Mirrors>,
}

/// Keeps wheels by digest, as registries do. Whatever is had from there is held against the lock
/// file, so nobody has to be trusted for it.
pub trait Mirrors: std::fmt::Debug {
    /// The wheels that are kept for the lock file with this digest.
    fn wheels(&self, lock: Digest) -> Vec<KeptWheel>;

    /// Where a wheel lies on this machine, fetched and with the right digest; nothing where it is
    /// not to be had.
    fn fetch(&self, wheel: &KeptWheel) -> Option<PathBuf>;
}

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It may.
    Allowed,
    /// Only what lies in the cache is used.
    Offline,
}

/// A wheel that stands in an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wheel {
    /// The project's name, in its normal form.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The wheel's digest.
    pub sha256: Digest,
    /// The wheel's file name.
    pub file: String,
}

/// Software that is ready for steps to run in.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The folder with the interpreter's link and the wheels' contents, read-only.
    pub root: Option<PathBuf>,
    /// The interpreter.
    pub python: Option<Python>,
    /// The digest of the lock file.
    pub lock_digest: Option<Digest>,
    /// The wheels, in the order of their names.
    pub wheels: Vec<Wheel>,
    /// What installed them, where that was not mpkg itself: `uv` and its version.
    pub installer: Option<String>,
    /// The programs of `system`, in the manifest's order.
    pub system: Vec<SystemFound>,
    variables: BTreeMap<String, String>,
}

/// Makes the software ready: finds the interpreter and the programs, fetches and checks the
/// wheels, and puts them into a folder of the cache, once for each lock file and interpreter.
///
/// # Errors
/// When something is missing, too old, not pinned by hash, or cannot be fetched.
pub fn prepare(request: &Request<'_>, progress: &dyn Progress) -> Result<Environment> {
    let section = request.section;
    variables::check(&section.variables)?;
    let system = programs::find(&section.system, request.search_path)?;
    let lock = section.lock.as_ref().map(|path| read_lock(request.tree, path.as_str()));
    let lock = lock.transpose()?;
    let mut environment = Environment {
        root: None,
        python: None,
        lock_digest: lock.as_ref().map(|lock| lock.digest),
        wheels: Vec::new(),
        installer: None,
        system,
        variables: section.variables.clone(),
    };
    if section.python.is_none() && lock.is_none() {
        return Ok(environment);
    }
    let mut wanted = Vec::new();
    for text in section.python.iter().chain(lock.iter().filter_map(|lock| lock.python.as_ref())) {
        wanted.push(requirement::PythonRequirement::parse(text)?);
    }
    let python = interpreter::find(&wanted, request.search_path)?;
    let uv = lock.as_ref().and_then(|_| uv::find(request.search_path));
    let made = venv::make(request, &python, (lock.as_ref(), uv.as_ref()), progress)?;
    environment.installer = uv.map(|uv| uv.version);
    environment.root = Some(made.root);
    environment.wheels = made.wheels;
    environment.python = Some(python);
    Ok(environment)
}

/// The projects of a lock file named `name`, with their versions.
///
/// # Errors
/// When the lock file is not sound.
pub fn locked(text: &str, name: &str) -> Result<Vec<(String, String)>> {
    let packages = lock::LockFile::parse(text, name)?.packages;
    Ok(packages.into_iter().map(|package| (package.name, package.version)).collect())
}

/// A project that a lock file pins, with its wheels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedProject {
    /// Its name, in its normal form.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digests of the wheels that will do.
    pub digests: Vec<Digest>,
}

impl LockedProject {
    /// One of its wheels that lies in the cache folder `cache`, if one does.
    #[must_use]
    pub fn cached(&self, cache: &Path) -> Option<(Digest, PathBuf)> {
        self.digests.iter().find_map(|digest| {
            let folder = cache.join("wheels").join(digest.to_string());
            let entries = std::fs::read_dir(folder).ok()?;
            let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
            paths.sort();
            let is_wheel = |path: &PathBuf| path.extension().is_some_and(|end| end == "whl");
            paths.into_iter().find(is_wheel).map(|path| (*digest, path))
        })
    }
}

/// The projects that the lock file of `section` pins, for the source tree in `tree`; none without
/// a lock file.
///
/// # Errors
/// When the lock file cannot be read or is not sound.
pub fn projects(section: &EnvironmentSection, tree: &Path) -> Result<Vec<LockedProject>> {
    let Some(path) = &section.lock else { return Ok(Vec::new()) };
    let packages = read_lock(tree, path.as_str())?.packages.into_iter();
    let project = |one: lock::Locked| LockedProject {
        name: one.name,
        version: one.version,
        digests: one.digests.into_iter().collect(),
    };
    Ok(packages.map(project).collect())
}

/// The text members of the wheel at `path` that `wanted` chooses by their names, at most `limit`
/// bytes of each; a longer one is left out.
///
/// # Errors
/// When it is no wheel that can be read.
pub fn wheel_members(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
    limit: u64,
) -> Result<BTreeMap<String, Vec<u8>>> {
    wheel::members(path, wanted, limit)
}

/// The locales that the program `locale` knows of; none where there is no such program.
#[must_use]
pub fn locales(search_path: &[PathBuf]) -> Vec<String> {
    let program = programs::search("locale", search_path);
    let answer = program.and_then(|program| programs::ask(&program, &["-a"]).ok());
    answer.unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect()
}

fn read_lock(tree: &Path, name: &str) -> Result<lock::LockFile> {
    let path = tree.join(name);
    let text = fs::read_to_string(&path, LONGEST_LOCK)?;
    lock::LockFile::parse(&text, name)
}

impl Environment {
    /// The wheels as a registry lists them, with their places in the cache folder `cache`.
    ///
    /// # Errors
    /// A wheel that is not in the cache.
    pub fn kept_wheels(&self, cache: &Path) -> Result<Vec<(KeptWheel, PathBuf)>> {
        let Some(python) = &self.python else { return Ok(Vec::new()) };
        let kept = self.wheels.iter().map(|wheel| {
            let path = venv::place(cache, wheel);
            let size = std::fs::metadata(&path).map_err(fs::Error::at("look at", &path))?.len();
            let kept = KeptWheel {
                file: wheel.file.clone(),
                platform: python.platform.clone(),
                python: venv::short_version(python),
                sha256: wheel.sha256,
                size,
            };
            Ok((kept, path))
        });
        kept.collect()
    }

    /// What a command in this environment sees of it.
    #[must_use]
    pub fn mounts(&self, plan: &Plan) -> Vec<Mount> {
        let mut mounts = Vec::new();
        for folder in self.python.iter().flat_map(|python| &python.folders) {
            mounts.push(plan.mount_in_place(folder, Access::ReadOnly));
        }
        for folder in self.system.iter().filter_map(|found| found.folder.as_ref()) {
            mounts.push(plan.mount_in_place(folder, Access::ReadOnly));
        }
        if let Some(root) = &self.root {
            mounts.push(plan.mount(root, "env", Access::ReadOnly));
        }
        mounts.sort_by(|one, other| one.inside.cmp(&other.inside));
        mounts.dedup();
        mounts
    }
}
