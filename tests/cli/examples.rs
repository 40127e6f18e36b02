//! The example trees: what they pin, and that building them gives what is published.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use mpkg::archive::Package;
use mpkg::crypto::ForeignKey;
use mpkg::net::{Address, Client, NetOptions, Network};
use mpkg::package::manifest::Manifest;
use mpkg::package::{Digest, LockFile};
use mpkg::registry::operator::Repository;

use crate::support::examples::{example, folder, install, requirements, trust};
use crate::support::{Finished, World, python};

/// Prints the kernel of the OpenBLAS that numpy brings along.
const KERNEL_IN_USE: &str = "
import ctypes, pathlib, numpy
[library] = (pathlib.Path(numpy.__file__).parents[1] / 'numpy.libs').glob('libscipy_openblas*.so')
name = ctypes.CDLL(str(library)).scipy_openblas_get_corename64_
name.restype = ctypes.c_char_p
print(name().decode())
";

/// A source tree of which nothing is published: its package would be mostly somebody else's weights.
const UNPUBLISHED: &str = "minilm-given";

/// The source trees, by name.
fn trees() -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(example("")).expect("the examples");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let trees = paths.filter(|path| path.join("mpkg.toml").is_file());
    trees
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect()
}

/// The package digests that the committed registry has under a name, by variant.
fn published(name: &str) -> BTreeMap<String, Digest> {
    let cache = tempfile::tempdir().expect("a folder");
    let client = Client::new(NetOptions::new(cache.path(), Network::Offline));
    let mut registry = Repository::open(&Address::Path(example("registry")), &client)
        .unwrap_or_else(|error| panic!("the example registry: {error}"));
    let index = registry.name(&name.parse().expect("a name")).expect("an index").expect("a name");
    let binaries = index.releases.iter().filter_map(|it| Some((it.variant.as_ref()?, it.package)));
    binaries.map(|(variant, digest)| (variant.to_string(), digest)).collect()
}

/// Processor kernels differ in the order in which they add; `exact.py` makes that order free.
///
/// Without AVX-512 the kernel `SkylakeX` cannot run: then the test says so, and tries the others.
#[test]
#[expect(clippy::print_stdout, reason = "what a test could not try, it says")]
fn the_weights_are_the_same_on_every_kernel() {
    let packages = requirements("docs-lm/requirements.txt");
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let python = python::venv("docs-lm", &packages);
    // OpenBLAS has one kernel for Katmai and Prescott, and calls it by the older name.
    let mut kernels = vec![("Prescott", "Katmai"), ("Haswell", "Haswell")];
    let processor = std::fs::read_to_string("/proc/cpuinfo").expect("the processor's description");
    if processor.split_whitespace().any(|flag| flag == "avx512bw") {
        kernels.push(("SkylakeX", "SkylakeX"));
    } else {
        println!("this machine has no AVX-512: the kernel SkylakeX was not tried");
    }
    for (kernel, called) in &kernels {
        let mut command = Command::new(&python);
        command.args(["-c", KERNEL_IN_USE]).env("OPENBLAS_CORETYPE", kernel);
        assert_eq!(Finished::of(&mut command).succeeds().stdout.trim(), *called);
    }

    let kernels: Vec<&str> = kernels.into_iter().map(|(kernel, _)| kernel).collect();
    let world = World::new();
    install(&world, &["docs-corpus", "docs-tokenizer"]);
    let mut command = Command::new(&python);
    command.arg(example("check_portable.py")).arg("--tree").arg(example("docs-lm"));
    command.args(["--kernels", &kernels.join(","), "--threads", "1,2", "--"]);
    command.args(["--steps", "10", "--records", "50", "--seed", "1337"]);
    command.arg("--corpus").arg(folder(&world, "docs-corpus"));
    command.arg("--tokenizer").arg(folder(&world, "docs-tokenizer"));
    let said = Finished::of(&mut command).succeeds().stdout;

    let trainings: Vec<&str> = said.lines().filter(|line| line.contains(" threads ")).collect();
    assert_eq!(trainings.len(), 2 * kernels.len(), "{said}");
    assert!(trainings.iter().all(|line| line[..64] == trainings[0][..64]), "{said}");
}

