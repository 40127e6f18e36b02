//! Puts an environment together in the cache: a folder that Python takes for a virtual
//! environment, and that works wherever it is mounted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::interpreter::Python;
use super::lock::LockFile;
use super::uv::Uv;
use super::wheel::{self, Destination, WheelName};
use super::{Network, Request, Wheel, pip};
use crate::explain::count;
use crate::fs;
use crate::package::{Digest, Hasher, KeptWheel};
use crate::progress::Progress;

/// Changes when the same lock file is to give another folder than before.
const FORMAT: u32 = 1;

/// The list of wheels in an environment's folder.
const LIST: &str = "wheels.json";

/// An environment in the cache.
pub(super) struct Made {
    pub(super) root: PathBuf,
    pub(super) wheels: Vec<Wheel>,
}

/// Makes the environment, unless it is there already.
pub(super) fn make(
    request: &Request<'_>,
    python: &Python,
    (lock, uv): (Option<&LockFile>, Option<&Uv>),
    progress: &dyn Progress,
) -> Result<Made> {
    let key = key(python, lock, uv);
    let folder = request.cache.join("environments");
    let root = folder.join(&key);
    if let Some(made) = existing(&root) {
        fs::touch(&root);
        return Ok(made);
    }
    let waiting = || progress.note("Waiting for another mpkg that makes the same environment");
    let _lock = fs::Lock::acquire(&folder.join(format!("{key}.lock")), waiting)?;
    if let Some(made) = existing(&root) {
        return Ok(made);
    }
    let staging = folder.join(format!("{key}.staging"));
    fs::remove_folder(&staging)?;
    fs::create_folder(&staging)?;
    let result = fill(request, python, (lock, uv), &staging, progress)
        .and_then(|wheels| finish(&staging, &root, &wheels).map(|()| wheels));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_folder(&staging);
    }
    let wheels = result?;
    fs::remove_folder(&staging)?;
    let number = count(wheels.len(), "wheel", "wheels");
    progress.note(&format!("Made the environment: Python {}, {number}", python.version));
    Ok(Made { root, wheels })
}

/// What an environment's contents depend on.
fn key(python: &Python, lock: Option<&LockFile>, uv: Option<&Uv>) -> String {
    let lock = lock.map_or_else(|| "none".to_owned(), |lock| lock.digest.to_string());
    let text = format!(
        "{FORMAT}\n{lock}\n{}\n{}\n{}\n{}\n{}",
        python.executable.display(),
        python.version,
        python.implementation,
        python.platform,
        uv.map_or("", |uv| &uv.version)
    );
    Digest::of(text.as_bytes()).to_string()
}

fn existing(root: &Path) -> Option<Made> {
    let text = fs::read_to_string(&root.join(LIST), 64 << 20).ok()?;
    let wheels = serde_json::from_str(&text).ok()?;
    Some(Made { root: root.to_owned(), wheels })
}

