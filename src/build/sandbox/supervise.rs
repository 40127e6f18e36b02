//! Starts the command, keeps watch over it and ends all that it leaves behind.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::clock::Clock;
use super::settings::{Ended, Failure, Limit, LimitHit, Made, Order, Status};
use super::system::{self, Change, Reaped, Wait};
use super::watch::{Scope, Watch};
use super::{namespaces, step};

/// Makes this process die with the one that started it.
pub(super) fn die_with(parent: u32) -> Made<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::when("tie the sandbox to mpkg"))?;
    match is_parent(parent) {
        true => Ok(()),
        false => system::exit(125),
    }
}

/// Makes process 1 die with the warden, which holds the other end of the pipe.
pub(super) fn die_with_warden(mut lifeline: &io::PipeReader) -> Made<()> {
    let failed = || Failure::when("tie the sandbox to its warden");
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed())?;
    rustix::io::ioctl_fionbio(lifeline, true).map_err(failed())?;
    // The end of the pipe was reached: the warden died before the line above.
    match lifeline.read(&mut [0]) {
        Ok(0) => system::exit(125),
        // Nobody writes into it: while the warden lives there is nothing to read.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Has the system choose this sandbox first when memory runs out.
pub(super) fn be_first_to_go() {
    let _ = namespaces::write("/proc/self/oom_score_adj", "500");
}

fn is_parent(parent: u32) -> bool {
    rustix::process::getppid().is_some_and(|id| id.as_raw_nonzero().get().cast_unsigned() == parent)
}

/// Runs the command as process 1 of its namespaces: all others there are its own.
pub(super) fn as_init(order: &Order) -> Made<Ended> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(Failure::when("hide the sandbox's own process"))?;
    supervise(order, Scope::Namespace)
}

/// Runs the command where there are no namespaces: its processes are those that descend from
/// this one, which takes over every orphan among them.
pub(super) fn without_namespaces(order: &Order) -> Made<Ended> {
    be_first_to_go();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Failure::when("take over orphaned processes"))?;
    if order.terminal == super::Terminal::Captured {
        let _ = rustix::process::setsid();
    }
    supervise(order, Scope::Descendants)
}

fn supervise(order: &Order, scope: Scope) -> Made<Ended> {
    system::hold_child_signals();
    let started = Instant::now();
    let mut watch = Watch::new(order, scope, started);
    let clock = Clock::moved(order.plan.conditions.clock);
    let command = step::start(order)?;
    let (mut status, mut hit) = (None, None);
    while status.is_none() && hit.is_none() {
        system::wait_for_child(watch.interval());
        status = reap_until(command, clock);
        if status.is_none() {
            hit = watch.look();
        }
        if scope == Scope::Descendants && !is_parent(order.parent) {
            end_all(scope, clock);
            system::exit(125);
        }
    }
    let wall = started.elapsed();
    end_all(scope, clock);
    if hit.is_none() {
        hit = watch.look_at_the_end().or_else(|| file_too_long(order, status));
    }
    let used = system::children_usage();
    Ok(Ended {
        status: status.unwrap_or(Status::Signal(Signal::KILL.as_raw())),
        layers: order.plan.layers(),
        wall,
        cpu_user: used.user,
        cpu_system: used.system,
        peak_memory: watch.peak_memory().max(used.largest),
        limit_hit: hit,
    })
}

/// A command that one file's length alone ended.
fn file_too_long(order: &Order, status: Option<Status>) -> Option<LimitHit> {
    let allowed = order.limits.disk;
    (status == Some(Status::Signal(Signal::XFSZ.as_raw()))).then_some(LimitHit {
        limit: Limit::Disk,
        allowed,
        found: allowed,
    })
}

/// The next process that ended; those that stopped because they are followed are let go on.
fn reap(wait: Wait, clock: Option<Clock>) -> Option<Reaped> {
    loop {
        match (system::next_change(wait)?, clock) {
            ((id, Change::Ended(status)), _) => return Some(Reaped { id, status }),
            ((id, Change::Stopped(stop)), Some(clock)) => clock.go_on(id, stop),
            ((_, Change::Stopped(_)), None) => {}
        }
    }
}

fn reap_until(command: i32, clock: Option<Clock>) -> Option<Status> {
    while let Some(Reaped { id, status }) = reap(Wait::No, clock) {
        if id == command {
            return Some(status);
        }
    }
    None
}

/// Ends every process of the sandbox and waits until it is gone.
fn end_all(scope: Scope, clock: Option<Clock>) {
    match scope {
        Scope::Namespace => {
            system::kill(-1);
            while reap(Wait::Yes, clock).is_some() {}
        }
        Scope::Descendants => loop_until_gone(scope, clock),
    }
}

fn loop_until_gone(scope: Scope, clock: Option<Clock>) {
    let mut rounds = 0;
    loop {
        // All are stopped before the first is ended, so that none makes another meanwhile.
        let before: BTreeSet<i32> = scope.processes().into_iter().collect();
        for id in &before {
            system::stop(*id);
        }
        let after: BTreeSet<i32> = scope.processes().into_iter().collect();
        rounds += 1;
        // Those that are new were made before their parents were stopped, and are next; after
        // many rounds with new ones each is ended as it is found.
        if after.is_subset(&before) || rounds > 20 {
            for id in &after {
                system::kill(*id);
            }
        }
        while reap(Wait::No, clock).is_some() {}
        if scope.processes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
