//! Counts what a command uses and says which limit it meets.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::settings::{Limit, LimitHit, Order};

/// The shortest and the longest time between two looks.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A look may take one part in this many of the time.
const SHARE: u32 = 50;

/// Time between two looks at the disk, at least.
const DISK_INTERVAL: Duration = Duration::from_millis(100);

/// What an empty file or folder counts for: nobody may fill a disk with them.
const SMALLEST_FILE: u64 = 1024;

/// Whose processes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All that this process sees.
    Namespace,
    /// Those that descend from this process.
    Descendants,
}

/// What `/proc/ID/status` says about a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Process {
    parent: i32,
    threads: u64,
    /// Bytes of memory that is its own, or shared since a fork.
    own: u64,
    /// Bytes of memory that it shares on purpose.
    shared: u64,
}

impl Process {
    fn parse(status: &str) -> Self {
        let mut process = Self::default();
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let number =
                || value.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            match name {
                "PPid" => {
                    process.parent = number().and_then(|id| id.try_into().ok()).unwrap_or(0);
                }
                "Threads" => process.threads = number().unwrap_or(0),
                "RssAnon" => process.own = number().unwrap_or(0) * 1024,
                "RssShmem" => process.shared = number().unwrap_or(0) * 1024,
                _ => {}
            }
        }
        process
    }
}

impl Scope {
    /// The ids of the processes, those that have ended but were not reaped included.
    pub(super) fn processes(self) -> Vec<i32> {
        self.look().into_keys().collect()
    }

    fn look(self) -> BTreeMap<i32, Process> {
        let own = std::process::id().cast_signed();
        let mut all = everything();
        all.remove(&own);
        if self == Self::Namespace {
            return all;
        }
        let mut family = BTreeSet::from([own]);
        loop {
            let before = family.len();
            let children = all.iter().filter(|(_, process)| family.contains(&process.parent));
            let children: Vec<i32> = children.map(|(id, _)| *id).collect();
            family.extend(children);
            if family.len() == before {
                break;
            }
        }
        all.retain(|id, _| family.contains(id));
        all
    }
}

/// How many threads the user of this process has on the whole machine.
pub(super) fn threads_of_this_user() -> u64 {
    let user = rustix::process::getuid().as_raw();
    let own = |id: &i32| fs::metadata(format!("/proc/{id}")).is_ok_and(|data| data.uid() == user);
    everything().iter().filter(|(id, _)| own(id)).map(|(_, process)| process.threads).sum()
}

fn everything() -> BTreeMap<i32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id: i32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            Some((id, Process::parse(&status)))
        })
        .collect()
}

