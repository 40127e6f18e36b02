//! Asks every address whether it still has the right bytes, and keeps none of them.

use std::sync::atomic::AtomicBool;

use super::deb::DebianPackage;
use super::fetch::{AT_ONCE, Fetcher, Piece, Survey, pieces_of, shown};
use super::pypi::Wheel;
use super::{Error, Result, parallel};
use crate::fs;
use crate::net::{self, Address, Client};
use crate::package::manifest::{DataAddress, DataReference, DataSource, Origin};
use crate::package::{Digest, PartName};
use crate::progress::{Progress, Unit};

/// How closely addresses are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether the file is there with the right size, as far as that can be asked.
    Size,
    /// Whether all of its bytes are right; they are read.
    Bytes,
}

/// What became of one address.
#[derive(Debug)]
pub struct Checked {
    /// The reference's name.
    pub name: PartName,
    /// The address, without its secrets; or a path in the tree.
    pub address: String,
    /// The digest of the file that it should have; none for data in the tree.
    pub digest: Option<Digest>,
    /// What is wrong with it.
    pub fault: Option<Error>,
}

impl Fetcher<'_> {
    /// Checks every address of every reference, and data in the tree against its digest.
    ///
    /// # Errors
    /// When a list of shards cannot be read; a bad address is no error, but a [`Checked`].
    pub fn check(
        &self,
        data: &[DataReference],
        depth: Depth,
        progress: &dyn Progress,
    ) -> Result<Vec<Checked>> {
        let mut checked = Vec::new();
        let mut surveys = Vec::new();
        for reference in data {
            match self.survey(reference) {
                Ok(survey) => surveys.push((reference, survey)),
                Err(error) if error.is_about_the_tree() => checked.push(Checked {
                    name: reference.name.clone(),
                    address: in_tree(reference),
                    digest: None,
                    fault: Some(error),
                }),
                Err(error) => return Err(Error::of(&reference.name)(error)),
            }
        }
        let mut asked: Vec<(&PartName, Piece<'_>)> = Vec::new();
        for (reference, survey) in &surveys {
            if let Survey::Tree(..) = survey {
                let address = in_tree(reference);
                let name = reference.name.clone();
                checked.push(Checked { name, address, digest: None, fault: None });
            }
            for piece in pieces_of(reference, survey) {
                asked.extend(piece.urls.iter().map(|url| (&reference.name, piece.only_from(url))));
            }
        }
        let task = progress.start("Checking addresses", Some(asked.len() as u64), Unit::Items);
        checked.extend(parallel::each(&asked, AT_ONCE, |(name, piece)| {
            let url = &piece.urls[0];
            let fault = match depth {
                Depth::Size => self.probe(url, piece),
                Depth::Bytes => self.read_through(url, piece, progress),
            };
            task.advance(1);
            let digest = Some(piece.digest);
            Checked { name: (*name).clone(), address: shown(url), digest, fault: fault.err() }
        }));
        Ok(checked)
    }

    fn probe(&self, url: &DataAddress, piece: &Piece<'_>) -> Result<()> {
        let whole = url.member.is_none();
        let (size, digest, address) = match &url.origin {
            Origin::Http(_) | Origin::File(_) => {
                let address = match &url.origin {
                    Origin::Http(url) => Address::Http(Box::new(url.clone())),
                    Origin::File(path) => Address::Path(path.clone()),
                    _ => return Ok(()),
                };
                (self.client.probe(&address)?, None, address)
            }
            Origin::Pypi { name, version } => {
                self.needs_network(&url.origin)?;
                return Wheel { name, version, digest: None }.exists();
            }
            Origin::Deb { name, version } => {
                match self.locate(&DebianPackage { name, version }, &url.origin)? {
                    Some(place) => (Some(place.size), Some(place.digest), place.address),
                    None => return Ok(()),
                }
            }
        };
        match (size, digest) {
            (Some(found), _) if whole && found != piece.size => Err(net::Error::WrongSize {
                address,
                expected: piece.size,
                found: found.to_string(),
            }
            .into()),
            (_, Some(found)) if whole && found != piece.digest => {
                let expected = piece.digest;
                Err(net::Error::WrongDigest { address, expected, found }.into())
            }
            _ => Ok(()),
        }
    }

    /// Fetches into a cache that is thrown away.
    fn read_through(
        &self,
        url: &DataAddress,
        piece: &Piece<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let staging = self.client.cache().root().join("staging");
        fs::create_folder(&staging)?;
        let folder = tempfile::Builder::new()
            .prefix("check-")
            .tempdir_in(&staging)
            .map_err(fs::Error::at("create a folder in", &staging))?;
        let client = Client::new(self.client.options_with_cache(folder.path()));
        let fetcher = Fetcher::new(self.tree(), &client);
        let watch = super::watch::Together::new(progress, 1, piece.size);
        fetcher.get_from(url, piece, &AtomicBool::new(false), &watch).map(|_| ())
    }
}

/// The path of data in the tree.
fn in_tree(reference: &DataReference) -> String {
    match &reference.source {
        DataSource::InTree { path, .. } => path.to_string(),
        DataSource::Shards { list } => list.to_string(),
        DataSource::Fetched { .. } => String::new(),
    }
}
