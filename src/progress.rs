//! How long work tells whoever watches how far it is.

use std::sync::Arc;

/// What a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Files, steps or other things.
    Items,
}

/// Somebody who watches: the terminal, or nobody.
pub trait Progress: Send + Sync {
    /// Begins a task that takes `total` of `unit`, where that is known.
    fn start(&self, label: &str, total: Option<u64>, unit: Unit) -> Arc<dyn Task>;

    /// Says one line, such as `Fetched plays (1.1 MB)`.
    fn note(&self, line: &str);

    /// Says one line of warning.
    fn warn(&self, line: &str);

    /// Passes on a line that a running step printed.
    fn output(&self, line: &str);

    /// Whether somebody sees how tasks advance; without, what they would show is said in lines.
    fn draws(&self) -> bool {
        false
    }
}

/// One task under way. Dropping it ends it.
pub trait Task: Send + Sync {
    /// Counts `amount` more.
    fn advance(&self, amount: u64);

    /// Sets how far the task is, and of how much where that is known.
    fn set(&self, position: u64, total: Option<u64>);

    /// Changes what stands beside the bar, such as `loss 2.31`.
    fn describe(&self, text: &str);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Option<u64>, _: Unit) -> Arc<dyn Task> {
        Arc::new(Self)
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn output(&self, _: &str) {}
}

impl Task for Silent {
    fn advance(&self, _: u64) {}

    fn set(&self, _: u64, _: Option<u64>) {}

    fn describe(&self, _: &str) {}
}
