//! `mpkg rebuild --segment` and `--segments`: an honest training passes in every part, a poisoned
//! one where the poison is, and what is missing or altered is an error and never a pass.

use std::num::NonZeroUsize;

use mpkg::build::checkpoints::Chain;
use mpkg::crypto::Envelope;
use mpkg::crypto::statement::{SEGMENTS_V1, Statement};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::training::{PACKAGE, RECORD, Training, checkpoint, record};

const SOURCE: &str = "tree/dist/steady-1.0.0.src.mpkg";

/// What a check of parts says, and its exit code.
fn check(world: &World, arguments: &[&str]) -> (Value, i32) {
    let all = ["-q", "--json", "rebuild", PACKAGE].into_iter().chain(arguments.iter().copied());
    let finished = world.run(all);
    (finished.json(), finished.code)
}

#[test]
fn every_segment_of_an_honest_training_is_identical() {
    let world = World::new();
    Training::default().build(&world);
    let all = ["--segment", "0", "--segment", "1", "--segment", "2", "--segment", "3"];
    let (found, code) = check(&world, &all);
    assert_eq!((&found["verdict"], code), (&json!("identical"), 0), "{found:#}");
    let share = json!({
        "segments": 4, "of-segments": 4, "training-steps": 45, "of-training-steps": 45
    });
    assert_eq!(found["share"], share);
    let segments = found["segments"].as_array().unwrap();
    assert!(segments.iter().all(|segment| segment["verdict"] == "identical"), "{segments:#?}");
    assert_eq!(segments[0]["from"], json!(null));
    assert_eq!(segments[2]["to"], "checkpoints/step-0030.safetensors");
    assert_eq!((&found["closing"]["verdict"], &found["seed"]), (&json!("identical"), &json!(null)));
    assert_eq!(found["tainted"], json!([]));
    let left: Vec<_> = std::fs::read_dir(world.path("rebuilt")).unwrap().collect();
    assert_eq!(left.len(), 1, "a report, and no package that was not built from its source");
    // What another variant is made of goes on from the last checkpoint too.
    let half = "tree/dist/steady-1.0.0.half.mpkg";
    let half = world.run(["rebuild", half, "--segments", "1", "--seed", "dice"]).succeeds();
    for part in [
        "steady 1.0.0 (half): identical in 1 of 4 segments, 15 of 45 training steps (33 %)",
        "identical         segment ",
        "identical         from the last checkpoint to the package",
        "Drawn with --seed dice",
        "signed by nobody whom this machine knows",
        "bitwise reproducibility, which was found in these parts",
    ] {
        assert!(half.stdout.contains(part), "{part:?} is not in:\n{}", half.stdout);
    }
    assert!(!world.path("home/cache/rebuilds/steady-1.0.0").exists());
}

#[test]
fn a_draw_can_be_repeated_and_its_seed_is_said() {
    let world = World::new();
    Training::default().build(&world);
    let (found, _) = check(&world, &["--segments", "2"]);
    let seed = found["seed"].as_str().unwrap();
    assert_eq!(seed.len(), 32);
    let (again, _) = check(&world, &["--segments", "2", "--seed", seed]);
    let numbers = |found: &Value| -> Vec<Value> {
        let segments = found["segments"].as_array().unwrap();
        segments.iter().map(|segment| segment["segment"].clone()).collect()
    };
    assert_eq!((numbers(&found), numbers(&found).len()), (numbers(&again), 2));
    let (all, _) = check(&world, &["--segments", "99"]);
    assert_eq!(numbers(&all), [0, 1, 2, 3]);
    world.run(["rebuild", PACKAGE, "--segments", "0"]).misuses("0 is not in 1..");
    world.run(["rebuild", PACKAGE, "--seed", "x"]).misuses("--segments");
    let finished = world.run(["rebuild", PACKAGE, "--segment", "4"]);
    finished.fails_with(&["there is no segment 4 of steady 1.0.0 (f32)", "there are 0 to 3;"]);
}

/// A package whose training was poisoned in segment 2 alone, where no sandbox kept the trainer from
/// seeing more than its source says; source, record and chain are as those of an honest one.
fn poisoned(world: &World) {
    Training::default().plant(world);
    world.write("spy", "");
    let arguments = ["-q", "build", "tree", "--keep-checkpoints", "--sandbox=none"];
    world.run(arguments).succeeds();
}

