//! `mpkg tuf`: the client of The Update Framework alone, as its public conformance suite calls it.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::cli::failure::Plain;
use crate::net::Address;
use crate::ops::tuf::{Download, Repository, download, init, refresh};

/// Flags of `mpkg tuf`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The folder of trusted metadata
    #[arg(long, value_name = "DIR")]
    metadata_dir: PathBuf,
    /// The address of the repository's metadata
    #[arg(long, value_name = "URL|DIR")]
    metadata_url: Option<Address>,
    /// A target to fetch; may be given more than once
    #[arg(long, value_name = "PATH")]
    target_name: Vec<String>,
    /// The address of the repository's targets
    #[arg(long, value_name = "URL|DIR")]
    target_base_url: Option<Address>,
    /// The folder to which targets go
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Begins to trust a root
    Init {
        /// The file of the root
        root: PathBuf,
    },
    /// Brings the trusted metadata up to date
    Refresh,
    /// Brings the trusted metadata up to date and fetches targets
    Download,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    if let Action::Init { root } = &arguments.action {
        init(root, &arguments.metadata_dir)?;
        return Ok(Outcome::done("", json!({ "trusted": root })));
    }
    let repository = Repository {
        metadata: arguments.metadata_dir,
        address: arguments.metadata_url.ok_or_else(|| missing("--metadata-url URL"))?,
        now: context.now,
    };
    let client = context.client();
    if matches!(arguments.action, Action::Refresh) {
        refresh(&repository, &client)?;
        return Ok(Outcome::done("", json!({ "refreshed": repository.address.to_string() })));
    }
    let wanted = Download {
        address: arguments.target_base_url.ok_or_else(|| missing("--target-base-url URL"))?,
        names: arguments.target_name,
        folder: arguments.target_dir.ok_or_else(|| missing("--target-dir DIR"))?,
    };
    if wanted.names.is_empty() {
        return Err(missing("--target-name PATH"));
    }
    let files = download(&repository, &wanted, &client)?;
    let lines: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Ok(Outcome::done(lines.join("\n"), json!({ "files": lines })))
}

fn missing(flag: &str) -> Failure {
    let message = format!("this needs {flag}");
    Plain { kind: "usage", message, hint: None }.into()
}
