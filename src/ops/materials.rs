//! The pieces of data that a package of a lineage was made from.

use std::collections::BTreeSet;
use std::path::Path;

use super::lineage::Part;
use crate::build::data::{Exclusions, Fetcher, Result, shown};
use crate::net::Client;
use crate::package::manifest::{DataReference, DataRole, DataSource};
use crate::package::{Digest, PartName};

/// A piece of data as the source of a package names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The data reference's name.
    pub name: PartName,
    /// The digest of its file; of a folder or a sharded set, of its listing.
    pub digest: Digest,
    /// The digests of the files of a sharded set.
    pub shards: Vec<Digest>,
    /// The records that are withdrawn from it by their digests.
    pub withdrawn: BTreeSet<Digest>,
    /// Its licence.
    pub license: String,
    /// What it is used for.
    pub role: DataRole,
    /// Where its bytes come from, for people.
    pub from: String,
}

impl Material {
    /// Whether `digest` is that of the data, or of one of its files.
    #[must_use]
    pub fn is(&self, digest: Digest) -> bool {
        self.digest == digest || self.shards.contains(&digest)
    }
}

/// The data that the source of `part` names; none where its source is not to be had.
///
/// # Errors
/// When data in the tree or a list of shards cannot be read.
pub fn materials(part: &Part, client: &Client) -> Result<Vec<Material>> {
    let Some(tree) = &part.tree else { return Ok(Vec::new()) };
    let fetcher = Fetcher::new(tree.root(), client);
    tree.manifest()
        .data
        .iter()
        .map(|reference| material(reference, tree.root(), &fetcher))
        .collect()
}

fn material(reference: &DataReference, root: &Path, fetcher: &Fetcher<'_>) -> Result<Material> {
    let (digest, shards) = match &reference.source {
        DataSource::Fetched { sha256, .. } => (*sha256, Vec::new()),
        DataSource::InTree { .. } => (fetcher.digest(reference)?, Vec::new()),
        DataSource::Shards { .. } => {
            let files = fetcher.files(std::slice::from_ref(reference))?;
            let shards = files.into_iter().map(|(digest, _)| digest).collect();
            (fetcher.digest(reference)?, shards)
        }
    };
    Ok(Material {
        name: reference.name.clone(),
        digest,
        shards,
        withdrawn: Exclusions::read(root, reference)?.records().collect(),
        license: reference.license.clone(),
        role: reference.role,
        from: from(reference),
    })
}

fn from(reference: &DataReference) -> String {
    match &reference.source {
        DataSource::Fetched { urls, .. } => urls.first().map(shown).unwrap_or_default(),
        DataSource::InTree { path, .. } | DataSource::Shards { list: path } => path.to_string(),
    }
}
