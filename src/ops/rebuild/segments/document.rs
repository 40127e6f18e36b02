//! The facts of a check of parts as JSON.

use serde_json::{Value, json};

use super::{Checked, SegmentFacts, Share};
use crate::build::checkpoints::Chain;

impl Checked {
    /// Every fact that was measured.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "release": self.release.to_string(),
            "package-digest": self.package,
            "source": self.source,
            "verdict": self.verdict,
            "share": self.share,
            "chains": self.chains.iter().map(of_chain).collect::<Vec<_>>(),
            "chain-signed-by": self.signed_by,
            "seed": self.seed,
            "segments": self.segments,
            "closing": {
                "verdict": self.closing.verdict,
                "index-changed": self.closing.index_changed,
                "files": self.closing.files,
            },
            "tests": self.record.tests,
            "probes": self.probes,
            "promise": self.promise,
            "promise-kept": self.keeps_promise(),
            "environment": self.record.environment,
            "machine": self.record.machine,
            "sandbox": self.record.sandbox,
            "tainted": self.record.tainted,
            "started": self.record.started,
            "mpkg": self.record.mpkg,
        })
    }
}

fn of_chain(chain: &Chain) -> Value {
    json!({
        "step": chain.step,
        "head": chain.head(),
        "checkpoints": chain.links.len(),
        "training-steps": chain.training_steps,
    })
}

impl Share {
    /// The share in words, as in `2 of 4 segments, 25 of 45 training steps (55 %)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let segments = format!("{} of {} segments", self.segments, self.of_segments);
        match (self.training_steps, self.of_training_steps) {
            (Some(steps), Some(all)) if all > 0 => {
                let share = u128::from(steps) * 100 / u128::from(all);
                format!("{segments}, {steps} of {all} training steps ({share} %)")
            }
            _ => segments,
        }
    }
}

impl SegmentFacts {
    /// What it is in words, as in `segment 1 of train, from step-10 to step-20, 10 steps`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let stem = |path: &crate::package::PackagePath| {
            let name = path.file_name();
            name.strip_suffix(".safetensors").unwrap_or(name).to_owned()
        };
        let from = self.from.as_ref().map_or_else(|| "the beginning".to_owned(), stem);
        let steps = self.training_steps.map(|steps| match steps {
            1 => ", 1 step".to_owned(),
            steps => format!(", {steps} steps"),
        });
        let steps = steps.unwrap_or_default();
        format!(
            "segment {} of {}, from {from} to {}{steps}",
            self.segment,
            self.step,
            stem(&self.to)
        )
    }
}
