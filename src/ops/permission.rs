//! Whether the policies of this machine let a package in, beside what its signatures say.

use super::catalogue::{Catalogue, Result, Vouched};
use crate::package::Digest;
use crate::registry::{Allowed, Facts, Policies};

impl Catalogue<'_> {
    /// Demands that `policies` let in a package that was looked up and vouched for. Every command
    /// that brings packages here asks this before it fetches one.
    ///
    /// # Errors
    /// [`super::catalogue::Error::Forbidden`]; statements about it that cannot be had.
    pub fn demand_allowed(
        &self,
        package: Digest,
        vouched: &Vouched,
        policies: &Policies,
    ) -> Result<Allowed> {
        let described = self.describe(package);
        let mut statements = Vec::new();
        if policies.ask_others(&described.name) {
            statements = self.statements(&described.name, package)?;
            statements.extend(self.heard.iter().cloned());
        }
        let facts = Facts {
            release: &described.release(),
            package,
            source: described.source,
            pickle_reason: self.pickle_reason(package),
            signed_by: &vouched.signed_by,
            publishers: &vouched.publishers,
            own_keys: &self.trust.own_keys,
            known_keys: &self.trust.known_keys,
            statements: &statements,
        };
        Ok(policies.check(&facts)?)
    }
}
