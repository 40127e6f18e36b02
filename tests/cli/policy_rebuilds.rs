//! Policies that ask for rebuilds: who counts, what counts, and what blocks.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mpkg::archive::Package;
use mpkg::crypto::statement::{
    BUILD_TYPE, Digests, PROVENANCE_V1, REBUILD_V1, SEGMENTS_V1, Statement, StatementSubject,
    TEST_RESULT_V01,
};
use mpkg::crypto::{Envelope, SigningKey};
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use crate::support::packages::{Pair, Recipe};
use crate::support::refusal::snapshot;
use crate::support::{Finished, World};

/// `lm`, published by `me`, and a policy that listens to three rebuilders whose keys this machine
/// does not have, and to its own.
struct Scene {
    world: World,
    pair: Pair,
    one: SigningKey,
    two: SigningKey,
    three: SigningKey,
}

const RULE: &str = "[default.rebuild]\ncount = 2\nof = [\"one\", \"two\", \"three\", \"self\"]\n\
                    verdict = \"equal-tensors\"\n";

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let pair = world.publish(&[Recipe::new("lm", "1.0.0")]).remove(0);
        let mut keys = ["one", "two", "three"].map(|name| world.foreign_key(name).0);
        keys.sort_by_key(SigningKey::id);
        let [one, two, three] = keys;
        let scene = Self { world, pair, one, two, three };
        scene.policy(RULE, &["one", "two", "three"]);
        scene
    }

    /// Writes the policy; `organisations` are those of the three rebuilders.
    fn policy(&self, rule: &str, organisations: &[&str; 3]) {
        let keys = [&self.one, &self.two, &self.three];
        let mut text = rule.to_owned();
        for ((name, key), organisation) in
            ["one", "two", "three"].iter().zip(keys).zip(organisations)
        {
            let pem = key.public().to_pem();
            let _ = write!(
                text,
                "[rebuilder.{name}]\nkeys = [\"\"\"{pem}\"\"\"]\norganisation = \"{organisation}\"\n"
            );
        }
        self.world.write("home/policy.toml", text);
    }

    /// What a rebuild of the package says that came out `verdict`.
    fn predicate(&self, verdict: &str) -> Value {
        let source = Package::open(&self.pair.source).unwrap().package_digest();
        json!({
            "package": "pkg:generic/lm@1.0.0?variant=f32",
            "package-digest": self.pair.digest,
            "source": source,
            "build-type": BUILD_TYPE,
            "extent": "whole",
            "verdict": verdict,
            "started": "2026-11-26T12:00:00Z",
            "tainted": [],
            "rebuilder": "https://rebuilder.example.org",
        })
    }

    /// Signs a predicate; gives the path of the file.
    fn sign(&self, file: &str, predicate: &Value, keys: &[&SigningKey]) -> String {
        self.sign_as(REBUILD_V1, file, predicate, keys)
    }

    /// Signs a predicate as one of the type `kind`.
    fn sign_as(&self, kind: &str, file: &str, predicate: &Value, keys: &[&SigningKey]) -> String {
        let subject = |name: &str, sha256| StatementSubject {
            name: name.to_owned(),
            digest: Digests { sha256 },
        };
        let file_digest = Package::open(&self.pair.binary).unwrap().file_digest().unwrap();
        let subjects = vec![
            subject("lm-1.0.0.f32.mpkg", file_digest),
            subject(".mpkg/index.json", self.pair.digest),
        ];
        let statement = Statement::new(subjects, kind, predicate.clone());
        let envelope = Envelope::sign(statement.to_payload().unwrap(), keys);
        self.world.write(file, envelope.to_bytes()).display().to_string()
    }

    /// Publishes what `key` found.
    fn say(&self, verdict: &str, key: &SigningKey) {
        let file = format!("said-{verdict}-{}.dsse.json", key.id().short());
        let mut predicate = self.predicate(verdict);
        predicate["rebuilder"] = json!(format!("https://{}.example.org", key.id().short()));
        self.store(&self.sign(&file, &predicate, &[key]));
    }

    fn store(&self, file: &str) {
        self.world.run(["publish", "--to", "registry", "--attestation", file]).succeeds();
    }

    fn install(&self) -> Finished {
        self.world.with_registry(["install", "lm"])
    }

    /// Asserts that the package is refused with `parts` in the message, and that nothing changes.
    #[track_caller]
    fn refuses(&self, parts: &[&str]) -> Finished {
        let places = ["home/trust", "home/profiles", "home/store", "home/cache"];
        let state = || places.map(|place| snapshot_of(&self.world.path(place)));
        // What the registry says now is known from here on.
        self.install();
        let before = state();
        let finished = self.install().fails_with(&["lm 1.0.0 (f32) is forbidden by"]);
        assert_eq!(state(), before, "something changed");
        let refused = finished.fails_with(parts);
        let dry = self.world.with_registry(["--json", "install", "lm", "--dry-run"]);
        assert_eq!(dry.json()["error"]["kind"], "forbidden-by-policy");
        refused
    }
}

