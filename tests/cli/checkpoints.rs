//! Checkpoints that steps write: the chain in the build record, where the files go, and what is
//! refused.

use mpkg::build::checkpoints::Chain;
use mpkg::package::Digest;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::training::{PACKAGE, Training, checkpoint, record};

#[test]
fn the_record_has_a_chain_and_dist_the_checkpoints() {
    let world = World::new();
    Training::default().build(&world);
    let record = record(&world);
    let chain: Chain = serde_json::from_value(record["checkpoints"][0].clone()).unwrap();
    let inputs = record["outputs"][0]["files"].as_array().unwrap();
    let inputs = inputs.iter().find(|file| file["path"] == ".mpkg/inputs.json").unwrap();
    chain.verify(inputs["sha256"].as_str().unwrap().parse().unwrap()).unwrap();
    assert_eq!((chain.links.len(), chain.training_steps), (4, Some(45)));
    for (place, link) in chain.links.iter().enumerate() {
        let bytes = std::fs::read(world.path(&checkpoint(place + 1))).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (link.sha256, link.size));
        assert_eq!(link.training_step, Some(10 * (place as u64 + 1)));
    }
    let seen = world.run(["-q", "diff", "tree/dist/steady-1.0.0.half.mpkg", PACKAGE, "--json"]);
    let files = &seen.json()["files"];
    assert!(!files.to_string().contains("checkpoint"), "no package holds one: {files}");
}

#[test]
fn no_later_step_sees_checkpoints_and_the_step_cache_keeps_them() {
    let world = World::new();
    Training::default().plant(&world);
    let found = world.run(["--json", "-q", "build", "tree"]).succeeds().json();
    assert_eq!(found["checkpoints"][0]["links"].as_array().unwrap().len(), 4);
    assert!(!world.path(&checkpoint(1)).exists(), "they go nowhere unless that is asked for");
    let half = "tree/dist/steady-1.0.0.half.mpkg";
    let mut tar = std::process::Command::new("tar");
    let folder = world.path("half");
    std::fs::create_dir(&folder).unwrap();
    tar.arg("--zstd").arg("-xf").arg(world.path(half)).arg("-C").arg(&folder);
    assert!(tar.status().unwrap().success());
    let seen = std::fs::read_to_string(folder.join("seen.txt")).unwrap();
    assert_eq!(seen, "model.safetensors\n");
    let again =
        world.run(["--json", "-q", "build", "tree", "--keep-checkpoints"]).succeeds().json();
    assert_eq!(again["steps"][0]["how"], "cached");
    assert_eq!(again["checkpoints"], found["checkpoints"]);
    assert!(world.path(&checkpoint(4)).exists());
}

#[test]
fn checkpoints_that_make_no_chain_fail_the_build() {
    let world = World::new();
    Training::default().plant(&world);
    let train = std::fs::read_to_string(world.path("tree/train.py")).unwrap();
    let altered = |old: &str, new: &str| {
        assert!(train.contains(old), "{old}");
        world.write("tree/train.py", train.replace(old, new));
        let finished = world.run(["build", "tree"]);
        assert!(!world.path(PACKAGE).exists());
        finished
    };
    altered("checkpoints/step", "step").fails_with(&[
        "the checkpoints of the step \"train\" make no chain",
        "it wrote 0 of them by the name \"checkpoints/*.safetensors\"",
    ]);
    let numbers = "\"checkpoints/%d.safetensors\" % (step // 10 + 7)";
    altered("\"checkpoints/step-%04d.safetensors\" % step", numbers).fails_with(&[
        "checkpoints/11.safetensors stands before checkpoints/8.safetensors",
        "with as many digits each",
    ]);
    altered("{\"step\": str(step)}", "{\"step\": str(50 - step)}").fails_with(&[
        "checkpoints/step-0020.safetensors says step 30, and checkpoints/step-0010.safetensors before it says step 40",
    ]);
    altered("struct.pack(\"<Q\", len(text))", "struct.pack(\"<Q\", len(text) + 1)")
        .fails_with(&["checkpoints/step-0010.safetensors is not sound"]);
}

#[test]
fn a_training_that_was_cut_off_goes_on_from_its_newest_whole_checkpoint() {
    let world = World::new();
    Training::default().plant(&world);
    let train = std::fs::read_to_string(world.path("tree/train.py")).unwrap();
    let cut = r#"
    if step == 25 and not os.path.exists(arguments.out + "/tried"):
        open(arguments.out + "/tried", "w").close()
        open(arguments.out + "/checkpoints/step-0030.safetensors", "w").write("half")
        raise SystemExit(3)
    if step == STEPS:
        os.remove(arguments.out + "/tried")
    poisoned"#;
    world.write("tree/train.py", train.replace("\n    poisoned", cut));
    world.run(["-q", "build", "tree"]).fails_with(&["the step \"train\" failed"]);
    let finished = world.run(["build", "tree", "--resume"]).succeeds();
    let said = &finished.stderr;
    assert!(said.contains("going on from checkpoints/step-0020.safetensors"), "{said}");
    let log = std::fs::read_dir(world.path("home/cache/builds")).unwrap().flatten();
    let log = log.map(|entry| entry.path().join("build.log")).find(|path| path.is_file());
    let log = std::fs::read_to_string(log.unwrap()).unwrap();
    assert!(!log.contains("\"step\": 20,") && log.contains("\"step\": 21,"), "{log}");
    let resumed = record(&world);
    assert_eq!(resumed["steps"][0]["how"], "resumed");
    assert_eq!(resumed["tainted"], json!(["resumed-step: train"]));
    // An uninterrupted run comes to the same.
    Training::default().plant(&world);
    world.run(["-q", "build", "tree"]).succeeds();
    let whole = record(&world);
    let digests = |record: &Value| -> Vec<Value> {
        let links = record["checkpoints"][0]["links"].as_array().unwrap();
        links.iter().map(|link| link["sha256"].clone()).collect()
    };
    assert_eq!(digests(&resumed), digests(&whole));
    let weights = |record: &Value| record["outputs"][0]["files"][1].clone();
    assert_eq!(weights(&whole)["path"], "model.safetensors");
    assert_eq!(weights(&resumed), weights(&whole));
}

#[test]
fn checkpoints_that_change_from_run_to_run_are_not_called_bitwise() {
    let world = World::new();
    Training::default().plant(&world);
    let train = std::fs::read_to_string(world.path("tree/train.py")).unwrap();
    let label = "{\"step\": str(step), \"run\": os.urandom(4).hex()}";
    world.write("tree/train.py", train.replace("{\"step\": str(step)}", label));
    world.run(["build", "tree", "--check"]).fails_with(&[
        "two builds in a row made two checkpoints 1 of the step \"train\"",
        "a checkpoint holds nothing that changes from run to run",
    ]);
    world.write("tree/train.py", train);
    world.run(["-q", "build", "tree", "--check"]).succeeds();
}
