//! A world with a source folder, an output folder and a command in a sandbox.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mpkg::build::environment::{Environment, Network, Request, StepVariables, prepare};
use mpkg::build::sandbox::{
    Access, Ended, Error, Limits, Plan, SandboxLevel, Sandboxed, plan, run,
};
use mpkg::package::manifest::EnvironmentSection;
use mpkg::progress::Silent;

use crate::support::World;

/// Names the program in place of the one that was built, where that cannot be read.
pub const PROGRAM: &str = "MPKG_TEST_PROGRAM";

/// Names the part that a test plays when it starts itself again.
pub const ROLE: &str = "MPKG_TEST_ROLE";

/// The program that is started again inside.
pub fn mpkg() -> PathBuf {
    let other = std::env::var_os(PROGRAM).map(PathBuf::from);
    other.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mpkg")))
}

/// What every script begins with.
const PRELUDE: &str = "import ctypes, errno, os, socket, sys, time
out = sys.argv[1]
def tried(name, act):
    try:
        act()
    except OSError as error:
        print(name, 'refused:', error)
    except BaseException as error:
        print(name, 'ODD:', repr(error))
    else:
        print(name, 'DONE')
";

/// The interpreter of all tests here, without any wheels.
fn environment() -> &'static Environment {
    static READY: OnceLock<(World, Environment)> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        let world = World::new();
        let section = EnvironmentSection { python: Some(">=3.8".to_owned()), ..Default::default() };
        let search_path: Vec<PathBuf> =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        let cache = world.path("cache");
        let request = Request {
            section: &section,
            tree: world.root(),
            cache: &cache,
            search_path: &search_path,
            network: Network::Offline,
            mirrors: None,
        };
        let environment = prepare(&request, &Silent).expect("a Python");
        (world, environment)
    });
    &ready.1
}

pub struct Cell {
    pub world: World,
    pub plan: Plan,
    pub limits: Limits,
    pub gpus: u32,
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Outcome {
    pub ended: Ended,
    pub printed: String,
}

impl Cell {
    pub fn new(level: SandboxLevel) -> Self {
        let world = World::new();
        world.write("source/data.txt", "source");
        std::fs::create_dir(world.path("out")).expect("a folder");
        let limits = Limits {
            memory: 1 << 30,
            time: Duration::from_mins(2),
            processes: 64,
            disk: 1 << 30,
            cpus: 1,
        };
        let plan = plan(level, &mpkg()).expect("a plan");
        Self { world, plan, limits, gpus: 0 }
    }

    /// A word that no other process of this machine has among its arguments.
    pub fn token(&self) -> String {
        self.world.root().display().to_string().replace('/', "-")
    }

    /// Whether the interpreter makes a folder of the root visible.
    pub fn python_lies_below(folder: &str) -> bool {
        let python = environment().python.as_ref().expect("a Python");
        python.folders.iter().any(|path| path.starts_with(Path::new("/").join(folder)))
    }

    /// Runs a script of Python to its end.
    #[track_caller]
    pub fn python(&self, script: &str) -> Outcome {
        self.world.write("source/script.py", format!("{PRELUDE}{script}\n"));
        let script = self.source().join("script.py").display().to_string();
        let out = self.out().display().to_string();
        self.run("python", &[&script, &out, &self.token()]).expect("the sandbox")
    }

    /// Runs a script and asserts that each of its `count` attempts is refused.
    #[track_caller]
    pub fn is_refused(&self, count: usize, script: &str) -> Outcome {
        let outcome = self.python(script);
        let refused = outcome.printed.lines().filter(|line| line.contains(" refused: ")).count();
        let layers = &outcome.ended.layers;
        assert_eq!(refused, count, "{layers:?}:\n{}", outcome.printed);
        assert!(!outcome.printed.contains("DONE"), "{layers:?}:\n{}", outcome.printed);
        outcome
    }

    fn source(&self) -> PathBuf {
        self.plan.mount(&self.world.path("source"), "source", Access::ReadOnly).inside
    }

    fn out(&self) -> PathBuf {
        self.plan.mount(&self.world.path("out"), "out", Access::Writable).inside
    }

    /// Runs a command to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Outcome, Error> {
        let environment = environment();
        let mut mounts = environment.mounts(&self.plan);
        mounts.push(self.plan.mount(&self.world.path("source"), "source", Access::ReadOnly));
        mounts.push(self.plan.mount(&self.world.path("out"), "out", Access::Writable));
        let step = StepVariables {
            plan: &self.plan,
            cpus: self.limits.cpus,
            source_date_epoch: 0,
            programs: &[],
        };
        let sandboxed = Sandboxed {
            mpkg: mpkg(),
            program: program.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            variables: environment.variables(&step),
            working_folder: self.source(),
            mounts,
            scratch: self.world.path("scratch"),
            limits: self.limits,
            plan: self.plan.clone(),
            gpus: self.gpus,
        };
        let mut printed = String::new();
        let ended = run(&sandboxed, &mut |_, line| {
            printed.push_str(line);
            printed.push('\n');
        })?;
        assert!(!self.world.path("scratch").exists());
        Ok(Outcome { ended, printed })
    }
}

/// Whether a process of this machine has `word` among its arguments.
pub fn anyone_says(word: &str) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok).any(|entry| {
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        let is_own = entry.file_name().to_string_lossy() == own;
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        is_process && !is_own && String::from_utf8_lossy(&arguments).contains(word)
    })
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::yield_now();
    }
}

/// Lets everybody read a folder.
pub fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, permissions).expect("the folder is ours");
}