/// Keeps watch over one command.
pub(super) struct Watch<'a> {
    order: &'a Order,
    scope: Scope,
    started: Instant,
    interval: Duration,
    next_disk: Instant,
    /// Files in memory that have no name, at the last look at open files.
    nameless_memory: u64,
    peak_memory: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(order: &'a Order, scope: Scope, started: Instant) -> Self {
        Self {
            order,
            scope,
            started,
            interval: INTERVALS.0,
            next_disk: started,
            nameless_memory: 0,
            peak_memory: 0,
        }
    }

    /// How long to wait before the next look.
    pub(super) fn interval(&self) -> Duration {
        let left = self.order.limits.time.saturating_sub(self.started.elapsed());
        self.interval.min(left + Duration::from_millis(1))
    }

    pub(super) const fn peak_memory(&self) -> u64 {
        self.peak_memory
    }

    /// Looks at everything that is due.
    pub(super) fn look(&mut self) -> Option<LimitHit> {
        let began = Instant::now();
        let hit = self.time().or_else(|| self.processes()).or_else(|| {
            let due = began >= self.next_disk;
            due.then(|| self.disk(began)).flatten()
        });
        self.interval = (began.elapsed() * SHARE).clamp(INTERVALS.0, INTERVALS.1);
        hit
    }

    /// Looks at what stays when every process is gone.
    pub(super) fn look_at_the_end(&self) -> Option<LimitHit> {
        over(Limit::Disk, self.order.limits.disk, self.named_files())
    }

    fn time(&self) -> Option<LimitHit> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (allowed, found) = (self.order.limits.time, self.started.elapsed());
        (found >= allowed).then(|| LimitHit {
            limit: Limit::Time,
            allowed: milliseconds(allowed),
            found: milliseconds(found),
        })
    }

    fn processes(&mut self) -> Option<LimitHit> {
        let processes = self.scope.look();
        let threads = processes.values().map(|process| process.threads).sum();
        let own: u64 = processes.values().map(|process| process.own).sum();
        let shared: u64 = processes.values().map(|process| process.shared).sum();
        let in_files = self.shared_files() + self.nameless_memory;
        let mut memory = own + shared.max(in_files);
        let allowed = self.order.limits.memory;
        if memory > allowed && processes.len() > 1 {
            // Pages that several processes have in common were counted for each of them.
            memory = exact_memory(processes.keys()).map_or(memory, |exact| exact.max(in_files));
        }
        self.peak_memory = self.peak_memory.max(memory);
        over(Limit::Processes, self.order.limits.processes.into(), threads)
            .or_else(|| over(Limit::Memory, allowed, memory))
    }

    /// Bytes in `/dev/shm`, where that is the sandbox's own.
    fn shared_files(&self) -> u64 {
        if self.order.plan.namespaces.is_none() {
            return 0;
        }
        rustix::fs::statvfs("/dev/shm")
            .map_or(0, |found| found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
    }

    fn disk(&mut self, began: Instant) -> Option<LimitHit> {
        let nameless = self.nameless_files();
        self.nameless_memory = nameless.in_memory;
        let found = self.named_files() + nameless.on_disk;
        self.next_disk = Instant::now() + DISK_INTERVAL.max(began.elapsed() * SHARE);
        over(Limit::Disk, self.order.limits.disk, found)
    }

    fn named_files(&self) -> u64 {
        let mut seen = HashSet::new();
        self.order.writable().map(|folder| size_below(folder, &mut seen)).sum()
    }

    /// Files that processes hold open and that have no name any more.
    fn nameless_files(&self) -> Nameless {
        let mut nameless = Nameless::default();
        let mut seen = HashSet::new();
        for id in self.scope.processes() {
            let Ok(entries) = fs::read_dir(format!("/proc/{id}/fd")) else { continue };
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let Ok(metadata) = fs::metadata(&path) else { continue };
                let counts = metadata.is_file() && metadata.nlink() == 0;
                if !counts || !seen.insert((metadata.dev(), metadata.ino())) {
                    continue;
                }
                let target = fs::read_link(&path).unwrap_or_default();
                if target.starts_with("/dev/shm") {
                    continue;
                }
                match target.to_string_lossy().starts_with("/memfd:") {
                    true => nameless.in_memory += metadata.blocks() * 512,
                    false => nameless.on_disk += metadata.blocks() * 512,
                }
            }
        }
        nameless
    }
}

#[derive(Default)]
struct Nameless {
    in_memory: u64,
    on_disk: u64,
}

fn over(limit: Limit, allowed: u64, found: u64) -> Option<LimitHit> {
    (found > allowed).then_some(LimitHit { limit, allowed, found })
}

/// Bytes of memory with each page counted once; `None` where the system does not say.
fn exact_memory<'a>(ids: impl Iterator<Item = &'a i32>) -> Option<u64> {
    let mut sum = 0;
    for id in ids {
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/smaps_rollup")) else { continue };
        let kibibytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        sum += (kibibytes("Pss_Anon:")? + kibibytes("Pss_Shmem:")?) * 1024;
    }
    Some(sum)
}

/// Bytes that the files below `folder` take on the disk.
fn size_below(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let mut sum = 0_u64;
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let metadata = match entry {
            Ok(entry) => entry.metadata(),
            Err(error) => Err(error),
        };
        match metadata {
            Ok(metadata) if metadata.nlink() > 1 && metadata.is_file() => {
                if seen.insert((metadata.dev(), metadata.ino())) {
                    sum = sum.saturating_add(metadata.blocks() * 512);
                }
            }
            Ok(metadata) => {
                sum = sum.saturating_add((metadata.blocks() * 512).max(SMALLEST_FILE));
            }
            // A path too long to be looked at hides what is below it: no limit allows that.
            Err(error) => {
                let number = error.io_error().and_then(std::io::Error::raw_os_error);
                if number == Some(libc::ENAMETOOLONG) {
                    return u64::MAX / 2;
                }
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_words() {
        let status = "Name:\tpython\nPPid:\t7\nRssAnon:\t     300 kB\nRssFile:\t 9 kB\n\
                      RssShmem:\t       8 kB\nThreads:\t3\n";
        let process = Process { parent: 7, threads: 3, own: 300 << 10, shared: 8 << 10 };
        assert_eq!(Process::parse(status), process);
        assert_eq!(Process::parse("Name:\tzombie\n"), Process::default());
    }

    #[test]
    fn sizes_count_each_file_once_and_holes_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut file, &vec![1; 100_000]).unwrap();
        fs::hard_link(&path, folder.path().join("b")).unwrap();
        fs::File::create(folder.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        let size = size_below(folder.path(), &mut HashSet::new());
        assert!((100_000..200_000).contains(&size), "{size}");
    }
}
