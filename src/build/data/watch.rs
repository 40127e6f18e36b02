//! Progress of many fetches at once, and of all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::progress::{Progress, Task, Unit};

/// Passes on to another watcher, and counts bytes for one task over all.
pub(super) struct Together<'a> {
    outer: &'a dyn Progress,
    all: Option<Arc<dyn Task>>,
}

impl<'a> Together<'a> {
    /// Watches `count` fetches of `total` bytes together.
    pub(super) fn new(outer: &'a dyn Progress, count: usize, total: u64) -> Self {
        let all =
            (count > 1).then(|| outer.start(&format!("{count} files"), Some(total), Unit::Bytes));
        Self { outer, all }
    }

    /// Who watches behind this.
    pub(super) fn outer(&self) -> &dyn Progress {
        self.outer
    }

    /// Counts a file that needed no fetching.
    pub(super) fn skip(&self, size: u64) {
        if let Some(all) = &self.all {
            all.advance(size);
        }
    }
}

struct Counted {
    inner: Arc<dyn Task>,
    all: Option<Arc<dyn Task>>,
    /// How much of this task the task over all has counted.
    reported: AtomicU64,
    position: AtomicU64,
}

impl Counted {
    fn count(&self) {
        let position = self.position.load(Ordering::Relaxed);
        let counted = self.reported.fetch_max(position, Ordering::Relaxed);
        if let Some(all) = &self.all
            && position > counted
        {
            all.advance(position - counted);
        }
    }
}

impl Task for Counted {
    fn advance(&self, amount: u64) {
        self.inner.advance(amount);
        self.position.fetch_add(amount, Ordering::Relaxed);
        self.count();
    }

    fn set(&self, position: u64, total: Option<u64>) {
        self.inner.set(position, total);
        self.position.store(position, Ordering::Relaxed);
        self.count();
    }

    fn describe(&self, text: &str) {
        self.inner.describe(text);
    }
}

impl Progress for Together<'_> {
    fn start(&self, label: &str, total: Option<u64>, unit: Unit) -> Arc<dyn Task> {
        let all = self.all.clone().filter(|_| unit == Unit::Bytes);
        Arc::new(Counted {
            inner: self.outer.start(label, total, unit),
            all,
            reported: AtomicU64::new(0),
            position: AtomicU64::new(0),
        })
    }

    fn note(&self, line: &str) {
        self.outer.note(line);
    }

    fn warn(&self, line: &str) {
        self.outer.warn(line);
    }

    fn output(&self, line: &str) {
        self.outer.output(line);
    }
}