fn snapshot_of(folder: &Path) -> Option<std::collections::BTreeMap<String, String>> {
    folder.exists().then(|| snapshot(folder))
}

/// Something done to an envelope.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn enough_good_rebuilds_let_a_package_in() {
    let scene = Scene::new();
    let refused = scene.refuses(&[]);
    let shown = refused.stderr.replace(&scene.world.root().display().to_string(), "[ROOT]");
    assert_data_eq!(
        shown,
        str![[r#"
error: lm 1.0.0 (f32) is forbidden by [ROOT]/home/policy.toml, line 1: 2 rebuilds that came out equal-tensors or better must be signed by one, two, three, self, and 0 are; nothing by one counts; nothing by two counts; nothing by three counts; nothing by self counts
hint: `mpkg attest show` says who said what about it; spec/policy.md what counts

"#]]
    );
    scene.say("identical", &scene.one);
    scene.say("equal-tensors", &scene.two);
    let plan = scene.world.with_registry(["install", "lm", "--dry-run"]).succeeds().stdout;
    assert!(plan.contains("rebuilt by one (identical), rebuilt by two (equal-tensors)"), "{plan}");
    let json = scene.world.with_registry(["--json", "install", "lm"]).succeeds().json();
    let rebuilt = &json["packages"][0]["rebuilt-by"];
    assert_eq!(rebuilt[0]["rebuilder"], "one");
    assert_eq!(rebuilt[1]["verdict"], "equal-tensors");
    assert_eq!(rebuilt[1]["key"], scene.two.id().to_string());
}

#[test]
fn case_33_too_few_rebuilds() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    let (stranger, _) = scene.world.foreign_key("stranger");
    scene.say("identical", &stranger);
    scene.refuses(&["and 1 is; one (", ") found it identical; nothing by two counts"]);
    let json = scene.world.with_registry(["--json", "install", "lm"]).json();
    let found = &json["error"]["details"]["rebuilds"];
    assert_eq!((&found["count"], &found["counted"][0]["rebuilder"]), (&json!(2), &json!("one")));
}

#[test]
fn case_33_one_key_twice() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    scene.say("equal-tensors", &scene.one);
    let mut again = scene.predicate("identical");
    again["started"] = json!("2026-11-26T13:00:00Z");
    scene.store(&scene.sign("again.dsse.json", &again, &[&scene.one]));
    scene.refuses(&["and 1 is; one ("]);
    // Nor does a second signature under the same statement make a second rebuild.
    let shared = scene.predicate("identical");
    scene.store(&scene.sign("shared.dsse.json", &shared, &[&scene.one, &scene.two]));
    scene.store(&scene.sign("other.dsse.json", &shared, &[&scene.two]));
    scene.refuses(&["and 1 is; one (", "two only signed what somebody else found"]);
}

