//! The facts of a series of builds as JSON.

use serde_json::{Value, json};

use super::{Found, Trial, Varied};
use crate::reproduce::{FileFacts, Verdict};

impl Varied {
    /// Every fact that was measured. Of each file that is identical only the number is told.
    #[must_use]
    pub fn document(&self) -> Value {
        let control = &self.control;
        let changed: Vec<&FileFacts> = control.comparison.changed().collect();
        json!({
            "release": control.release.to_string(),
            "package-digest": control.package,
            "source": control.source,
            "control": {
                "package-digest": control.rebuilt,
                "verdict": control.comparison.verdict,
                "index-changed": control.comparison.index_changed,
                "files": changed,
                "tests": control.tests,
                "probes": control.probes,
                "seconds": control.record.seconds.total(),
                "tainted": control.record.tainted,
            },
            "repeated": self.repeated.as_ref().map(Trial::document),
            "steady": self.is_steady(),
            "variations": self.trials.iter().map(Trial::document).collect::<Vec<_>>(),
            "not-varied": self.not_varied,
            "breaks-equality": self.breaking(),
            "harmless": self.harmless(),
            "promise": control.promise,
            "environment": control.record.environment,
            "machine": control.record.machine,
            "sandbox": control.record.sandbox,
            "started": control.record.started,
            "mpkg": control.record.mpkg,
        })
    }
}

impl Trial {
    fn document(&self) -> Value {
        let mut document = match &self.found {
            Found::Failure { error, kind } => json!({"error": {"kind": kind, "message": error}}),
            Found::Package { digest, comparison, tests, probes, first_step, tainted } => {
                let is_changed = |file: &&FileFacts| file.verdict != Verdict::Identical;
                let changed: Vec<&FileFacts> = comparison.files.iter().filter(is_changed).collect();
                json!({
                    "package-digest": digest,
                    "index-changed": comparison.index_changed,
                    "files": changed,
                    "tests": tests,
                    "probes": probes,
                    "first-step": first_step,
                    "tainted": tainted,
                })
            }
        };
        document["verdict"] = self.word().into();
        document["seconds"] = self.seconds.into();
        if let Some(variation) = &self.variation {
            document["varied"] = variation.kind.as_str().into();
            document["from"] = variation.from.as_str().into();
            document["to"] = variation.to.as_str().into();
        }
        document
    }
}