#[test]
fn a_poisoned_segment_is_found_exactly_when_it_is_run() {
    let world = World::new();
    poisoned(&world);
    for number in ["0", "1", "3"] {
        let (found, code) = check(&world, &["--segment", number]);
        assert_eq!((&found["verdict"], code), (&json!("identical"), 0), "{number}: {found:#}");
    }
    let finished = world.run(["rebuild", PACKAGE, "--segment", "2"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    for part in [
        "steady 1.0.0 (f32): different in 1 of 4 segments, 15 of 45 training steps",
        "different         segment 2 of train, from step-0020 to step-0030, 10 steps",
        "2 of 3 tensors changed",
        "identical         from the last checkpoint to the package",
        "which was not found",
    ] {
        assert!(finished.stdout.contains(part), "{part:?} is not in:\n{}", finished.stdout);
    }
    // A draw finds it in as many cases as it has segments of all.
    let found = |seed: &str| check(&world, &["--segments", "2", "--seed", seed]).0;
    for seed in ["a", "b", "c", "d"] {
        let found = found(seed);
        let segments = found["segments"].as_array().unwrap();
        let drawn = segments.iter().any(|segment| segment["segment"] == 2);
        assert_eq!(found["verdict"] == "different", drawn, "{found:#}");
    }
    let (whole, code) = check(&world, &[]);
    assert_eq!((&whole["verdict"], code), (&json!("different"), 1));
}

#[test]
fn a_chain_of_another_training_is_found_by_its_end() {
    let world = World::new();
    poisoned(&world);
    let (package, dishonest) = (world.path(PACKAGE), record(&world));
    let poisoned_package = std::fs::read(&package).unwrap();
    // The chain and the checkpoints of an honest training, beside the poisoned package.
    std::fs::remove_file(world.path("spy")).unwrap();
    world.run(["-q", "build", "tree", "--keep-checkpoints"]).succeeds();
    let mut honest = record(&world);
    assert_ne!(honest["checkpoints"], dishonest["checkpoints"]);
    honest["outputs"] = dishonest["outputs"].clone();
    std::fs::write(&package, poisoned_package).unwrap();
    std::fs::write(world.path(RECORD), honest.to_string()).unwrap();
    for number in ["0", "2"] {
        let (found, code) = check(&world, &["--segment", number]);
        assert_eq!((&found["verdict"], code), (&json!("different"), 1), "{found:#}");
        assert_eq!(found["segments"][0]["verdict"], "identical");
        assert_eq!(found["closing"]["verdict"], "different");
    }
}

#[test]
fn checkpoints_that_are_missing_or_altered_are_errors() {
    let world = World::new();
    Training::default().build(&world);
    let kept = std::fs::read(world.path(&checkpoint(2))).unwrap();
    let kind = |arguments: &[&str]| check(&world, arguments).0["error"]["kind"].clone();
    replace(&world, &checkpoint(2), &flipped(&kept));
    for number in ["1", "2"] {
        let finished = world.run(["rebuild", PACKAGE, "--segment", number]);
        finished
            .fails_with(&["checkpoint-2.safetensors is not checkpoint 2 of the step \"train\""]);
    }
    assert_eq!(kind(&["--segment", "0"]), json!(null), "it needs another");
    std::fs::remove_file(world.path(&checkpoint(2))).unwrap();
    let finished = world.run(["rebuild", PACKAGE, "--segment", "1"]);
    finished
        .fails_with(&["checkpoint 2 of the step \"train\" is not to be had", "--keep-checkpoints"]);
    assert_eq!(kind(&["--segment", "2"]), "checkpoint-missing");
    // The end is always checked.
    std::fs::remove_file(world.path(&checkpoint(4))).unwrap();
    assert_eq!(kind(&["--segment", "0"]), "checkpoint-missing");
    let rebuilds = std::fs::read_dir(world.path("home/cache/rebuilds")).unwrap().flatten();
    assert!(rebuilds.map(|entry| entry.path()).all(|path| path.is_file()), "only locks are left");
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes
}

fn replace(world: &World, path: &str, bytes: &[u8]) {
    std::fs::remove_file(world.path(path)).unwrap();
    std::fs::write(world.path(path), bytes).unwrap();
}

#[test]
fn a_chain_that_is_broken_absent_or_of_other_inputs_is_an_error() {
    let world = World::new();
    Training::default().build(&world);
    let good = record(&world);
    let complaint = |change: &dyn Fn(&mut Value)| {
        let mut record = good.clone();
        change(&mut record);
        std::fs::write(world.path(RECORD), record.to_string()).unwrap();
        let error = check(&world, &["--segment", "1"]).0["error"].clone();
        (error["kind"].as_str().unwrap().to_owned(), error["message"].to_string())
    };
    let swap = |record: &mut Value| {
        let links = record["checkpoints"][0]["links"].as_array_mut().unwrap();
        links.swap(1, 2);
    };
    let (kind, message) = complaint(&swap);
    assert_eq!(kind, "broken-chain");
    assert!(message.contains("is broken at checkpoint 2"), "{message}");
    let (kind, message) =
        complaint(&|record| record["checkpoints"][0]["inputs"] = json!("ab".repeat(32)));
    assert_eq!(kind, "broken-chain");
    assert!(message.contains("belongs to other inputs"), "{message}");
    // A chain that holds together over a checkpoint that says another step.
    let other = |record: &mut Value| {
        let mut chain: Chain = serde_json::from_value(record["checkpoints"][0].clone()).unwrap();
        chain.links[1].training_step = Some(15);
        record["checkpoints"][0] = serde_json::to_value(chain).unwrap();
    };
    let (kind, message) = complaint(&other);
    assert_eq!(kind, "checkpoint-contradicts");
    assert!(
        message.contains("says that it is at step 20, and the chain says step 15"),
        "{message}"
    );
    let (kind, message) =
        complaint(&|record| drop(record.as_object_mut().unwrap().remove("checkpoints")));
    assert_eq!(kind, "no-chain");
    assert!(message.contains("its build record has none"), "{message}");
    std::fs::remove_file(world.path(RECORD)).unwrap();
    let (error, _) = check(&world, &["--segment", "1"]);
    assert_eq!(error["error"]["kind"], "no-chain");
}

#[test]
fn a_program_that_does_not_write_the_checkpoint_again_is_an_error() {
    let world = World::new();
    Training::default().plant(&world);
    let train = std::fs::read_to_string(world.path("tree/train.py")).unwrap();
    let train =
        train.replace("if step % EVERY == 0:", "if step % EVERY == 0 and not arguments.until:");
    world.write("tree/train.py", train);
    world.run(["-q", "build", "tree", "--keep-checkpoints"]).succeeds();
    let finished = world.run(["rebuild", PACKAGE, "--segment", "1"]);
    finished.fails_with(&[
        "the step \"train\" ended without having written checkpoints/step-0020.safetensors",
        "it left: model.safetensors",
    ]);
}

#[test]
fn noise_within_what_is_promised_is_within_tolerance() {
    let world = World::new();
    let more = "[reproducibility]\nlevel = \"tensor\"\n[reproducibility.tensor]\nmax-abs = 1e-4\n";
    Training { noise: "1e-8", more }.build(&world);
    let (found, code) = check(&world, &["--segment", "2"]);
    assert_eq!((&found["verdict"], code), (&json!("within-tolerance"), 0), "{found:#}");
    let facts = &found["segments"][0]["weights"];
    assert!(facts["max-abs"].as_f64().unwrap() < 1e-6, "{facts}");
    assert_eq!(found["promise-kept"], true);
}

#[test]
fn published_checkpoints_are_fetched_by_digest_and_the_chain_is_signed() {
    let world = World::new();
    Training::default().build(&world);
    world.run(["-q", "key", "new", "me"]).succeeds();
    world.run(["-q", "sign", PACKAGE, SOURCE]).succeeds();
    let publish = ["publish", "--create", "--to", "registry", PACKAGE, SOURCE];
    let said = world.run(publish).succeeds();
    assert!(said.stderr.contains("Stored 4 checkpoints of their training"), "{}", said.stderr);
    let chain: Chain = serde_json::from_value(record(&world)["checkpoints"][0].clone()).unwrap();
    let blob = |number: usize| {
        let digest = chain.links[number - 1].sha256.to_string();
        format!("registry/blobs/sha256/{}/{digest}", &digest[..2])
    };
    std::fs::rename(world.path("tree"), world.path("away")).unwrap();
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();
    let arguments = ["rebuild", "steady", "--segment", "1", "--attest", "me"];
    let finished = world.with_registry(arguments).succeeds();
    assert!(finished.stdout.contains("steady 1.0.0 (f32): identical"), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("The chain of checkpoints is signed by "),
        "{}",
        finished.stdout
    );
    let path = "rebuilt/steady-1.0.0.f32.mpkg.segments.dsse.json";
    let bytes = std::fs::read(world.path(path)).unwrap();
    let public = *world.key("me").public();
    let envelope = Envelope::parse(&bytes).unwrap();
    let payload = envelope.verify(&[public], NonZeroUsize::MIN).unwrap().payload;
    let statement = Statement::parse(&payload).unwrap();
    assert_eq!(statement.predicate_type, SEGMENTS_V1, "no policy takes it for a rebuild");
    assert_eq!(statement.predicate["chains"][0]["head"], chain.head().to_string());
    assert_eq!(statement.predicate["share"]["segments"], 1);
    assert!(!world.path("rebuilt/steady-1.0.0.f32.mpkg.dsse.json").exists());
    world.run(["-q", "publish", "--to", "registry", "--attestation", path]).succeeds();
    // A copy has them too.
    world.run(["-q", "registry", "mirror", "registry", "copy"]).succeeds();
    assert!(world.path(&blob(2).replace("registry/", "copy/")).exists());
    // One byte is another.
    let kept = std::fs::read(world.path(&blob(2))).unwrap();
    replace(&world, &blob(2), &flipped(&kept));
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();
    let finished = world.with_registry(["rebuild", "steady", "--segment", "2"]);
    finished.fails_with(&[
        "checkpoint 2 of the step \"train\" is not to be had",
        "the registries said",
    ]);
    std::fs::remove_file(world.path(&blob(2))).unwrap();
    let finished = world.with_registry(["--json", "rebuild", "steady", "--segment", "2"]);
    assert_eq!(finished.json()["error"]["kind"], "checkpoint-missing");
}

#[test]
fn a_record_that_the_publisher_did_not_sign_is_not_believed() {
    let world = World::new();
    Training::default().build(&world);
    world.run(["-q", "key", "new", "me"]).succeeds();
    world.run(["-q", "sign", PACKAGE, SOURCE]).succeeds();
    // Whoever holds the registry's online keys could pass on another record.
    let mut other = record(&world);
    other["tainted"] = json!([]);
    std::fs::write(world.path(RECORD), other.to_string()).unwrap();
    world.run(["-q", "publish", "--create", "--to", "registry", PACKAGE, SOURCE]).succeeds();
    let finished = world.with_registry(["rebuild", "steady", "--segments", "1"]);
    finished.fails_with(&["the publisher of steady 1.0.0 (f32) did not sign the build record"]);
}

#[test]
fn checkpoints_of_another_build_are_not_published() {
    let world = World::new();
    Training::default().build(&world);
    world.run(["-q", "key", "new", "me"]).succeeds();
    world.run(["-q", "sign", PACKAGE, SOURCE]).succeeds();
    let kept = std::fs::read(world.path(&checkpoint(3))).unwrap();
    replace(&world, &checkpoint(3), &flipped(&kept));
    let publish = ["publish", "--create", "--to", "registry", PACKAGE, SOURCE];
    let finished = world.run(publish);
    finished.fails_with(&[
        "checkpoint-3.safetensors is no checkpoint of this build",
        "--keep-checkpoints",
    ]);
    assert!(!world.path("registry/mpkg-registry.json").exists());
}

#[test]
fn no_policy_counts_parts_as_a_rebuild_and_a_different_part_is_a_mismatch() {
    let world = World::new();
    poisoned(&world);
    world.run(["-q", "key", "new", "me"]).succeeds();
    world.run(["-q", "sign", "--key", "me", PACKAGE, SOURCE]).succeeds();
    world.run(["-q", "publish", "--create", "--to", "registry", PACKAGE, SOURCE]).succeeds();
    world.run(["-q", "key", "new", "university"]).succeeds();
    let key = world.run(["key", "export", "university"]).succeeds().stdout;
    let policy = format!(
        "[default.rebuild]\nof = [\"university\"]\n[rebuilder.university]\nkeys = [\"\"\"{key}\"\"\"]\n"
    );
    world.write("home/policy.toml", policy);
    let attest = |segment: &str| {
        let arguments = ["-q", "rebuild", "steady", "--segment", segment, "--attest", "university"];
        let code = world.with_registry(arguments).code;
        let path = "rebuilt/steady-1.0.0.f32.mpkg.segments.dsse.json";
        world.run(["-q", "publish", "--to", "registry", "--attestation", path]).succeeds();
        code
    };
    assert_eq!(attest("0"), 0);
    let refused = world.with_registry(["install", "steady"]);
    refused
        .fails_with(&["1 rebuild that came out identical must be signed by university, and 0 are"]);
    assert_eq!(attest("2"), 1);
    let said = world.with_registry(["attest", "show", "steady"]).succeeds().stdout;
    assert!(said.contains("urn:mpkg:segments:1: by university"), "{said}");
    assert!(said.contains("different in 1 of 4 segments"), "{said}");
    let refused = world.with_registry(["install", "steady"]);
    refused.fails_with(&["university", "found it different, below the identical asked for"]);
}
