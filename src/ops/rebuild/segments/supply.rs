//! Brings the checkpoints here that a check needs, each held against the chain.

use std::path::{Path, PathBuf};

use super::Error;
use crate::build::checkpoints::{Chain, file_name, training_step};
use crate::build::outputs::hash_file;
use crate::build::segments::Start;
use crate::fs::{Error as FileError, create_folder};
use crate::net::FetchRequest;
use crate::ops::build::Setting;
use crate::ops::registry::data::by_digest;
use crate::package::Release;

/// Where checkpoints come from and where they are laid out.
pub(super) struct Supply<'a> {
    pub(super) release: &'a Release,
    /// The folder that the package lies in, where checkpoints may lie beside it.
    pub(super) beside: &'a Path,
    /// The folder that they are laid out in.
    pub(super) folder: &'a Path,
    pub(super) setting: &'a Setting<'a>,
}

impl Supply<'_> {
    /// Checkpoint `number`, from 1, of `chain`, under the name that its step gave it.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Altered`] and [`Error::OtherStep`].
    pub(super) fn checkpoint(&self, chain: &Chain, number: usize) -> Result<Start, Error> {
        let link = &chain.links[number - 1];
        let folder = self.folder.join(chain.step.as_str()).join(number.to_string());
        let place = folder.join(link.path.file_name());
        let start = Start { place, sha256: link.sha256 };
        if start.place.is_file() {
            return Ok(start);
        }
        let found = self.find(chain, number)?;
        create_folder(&folder)?;
        reflink_copy::reflink_or_copy(&found, &start.place)
            .map_err(FileError::at("copy", &found))?;
        let says = training_step(&start.place, &link.path).map_err(|source| Error::Chain {
            release: Box::new(self.release.clone()),
            source: Box::new(source),
        })?;
        if says != link.training_step {
            let step = |step: Option<u64>| {
                step.map_or_else(|| "no step".to_owned(), |step| format!("step {step}"))
            };
            let (expected, found) = (step(link.training_step), step(says));
            let (step, number) = (chain.step.clone(), number);
            return Err(Error::OtherStep { step, number, expected, found });
        }
        Ok(start)
    }

    /// A file with the bytes of a checkpoint: one beside the package, one in the cache, or one that
    /// a registry keeps by its digest.
    fn find(&self, chain: &Chain, number: usize) -> Result<PathBuf, Error> {
        let link = &chain.links[number - 1];
        let Release { name, version, .. } = self.release;
        let beside = self.beside.join(file_name(name, version, &chain.step, number));
        let mut altered = None;
        if beside.is_file() {
            let (found, _) = hash_file(&beside)?;
            if found == link.sha256 {
                return Ok(beside);
            }
            altered = Some(Error::Altered {
                place: beside,
                step: chain.step.clone(),
                number,
                expected: link.sha256,
                found,
            });
        }
        let label = format!("checkpoint {number} of {}", chain.step);
        let addresses = by_digest(self.setting.registries)(link.sha256);
        let request = FetchRequest {
            label: &label,
            addresses: &addresses,
            digest: link.sha256,
            size: link.size,
            give_up: None,
        };
        match self.setting.client.fetch(&request, self.setting.progress) {
            Ok(fetched) => Ok(fetched.path),
            Err(error) if error.is_local() => Err(error.into()),
            Err(error) => Err(altered.unwrap_or_else(|| Error::Missing {
                step: chain.step.clone(),
                number,
                path: link.path.clone(),
                sha256: link.sha256,
                source: (!addresses.is_empty()).then(|| Box::new(error)),
            })),
        }
    }
}
