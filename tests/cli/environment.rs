//! Environments with real interpreters and real wheels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mpkg::build::environment::{Environment, Network, Request, StepVariables, prepare};
use mpkg::build::sandbox::{Limits, SandboxLevel, Sandboxed, Status, plan, run};
use mpkg::explain::Explain;
use mpkg::package::manifest::{EnvironmentSection, Resources, SystemProgram};
use mpkg::progress::Silent;

use crate::support::{World, python};

const MPKG: &str = env!("CARGO_BIN_EXE_mpkg");

/// The wheel of `six` 1.17.0, pure Python.
const SIX: &str = "six==1.17.0 \
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n";

fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect()
}

fn try_prepare(
    world: &World,
    section: &EnvironmentSection,
    network: Network,
) -> Result<Environment, mpkg::build::environment::Error> {
    prepare_from(world, section, network, &search_path())
}

fn prepare_from(
    world: &World,
    section: &EnvironmentSection,
    network: Network,
    search_path: &[PathBuf],
) -> Result<Environment, mpkg::build::environment::Error> {
    let cache = world.path("home/cache");
    let tree = world.path("tree");
    let request =
        Request { section, tree: &tree, cache: &cache, search_path, network, mirrors: None };
    prepare(&request, &Silent)
}

fn python_of(requirement: &str) -> EnvironmentSection {
    EnvironmentSection { python: Some(requirement.to_owned()), ..Default::default() }
}

fn locked(world: &World, name: &str, text: &str) -> EnvironmentSection {
    world.write(&format!("tree/{name}"), text);
    EnvironmentSection { lock: Some(name.parse().unwrap()), ..python_of(">=3.8") }
}

/// Runs a script in the environment, in the sandbox, and returns what it prints.
fn run_in(world: &World, environment: &Environment, level: SandboxLevel, words: &[&str]) -> String {
    let plan = plan(level, Path::new(MPKG)).unwrap();
    let step = StepVariables { plan: &plan, cpus: 1, source_date_epoch: 0, programs: &[] };
    let sandboxed = Sandboxed {
        mpkg: PathBuf::from(MPKG),
        program: words[0].to_owned(),
        arguments: words[1..].iter().map(|&word| word.to_owned()).collect(),
        variables: environment.variables(&step),
        working_folder: PathBuf::from("/"),
        mounts: environment.mounts(&plan),
        scratch: world.path("scratch"),
        limits: Limits::from(&Resources::default()),
        plan,
        gpus: 0,
    };
    let mut printed = String::new();
    let ended = run(&sandboxed, &mut |_, line| {
        printed.push_str(line);
        printed.push('\n');
    });
    assert_eq!(ended.unwrap().status, Status::Code(0), "{printed}");
    printed
}

#[test]
fn the_locked_wheels_are_there_and_nothing_else() {
    let world = World::new();
    let section = locked(&world, "requirements.txt", SIX);
    let environment = try_prepare(&world, &section, Network::Allowed).unwrap();
    assert_eq!(environment.wheels[0].version, "1.17.0");
    let script = "import importlib.metadata as m, six, sys\n\
                  print(sorted(d.name for d in m.distributions()), six.__file__, sys.prefix)";
    for (level, prefix) in [
        (SandboxLevel::Full, "/mpkg/env".to_owned()),
        (SandboxLevel::Landlock, environment.root.as_ref().unwrap().display().to_string()),
    ] {
        let printed = run_in(&world, &environment, level, &["python", "-c", script]);
        assert!(printed.starts_with("['six'] ") && printed.contains(&prefix), "{printed}");
    }
    // A second time it is there at once, also without the network.
    let again = try_prepare(&world, &section, Network::Offline).unwrap();
    assert_eq!(again.root, environment.root);
    assert_eq!(again.wheels, environment.wheels);
}

/// A wheel with a script, and one for other machines alone.
const TABULATE: &str = "tabulate==0.9.0 \
    --hash=sha256:024ca478df22e9340661486f85298cff5f6dcdba14f3813e8830015b9ed1948f\n\
    colorama==0.4.6 ; sys_platform == \"win32\" \
    --hash=sha256:4f1d9991f5acc0ca119f9d443620b77f9d6b33703e51011c16baf57afb285fc6\n";

/// What lies below the folder of an environment.
fn contents(environment: &Environment) -> BTreeMap<String, Vec<u8>> {
    let root = environment.root.as_ref().unwrap();
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(root).unwrap().display().to_string();
        if entry.file_type().is_file() {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        } else if entry.file_type().is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            found.insert(name, target.display().to_string().into_bytes());
        }
    }
    found
}

