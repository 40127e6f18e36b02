//! Runs a program and makes one of its writing calls fail, or kills it there.
//!
//! A small debugger on ptrace: unlike strace, whose count of calls is one a thread, this counts the
//! calls of all threads together, so that every one of them can be named by a number.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use libc::{c_int, c_long, c_void, pid_t};

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed before it.
    Kill,
    /// It does nothing and fails with this error.
    Error(c_int),
}

/// How a traced program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// What it said.
    pub stderr: String,
    /// How many writing calls it made, up to the end or the kill.
    pub calls: usize,
    /// The number that the system has for the call with the fault.
    pub hit: Option<u64>,
}

/// The calls that name files by path, or make them.
const BY_PATH: &[c_long] = &[
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rmdir,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_chmod,
    libc::SYS_fchmodat,
];

/// The calls on an open file, which is their first argument.
const BY_FILE: &[c_long] = &[
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_pwritev,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
];

/// `FICLONE`, as the C headers have it.
const FICLONE: u64 = 0x4004_9409;

/// Runs `command`; at its writing call number `at`, counted from 1, there is the `fault`. What is
/// written to files that are not below `world` does not count.
pub fn run(command: &mut Command, world: &Path, at: usize, fault: Fault) -> Ended {
    let mut said = tempfile::tempfile().expect("a file for stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(said.try_clone().expect("the file again"));
    // Safety: the call between fork and exec is a bare system call.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it by its number")]
    let child = command.spawn().expect("the program starts, and may be traced");
    let program = pid_t::try_from(child.id()).expect("a process number");
    let mut tracer =
        Tracer { program, world, at, fault, calls: 0, hit: None, failing: HashMap::new() };
    let code = tracer.follow();
    Ended { code, stderr: read(&mut said), calls: tracer.calls, hit: tracer.hit }
}

fn read(file: &mut File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    file.rewind().expect("the beginning");
    file.read_to_string(&mut text).expect("what it said");
    text
}

struct Tracer<'a> {
    program: pid_t,
    world: &'a Path,
    at: usize,
    fault: Fault,
    calls: usize,
    hit: Option<u64>,
    /// The threads whose call was made to do nothing, with the error that it is to give.
    failing: HashMap<pid_t, c_int>,
}

impl Tracer<'_> {
    /// Follows the program and its threads, not its children, to the end.
    fn follow(&mut self) -> i32 {
        let mut has_begun = false;
        loop {
            let mut status = 0;
            // Other tests of this process have children too: only those of this thread count.
            // Safety: the pointer is to a local variable.
            let thread =
                unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            assert!(thread > 0, "nothing is left to wait for");
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if thread == self.program {
                    return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 };
                }
                continue;
            }
            let signal = libc::WSTOPSIG(status);
            let event = status >> 16;
            if !has_begun {
                has_begun = true;
                let options = libc::PTRACE_O_TRACESYSGOOD
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_EXITKILL;
                ask(libc::PTRACE_SETOPTIONS, thread, 0, c_long::from(options));
            } else if signal == libc::SIGTRAP | 0x80 {
                self.at_call(thread);
            }
            let passed = match signal {
                _ if event != 0 => 0,
                libc::SIGSTOP | libc::SIGTRAP => 0,
                other if other == libc::SIGTRAP | 0x80 => 0,
                other => other,
            };
            ask(libc::PTRACE_SYSCALL, thread, 0, c_long::from(passed));
        }
    }

    /// A thread is at the beginning or the end of a call.
    fn at_call(&mut self, thread: pid_t) {
        // Safety: the kernel fills at most the length that is given; all zeros are a valid value.
        let info = unsafe {
            let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
            let length = std::mem::size_of_val(&info);
            let place = (&raw mut info).cast::<c_void>();
            if libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, length, place) <= 0 {
                return;
            }
            info
        };
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            if let Some(error) = self.failing.remove(&thread) {
                let result = -i64::from(error);
                registers(thread, |registers| registers.rax = result.cast_unsigned());
            }
            return;
        }
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return;
        }
        // Safety: at the beginning of a call this is the part that is filled.
        let call = unsafe { info.u.entry };
        if !self.writes(thread, call.nr, &call.args) {
            return;
        }
        self.calls += 1;
        if self.calls != self.at {
            return;
        }
        self.hit = Some(call.nr);
        match self.fault {
            Fault::Kill => {
                // Safety: the process is a child of this thread that was not waited for.
                unsafe { libc::kill(self.program, libc::SIGKILL) };
            }
            Fault::Error(error) => {
                self.failing.insert(thread, error);
                registers(thread, |registers| registers.orig_rax = u64::MAX);
            }
        }
    }

    /// Whether a call may change what is on disk.
    fn writes(&self, thread: pid_t, call: u64, arguments: &[u64; 6]) -> bool {
        let Ok(call) = c_long::try_from(call) else { return false };
        let is_ours = |file: u64| {
            let link = std::fs::read_link(format!("/proc/{thread}/fd/{file}"));
            link.is_ok_and(|path| path.starts_with(self.world))
        };
        let creates = |flags: u64| flags & u64::from(libc::O_CREAT.cast_unsigned()) != 0;
        match call {
            libc::SYS_openat => creates(arguments[2]),
            libc::SYS_copy_file_range => is_ours(arguments[2]),
            libc::SYS_ioctl => arguments[1] == FICLONE && is_ours(arguments[0]),
            libc::SYS_utimensat => true,
            _ => BY_PATH.contains(&call) || BY_FILE.contains(&call) && is_ours(arguments[0]),
        }
    }
}

fn ask(request: libc::c_uint, thread: pid_t, address: c_long, data: c_long) {
    // Safety: these requests take numbers. A thread that was killed meanwhile is no matter.
    unsafe { libc::ptrace(request, thread, address, data) };
}

fn registers(thread: pid_t, change: impl FnOnce(&mut libc::user_regs_struct)) {
    // Safety: the kernel fills and reads this very structure.
    unsafe {
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        let place = (&raw mut registers).cast::<c_void>();
        libc::ptrace(libc::PTRACE_GETREGS, thread, 0, place);
        change(&mut registers);
        libc::ptrace(libc::PTRACE_SETREGS, thread, 0, place);
    }
}