#[test]
fn case_33_one_organisation_twice() {
    let scene = Scene::new();
    scene.policy(RULE, &["university", "university", "three"]);
    scene.say("identical", &scene.one);
    scene.say("identical", &scene.two);
    scene.refuses(&["and 1 is; one (", "two and one are both university"]);
    scene.say("identical", &scene.three);
    scene.install().succeeds();
}

#[test]
fn case_33_the_publisher_counted() {
    let scene = Scene::new();
    let me = scene.world.key("me");
    scene.say("identical", &scene.one);
    scene.say("identical", &me);
    scene.refuses(&["and 1 is; one (", "self publishes lm and does not count"]);
    // By another name, or by another key of the same organisation, it is still the publisher.
    let named =
        format!("{RULE}[rebuilder.four]\norganisation = \"three\"\nkeys = [\"{}\"]\n", me.id());
    scene.policy(&named, &["one", "two", "three"]);
    scene.say("identical", &scene.three);
    scene.refuses(&["and 1 is; one (", "three publishes lm and does not count"]);
    // A key of this machine that is not the publisher's counts, as `self`.
    scene.say("identical", &scene.world.key("mine-too"));
    let plan = scene.world.with_registry(["install", "lm", "--dry-run"]).succeeds().stdout;
    assert!(plan.contains("rebuilt by self (identical)"), "{plan}");
}

#[test]
fn case_34_enough_good_ones_and_one_trusted_mismatch() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    scene.say("identical", &scene.two);
    let (stranger, _) = scene.world.foreign_key("stranger");
    scene.say("different", &stranger);
    scene.world.with_registry(["install", "lm", "--dry-run"]).succeeds();
    for verdict in ["different", "equal-behaviour", "within-tolerance"] {
        scene.say(verdict, &scene.three);
        let found = format!(") found it {verdict}, below the equal-tensors asked for");
        scene
            .refuses(&["line 1: three (", if verdict == "different" { &found } else { ") found" }]);
    }
    let json = scene.world.with_registry(["--json", "install", "lm"]).json();
    let found = &json["error"]["details"]["rebuilds"];
    assert_eq!(found["counted"].as_array().unwrap().len(), 2);
    assert_eq!(found["mismatches"][0]["rebuilder"], "three");
    // A policy may let it pass, aloud.
    scene.policy(&format!("{RULE}on-mismatch = \"warn\"\n"), &["one", "two", "three"]);
    let dry = scene.world.with_registry(["install", "lm", "--dry-run"]).succeeds();
    assert!(dry.stderr.contains("lm 1.0.0 (f32): three ("), "{}", dry.stderr);
    assert!(dry.stderr.contains("found it different"), "{}", dry.stderr);
    // Whoever found it different can look again: what was begun last is what they say.
    scene.policy(RULE, &["one", "two", "three"]);
    let mut again = scene.predicate("identical");
    again["started"] = json!("2026-11-26T13:00:00Z");
    scene.store(&scene.sign("again.dsse.json", &again, &[&scene.three]));
    scene.install().succeeds();
}

#[test]
fn case_35_an_attestation_for_another_source_variant_or_build_type() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    let other = "ab".repeat(32);
    let cases = [
        ("source", json!(other), "another source was built"),
        ("package", json!("pkg:generic/lm@1.0.0?variant=bf16"), "another name, version or variant"),
        ("package", json!("pkg:generic/lm@1.0.1?variant=f32"), "another name, version or variant"),
        ("build-type", json!("https://example.org/by-hand"), "built in another way"),
        ("package-digest", json!(other), "it is about another package"),
        ("extent", json!("segments"), "only a part was built again"),
        ("tainted", json!(["no-sandbox"]), "was not made in a whole sandbox"),
        ("tainted", json!(null), "its predicate is incomplete"),
        ("verdict", json!("perfect"), "its predicate is incomplete"),
        ("started", json!(null), "its predicate is incomplete"),
    ];
    let good = scene.predicate("identical");
    for (key, value, why) in cases {
        let mut predicate = good.clone();
        predicate[key] = value;
        let file = scene.sign("case.dsse.json", &predicate, &[&scene.two]);
        let finished =
            scene.world.with_registry(["install", "lm", "--dry-run", "--attestation", &file]);
        finished.fails_with(&["and 1 is; one (", "a statement by two does not count:", why]);
    }
    let mut predicate = good.clone();
    predicate["source"] = json!(other);
    scene.store(&scene.sign("stored.dsse.json", &predicate, &[&scene.two]));
    scene.refuses(&["a statement by two does not count: another source was built"]);
    // A mismatch with another source says nothing of this package either.
    predicate["verdict"] = json!("different");
    scene.store(&scene.sign("mismatch.dsse.json", &predicate, &[&scene.three]));
    scene.refuses(&["a statement by three does not count: another source was built"]);
    let file = scene.sign("good.dsse.json", &good, &[&scene.two]);
    scene.world.with_registry(["install", "lm", "--attestation", &file]).succeeds();
}