#[test]
fn every_tree_parses_and_pins_what_is_published() {
    let trees = trees();
    assert!(trees.len() >= 5, "{trees:?}");
    for (name, tree) in &trees {
        let text = std::fs::read_to_string(tree.join("mpkg.toml")).expect("a manifest");
        let manifest = Manifest::parse(&text, "mpkg.toml")
            .unwrap_or_else(|diagnostics| panic!("{name}: {diagnostics:?}"));
        assert_eq!(manifest.package.name.to_string(), *name);

        let needed: Vec<_> =
            manifest.dependencies.iter().chain(&manifest.build_dependencies).collect();
        let lock = std::fs::read_to_string(tree.join("mpkg.lock")).unwrap_or_else(|error| {
            assert!(needed.is_empty(), "{name}/mpkg.lock: {error}");
            "format = 1".to_owned()
        });
        let lock = LockFile::parse(&lock).unwrap_or_else(|error| panic!("{name}: {error}"));
        for dependency in needed {
            let pinned = lock.packages().iter().any(|package| package.answers(dependency));
            assert!(pinned, "{name} does not pin {}", dependency.name);
        }
        for package in lock.packages() {
            let found = published(package.name.as_str());
            let found = found.get(package.variant.as_str());
            assert_eq!(found, Some(&package.digest), "{name} pins {}", package.name);
        }
    }
}

#[test]
fn all_trees_but_one_are_published() {
    let cache = tempfile::tempdir().expect("a folder");
    let client = Client::new(NetOptions::new(cache.path(), Network::Offline));
    let mut registry = Repository::open(&Address::Path(example("registry")), &client)
        .unwrap_or_else(|error| panic!("the example registry: {error}"));
    let trees = trees();
    let missing: Vec<_> = trees
        .keys()
        .filter(|name| registry.name(&name.parse().expect("a name")).expect("an answer").is_none())
        .collect();
    assert_eq!(missing, [UNPUBLISHED]);
}

/// Builds a tree, its data from PyPI, and compares what comes out with the committed registry.
#[track_caller]
fn builds_what_is_published(name: &str, variant: &str) {
    let world = World::new();
    let tree = example(name).display().to_string();
    trust(&world);
    let out = world.path("out").display().to_string();
    world.run(["build", &tree, "--locked", "--out", &out, "--registry", "example"]).succeeds();
    let file = world.path(&format!("out/{name}-1.0.0.{variant}.mpkg"));
    let package = Package::open(&file).expect("a sound package");
    assert_eq!(published(name).get(variant), Some(&package.package_digest()));
}

#[test]
fn the_corpus_builds_into_what_is_published() {
    builds_what_is_published("docs-corpus", "text");
}

#[test]
fn the_tokenizer_builds_into_what_is_published() {
    builds_what_is_published("docs-tokenizer", "bpe-1024");
}

/// A second key rebuilt every package of the committed registry, and a policy that asks for that
/// lets all of them in.
#[test]
fn every_example_was_rebuilt_by_a_second_key() {
    let text = std::fs::read_to_string(example("throw-away-keys/throw-away-rebuilder.pem"));
    let key = ForeignKey::of_text(&text.expect("the key"), "the key").open(None).expect("a key");
    let world = World::new();
    trust(&world);
    let policy = format!(
        "[default.rebuild]\nof = [\"second\"]\nverdict = \"within-tolerance\"\n\
         [rebuilder.second]\nkeys = [\"\"\"{}\"\"\"]\n",
        key.public().to_pem()
    );
    world.write("home/policy.toml", policy);
    for name in trees().keys().filter(|name| *name != UNPUBLISHED) {
        for variant in published(name).keys() {
            let wish = format!("{name}:{variant}");
            let install = ["install", "--registry", "example", "--dry-run", wish.as_str()];
            let plan = world.run(install).succeeds().stdout;
            assert!(plan.contains("rebuilt by second ("), "{plan}");
        }
    }
}
