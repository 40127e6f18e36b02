//! The package that a statement is about.

use super::Error;
use crate::crypto::statement::{Digests, StatementSubject};
use crate::ops::build::Setting;
use crate::ops::catalogue::{Catalogue, open};
use crate::ops::install;
use crate::ops::released::{Operand, newest};
use crate::ops::statements::around;
use crate::package::{Digest, INDEX_PATH, Release};
use crate::registry::AttachmentRole;

/// A package, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// The SHA-256 of its file.
    pub file: Digest,
    /// The envelopes that lie beside it, where it is a file.
    pub beside: Vec<(AttachmentRole, Vec<u8>)>,
}

impl About {
    /// Finds out what `operand` names. Of a release nothing is fetched: its signatures are checked.
    ///
    /// # Errors
    /// A file that is no package; no such release, or one that is not signed as it should be.
    pub fn of(operand: &Operand, setting: &Setting<'_>) -> Result<Self, Error> {
        let wish = match operand {
            Operand::Release(wish) => wish,
            Operand::File(path) => {
                let package = open(path)?;
                package.verify(setting.progress)?;
                return Ok(Self {
                    release: package.index().release(),
                    package: package.package_digest(),
                    file: package.file_digest()?,
                    beside: around(path)?,
                });
            }
        };
        let trust = install::trust(setting.home)?;
        let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
        let Some((index, _)) = catalogue.name(&wish.name)? else {
            return Ok(catalogue.no_such_package(&wish.name)?);
        };
        let entry = newest(&index, wish)?.clone();
        catalogue.seek(&wish.name, entry.package)?;
        // Only a package with a stock file can be vouched for.
        catalogue.vouch(entry.package)?;
        let file = entry.stock().map_or(entry.package, |stock| stock.sha256);
        let (release, package) = (entry.release(&wish.name), entry.package);
        Ok(Self { release, package, file, beside: Vec::new() })
    }

    /// It as the subjects of a statement.
    #[must_use]
    pub fn subjects(&self) -> Vec<StatementSubject> {
        let subject = |name: String, sha256| StatementSubject { name, digest: Digests { sha256 } };
        vec![
            subject(self.release.file_name(), self.file),
            subject(INDEX_PATH.to_owned(), self.package),
        ]
    }
}