fn fill(
    request: &Request<'_>,
    python: &Python,
    (lock, uv): (Option<&LockFile>, Option<&Uv>),
    staging: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Wheel>> {
    let into = Destination { root: staging.join("env"), python: short_version(python) };
    let mut wheels = Vec::new();
    if let Some(lock) = lock {
        wheels = fetch(request, python, lock, staging, progress)?;
        let places: Vec<PathBuf> = wheels.iter().map(|wheel| place(request.cache, wheel)).collect();
        match uv {
            Some(uv) => uv.install(python, lock, &places, &into)?,
            None => places.iter().try_for_each(|place| wheel::unpack(place, &into))?,
        }
    }
    fs::create_folder(&into.packages())?;
    fs::create_folder(&into.scripts())?;
    link_interpreter(python, &into)?;
    Ok(wheels)
}

/// Makes the folder a virtual environment: Python looks for `pyvenv.cfg` beside its own folder,
/// and takes packages from there alone.
fn link_interpreter(python: &Python, into: &Destination) -> Result<()> {
    let home = python.executable.parent().unwrap_or(Path::new("/"));
    let settings = format!(
        "home = {}\ninclude-system-site-packages = false\nversion = {}\n",
        home.display(),
        python.version
    );
    fs::write_atomically(&into.root.join("pyvenv.cfg"), settings.as_bytes())?;
    for name in ["python".to_owned(), "python3".to_owned(), format!("python{}", into.python)] {
        let path = into.scripts().join(name);
        symlink(&python.executable, &path).map_err(fs::Error::at("link", &path))?;
    }
    Ok(())
}

/// `X.Y` of an interpreter.
pub(super) fn short_version(python: &Python) -> String {
    let [major, minor, _] = python.release;
    format!("{major}.{minor}")
}

/// Where a wheel lies in the cache.
pub(super) fn place(cache: &Path, wheel: &Wheel) -> PathBuf {
    cache.join("wheels").join(wheel.sha256.to_string()).join(&wheel.file)
}

/// Fetches the wheels and keeps those that the lock file lists in the cache.
fn fetch(
    request: &Request<'_>,
    python: &Python,
    lock: &LockFile,
    staging: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Wheel>> {
    let cached = staging.join("cached");
    fs::create_folder(&cached)?;
    let fetched = staging.join("fetched");
    fs::create_folder(&fetched)?;
    let is_mirrored = take_mirrored(request, python, lock)?;
    let download =
        |network| pip::download(request, python, lock, (network, &cached), &fetched, progress);
    match request.network {
        Network::Offline => {
            offer_cached(request.cache, lock, &cached)?;
            download(Network::Offline)?;
        }
        Network::Allowed => {
            // The machine that mirrored them may have chosen fewer than this one needs.
            let from_mirror = is_mirrored
                && offer_cached(request.cache, lock, &cached).is_ok()
                && download(Network::Offline).is_ok();
            if !from_mirror {
                download(Network::Allowed)?;
            }
        }
    }
    let mut wheels = Vec::new();
    let entries = std::fs::read_dir(&fetched).map_err(fs::Error::at("read", &fetched))?;
    for entry in entries {
        let path = entry.map_err(fs::Error::at("read", &fetched))?.path();
        let wheel = check(&path, lock)?;
        let goal = place(request.cache, &wheel);
        if let Some(folder) = goal.parent() {
            fs::create_folder(folder)?;
        }
        std::fs::rename(&path, &goal).map_err(fs::Error::at("move a wheel to", &goal))?;
        wheels.push(wheel);
    }
    wheels.sort();
    Ok(wheels)
}

/// Puts the wheels into the cache that a mirror keeps for this lock file and such an interpreter;
/// says whether there are any.
fn take_mirrored(request: &Request<'_>, python: &Python, lock: &LockFile) -> Result<bool> {
    let Some(mirrors) = request.mirrors else { return Ok(false) };
    let mut any = false;
    for kept in mirrors.wheels(lock.digest) {
        let Some(name) = WheelName::parse(&kept.file).filter(|_| !kept.file.contains('/')) else {
            continue;
        };
        let is_listed = lock
            .packages
            .iter()
            .any(|package| package.name == name.project && package.digests.contains(&kept.sha256));
        let fits = kept.python == short_version(python) && kept.platform == python.platform;
        if !is_listed || !fits {
            continue;
        }
        let KeptWheel { sha256, file, .. } = kept.clone();
        let goal = place(
            request.cache,
            &Wheel { name: name.project, version: name.version, sha256, file },
        );
        if !goal.is_file() {
            let Some(path) = mirrors.fetch(&kept) else { continue };
            let folder = goal.parent().unwrap_or(request.cache);
            fs::create_folder(folder)?;
            let part = folder.with_extension("part");
            std::fs::copy(&path, &part).map_err(fs::Error::at("copy a wheel to", &part))?;
            std::fs::rename(&part, &goal).map_err(fs::Error::at("move a wheel to", &goal))?;
        }
        any = true;
    }
    Ok(any)
}

/// Links every wheel of the cache that the lock file lists into `folder`.
fn offer_cached(cache: &Path, lock: &LockFile, folder: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for package in &lock.packages {
        let mut found = false;
        for digest in &package.digests {
            let place = cache.join("wheels").join(digest.to_string());
            let Ok(entries) = std::fs::read_dir(&place) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let goal = folder.join(path.file_name().unwrap_or_default());
                symlink(&path, &goal).map_err(fs::Error::at("link", &goal))?;
                found = true;
            }
        }
        // What only some machines need may be missing.
        if !found && package.marker.is_none() {
            missing.push(format!("{} {}", package.name, package.version));
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::Offline { missing: missing.join(", ") }),
    }
}

/// Checks a wheel against the lock file.
fn check(path: &Path, lock: &LockFile) -> Result<Wheel> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = WheelName::parse(&file).ok_or_else(|| Error::BadWheel {
        name: file.clone(),
        reason: "its name is not that of a wheel".to_owned(),
    })?;
    let sha256 = digest(path)?;
    let listed = lock
        .packages
        .iter()
        .any(|package| package.name == name.project && package.digests.contains(&sha256));
    match listed {
        true => Ok(Wheel { name: name.project, version: name.version, sha256, file }),
        false => Err(Error::WrongDigest {
            name: file,
            file: lock.name.clone(),
            project: name.project,
            found: sha256,
        }),
    }
}

fn digest(path: &Path) -> Result<Digest> {
    let mut file = std::fs::File::open(path).map_err(fs::Error::at("open", path))?;
    let mut hasher = Hasher::new();
    std::io::copy(&mut file, &mut hasher).map_err(fs::Error::at("read", path))?;
    Ok(hasher.finish())
}

/// Makes the environment read-only and moves it to its place, with its list of wheels, by which
/// it is known to be whole.
fn finish(staging: &Path, root: &Path, wheels: &[Wheel]) -> Result<()> {
    let made = staging.join("env");
    let list = serde_json::to_vec_pretty(wheels).unwrap_or_default();
    fs::write_atomically(&made.join(LIST), &list)?;
    let mut folders = Vec::new();
    for entry in walkdir::WalkDir::new(&made).min_depth(1).contents_first(true) {
        let entry = entry.map_err(|error| fs::Error::at("read", &made)(error.into()))?;
        if entry.file_type().is_dir() {
            folders.push(entry.into_path());
        } else if entry.file_type().is_file() {
            let executable =
                entry.metadata().is_ok_and(|data| data.permissions().mode() & 0o100 != 0);
            set_mode(entry.path(), if executable { 0o555 } else { 0o444 })?;
        }
    }
    for folder in folders {
        set_mode(&folder, 0o555)?;
        fs::sync_folder(&folder)?;
    }
    sync_disk(&made)?;
    // Half an environment of an earlier run, if its list was never written.
    fs::remove_folder(root)?;
    std::fs::rename(&made, root).map_err(fs::Error::at("rename a folder to", root))?;
    set_mode(root, 0o555)?;
    fs::sync_folder(root.parent().unwrap_or(root))?;
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = std::fs::Permissions::from_mode(mode);
    Ok(std::fs::set_permissions(path, permissions)
        .map_err(fs::Error::at("set the mode of", path))?)
}

/// Has the disk take all that was written, at once rather than file by file.
fn sync_disk(folder: &Path) -> Result<()> {
    let handle = std::fs::File::open(folder).map_err(fs::Error::at("open", folder))?;
    rustix::fs::syncfs(&handle).map_err(|error| fs::Error::at("sync", folder)(error.into()))?;
    Ok(())
}
