//! The tree of files that a command sees: a new root in memory with the system's programs, what
//! it was given, and little else.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    unmount,
};

use super::conditions::FolderOrder;
use super::namespaces::write;
use super::order;
use super::plan::{Access, Mount, Namespaces};
use super::scratch::mount_point;
use super::settings::{Failure, Made, Order};
use super::system::{Depth, set_mount_attributes};

/// Where the system's programs and libraries lie; what is a link in `/` stays one.
pub(super) const SYSTEM_FOLDERS: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What of `/etc` programs and libraries need to be found.
pub(super) const SYSTEM_SETTINGS: &[&str] =
    &["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"];

/// The device files that every command gets.
pub(super) const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What is seen of the machine's processors.
const PROCESSORS: &[&str] = &["/sys/devices/system/cpu", "/sys/devices/system/node"];

/// Puts the tree together and makes it the root.
pub(super) fn build(order: &Order) -> Made<()> {
    let root = mount_point(&order.scratch);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Failure::when("take the mounts apart"))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    mount("mpkg", &root, "tmpfs", plain, Some(c"mode=0755,size=16m"))
        .map_err(Failure::when("mount a new root"))?;
    let tree = Tree { root, order };
    tree.add_system()?;
    tree.add_settings()?;
    tree.add_devices()?;
    tree.add_processes()?;
    for mount in &order.mounts {
        match tree.is_reversed(mount) {
            true => tree.bind_reversed(mount)?,
            false => tree.bind(&mount.outside, &mount.inside, mount.access)?,
        }
    }
    tree.become_root()
}

struct Tree<'a> {
    root: PathBuf,
    order: &'a Order,
}

