//! The facts of a rebuild as JSON.

use serde_json::{Value, json};

use super::Rebuilt;

impl Rebuilt {
    /// Every fact that was measured.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "release": self.release.to_string(),
            "package-digest": self.package,
            "source": self.source,
            "rebuilt-digest": self.rebuilt,
            "verdict": self.comparison.verdict,
            "index-changed": self.comparison.index_changed,
            "files": self.comparison.files,
            "tests": self.tests,
            "probes": self.probes,
            "promise": self.promise,
            "promise-kept": self.keeps_promise(),
            "environment": self.record.environment,
            "software-changed": self.software_changed(),
            "machine": self.record.machine,
            "sandbox": self.record.sandbox,
            "tainted": self.record.tainted,
            "started": self.record.started,
            "seconds": self.record.seconds,
            "mpkg": self.record.mpkg,
        })
    }
}
