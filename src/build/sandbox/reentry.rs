//! Where mpkg goes when it was started again for a sandbox.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::plan::{Namespaces, Plan};
use super::settings::{Failure, Made, Order, Report};
use super::system::{self, Fork, Wait};
use super::{mounts, namespaces, scratch, supervise};

/// The first argument that makes mpkg the warden of a sandbox; the second names the settings.
pub(super) const WORD: &str = "--mpkg-sandbox-warden";

/// The first argument that makes mpkg say which layers this system gives.
pub(super) const PROBE_WORD: &str = "--mpkg-sandbox-probe";

/// Does the sandbox's work when this process was started for it; `None` when it was started by a
/// person. `main` calls this before anything else, while there is one thread.
#[must_use]
pub fn reenter() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next()?;
    if word == PROBE_WORD {
        let text = serde_json::to_vec(&probe()).unwrap_or_default();
        let written = std::io::stdout().write_all(&text);
        return Some(if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if word == WORD {
        let settings = arguments.next()?;
        return Some(warden(Path::new(&settings)));
    }
    None
}

fn probe() -> Plan {
    system::hold_child_signals();
    let seccomp = system::has_seccomp() && super::seccomp::knows_this_machine();
    Plan {
        namespaces: namespaces::available(),
        landlock: system::landlock_version(),
        seccomp,
        ..Plan::none()
    }
}

fn warden(settings: &Path) -> ExitCode {
    system::close_files_on_exec();
    // Without settings there is no place for a report; the exit code says it.
    let Some(mut order) =
        std::fs::read(settings).ok().and_then(|text| serde_json::from_slice::<Order>(&text).ok())
    else {
        return ExitCode::from(125);
    };
    let Ok(report) = File::create(scratch::report(&order.scratch)) else {
        return ExitCode::from(125);
    };
    // Without it the watch stands alone.
    order.group.take_if(|group| namespaces::write(&group.to_string_lossy(), "0").is_err());
    system::hurry();
    let done = match order.plan.namespaces {
        Some(kind) => below_namespaces(&order, kind, &report),
        None => supervise::without_namespaces(&order).map(Some),
    };
    match done {
        Ok(None) => {}
        Ok(Some(ended)) => write(&report, &Report::Ended(ended)),
        Err(failure) => write(&report, &Report::Failed(failure)),
    }
    ExitCode::SUCCESS
}

/// Makes the namespaces and waits for the process that is number 1 in them, which writes the
/// report itself.
fn below_namespaces(order: &Order, kind: Namespaces, report: &File) -> Made<Option<super::Ended>> {
    supervise::die_with(order.parent)?;
    if order.terminal == super::Terminal::Captured {
        // Ctrl-C on the terminal goes to mpkg alone, and this process dies with it.
        let _ = rustix::process::setsid();
    }
    supervise::be_first_to_go();
    namespaces::enter(kind, order.plan.conditions.user.id)
        .map_err(Failure::when("make namespaces"))?;
    // Changed credentials have taken back what was said before.
    supervise::die_with(order.parent)?;
    let (lifeline, held) = std::io::pipe().map_err(Failure::when("make a pipe"))?;
    match system::fork().map_err(Failure::when("make the first process"))? {
        Fork::Child => {
            drop(held);
            let done = init(order, &lifeline);
            write(report, &done.map_or_else(Report::Failed, Report::Ended));
            system::exit(0)
        }
        Fork::Parent(_) => {
            drop(lifeline);
            while system::reap(Wait::Yes).is_some() {}
            drop(held);
            Ok(None)
        }
    }
}

/// The life of process 1.
fn init(order: &Order, lifeline: &std::io::PipeReader) -> Made<super::Ended> {
    supervise::die_with_warden(lifeline)?;
    mounts::build(order)?;
    supervise::as_init(order)
}

fn write(mut report: &File, contents: &Report) {
    // A report that cannot be written is found missing.
    let text = serde_json::to_vec(contents).unwrap_or_default();
    let _ = report.write_all(&text);
}
