//! `mpkg install`: installs packages with what they depend on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fetch::Patience;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::words::{count, size, table};
use crate::crypto::KeyId;
use crate::explain::printable;
use crate::ops::install::{Change, Options, Plan, Planned, Purpose, Renewal, Target, plan};
use crate::ops::pins::Pins;
use crate::ops::transfer::Traffic;
use crate::registry::{Allowed, Rebuild};
use crate::resolve::{InvalidWish, Wish};
use crate::store::{Generation, InstalledPackage, PicklePolicy};

/// Flags of `mpkg install`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Packages of a registry, as NAME, NAME@REQUIREMENT or NAME@REQUIREMENT:VARIANT, or package
    /// files, as ./FILE.mpkg
    #[arg(required_unless_present = "locked", value_name = "NAME|FILE")]
    packages: Vec<String>,
    /// Install only what this lock file pins, each the very package, and fail where anything else
    /// would come in; without names, all that it pins
    #[arg(long, value_name = "FILE")]
    locked: Option<PathBuf>,
    /// Take dependencies from this package file, or from those in this folder, before any registry
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Flags of commands that install.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArguments {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Let in pickle-based files, which can run code when they are loaded
    #[arg(long)]
    allow_pickle: bool,
    /// Take these signed statements about packages into account, or those in this folder, where a
    /// policy asks for rebuilds
    #[arg(long, value_name = "FILE|DIR")]
    attestation: Vec<PathBuf>,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    pub(super) profile: ProfileArguments,
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let pins = arguments.locked.as_deref().map(Pins::read).transpose()?;
    let mut targets: Vec<Target> =
        arguments.packages.iter().map(|text| target(text)).collect::<Result<_, _>>()?;
    if let (Some(pins), true) = (&pins, targets.is_empty()) {
        targets.extend(pins.wishes().into_iter().map(Target::from));
    }
    let locked = arguments.locked.iter().map(|path| format!("--locked {}", path.display()));
    let words: Vec<String> = locked.chain(arguments.packages).collect();
    let command = format!("install {}", words.join(" "));
    let wanted = Wanted { targets, with: arguments.with, renewal: Renewal::Keep, pins };
    change(wanted, &arguments.change, command, context)
}

/// A text with a slash, or that ends in `.mpkg`, names a file.
fn target(text: &str) -> Result<Target, InvalidWish> {
    if text.contains('/') || Path::new(text).extension().is_some_and(|end| end == "mpkg") {
        return Ok(Target::File(PathBuf::from(text)));
    }
    text.parse::<Wish>().map(Target::Wish)
}

/// What a command asks for.
pub(super) struct Wanted {
    pub(super) targets: Vec<Target>,
    pub(super) with: Vec<PathBuf>,
    pub(super) renewal: Renewal,
    pub(super) pins: Option<Pins>,
}