impl Tree<'_> {
    fn at(&self, inside: &Path) -> PathBuf {
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    fn add_system(&self) -> Made<()> {
        for name in SYSTEM_FOLDERS {
            let path = Path::new(name);
            let Ok(metadata) = fs::symlink_metadata(path) else { continue };
            if metadata.is_symlink() {
                fs::read_link(path)
                    .and_then(|target| symlink(target, self.at(path)))
                    .map_err(Failure::when(format!("link {name}")))?;
            } else {
                self.bind(path, path, Access::ReadOnly)?;
            }
        }
        for name in PROCESSORS {
            // It is there for programs that count processors; few need it.
            let _ = self.bind(Path::new(name), Path::new(name), Access::ReadOnly);
        }
        Ok(())
    }

    fn add_settings(&self) -> Made<()> {
        for name in SYSTEM_SETTINGS {
            if Path::new(name).exists() {
                self.bind(Path::new(name), Path::new(name), Access::ReadOnly)?;
            }
        }
        let conditions = &self.order.plan.conditions;
        let name = &conditions.user.name;
        let id = match self.order.plan.namespaces {
            Some(Namespaces::Root) => 0,
            _ => conditions.user.id,
        };
        let home = conditions.place("home");
        let home = home.display();
        let files = [
            ("passwd", format!("{name}:x:{id}:{id}:{name}:{home}:/bin/sh\n")),
            ("group", format!("{name}:x:{id}:\n")),
            ("hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
            ("hostname", "mpkg\n".to_owned()),
        ];
        self.make_folder(&self.root.join("etc"))?;
        for (name, contents) in files {
            let path = self.root.join("etc").join(name);
            fs::File::create(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, contents.as_bytes()))
                .map_err(Failure::when(format!("write /etc/{name}")))?;
        }
        rustix::system::sethostname(b"mpkg").map_err(Failure::when("set the host name"))
    }

    fn add_devices(&self) -> Made<()> {
        let given = DEVICES.iter().map(Path::new);
        let gpus = self.order.devices.iter().map(PathBuf::as_path);
        for device in given.chain(gpus) {
            self.bind_with(device, device, libc::MOUNT_ATTR_NOSUID)?;
        }
        if !self.order.devices.is_empty() {
            self.bind(Path::new("/sys"), Path::new("/sys"), Access::ReadOnly)?;
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlink(target, self.root.join("dev").join(name))
                .map_err(Failure::when(format!("link /dev/{name}")))?;
        }
        let shared = self.root.join("dev/shm");
        self.make_folder(&shared)?;
        let size = format!("mode=1777,size={}", self.order.limits.memory);
        let size = std::ffi::CString::new(size).unwrap_or_default();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("shm", &shared, "tmpfs", flags, Some(size.as_c_str()))
            .map_err(Failure::when("mount /dev/shm"))
    }

    fn add_processes(&self) -> Made<()> {
        let path = self.root.join("proc");
        self.make_folder(&path)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", &path, "proc", flags, None).map_err(Failure::when("mount /proc"))?;
        // It takes no smaller value than 301; the exact limit is kept by the watch.
        let most = u64::from(self.order.limits.processes) * 2 + 512;
        if process_ids_are_counted_here() {
            let _ = write(&path.join("sys/kernel/pid_max").to_string_lossy(), &most.to_string());
        }
        set_mount_attributes(&path, libc::MOUNT_ATTR_RDONLY, Depth::AllBelow)
            .map_err(Failure::when("make /proc read-only"))
    }

    fn make_folder(&self, path: &Path) -> Made<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .map_err(Failure::when(format!("make the folder {}", self.shown(path))))
    }

    fn shown(&self, path: &Path) -> String {
        format!("/{}", path.strip_prefix(&self.root).unwrap_or(path).display())
    }

    /// Whether the command is to find the entries of a folder the other way round: those that the
    /// build gives it, but not the software.
    fn is_reversed(&self, mount: &Mount) -> bool {
        let conditions = &self.order.plan.conditions;
        conditions.folders == FolderOrder::Reversed
            && mount.access == Access::ReadOnly
            && mount.inside.starts_with(&conditions.root)
            && !mount.inside.starts_with(conditions.place("env"))
            && mount.outside.is_dir()
    }

    /// Shows a folder with its entries the other way round: each file of it is mounted into a
    /// folder in memory, in which the order is that of their making.
    fn bind_reversed(&self, mount: &Mount) -> Made<()> {
        let goal = self.at(&mount.inside);
        self.make_folder(&goal)?;
        let order = order::Reversal::try_on(&goal)?;
        order.of(&mount.outside, &goal, &mut |file, goal| {
            mount_bind_recursive(file, goal)?;
            let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
            set_mount_attributes(goal, attributes | libc::MOUNT_ATTR_RDONLY, Depth::This)
        })
    }

    fn bind(&self, outside: &Path, inside: &Path, access: Access) -> Made<()> {
        let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        match access {
            Access::ReadOnly => {
                self.bind_with(outside, inside, attributes | libc::MOUNT_ATTR_RDONLY)
            }
            Access::Writable => self.bind_with(outside, inside, attributes),
        }
    }

    fn bind_with(&self, outside: &Path, inside: &Path, attributes: u64) -> Made<()> {
        let goal = self.at(inside);
        if inside == outside && self.is_in_system(inside) {
            return Ok(());
        }
        let metadata =
            fs::metadata(outside).map_err(Failure::when(format!("find {}", outside.display())))?;
        if metadata.is_dir() {
            self.make_folder(&goal)?;
        } else {
            self.make_folder(goal.parent().unwrap_or(&self.root))?;
            fs::File::create(&goal)
                .map_err(Failure::when(format!("make the file {}", self.shown(&goal))))?;
        }
        mount_bind_recursive(outside, &goal)
            .map_err(io::Error::from)
            .and_then(|()| set_mount_attributes(&goal, attributes, Depth::AllBelow))
            .map_err(Failure::when(format!("mount {} at {}", outside.display(), inside.display())))
    }

    /// Whether a path is seen already because it lies in one of the system's folders.
    fn is_in_system(&self, inside: &Path) -> bool {
        let among = |name: &&str| inside != Path::new(name) && inside.starts_with(name);
        SYSTEM_FOLDERS.iter().any(|name| among(name) && self.at(Path::new(name)).exists())
    }

    fn become_root(&self) -> Made<()> {
        let pivot = || -> io::Result<()> {
            rustix::process::chdir(&self.root)?;
            rustix::process::pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
            rustix::process::chdir("/")?;
            set_mount_attributes(Path::new("/"), libc::MOUNT_ATTR_RDONLY, Depth::This)
        };
        pivot().map_err(Failure::when("enter the new root"))
    }
}

/// Whether the largest process id is a setting of the namespace. Before Linux 6.14 it was one of
/// the whole machine, which must not be touched.
fn process_ids_are_counted_here() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(14))
}