#[test]
fn case_35_an_attestation_of_another_package() {
    let scene = Scene::new();
    let pairs = scene.world.publish(&[Recipe::new("lm", "2.0.0")]);
    for key in [&scene.one, &scene.two] {
        scene.say("identical", key);
    }
    let files: Vec<String> = std::fs::read_dir(scene.world.root())
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".dsse.json"))
        .collect();
    assert_eq!(files.len(), 2);
    let flags: Vec<&str> = files.iter().flat_map(|file| ["--attestation", file]).collect();
    let finished = scene.world.with_registry([&["install", "lm@2"], &flags[..]].concat());
    finished.fails_with(&["lm 2.0.0 (f32) is forbidden", "and 0 are", "about another package"]);
    assert!(!scene.world.path("home/profiles/default/current").exists());
    // Two packages in one statement leave open which one was built.
    let subject =
        |sha256| StatementSubject { name: ".mpkg/index.json".into(), digest: Digests { sha256 } };
    let both = vec![subject(scene.pair.digest), subject(pairs[0].digest)];
    let statement = Statement::new(both, REBUILD_V1, scene.predicate("identical"));
    let envelope = Envelope::sign(statement.to_payload().unwrap(), &[&scene.three]);
    let file = scene.world.write("both.dsse.json", envelope.to_bytes()).display().to_string();
    scene.policy(&RULE.replace("count = 2", "count = 3"), &["one", "two", "three"]);
    scene
        .world
        .with_registry(["install", "lm@1", "--attestation", &file])
        .fails_with(&["and 2 are", "a statement by three does not count"]);
}

#[test]
fn case_35_what_is_no_rebuild_never_counts() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    for kind in [SEGMENTS_V1, PROVENANCE_V1, TEST_RESULT_V01, "urn:mpkg:rebuild:2"] {
        let predicate = scene.predicate("identical");
        scene.store(&scene.sign_as(kind, "other.dsse.json", &predicate, &[&scene.two]));
    }
    scene.refuses(&["and 1 is; one (", "nothing by two counts"]);
}

#[test]
fn case_36_an_attestation_with_a_changed_payload_type_or_encoding() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    let file = scene.sign("case.dsse.json", &scene.predicate("identical"), &[&scene.two]);
    let good: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let payload = BASE64_STANDARD.decode(good["payload"].as_str().unwrap()).unwrap();
    let tampered = |from: &str, to: &str| {
        let text = String::from_utf8(payload.clone()).unwrap().replace(from, to);
        BASE64_STANDARD.encode(text)
    };
    let unread = "a statement is not read:";
    let bad = "a signature in the name of two (";
    let changes: [(Change<'_>, &str); 7] = [
        (&|it| it["payload"] = tampered("12:00:00Z", "12:00:01Z").into(), bad),
        (&|it| it["payload"] = tampered("{", "{ ").into(), bad),
        (&|it| it["payloadType"] = "application/json".into(), unread),
        (&|it| it["payload"] = format!("{}\n", good["payload"].as_str().unwrap()).into(), unread),
        (&|it| it["signatures"][0]["sig"] = "AAAA".into(), "nothing by two counts"),
        (
            &|it| it["signatures"][0]["keyid"] = scene.three.id().to_string().into(),
            "in the name of three (",
        ),
        (&|it| it["signatures"] = json!([]), unread),
    ];
    for (change, why) in changes {
        let mut document = good.clone();
        change(&mut document);
        std::fs::write(&file, document.to_string()).unwrap();
        let finished =
            scene.world.with_registry(["install", "lm", "--dry-run", "--attestation", &file]);
        finished.fails_with(&["and 1 is; one (", why]);
    }
    // What a registry stores is held to the same.
    let mut document = good.clone();
    document["payload"] = tampered("12:00:00Z", "12:00:01Z").into();
    std::fs::write(&file, document.to_string()).unwrap();
    scene.store(&file);
    scene.refuses(&["and 1 is; one (", bad]);
    std::fs::write(&file, good.to_string()).unwrap();
    scene.store(&file);
    scene.install().succeeds();
}