/// Plans, shows, asks where more changes than was named, and carries out.
pub(super) fn change(
    wanted: Wanted,
    flags: &ChangeArguments,
    command: String,
    context: &Context,
) -> Result<Outcome, Failure> {
    let client = flags.patience.client(context);
    let options = Options {
        profile: flags.profile.profile.clone(),
        targets: wanted.targets,
        with: wanted.with,
        registries: context.registries()?,
        policies: context.policies()?,
        attestations: flags.attestation.clone(),
        renewal: wanted.renewal,
        locked: wanted.pins,
        pickle: if flags.allow_pickle { PicklePolicy::Allow } else { PicklePolicy::Deny },
        purpose: if flags.dry_run { Purpose::Look } else { Purpose::Change },
        command,
        now: context.now,
    };
    let mut plan = plan(&context.home, options, &client, context.progress())?;
    let mut document = to_json(&plan);
    if plan.is_empty() {
        let names: Vec<String> = plan
            .packages
            .iter()
            .filter(|planned| planned.named)
            .map(|planned| planned.package.release().to_string())
            .collect();
        context.progress().note(&match names.as_slice() {
            [] => "Everything is as it should be already".to_owned(),
            _ => format!("Installed already: {}", names.join(", ")),
        });
        document["changed"] = json!(false);
        return Ok(Outcome::done("", document));
    }
    let text = describe(&plan);
    warn_of_other_origins(&plan, context);
    warn_of_withdrawn(&plan, context);
    for warning in plan.packages.iter().flat_map(|planned| &planned.allowed.warnings) {
        context.progress().warn(warning);
    }
    let mut said = BTreeSet::new();
    warn_of_advisories(&plan, &mut said, context);
    document["advisories"] = advisories_json(&said);
    if flags.dry_run {
        document["changed"] = json!(false);
        return Ok(Outcome::done(text, document));
    }
    context.progress().note(text.trim_end());
    if plan.exceeds_what_was_named() && !context.confirms("Go on?") {
        context.progress().note("Nothing was changed");
        document["changed"] = json!(false);
        return Ok(Outcome::done("", document).answering(crate::cli::outcome::Answer::No));
    }
    let changed = plan.packages.iter().filter(|one| is_new(one)).count();
    let done = plan.carry_out(context.progress())?;
    // What went into a package is known once it is here.
    warn_of_advisories(&plan, &mut said, context);
    document["advisories"] = advisories_json(&said);
    document["changed"] = json!(true);
    document["generation"] = json!(done.as_ref().map(|(generation, _)| generation.number));
    if let Some((Generation { number, .. }, traffic)) = done {
        document["fetched-size"] = json!(traffic.fetched);
        document["saved-size"] = json!(traffic.saved);
        let packages = count(changed, "package", "packages");
        let Traffic { fetched, saved } = traffic;
        let came = match (fetched, saved) {
            (0, 0) => String::new(),
            (fetched, 0) => format!("; fetched {}", size(fetched)),
            (fetched, saved) => format!("; fetched {}, saved {}", size(fetched), size(saved)),
        };
        context.progress().note(&format!("Installed {packages} as generation {number}{came}"));
    }
    Ok(Outcome::done("", document))
}

/// Says which packages would be replaced from elsewhere than they came from.
fn warn_of_other_origins(plan: &Plan<'_>, context: &Context) {
    for planned in &plan.packages {
        let Change::Replace(old) = &planned.change else { continue };
        let (before, now) = (&old.origin, &planned.package.origin);
        if before != now {
            let name = &planned.package.name;
            context
                .progress()
                .warn(&format!("{name} was installed from {before}, and comes from {now} now"));
        }
    }
}

/// Warns of advisories about what will be installed, each package once. That advisories cannot be
/// read is said as well.
fn warn_of_advisories(plan: &Plan<'_>, said: &mut BTreeSet<(String, String)>, context: &Context) {
    let (warnings, unread) = plan.advisories();
    for warning in warnings {
        let id = warning.advisory.to_string();
        if said.insert((id.clone(), warning.path[0].clone())) {
            let summary = printable(&warning.summary);
            let path = warning.path.join(" → ");
            context.progress().warn(&format!("{path} is affected by {id}: {summary}"));
        }
    }
    for unread in unread {
        if !said.insert((String::new(), unread.what.clone())) {
            continue;
        }
        let (what, why) = (printable(&unread.what), printable(&unread.why));
        let line = format!("{what} were not looked at: {why}");
        match context.offline {
            true => tracing::info!("{line}"),
            false => context.progress().warn(&line),
        }
    }
}

fn advisories_json(said: &BTreeSet<(String, String)>) -> Value {
    let ids = said.iter().map(|(id, _)| id).filter(|id| !id.is_empty());
    json!(ids.collect::<BTreeSet<_>>())
}

/// Says why what is installed makes way where it was withdrawn.
fn warn_of_withdrawn(plan: &Plan<'_>, context: &Context) {
    for planned in &plan.packages {
        if let (Change::Replace(old), Some(reason)) = (&planned.change, &planned.withdrawn) {
            let (old, reason) = (old.release(), crate::explain::printable(reason));
            context.progress().warn(&format!("{old}, which is installed, was yanked: {reason}"));
        }
    }
}

