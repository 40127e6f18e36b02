//! Who said what about a package, for `mpkg verify --attestations`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Context, Failure};
use crate::explain::printable;
use crate::net::Client;
use crate::ops::catalogue::Catalogue;
use crate::ops::install::trust;
use crate::ops::key::{self, KnownKey};
use crate::ops::said::{Said, said};
use crate::ops::verify::Signer;
use crate::package::{Digest, PackageName};
use crate::registry::{AttachmentRole, Selection};
use crate::store::Home;

/// The registries that are asked, and the keys that this machine knows.
pub(super) struct Voices {
    client: Client,
    registries: Selection,
    home: Home,
    known: Vec<KnownKey>,
}

impl Voices {
    pub(super) fn of(context: &Context) -> Result<Self, Failure> {
        let known = key::list(&context.home)?;
        let (client, registries) = (context.client(), context.registries()?);
        Ok(Self { client, registries, home: context.home.clone(), known })
    }

    /// What is said about a package.
    pub(super) fn about(
        &self,
        name: &PackageName,
        package: Digest,
        beside: &[(AttachmentRole, Vec<u8>)],
    ) -> Result<Vec<Said>, Failure> {
        let trust = trust(&self.home)?;
        let catalogue = Catalogue::open(&self.registries, Vec::new(), trust, &self.client)?;
        Ok(said(&catalogue, name, package, &self.known, beside)?)
    }
}

/// A line for each statement.
pub(super) fn said_lines(said: &[Said]) -> String {
    let mut text = String::new();
    for one in said {
        let known = one.signers.iter().map(words);
        let unknown = one.unknown.iter().map(|id| {
            let id: String = printable(id).chars().take(64).collect();
            format!("an unknown key, {id}")
        });
        let bad = one.bad.iter().map(|signer| format!("a bad signature for {}", words(signer)));
        let by: Vec<String> = known.chain(unknown).chain(bad).collect();
        let predicate: String = printable(&one.predicate).chars().take(200).collect();
        let summary = one.summary.as_ref().map(|summary| format!(": {summary}"));
        let (by, summary) = (by.join(", "), summary.unwrap_or_default());
        let _ = writeln!(text, "  said    {predicate}: by {by}{summary}");
    }
    if said.is_empty() {
        text.push_str("  said    nothing: no registry that is asked has this package, and no statement lies beside it\n");
    }
    text
}

fn words(signer: &Signer) -> String {
    format!("{} ({})", signer.name, signer.id.short())
}

/// The statements for programs.
pub(super) fn said_json(said: &[Said]) -> Value {
    let signer = |one: &Signer| json!({ "name": one.name, "id": one.id.to_string() });
    let signers = |list: &[Signer]| list.iter().map(signer).collect::<Vec<_>>();
    let one = |one: &Said| {
        json!({
            "role": match one.role {
                AttachmentRole::Publisher => "publisher",
                AttachmentRole::Attestation => "attestation",
                AttachmentRole::BuildRecord => "build-record",
            },
            "predicate-type": one.predicate,
            "predicate": one.said,
            "summary": one.summary,
            "signers": signers(&one.signers),
            "unknown-keys": one.unknown,
            "bad-signatures": signers(&one.bad),
        })
    };
    said.iter().map(one).collect()
}
