//! `mpkg registry serve`: serves a registry's files over HTTP.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, Outcome};
use crate::ops::registry::serve::open;

/// Flags of `mpkg registry serve`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The registry's folder
    folder: PathBuf,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    bind: SocketAddr,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let server = open(&arguments.folder, arguments.bind)?;
    let address = format!("http://{}/", server.address());
    if !server.address().ip().is_loopback() {
        context.progress().note("Everybody who reaches this address can read the registry");
    }
    // It is printed before the command ends: whoever started it waits for this line.
    let text = if context.json {
        format!("{:#}\n", json!({ "address": address }))
    } else {
        format!("Serving {} at {address}\n", arguments.folder.display())
    };
    let _ = anstream::stdout().write_all(text.as_bytes());
    let _ = anstream::stdout().flush();
    server.run();
    Ok(Outcome::done("", json!({})))
}