fn is_new(planned: &Planned) -> bool {
    matches!(planned.change, Change::Install | Change::Replace(_))
}

/// The plan as lines of columns.
fn describe(plan: &Plan<'_>) -> String {
    let mut rows = Vec::new();
    for planned in &plan.packages {
        let release = planned.package.release();
        let what = match &planned.change {
            Change::Install => "install",
            Change::Replace(_) => "replace",
            Change::Mark => "keep",
            Change::Keep => continue,
        };
        let mut row = vec![what.to_owned(), release.to_string()];
        match (&planned.change, &planned.vouched) {
            (Change::Replace(old), _) => row.push(format!("instead of {}", old.version)),
            (_, None) => row.push("now on its own account".to_owned()),
            _ if planned.named => row.push(String::new()),
            _ => row.push("as a dependency".to_owned()),
        }
        if let Some(vouched) = &planned.vouched {
            let unpacked = format!("{} unpacked", size(vouched.unpacked_size));
            row.push(match planned.traffic {
                Traffic { fetched: 0, saved: 0 } => unpacked,
                Traffic { fetched, saved: 0 } => format!("{} to fetch, {unpacked}", size(fetched)),
                Traffic { fetched, saved } => {
                    format!("{} to fetch, {} here already, {unpacked}", size(fetched), size(saved))
                }
            });
            let keys: Vec<String> = vouched.signed_by.iter().map(KeyId::short).collect();
            row.push(format!("signed by {}", keys.join(", ")));
            row.extend(rebuilt_by(&planned.allowed));
        }
        rows.push(row);
    }
    for package in &plan.removed {
        rows.push(vec![
            "remove".to_owned(),
            package.release().to_string(),
            "nothing needs it".to_owned(),
        ]);
    }
    table(&rows)
}

/// Whose rebuilds let a package in, or why none were asked for.
fn rebuilt_by(allowed: &Allowed) -> Option<String> {
    let rebuilds = allowed.rebuilds.iter();
    let mut words: Vec<String> =
        rebuilds.map(|one| format!("rebuilt by {} ({})", one.rebuilder, one.verdict)).collect();
    let exempted = allowed.exempted_by.iter();
    words.extend(exempted.map(|place| format!("exempt from rebuilds by {place}")));
    (!words.is_empty()).then(|| words.join(", "))
}

fn to_json(plan: &Plan<'_>) -> Value {
    let packages: Vec<Value> = plan
        .packages
        .iter()
        .filter(|planned| planned.change != Change::Keep || planned.named)
        .map(|planned| {
            let mut value = package_json(&planned.package);
            let (change, before) = match &planned.change {
                Change::Install => ("install", None),
                Change::Replace(old) => ("replace", Some(&old.version)),
                Change::Mark => ("mark", None),
                Change::Keep => ("keep", None),
            };
            value["change"] = json!(change);
            value["named"] = json!(planned.named);
            if let Some(version) = before {
                value["replaces"] = json!(version);
                value["withdrawn"] = json!(planned.withdrawn);
            }
            if planned.vouched.is_some() {
                value["fetch-size"] = json!(planned.traffic.fetched);
                value["saved-size"] = json!(planned.traffic.saved);
                let rebuilds = planned.allowed.rebuilds.iter().map(Rebuild::to_json);
                value["rebuilt-by"] = rebuilds.collect();
                value["exempted-by"] = json!(planned.allowed.exempted_by);
            }
            value
        })
        .collect();
    let removed: Vec<Value> = plan.removed.iter().map(package_json).collect();
    json!({ "packages": packages, "removed": removed })
}

/// An installed package, for programs.
pub(super) fn package_json(package: &InstalledPackage) -> Value {
    json!({
        "name": package.name,
        "version": package.version,
        "variant": package.variant,
        "kind": package.kind,
        "summary": package.summary,
        "license": package.license,
        "package-digest": package.package,
        "source-digest": package.source,
        "unpacked-size": package.unpacked_size,
        "requested": package.requested.is_some(),
        "origin": package.origin,
        "signed-by": package.signed_by,
    })
}
