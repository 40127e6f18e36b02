//! The commands, one a file: its flags, then one call, then printing.

mod advisory;
mod attest;
mod audit;
mod build;
mod class;
mod completions;
mod diff;
mod exclude;
mod export;
mod fetch;
mod files;
mod gc;
mod generations;
mod info;
mod init;
mod install;
mod key;
mod licenses;
mod lint;
mod list;
mod man;
mod pack;
mod patch;
mod path;
mod profiles;
mod publish;
mod rebuild;
mod rebuild_segments;
mod registry;
mod reinstall;
mod remove;
mod rollback;
mod said;
mod search;
mod sign;
mod source;
mod test;
mod trace;
mod tree;
mod tuf;
mod upgrade;
mod verify;
mod verify_installed;
mod why;

use super::arguments::ProfileArguments;
use super::context::Context;
use super::failure::Failure;
use super::outcome::Outcome;

/// What mpkg can be told to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Writes a source tree that builds as it is
    Init(init::Arguments),
    /// Says what in a source tree or a package should be otherwise
    Lint(lint::Arguments),
    /// Fetches everything that a build needs, so that it can run offline
    Fetch(fetch::Arguments),
    /// Builds binary packages from a source tree or a source package
    Build(build::Arguments),
    /// Runs the tests of a source tree on what was built
    Test(test::Arguments),
    /// Builds a package again from its source, and says how alike the two are
    Rebuild(rebuild::Arguments),
    /// Signs what was found out about a package, and shows what was said about one
    Attest(attest::Arguments),
    /// Compares two packages, or two files of weights
    Diff(diff::Arguments),
    /// Packs a source tree into a source package, without building it
    Pack(pack::Arguments),
    /// Unpacks a source package as a tree that is ready to change
    Source(source::Arguments),
    /// Records changes to an unpacked source as patches
    Patch(patch::Arguments),
    /// Withdraws records from a data reference
    Exclude(exclude::Arguments),
    /// Makes and manages signing keys
    Key(key::Arguments),
    /// Signs packages
    Sign(sign::Arguments),
    /// Writes what other programs read: signatures of OpenSSF Model Signing
    Export(export::Arguments),
    /// Checks signatures and contents of package files or installed packages
    Verify(verify::Arguments),
    /// Adds packages with their signatures to a registry
    Publish(publish::Arguments),
    /// Makes and looks after registries
    Registry(registry::Arguments),
    /// Looks for packages by words
    Search(search::Arguments),
    /// Shows what a registry says about a package
    Info(info::Arguments),
    /// Installs packages with what they depend on
    Install(install::Arguments),
    /// Installs the newest versions of what is installed
    Upgrade(upgrade::Arguments),
    /// Writes installed packages anew, as a damaged one needs
    Reinstall(reinstall::Arguments),
    /// Removes packages from the profile
    Remove(remove::Arguments),
    /// Lists installed packages
    List(list::Arguments),
    /// Prints the folder of an installed package
    Path(path::Arguments),
    /// Says what an installed package is there for
    Why(why::Arguments),
    /// Lists the files of a package
    Files(files::Arguments),
    /// Lists the generations of the profile
    Generations(generations::Arguments),
    /// Goes back to the generation before, or to another
    Rollback(rollback::Arguments),
    /// Lists profiles, and removes one
    Profiles(profiles::Arguments),
    /// Removes what no generation needs, and clears the cache
    Gc(gc::Arguments),
    /// Reads a repository of The Update Framework, as its conformance suite asks for
    #[command(hide = true)]
    Tuf(tuf::Arguments),
    /// Says how open a package is: its class, the facts it follows from, and what would better it
    Class(class::Arguments),
    /// Says which licence everything has that a package was made from, and on whose word
    Licenses(licenses::Arguments),
    /// Finds passages of a text that stand verbatim in a model's training data
    Trace(trace::Arguments),
    /// Shows what a package was built from: data, tokenizer, base, adapter
    Tree(tree::Arguments),
    /// Says which packages advisories concern, through all that they were built from
    Audit(audit::Arguments),
    /// Makes, checks and signs advisories, and lists those of registries
    Advisory(advisory::Arguments),
    /// Prints completions for a shell
    Completions(completions::Arguments),
    /// Writes the manual pages
    Man(man::Arguments),
}

/// Runs one command.
pub(super) fn run(command: Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::Init(arguments) => init::run(arguments, context),
        Command::Lint(arguments) => lint::run(&arguments, context),
        Command::Fetch(arguments) => fetch::run(arguments, context),
        Command::Build(arguments) => build::run(arguments, context),
        Command::Test(arguments) => test::run(arguments, context),
        Command::Rebuild(arguments) => rebuild::run(arguments, context),
        Command::Attest(arguments) => attest::run(arguments, context),
        Command::Diff(arguments) => diff::run(&arguments, context),
        Command::Pack(arguments) => pack::run(arguments, context),
        Command::Source(arguments) => source::run(arguments, context),
        Command::Patch(arguments) => patch::run(arguments, context),
        Command::Exclude(arguments) => exclude::run(arguments, context),
        Command::Key(arguments) => key::run(arguments, context),
        Command::Sign(arguments) => sign::run(arguments, context),
        Command::Export(arguments) => export::run(arguments, context),
        Command::Verify(arguments) => verify::run(arguments, context),
        Command::Publish(arguments) => publish::run(arguments, context),
        Command::Registry(arguments) => registry::run(arguments, context),
        Command::Search(arguments) => search::run(&arguments, context),
        Command::Info(arguments) => info::run(&arguments, context),
        Command::Install(arguments) => install::run(arguments, context),
        Command::Upgrade(arguments) => upgrade::run(arguments, context),
        Command::Reinstall(arguments) => reinstall::run(&arguments, context),
        Command::Remove(arguments) => remove::run(&arguments, context),
        Command::List(arguments) => list::run(&arguments, context),
        Command::Path(arguments) => path::run(&arguments, context),
        Command::Why(arguments) => why::run(&arguments, context),
        Command::Files(arguments) => files::run(&arguments, context),
        Command::Generations(arguments) => generations::run(&arguments, context),
        Command::Rollback(arguments) => rollback::run(&arguments, context),
        Command::Profiles(arguments) => profiles::run(arguments, context),
        Command::Gc(arguments) => gc::run(&arguments, context),
        Command::Tuf(arguments) => tuf::run(arguments, context),
        Command::Class(arguments) => class::run(&arguments, context),
        Command::Licenses(arguments) => licenses::run(&arguments, context),
        Command::Trace(arguments) => trace::run(arguments, context),
        Command::Tree(arguments) => tree::run(&arguments, context),
        Command::Audit(arguments) => audit::run(arguments, context),
        Command::Advisory(arguments) => advisory::run(arguments, context),
        Command::Completions(arguments) => completions::run(arguments, context),
        Command::Man(arguments) => man::run(arguments, context),
    }
}
