//! Python programs that judge ours, in virtual environments with pinned packages.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of a virtual environment with `packages` (each pinned, as in `gguf==0.17.1`) in it.
///
/// It is made once in `target/test-venvs/NAME` and shared by all tests that ask for the same;
/// a test that asks for other packages under the same name gets it made anew.
pub fn venv(name: &str, packages: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp has a parent")
        .join("test-venvs");
    std::fs::create_dir_all(&folder).expect("a folder for virtual environments");
    let lock = File::create(folder.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");

    let venv = folder.join(name);
    let python = venv.join("bin/python");
    let marker = venv.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return python;
    }
    if venv.exists() {
        std::fs::remove_dir_all(&venv).expect("the old environment goes");
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    if !packages.is_empty() {
        done(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--only-binary", ":all:"])
                .args(packages),
        );
    }
    std::fs::write(marker, wanted).expect("the list of packages");
    python
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