#[test]
fn a_package_can_be_exempt_and_that_is_shown() {
    let scene = Scene::new();
    scene.world.publish(&[Recipe::new("app", "1.0.0").needs("lm", "^1")]);
    let own = "[package.lm]\nrebuild = \"exempt\"\n";
    scene.policy(&format!("{own}{RULE}"), &["one", "two", "three"]);
    // What comes along as a dependency is held to its own rule, and so is what needs it.
    scene.world.with_registry(["install", "app"]).fails_with(&["app 1.0.0 (f32) is forbidden by"]);
    scene.policy(RULE, &["one", "two", "three"]);
    let text = std::fs::read_to_string(scene.world.path("home/policy.toml")).unwrap();
    let exempt = format!("{text}[package.app]\nrebuild = \"exempt\"\n");
    scene.world.write("home/policy.toml", &exempt);
    scene.world.with_registry(["install", "app"]).fails_with(&["lm 1.0.0 (f32) is forbidden by"]);
    scene.say("identical", &scene.one);
    let own = "[package.lm.rebuild]\nof = [\"one\"]\n";
    scene.world.write("home/policy.toml", format!("{exempt}{own}"));
    let installed = scene.world.with_registry(["install", "app", "--yes"]).succeeds().stderr;
    for part in ["exempt from rebuilds by", "policy.toml, line ", "rebuilt by one (identical)"] {
        assert!(installed.contains(part), "{part} is not in {installed}");
    }
    // What is installed stays; what takes its place is held to the rule.
    scene.world.publish(&[Recipe::new("lm", "1.1.0")]);
    scene.world.with_registry(["upgrade"]).fails_with(&["lm 1.1.0 (f32) is forbidden by"]);
    scene.world.run(["list"]).succeeds();
    let json = scene.world.with_registry(["--json", "install", "app"]).succeeds().json();
    assert_eq!(json["changed"], false);
}

#[test]
fn a_package_file_is_believed_by_the_statements_beside_it() {
    let scene = Scene::new();
    let file = scene.pair.binary.display().to_string();
    let install = || scene.world.run(["install", &file]);
    install().fails_with(&["and 0 are"]);
    let first = scene.predicate("identical");
    scene.sign("dist/lm-1.0.0.f32.mpkg.rebuild.dsse.json", &first, &[&scene.one]);
    install().fails_with(&["and 1 is"]);
    let second = scene.predicate("equal-tensors");
    scene.sign("dist/lm-1.0.0.f32.mpkg.two.dsse.json", &second, &[&scene.two]);
    // Another package's file is not asked.
    scene.sign("dist/lm-1.0.0.f32.mpkgs.dsse.json", &scene.predicate("different"), &[&scene.three]);
    let plan = scene.world.run(["install", &file, "--dry-run"]).succeeds().stdout;
    assert!(plan.contains("rebuilt by one (identical), rebuilt by two (equal-tensors)"), "{plan}");
    // A registry that has the same package is heard as well.
    scene.say("different", &scene.three);
    install().fails_with(&["three (", "found it different"]);
    assert!(!scene.world.path("home/profiles/default/current").exists());
}

