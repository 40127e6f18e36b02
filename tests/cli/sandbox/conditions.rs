//! What a command finds under changed conditions, tried by real programs.

use std::time::{Duration, Instant};

use mpkg::build::sandbox::{Conditions, FolderOrder, Limit, SandboxLevel, Status};

use super::cell::{Cell, anyone_says};

const BEHIND: i64 = 1000 * 86_400;

/// A cell whose clock is behind, where this kind of machine can have one.
fn behind(level: SandboxLevel) -> Option<Cell> {
    let mut cell = Cell::new(level);
    assert_eq!(cell.plan.clock, cfg!(target_arch = "x86_64"), "every x86-64 system has such code");
    cell.plan.conditions.clock = -BEHIND;
    cell.plan.clock.then_some(cell)
}

#[test]
fn a_clock_that_is_behind_is_so_for_every_program_and_no_other_clock_is() {
    for level in [SandboxLevel::Full, SandboxLevel::Landlock, SandboxLevel::None] {
        let Some(cell) = behind(level) else { return };
        let before = jiff::Timestamp::now().as_second() - BEHIND;
        let outcome = cell.python(
            "import datetime, signal, subprocess, threading\n\
             def say(name, value): print(name, int(value), flush=True)\n\
             began = time.monotonic()\n\
             say('time', time.time())\n\
             say('coarse', time.clock_gettime(5))\n\
             say('tai', time.clock_gettime(11))\n\
             say('today', datetime.datetime.now().timestamp())\n\
             thread = threading.Thread(target=lambda: say('thread', time.time()))\n\
             thread.start(); thread.join()\n\
             if os.fork() == 0:\n    say('fork', time.time()); os._exit(0)\n\
             os.wait()\n\
             subprocess.run(['date', '+date %s'], check=True)\n\
             subprocess.run(['sh', '-c', 'sh -c \"date +deep\\ %s\"'], check=True)\n\
             subprocess.run([sys.executable, '-c', 'import time; print(\"python\", int(time.time()))'], check=True)\n\
             say('steady', time.monotonic() - began)\n\
             open(out + '/file', 'w').close()\n\
             say('file', os.stat(out + '/file').st_mtime)\n\
             caught = []\n\
             signal.signal(signal.SIGALRM, lambda *_: caught.append(1))\n\
             signal.setitimer(signal.ITIMER_REAL, 0.01)\n\
             while not caught: time.sleep(0.01)\n\
             child = subprocess.Popen(['sleep', '100'])\n\
             child.send_signal(signal.SIGSTOP); os.waitid(os.P_PID, child.pid, os.WSTOPPED)\n\
             child.send_signal(signal.SIGCONT); child.terminate()\n\
             say('ended', child.wait())",
        );
        assert_eq!(outcome.ended.status, Status::Code(0), "{level:?}: {}", outcome.printed);
        let mut names = Vec::new();
        for line in outcome.printed.lines() {
            let (name, value) = line.split_once(' ').expect("a name and a number");
            let value: i64 = value.parse().expect("a number");
            names.push(name);
            let expected = match name {
                "steady" => 0..=60,
                "ended" => -15..=-15,
                "file" => before + BEHIND - 2..=before + BEHIND + 120,
                _ => before..=before + 120,
            };
            assert!(expected.contains(&value), "{level:?}: {line}: {expected:?}");
        }
        let all = ["time", "coarse", "tai", "today", "thread", "fork", "date", "deep", "python"];
        assert_eq!(names[..9], all, "{level:?}");
    }
}

#[test]
fn under_another_clock_the_limits_hold_and_nothing_is_left() {
    for level in [SandboxLevel::Full, SandboxLevel::Landlock] {
        let Some(mut cell) = behind(level) else { return };
        cell.limits.time = Duration::from_secs(2);
        let began = Instant::now();
        let outcome = cell.python(
            "import subprocess\n\
             for _ in range(3): subprocess.Popen(['sh', '-c', 'sleep 1000; true'])\n\
             time.sleep(1000)",
        );
        assert_eq!(outcome.ended.limit_hit.expect("a limit").limit, Limit::Time, "{level:?}");
        assert!(began.elapsed() < Duration::from_mins(1), "{level:?}");
        assert!(!anyone_says(&cell.token()), "{level:?}");
    }
}

#[test]
fn folders_are_listed_the_other_way_round() {
    let listed = |folders| {
        let mut cell = Cell::new(SandboxLevel::Full);
        for name in ["a", "b", "c/d", "c/e", "c/f", "g/h", "i"] {
            cell.world.write(&format!("source/{name}"), name);
        }
        cell.plan.namespaces.as_ref()?;
        cell.plan.conditions = Conditions { folders, ..Conditions::default() };
        let outcome = cell.python(
            "for folder in ['.', 'c']:\n    print(' '.join(os.listdir(folder)))\n\
             print(open('c/e').read(), os.access('c/e', os.W_OK))\n\
             tried('change', lambda: open('c/e', 'w'))\ntried('add', lambda: open('c/j', 'w'))",
        );
        let mut lines = outcome.printed.lines().map(ToOwned::to_owned);
        let lists: Vec<Vec<String>> = lines
            .by_ref()
            .take(2)
            .map(|line| line.split(' ').map(ToOwned::to_owned).collect())
            .collect();
        assert_eq!(lines.next().as_deref(), Some("c/e False"));
        for line in lines {
            assert!(line.contains(" refused: "), "{line}");
        }
        Some(lists)
    };
    let (Some(stored), Some(reversed)) =
        (listed(FolderOrder::Stored), listed(FolderOrder::Reversed))
    else {
        return;
    };
    // The order of the file system may be another in another folder: the entries are the same.
    let sorted = |list: &Vec<String>| {
        let mut list = list.clone();
        list.sort();
        list
    };
    for (stored, reversed) in stored.iter().zip(&reversed) {
        assert_eq!(sorted(stored), sorted(reversed));
        assert_ne!(stored, reversed);
    }
}
