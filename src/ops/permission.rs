//! Whether the policies of this machine let a package in, beside what its signatures say.

use super::catalogue::{Catalogue, Result, Vouched};
use crate::package::Digest;
use crate::registry::{Facts, Policies};

impl Catalogue<'_> {
    /// Demands that `policies` let in a package that was looked up and vouched for. Every command
    /// that brings packages here asks this before it fetches one.
    ///
    /// # Errors
    /// [`super::catalogue::Error::Forbidden`].
    pub fn demand_allowed(
        &self,
        package: Digest,
        vouched: &Vouched,
        policies: &Policies,
    ) -> Result<()> {
        let described = self.describe(package);
        // Nobody computes a class yet, so it is known of no package.
        let facts = Facts {
            name: &described.name,
            pickle_reason: self.pickle_reason(package),
            class: None,
            signed_by: &vouched.signed_by,
        };
        Ok(policies.check(&described.release().to_string(), &facts)?)
    }
}
