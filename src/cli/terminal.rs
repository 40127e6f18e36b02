//! Talk on stderr: notes, warnings and progress bars that vanish when nobody watches.

use std::io::IsTerminal as _;
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Progress, Task, Unit};

/// The terminal as a watcher.
pub(super) struct Terminal {
    quiet: bool,
    bars: MultiProgress,
}

impl Terminal {
    pub(super) fn new(quiet: bool, no_progress: bool) -> Self {
        let hidden = quiet || no_progress || !std::io::stderr().is_terminal();
        let target =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { quiet, bars: MultiProgress::with_draw_target(target) }
    }

    fn say(&self, line: &str) {
        use std::io::Write as _;
        self.bars.suspend(|| {
            let _ = writeln!(anstream::stderr(), "{line}");
        });
    }
}

impl Progress for Terminal {
    fn start(&self, label: &str, total: Option<u64>, unit: Unit) -> Arc<dyn Task> {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let bar = self.bars.add(bar);
        bar.set_style(style(unit, total.is_some()));
        bar.set_prefix(label.to_owned());
        Arc::new(Bar { bar, unit })
    }

    fn note(&self, line: &str) {
        if !self.quiet {
            self.say(line);
        }
    }

    fn warn(&self, line: &str) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        self.say(&format!("{style}warning:{style:#} {line}"));
    }

    fn output(&self, line: &str) {
        if !self.quiet {
            self.say(&format!("  │ {line}"));
        }
    }

    fn draws(&self) -> bool {
        !self.bars.is_hidden()
    }
}

fn style(unit: Unit, bounded: bool) -> ProgressStyle {
    let template = match (unit, bounded) {
        (Unit::Bytes, true) => {
            "{prefix:>24} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}"
        }
        (Unit::Bytes, false) => "{prefix:>24} {spinner} {bytes} {bytes_per_sec} {msg}",
        (Unit::Items, true) => "{prefix:>24} {bar:30} {pos}/{len} {eta} {msg}",
        (Unit::Items, false) => "{prefix:>24} {spinner} {pos} {msg}",
    };
    ProgressStyle::with_template(template).expect("the templates above are well-formed")
}

struct Bar {
    bar: ProgressBar,
    unit: Unit,
}

impl Task for Bar {
    fn advance(&self, amount: u64) {
        self.bar.inc(amount);
    }

    fn set(&self, position: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
            self.bar.set_style(style(self.unit, true));
        }
        self.bar.set_position(position);
    }

    fn describe(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Starts the log of what happens inside: `-v` for steps, `-vv` for everything.
pub(super) fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "mpkg=info,warn",
        _ => "mpkg=trace,debug",
    };
    // A second start in one process (tests of the library) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(verbose > 1)
        .without_time()
        .try_init();
}
