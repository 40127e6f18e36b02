//! New namespaces: users, mounts, processes, network, IPC, host name, control groups.

use std::io;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::conditions::Conditions;
use super::plan::Namespaces;
use super::settings::Status;
use super::system::{self, Fork, Wait};

/// Which kind of namespaces this system gives, found out by making them.
pub(super) fn available() -> Option<Namespaces> {
    if trial(Namespaces::User) {
        return Some(Namespaces::User);
    }
    (rustix::process::geteuid().is_root() && trial(Namespaces::Root)).then_some(Namespaces::Root)
}

/// Moves this process, and for processes its coming children, into new namespaces; below a user
/// namespace it becomes the user and the group number `id`.
pub(super) fn enter(kind: Namespaces, id: u32) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        rustix::thread::set_thread_groups(&[])?;
    }
    if kind == Namespaces::User {
        enter_user_namespace(id)?;
    }
    let flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // SAFETY: this process has one thread, and the file table, which alone would be a matter of
    // safety, stays as it is.
    unsafe { unshare_unsafe(flags) }?;
    Ok(())
}

fn enter_user_namespace(id: u32) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // SAFETY: as in `enter`.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
    let line = |outside: u32| format!("{id} {outside} 1\n");
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &line(user.as_raw()))?;
    write("/proc/self/gid_map", &line(group.as_raw()))
}

/// Writes to a file of the kernel's.
pub(super) fn write(path: &str, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::File::options().write(true).open(path)?.write_all(text.as_bytes())
}

/// Whether the namespaces can be made and used: in a copy of this process, with a file system for
/// processes and a read-only mount, which some systems refuse even then.
fn trial(kind: Namespaces) -> bool {
    match system::fork() {
        Ok(Fork::Child) => {
            let done = enter(kind, Conditions::default().user.id)
                .and_then(|()| within_a_child(mount_something));
            system::exit(i32::from(done.is_err()))
        }
        Ok(Fork::Parent(id)) => ended_well(id),
        Err(_) => false,
    }
}

fn within_a_child(work: fn() -> io::Result<()>) -> io::Result<()> {
    match system::fork()? {
        Fork::Child => system::exit(i32::from(work().is_err())),
        Fork::Parent(id) => match ended_well(id) {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        },
    }
}

fn ended_well(id: i32) -> bool {
    while let Some(reaped) = system::reap(Wait::Yes) {
        if reaped.id == id {
            return reaped.status == Status::Code(0);
        }
    }
    false
}

fn mount_something() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV, None)?;
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    system::set_mount_attributes("/proc".as_ref(), attributes, system::Depth::AllBelow)
}
