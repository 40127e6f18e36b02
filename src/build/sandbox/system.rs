//! The few system calls that have no safe form elsewhere.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::settings::Status;

/// Which side of a fork this is.
pub(super) enum Fork {
    /// The new process.
    Child,
    /// The old one, with the new one's id.
    Parent(i32),
}

/// Makes a copy of this process, which must have one thread.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: this process was started for the sandbox alone and has a single thread, so the
    // copy finds every lock and the allocator in a usable state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        id => Ok(Fork::Parent(id)),
    }
}

/// Ends this process at once, without what a Rust program does at its end.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// A process that came to its end.
pub(super) struct Reaped {
    pub(super) id: i32,
    pub(super) status: Status,
}

/// What became of a child.
pub(super) enum Change {
    /// It came to its end.
    Ended(Status),
    /// It is followed, and waits to be let go on.
    Stopped(Stop),
}

/// Why a process that is followed has stopped.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    signal: i32,
    event: i32,
}

impl Stop {
    /// Whether it has begun a program.
    pub(super) fn is_new_program(self) -> bool {
        self.event == libc::PTRACE_EVENT_EXEC
    }
}

/// Takes note of the next ended child; `None` when none has ended (or, with `wait`, when there
/// are no children).
pub(super) fn reap(wait: Wait) -> Option<Reaped> {
    loop {
        // Only a process that is followed stops.
        if let (id, Change::Ended(status)) = next_change(wait)? {
            return Some(Reaped { id, status });
        }
    }
}

/// Takes note of the next child that ended or stopped.
pub(super) fn next_change(wait: Wait) -> Option<(i32, Change)> {
    let options = match wait {
        Wait::No => libc::WNOHANG,
        Wait::Yes => 0,
    };
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result; the usage pointer may be null.
        let id = unsafe { libc::wait4(-1, &raw mut status, options, std::ptr::null_mut()) };
        if id < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if id <= 0 {
            return None;
        }
        if libc::WIFSTOPPED(status) {
            let stop = Stop { signal: libc::WSTOPSIG(status), event: status >> 16 };
            return Some((id, Change::Stopped(stop)));
        }
        let status = match libc::WIFSIGNALED(status) {
            true => Status::Signal(libc::WTERMSIG(status)),
            false => Status::Code(libc::WEXITSTATUS(status)),
        };
        return Some((id, Change::Ended(status)));
    }
}

/// Follows a process and all that it starts: each of them stops when it begins another program,
/// and dies with this process.
pub(super) fn follow(id: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_EXITKILL;
    trace(libc::PTRACE_SEIZE, id, 0, i64::from(options))
}

/// Lets a process go on that has stopped because it is followed.
pub(super) fn go_on(id: i32, stop: Stop) {
    let waits = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    // A process that is gone is no harm.
    let _ = match stop.event {
        0 => trace(libc::PTRACE_CONT, id, 0, i64::from(stop.signal)),
        libc::PTRACE_EVENT_STOP if waits.contains(&stop.signal) => {
            trace(libc::PTRACE_LISTEN, id, 0, 0)
        }
        _ => trace(libc::PTRACE_CONT, id, 0, 0),
    };
}

/// Overwrites eight bytes of a process that has stopped because it is followed.
pub(super) fn overwrite(id: i32, address: u64, word: i64) -> io::Result<()> {
    trace(libc::PTRACE_POKEDATA, id, address, word)
}

fn trace(request: libc::c_uint, id: i32, address: u64, data: i64) -> io::Result<()> {
    // SAFETY: none of the requests above reads or writes memory of this process.
    match unsafe { libc::ptrace(request, id, address, data) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether [`reap`] blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Yes,
}

/// What the children that were reaped used.
pub(super) struct ChildrenUsage {
    pub(super) user: Duration,
    pub(super) system: Duration,
    /// Bytes of the largest of them.
    pub(super) largest: u64,
}

pub(super) fn children_usage() -> ChildrenUsage {
    // SAFETY: all-zero bytes are a valid `rusage`, and the call only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let duration = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds)
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
    };
    ChildrenUsage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        largest: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
    }
}

/// Sends SIGKILL.
pub(super) fn kill(id: i32) {
    // SAFETY: `kill` takes any numbers; a process that is gone is no harm.
    unsafe { libc::kill(id, libc::SIGKILL) };
}

/// Stops a process until it is killed, so that it makes no more children.
pub(super) fn stop(id: i32) {
    // SAFETY: as in `kill`.
    unsafe { libc::kill(id, libc::SIGSTOP) };
}

/// Holds back SIGCHLD so that [`wait_for_child`] can wait for it.
pub(super) fn hold_child_signals() {
    // SAFETY: the set is initialised by `sigemptyset` before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Lets all signals through again and gives each its default action.
pub(super) fn reset_signals() {
    // SAFETY: the set is initialised by `sigemptyset`; SIG_DFL is a valid action for every
    // signal, and the call's failure for SIGKILL and SIGSTOP is no harm.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Waits until a child ends, or for `longest`.
pub(super) fn wait_for_child(longest: Duration) {
    let time = libc::timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(1),
        tv_nsec: i64::from(longest.subsec_nanos()),
    };
    // SAFETY: the set is initialised by `sigemptyset`; the information pointer may be null.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time);
    }
}

/// Marks every open file but the three standard ones so that a program started from here does
/// not have it.
pub(super) fn close_files_on_exec() {
    // SAFETY: the call changes flags of this process's own descriptors and touches no memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Sets attributes of the mount at `path` and of those below it.
pub(super) fn set_mount_attributes(path: &Path, attributes: u64, depth: Depth) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let flags = match depth {
        Depth::This => 0,
        Depth::AllBelow => libc::AT_RECURSIVE,
    };
    let attributes =
        libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: `path` and `attributes` live across the call, and the size is that of the latter.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How far an attribute reaches.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    This,
    AllBelow,
}

/// Has this process go before others where that is allowed, so that a crowd of processes cannot
/// keep it from watching them.
pub(super) fn hurry() {
    set_schedule(libc::SCHED_FIFO, 1);
}

/// How a command is scheduled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turns {
    /// Like any other process.
    Usual,
    /// Only when nothing else wants to run.
    Last,
}

/// Undoes [`hurry`].
pub(super) fn take_turns(turns: Turns) {
    match turns {
        Turns::Usual => set_schedule(libc::SCHED_OTHER, 0),
        Turns::Last => set_schedule(libc::SCHED_IDLE, 0),
    }
}

fn set_schedule(policy: i32, priority: i32) {
    // SAFETY: all-zero bytes are a valid `sched_param`, and the call only reads it.
    unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = priority;
        libc::sched_setscheduler(0, policy, &raw const parameters);
    }
}

/// Takes every capability out of the bounding set, so that no program gets one back.
pub(super) fn empty_bounding_set() {
    for capability in 0..64 {
        // SAFETY: the call takes numbers alone; unknown ones are refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// The version of Landlock's interface, where there is one.
pub(super) fn landlock_version() -> Option<u32> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes a null pointer and size 0.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Whether the system filters system calls.
pub(super) fn has_seccomp() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call only reads `action`.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0_u32, &raw const action)
    };
    result == 0
}
