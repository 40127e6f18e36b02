//! What commands that build are handed: the setting of a build, out of that of the run.

use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use crate::net::Client;
use crate::ops::build::Setting;
use crate::registry::{Policies, Selection};

/// What a build's [`Setting`] points to.
pub(super) struct Workshop<'a> {
    context: &'a Context,
    search_path: Vec<PathBuf>,
    /// The client of this run.
    pub(super) client: Client,
    /// The registries that are asked.
    pub(super) registries: Selection,
    policies: Policies,
}

impl<'a> Workshop<'a> {
    pub(super) fn of(context: &'a Context) -> Result<Self, Failure> {
        Self::with(context, context.client())
    }

    /// One whose `client` has the patience that somebody asked for.
    pub(super) fn with(context: &'a Context, client: Client) -> Result<Self, Failure> {
        let (registries, policies) = (context.registries()?, context.policies()?);
        Ok(Self { context, search_path: Context::search_path(), client, registries, policies })
    }

    pub(super) fn setting(&self) -> Setting<'_> {
        Setting {
            home: &self.context.home,
            client: &self.client,
            registries: &self.registries,
            policies: &self.policies,
            search_path: &self.search_path,
            progress: self.context.progress(),
            now: &jiff::Timestamp::now,
        }
    }
}
