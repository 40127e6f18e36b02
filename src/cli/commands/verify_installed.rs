//! The half of `mpkg verify` that is about installed packages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::said::{Voices, said_json, said_lines};
use super::{Context, Failure, Outcome};
use crate::cli::outcome::Answer;
use crate::cli::words::count;
use crate::ops::verify_installed::{Checked, verify};
use crate::package::{PackageName, ProfileName};

/// Checks the installed packages called `names`, or all of them where none is named.
pub(super) fn run(
    names: &[PackageName],
    profile: &ProfileName,
    voices: Option<&Voices>,
    context: &Context,
) -> Result<Outcome, Failure> {
    let checked = verify(&context.home, profile, names, context.progress())?;
    let (mut text, mut packages) = (String::new(), Vec::new());
    for package in &checked {
        let word = if package.damaged.is_empty() { "good" } else { "damaged" };
        let _ = writeln!(text, "{word:<8}{}", package.release);
        for file in &package.damaged {
            let _ = writeln!(text, "        {}: {}", file.path, file.damage.describe());
        }
        let mut document = describe(package);
        if let Some(voices) = voices {
            let said = voices.about(&package.release.name, package.package, &[])?;
            text.push_str(&said_lines(&said));
            document["attestations"] = said_json(&said);
        }
        packages.push(document);
    }
    let damaged: Vec<&Checked> = checked.iter().filter(|one| !one.damaged.is_empty()).collect();
    if checked.is_empty() {
        context.progress().note("Nothing is installed");
    }
    if !damaged.is_empty() {
        let names: Vec<&str> = damaged.iter().map(|one| one.release.name.as_str()).collect();
        let packages = count(damaged.len(), "package is", "packages are");
        context
            .progress()
            .warn(&format!("{packages} damaged; mend with: mpkg reinstall {}", names.join(" ")));
    }
    let answer = if damaged.is_empty() { Answer::Yes } else { Answer::No };
    let document = json!({ "ok": damaged.is_empty(), "packages": packages });
    Ok(Outcome::done(text, document).answering(answer))
}

fn describe(package: &Checked) -> Value {
    json!({
        "name": package.release.name,
        "version": package.release.version,
        "variant": package.release.variant,
        "ok": package.damaged.is_empty(),
        "damaged": package.damaged,
    })
}