#[test]
fn uv_installs_the_same_wheels() {
    let world = World::new();
    let section = locked(&world, "requirements.txt", &format!("{SIX}{TABULATE}"));
    let by_mpkg = try_prepare(&world, &section, Network::Allowed).unwrap();
    assert_eq!(by_mpkg.installer, None);
    // uv has no network and fetches nothing: the wheels are those that were checked.
    let uv = python::venv("uv", &["uv==0.13.9"]);
    let mut with_uv = vec![world.path("bin")];
    std::fs::create_dir(world.path("bin")).unwrap();
    std::os::unix::fs::symlink(uv.with_file_name("uv"), world.path("bin/uv")).unwrap();
    with_uv.extend(search_path());
    let by_uv = prepare_from(&world, &section, Network::Offline, &with_uv).unwrap();
    assert_eq!(by_uv.installer.as_deref(), Some("uv 0.13.9"));
    assert_eq!(by_uv.wheels, by_mpkg.wheels);
    assert_ne!(by_uv.root, by_mpkg.root);

    let (ours, theirs) = (contents(&by_mpkg), contents(&by_uv));
    let differs = |name: &str| ours.get(name) != theirs.get(name);
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<&str> =
        names.into_iter().map(String::as_str).filter(|name| differs(name)).collect();
    let packages = theirs.keys().find_map(|name| name.strip_suffix("six.py")).unwrap();
    let mut expected = vec!["bin/tabulate".to_owned()];
    for project in ["six-1.17.0", "tabulate-0.9.0"] {
        let named = |name: &str| format!("{packages}{project}.dist-info/{name}");
        expected.extend(["INSTALLER", "RECORD", "REQUESTED"].map(named));
    }
    assert_eq!(different, expected);

    let script = "import importlib.metadata as m, six, sys\n\
                  print(sorted(d.name for d in m.distributions()), sys.prefix)";
    let printed = run_in(&world, &by_uv, SandboxLevel::Full, &["python", "-c", script]);
    assert_eq!(printed, "['six', 'tabulate'] /mpkg/env\n");
    for environment in [&by_mpkg, &by_uv] {
        let printed = run_in(&world, environment, SandboxLevel::Full, &["tabulate", "--help"]);
        assert!(printed.contains("Pretty-print tabular data"), "{printed}");
    }

    // A wheel that was changed in the cache is not installed.
    let six = &by_uv.wheels[0];
    let wheel = world.path("home/cache/wheels").join(six.sha256.to_string()).join(&six.file);
    std::fs::write(&wheel, b"PK").unwrap();
    std::fs::set_permissions(
        by_uv.root.as_ref().unwrap(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::remove_file(by_uv.root.as_ref().unwrap().join("wheels.json")).unwrap();
    let error = prepare_from(&world, &section, Network::Offline, &with_uv).unwrap_err();
    assert!(["pip", "uv", "wrong-digest"].contains(&error.kind()), "{error}");
}

/// Writes a program that answers `--version` and everything else with one line.
fn program(world: &World, name: &str, answer: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = world.write(&format!("bin/{name}"), format!("#!/bin/sh\necho '{answer}'\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.path("bin")
}

fn prepare_with(
    world: &World,
    section: &EnvironmentSection,
    search_path: &[PathBuf],
) -> mpkg::build::environment::Error {
    let cache = world.path("home/cache");
    let request = Request {
        section,
        tree: &world.path("tree"),
        cache: &cache,
        search_path,
        network: Network::Offline,
        mirrors: None,
    };
    prepare(&request, &Silent).unwrap_err()
}

#[test]
fn a_machine_without_python_is_told_what_to_install() {
    let world = World::new();
    let error = prepare_with(&world, &python_of(">=3.11"), &[world.path("bin")]);
    let said = "Python >=3.11 is needed, and there is none in any folder of the search path";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().contains("apt-get install python3 python3-venv"));
}

#[test]
fn a_python_that_is_too_old_is_named() {
    let world = World::new();
    let answer = r#"{"executable": "/x/python3", "release": [3, 8, 1], "version": "3.8.1",
        "implementation": "cpython", "platform": "linux", "folders": []}"#;
    let folder = program(&world, "python3", &answer.replace('\n', " "));
    let error = prepare_with(&world, &python_of(">=3.11"), std::slice::from_ref(&folder));
    let said = format!("Python >=3.11 is needed, and {}/python3 is 3.8.1", folder.display());
    assert_eq!(error.to_string(), said);
}

#[test]
fn programs_that_are_missing_or_too_old_are_named() {
    let world = World::new();
    let wanted = |program: &str| EnvironmentSection {
        system: vec![SystemProgram {
            program: program.to_owned(),
            version: Some(">=99".parse().unwrap()),
        }],
        ..Default::default()
    };
    let usual = [PathBuf::from("/usr/bin"), PathBuf::from("/bin")];
    let error = prepare_with(&world, &wanted("no-such-program"), &usual);
    assert_eq!(error.kind(), "program-not-found");
    assert!(error.hint().unwrap().contains("apt-get install no-such-program"));
    let error = prepare_with(&world, &wanted("tar"), &usual).to_string();
    assert!(error.starts_with("tar >=99 is needed, and /usr/bin/tar is 1."), "{error}");
    let folder = program(&world, "tool", "tool 99.1");
    let error = prepare_with(&world, &wanted("tool"), &[folder]);
    assert_eq!(error.kind(), "program-place");
}

#[test]
fn without_the_network_what_is_missing_is_named() {
    let world = World::new();
    let section = locked(&world, "requirements.txt", SIX);
    let error = try_prepare(&world, &section, Network::Offline).unwrap_err();
    assert_eq!(error.kind(), "offline");
    assert!(error.to_string().ends_with("the cache has no wheel of six 1.17.0"), "{error}");
    // Nothing half-made stays.
    let left: Vec<_> = std::fs::read_dir(world.path("home/cache/environments"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_wheel_with_another_hash_is_refused() {
    let world = World::new();
    let section = locked(&world, "requirements.txt", &SIX.replace("4721", "0000"));
    let error = try_prepare(&world, &section, Network::Allowed).unwrap_err();
    assert_eq!(error.kind(), "pip");
    assert!(error.to_string().to_lowercase().contains("hash"), "{error}");
    assert!(!world.path("home/cache/wheels").exists());
}
