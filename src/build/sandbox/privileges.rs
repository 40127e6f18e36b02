//! Takes away what a command must not have: privileges, and more than its share.

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, CpuSet};

use super::plan::Namespaces;
use super::settings::{Failure, Limits, Made};
use super::system;

/// Sets the limits that the system itself keeps. They stand behind the watch, which is exact.
pub(super) fn limit(limits: &Limits, namespaces: Option<Namespaces>) -> Made<()> {
    let set = |resource, most| {
        let wanted = rustix::process::getrlimit(resource).maximum.map_or(most, |own| own.min(most));
        setrlimit(resource, Rlimit { current: Some(wanted), maximum: Some(wanted) })
            .map_err(Failure::when(format!("set the limit {resource:?}")))
    };
    set(Resource::Core, 0)?;
    // A little more than the limit, so that the watch finds what was written to be too much.
    set(Resource::Fsize, limits.disk.saturating_add(4 << 20))?;
    // Memory that is reserved and never used is no fault.
    set(Resource::Data, limits.memory.saturating_mul(4).max(1 << 32))?;
    // It spares root, as the watch and the control group do not. A user namespace counts its own
    // processes; elsewhere all of the user's count.
    let others = match namespaces {
        Some(Namespaces::User) => 0,
        _ => super::watch::threads_of_this_user(),
    };
    set(Resource::Nproc, u64::from(limits.processes) + others + 32)?;
    put_on_processors(limits.cpus);
    Ok(())
}

/// Puts the command on `count` of the processors that this process may use. Which ones differs
/// from run to run, so that several do not crowd the first.
fn put_on_processors(count: u32) {
    let Ok(own) = rustix::thread::sched_getaffinity(None) else { return };
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|index| own.is_set(*index)).collect();
    let count = (count.max(1) as usize).min(all.len());
    let first = std::process::id() as usize % all.len().max(1);
    let mut chosen = CpuSet::new();
    all.iter().cycle().skip(first).take(count).for_each(|index| chosen.set(*index));
    // A system that refuses shares its processors as it likes.
    let _ = rustix::thread::sched_setaffinity(None, &chosen);
}

/// Gives up every capability for good.
pub(super) fn drop_all() -> Made<()> {
    system::empty_bounding_set();
    // Not there on every system, and nothing is in it that stays below.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)
        .map_err(Failure::when("give up all capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(Failure::when("give up new privileges"))
}
