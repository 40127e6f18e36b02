//! The second layer: which files a command may read and change, whatever their owner and mode.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};

use super::mounts::{DEVICES, SYSTEM_FOLDERS, SYSTEM_SETTINGS};
use super::settings::{Failure, Made, Order};

/// The newest interface that is known here; on older systems what is missing is left out.
const NEWEST: ABI = ABI::V10;

/// What a command may read where it sees the machine's own files.
const READABLE: &[&str] = &[
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/version",
    "/proc/loadavg",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Holds this process and all that it becomes.
pub(super) fn restrict(order: &Order) -> Made<()> {
    let done = || -> Result<(), Box<dyn std::error::Error>> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        add_rules(rules, order)?.restrict_self()?;
        Ok(())
    };
    done().map_err(|error| {
        let number = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
            .unwrap_or(libc::EPERM);
        Failure::when(format!("set up Landlock ({error})"))(io::Error::from_raw_os_error(number))
    })
}

fn add_rules(
    mut rules: RulesetCreated,
    order: &Order,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let read = AccessFs::from_read(NEWEST);
    let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let change = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    if order.plan.namespaces.is_some() {
        rules = allow(rules, Path::new("/"), read)?;
        rules = allow(rules, Path::new("/dev/shm"), change)?;
    } else {
        for name in SYSTEM_FOLDERS.iter().chain(SYSTEM_SETTINGS).chain(READABLE) {
            rules = allow(rules, Path::new(name), read)?;
        }
        for mount in &order.mounts {
            rules = allow(rules, &mount.inside, read)?;
        }
    }
    for device in DEVICES.iter().map(Path::new).chain(order.devices.iter().map(AsRef::as_ref)) {
        rules = allow(rules, device, devices)?;
    }
    for folder in order.writable() {
        rules = allow(rules, folder, change)?;
    }
    Ok(rules)
}

/// Allows `access` below `path`, where that is there.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let Ok(handle) = PathFd::new(path) else { return Ok(rules) };
    let access = match path.is_dir() {
        true => access,
        false => access & AccessFs::from_file(NEWEST),
    };
    Ok(rules.add_rule(PathBeneath::new(handle, access))?)
}
