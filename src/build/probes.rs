//! Runs the probes of a manifest: what a package predicts for a fixed set of inputs.

use std::path::Path;
use std::time::Instant;

use super::checks::Checks;
use super::error::Error;
use super::log::BuildLog;
use super::record::ProbeRecord;
use super::steps::fill_view;
use crate::fs::read_to_string;
use crate::package::manifest::Probe;
use crate::package::{Digest, PROBES_FOLDER, PartName, VariantName};

/// The file in `{out}` that a probe writes.
pub const PREDICTIONS_NAME: &str = "predictions.txt";
/// The longest file of predictions that is read, in bytes.
pub const LONGEST_PREDICTIONS: u64 = 256 << 20;

/// What one probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// The probe.
    pub probe: PartName,
    /// The file that it wrote: one prediction a line.
    pub text: Vec<u8>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Predictions {
    /// The path of the file in a binary package.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{PROBES_FOLDER}{}.txt", self.probe)
    }

    /// What the build record says of them.
    #[must_use]
    pub fn record(&self, variant: &VariantName) -> ProbeRecord {
        ProbeRecord {
            name: self.probe.clone(),
            variant: variant.clone(),
            predictions: self.text.split_inclusive(|byte| *byte == b'\n').count() as u64,
            sha256: Digest::of(&self.text),
            seconds: self.seconds,
        }
    }
}

impl Checks<'_> {
    /// Whether a probe is to run on `variant`.
    #[must_use]
    pub fn any_probe_for(&self, variant: &VariantName) -> bool {
        self.manifest.probes.iter().any(|probe| runs_on(probe, variant))
    }

    /// Runs every probe that is meant for `variant` on the package that lies in `folder`.
    ///
    /// # Errors
    /// When one cannot be run, or leaves no predictions.
    pub fn probe(
        &self,
        variant: &VariantName,
        folder: &Path,
        log: &mut BuildLog,
    ) -> Result<Vec<Predictions>, Error> {
        let all = self.manifest.probes.iter();
        let probes: Vec<&Probe> = all.filter(|probe| runs_on(probe, variant)).collect();
        if !probes.is_empty() {
            fill_view(self.tree.0, self.tree.1, &self.work.test_tree())?;
        }
        probes.into_iter().map(|probe| self.run_probe(probe, variant, folder, log)).collect()
    }

    fn run_probe(
        &self,
        probe: &Probe,
        variant: &VariantName,
        folder: &Path,
        log: &mut BuildLog,
    ) -> Result<Predictions, Error> {
        let title = format!("probe \"{}\"", probe.name);
        let job = self.job(title, &probe.run, &probe.resources, folder)?;
        let began = Instant::now();
        self.watch(&job, variant, log)?;
        let path = self.work.scratch().join(PREDICTIONS_NAME);
        let wrong = |what: &str| Error::NoPredictions {
            probe: probe.name.clone(),
            variant: variant.clone(),
            what: what.to_owned(),
        };
        if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            return Err(wrong("wrote no file predictions.txt into {out}"));
        }
        let text = read_to_string(&path, LONGEST_PREDICTIONS)?;
        if text.is_empty() {
            return Err(wrong("wrote not one prediction"));
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Predictions { probe: probe.name.clone(), text: text.into_bytes(), seconds })
    }
}

fn runs_on(probe: &Probe, variant: &VariantName) -> bool {
    probe.variants.is_empty() || probe.variants.contains(variant)
}
