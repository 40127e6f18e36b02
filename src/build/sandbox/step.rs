//! Turns a copy of the watching process into the command, held by every layer of the plan.

use std::ffi::CString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::clock::Clock;
use super::settings::{Failure, Made, Order, Stage, Terminal};
use super::system::{self, Fork, Turns};
use super::{landlock, privileges, seccomp};

/// Starts the command and returns its process id.
pub(super) fn start(order: &Order) -> Made<i32> {
    let (mut failure, mut told) = io::pipe().map_err(Failure::when("make a pipe"))?;
    let followed = Clock::moved(order.plan.conditions.clock).is_some();
    let (mut leave, mut given) = io::pipe().map_err(Failure::when("make a pipe"))?;
    match fork(followed).map_err(Failure::when("start a process"))? {
        Fork::Child => {
            drop((failure, given));
            if followed {
                // An end without a byte is the end of the watch, and of this process with it.
                let _ = leave.read(&mut [0]);
            }
            let failed = turn_into_command(order);
            let _ = told.write_all(&serde_json::to_vec(&failed).unwrap_or_default());
            system::exit(127)
        }
        Fork::Parent(id) => {
            drop((told, leave));
            if followed {
                Clock::follow(id).map_err(Failure::when("give the command another clock"))?;
                given.write_all(&[0]).map_err(Failure::when("let the command begin"))?;
            }
            let mut text = Vec::new();
            // The pipe closes by itself when the command starts.
            let read = failure.read_to_end(&mut text);
            read.map_err(Failure::when("wait for the command's start"))?;
            match text.is_empty() {
                true => Ok(id),
                false => Err(serde_json::from_slice(&text).unwrap_or_else(|_| {
                    Failure::when("start the command")(io::Error::from_raw_os_error(libc::EIO))
                })),
            }
        }
    }
}

/// Makes the process that becomes the command. One that is `followed` must be open to its watch
/// while it is no other program yet.
fn fork(followed: bool) -> io::Result<Fork> {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
    if !followed {
        return system::fork();
    }
    let usual = dumpable_behavior()?;
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let forked = system::fork()?;
    if let Fork::Parent(_) = forked {
        set_dumpable_behavior(usual)?;
    }
    Ok(forked)
}

/// Returns only on failure.
fn turn_into_command(order: &Order) -> Failure {
    match prepare(order) {
        Ok(command) => command.execute(),
        Err(failure) => failure,
    }
}

fn prepare(order: &Order) -> Made<Command> {
    system::reset_signals();
    system::take_turns(turns(order));
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::when("tie the command to its watch"))?;
    if order.terminal == Terminal::Captured {
        rustix::process::setsid().map_err(Failure::when("make a session"))?;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(order.plan.conditions.umask));
    rustix::process::chdir(&order.working_folder)
        .map_err(Failure::when(format!("enter {}", order.working_folder.display())))?;
    let command = Command::find(order)?;
    privileges::limit(&order.limits, order.plan.namespaces)?;
    privileges::drop_all()?;
    if order.plan.landlock.is_some() {
        landlock::restrict(order)?;
    }
    if order.plan.seccomp {
        seccomp::filter(&order.plan)?;
    }
    Ok(command)
}

/// Where nothing in the system bounds the number of root's processes, they take turns behind the
/// process that watches them, so that however many there are it can end them all.
fn turns(order: &Order) -> Turns {
    let bounded = order.group.is_some()
        || order.plan.namespaces.is_some()
        || !rustix::process::geteuid().is_root();
    match bounded {
        true => Turns::Usual,
        false => Turns::Last,
    }
}

/// A command in the form that the system takes; made beforehand, since nothing may be looked up
/// once the layers hold.
struct Command {
    path: CString,
    arguments: Vec<CString>,
    variables: Vec<CString>,
}

impl Command {
    fn find(order: &Order) -> Made<Self> {
        let failed = |number| Failure {
            action: format!("start {}", order.program),
            number,
            stage: Stage::Program,
        };
        let search_path = order.variables.get("PATH").map_or("", String::as_str);
        let path = find_program(&order.program, search_path).map_err(failed)?;
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| failed(libc::EINVAL));
        let mut arguments = vec![text(order.program.as_bytes())?];
        for argument in &order.arguments {
            arguments.push(text(argument.as_bytes())?);
        }
        let mut variables = Vec::new();
        for (name, value) in &order.variables {
            variables.push(text(format!("{name}={value}").as_bytes())?);
        }
        Ok(Self { path: text(path.as_os_str().as_bytes())?, arguments, variables })
    }

    /// Becomes the command; returns only on failure.
    fn execute(&self) -> Failure {
        let pointers = |texts: &[CString]| {
            let list = texts.iter().map(|text| text.as_ptr());
            list.chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let (arguments, variables) = (pointers(&self.arguments), pointers(&self.variables));
        // SAFETY: the path is a C string; both lists end in a null pointer, and all that they
        // point to lives in `self`.
        unsafe { libc::execve(self.path.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
        let number = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        let action = format!("start {}", self.path.to_string_lossy());
        Failure { action, number, stage: Stage::Program }
    }
}

/// Where a program lies, or the system's error number.
fn find_program(name: &str, search_path: &str) -> Result<PathBuf, i32> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let mut number = libc::ENOENT;
    for folder in search_path.split(':').filter(|folder| !folder.is_empty()) {
        let path = Path::new(folder).join(name);
        match rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
            Ok(()) if path.is_file() => return Ok(path),
            Err(rustix::io::Errno::ACCESS) => number = libc::EACCES,
            _ => {}
        }
    }
    Err(number)
}