#[test]
fn what_was_said_is_known_offline_and_in_a_mirror() {
    let scene = Scene::new();
    scene.say("identical", &scene.one);
    scene.say("identical", &scene.two);
    let mirror = ["-q", "registry", "mirror", "registry", "part", "lm"];
    scene.world.run(mirror).succeeds();
    let server = scene.world.serve("part");
    let root = std::fs::read(scene.world.path("registry/metadata/1.root.json")).unwrap();
    let root = mpkg::package::Digest::of(&root).to_string();
    let address = server.url("");
    let add = ["-q", "registry", "add", &address, "--name", "far", "--root-sha256", &root];
    scene.world.run(add).succeeds();
    scene.world.run(["--registry", "far", "install", "lm", "--dry-run"]).succeeds();
    drop(server);
    let offline = ["--registry", "far", "--offline", "install", "lm", "--dry-run"];
    let plan = scene.world.run(offline).succeeds().stdout;
    assert!(plan.contains("rebuilt by one (identical)"), "{plan}");
    // Without the copies nothing is known, and nothing is let in.
    let copies = scene.world.path("home/cache/registries");
    for entry in std::fs::read_dir(&copies).unwrap() {
        let said = entry.unwrap().path().join("attestations");
        std::fs::remove_dir_all(said).unwrap();
    }
    assert_eq!(scene.world.run(offline).code, 1);
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let id = world.key("me").id();
    let rebuilder = format!("[rebuilder.one]\nkeys = [\"{id}\"]\n");
    let cases = [
        ("[default.rebuild]\nof = [\"won\"]\n", "no rebuilder is called `won`"),
        (
            "[default.rebuild]\ncount = 2\nof = [\"one\"]\n",
            "the number of organisations in `of`, 1",
        ),
        ("[default.rebuild]\ncount = 0\nof = [\"one\"]\n", "`count` is from 1"),
        ("[default.rebuild]\nof = []\n", "the number of organisations in `of`, 0"),
        ("[default.rebuild]\nof = [\"one\", \"one\"]\n", "`of` names `one` twice"),
        ("[default.rebuild]\nof = [\"one\"]\nverdict = \"different\"\n", "`verdict` is one of"),
        ("[default]\nrebuild = \"exmept\"\n", "`rebuild` is one of \"exempt\""),
        ("[default]\nrebuild = true\n", "`rebuild` takes a table"),
        ("[rebuilder.self]\nkeys = [\"aa\"]\n", "`self` are the keys of this home folder"),
        ("[rebuilder.two]\norganisation = \"one\"\n", "[rebuilder.NAME] has no `keys`"),
        (
            "[rebuilder.two]\nkeys = [\"ssh-rsa AAAA\"]\n",
            "neither the id of a key nor a public key",
        ),
        ("[rebuilder.two]\nkeys = [\"KEY\"]\n", "this key stands at `one` already"),
    ];
    for (text, why) in cases {
        let text = text.replace("KEY", &id.to_string());
        world.write("home/policy.toml", format!("{rebuilder}{text}"));
        let refused = world.with_registry(["install", "lm"]);
        refused.fails_with(&[why]);
    }
    // A key that is named by its id has to be known.
    let (stranger, public) = world.foreign_key("stranger");
    let text = format!(
        "[rebuilder.far]\nkeys = [\"{}\"]\n[default.rebuild]\nof = [\"far\"]\n",
        stranger.id()
    );
    world.write("home/policy.toml", text);
    let unknown = ["of far is not known here; take it in with `mpkg key import`"];
    world.with_registry(["install", "lm"]).fails_with(&unknown);
    world.write("far.pem", public.to_pem());
    world.run(["-q", "key", "import", "far.pem", "--name", "far"]).succeeds();
    let known = world.with_registry(["install", "lm"]).fails_with(&["nothing by far counts"]);
    assert!(!known.stderr.contains("is not known here"), "{}", known.stderr);
}
