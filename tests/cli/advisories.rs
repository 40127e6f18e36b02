//! Advisories: made, signed, kept in registries, and followed along the lineage of packages.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::python::venv;
use crate::support::server::Answer;
use crate::support::{Finished, World};

const PAGE: &str = "A page about a workshop.\n";

/// Writes a tree that copies `from` (a data reference or a dependency) into a package.
fn tree(world: &World, name: &str, version: &str, needs: &str, from: &str) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"{version}\"\nkind = \"dataset\"\nsummary = \"The {name}\"\nlicense = \"CC0-1.0\"\n{needs}\n\
         [[step]]\nname = \"copy\"\nrun = [\"cp\", \"{from}\", \"{{out}}/page.txt\"]\n\
         [[variant]]\nname = \"text\"\nfrom = \"copy\"\nfiles = [\"page.txt\"]\n"
    );
    world.write(&format!("{name}/mpkg.toml"), manifest);
}

fn corpus(world: &World, version: &str, page: &str) {
    let data = "[[data]]\nname = \"page\"\npath = \"page.txt\"\nlicense = \"CC0-1.0\"\n";
    world.write("corpus/page.txt", page);
    tree(world, "corpus", version, data, "{data.page}");
}

fn on(world: &World, name: &str, version: &str, base: &str) {
    let needs = format!("[build-dependencies]\n{base} = \"^1\"\n");
    tree(world, name, version, &needs, &format!("{{dep.{base}}}/page.txt"));
}

/// Builds, signs and publishes a tree.
#[track_caller]
fn release(world: &World, name: &str) {
    let folder = world.path("registry");
    let has_registry = folder.join("metadata").exists();
    let registry = folder.display().to_string();
    let mut build = vec!["-q", "build", name];
    if has_registry {
        build.extend(["--registry", &registry]);
    }
    world.run(build).succeeds();
    let mut files: Vec<String> = std::fs::read_dir(world.path(name).join("dist"))
        .expect("results")
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .filter(|path| path.ends_with(".mpkg"))
        .collect();
    files.sort();
    world.key("me");
    let sign = ["sign", "--key", "me"].into_iter().chain(files.iter().map(String::as_str));
    world.run(sign).succeeds();
    let publish = ["publish", "--create", "--to", "registry"];
    world.run(publish.into_iter().chain(files.iter().map(String::as_str))).succeeds();
}

/// A world with a registry of a corpus, a model of it, and one that was tuned.
fn world() -> World {
    let world = World::new();
    corpus(&world, "1.0.0", PAGE);
    release(&world, "corpus");
    on(&world, "model", "1.0.0", "corpus");
    release(&world, "model");
    on(&world, "tuned", "1.0.0", "model");
    release(&world, "tuned");
    world
}

/// Makes an advisory in a file, signs it with the key `me`, and gives the file's name.
#[track_caller]
fn advise(world: &World, arguments: &[&str]) -> String {
    let new = ["advisory", "new", "--summary", "It must not be used"];
    let made = world.with_registry(new.iter().chain(arguments).copied()).succeeds();
    let file = made.stdout.trim().to_owned();
    world.run(["advisory", "sign", &file, "--key", "me"]).succeeds();
    file
}

fn publish(world: &World, file: &str) -> Finished {
    world.run(["publish", "--to", "registry", "--advisory", file])
}

fn audit(world: &World, arguments: &[&str]) -> (i32, Value) {
    let all = ["audit", "--json"];
    let ran = world.with_registry(all.iter().chain(arguments).copied());
    (ran.code, ran.json())
}

/// The names on the way from each affected package down.
fn paths(found: &Value) -> Vec<String> {
    let findings = found["findings"].as_array().expect("a list");
    let of = |finding: &Value| {
        let path = finding["path"].as_array().expect("a list").iter();
        let mut names: Vec<&str> = path.map(|one| one["name"].as_str().unwrap()).collect();
        names.extend(finding["data"]["name"].as_str());
        names.join(" ")
    };
    findings.iter().map(of).collect()
}

#[test]
fn what_was_built_from_it_is_found_warned_of_and_mended_by_a_rebuild() {
    let world = world();
    world.with_registry(["install", "tuned"]).succeeds();
    assert_eq!(audit(&world, &[]).0, 0);
    let file = advise(&world, &["--package", "corpus", "--fixed", "1.0.1", "--severity", "high"]);
    assert_eq!(&file[..4], "MSA-");
    assert!(publish(&world, &file).succeeds().stderr.contains("Published MSA-"));
    assert!(publish(&world, &file).succeeds().stderr.contains("Kept already"));

    let said = world.with_registry(["audit"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    for part in [
        "(high): It must not be used",
        "tuned 1.0.0 (text) → model 1.0.0 (text) → corpus 1.0.0 (text)",
        "mended in corpus 1.0.1",
        "issued   by me (",
        "1 of 1 package affected (1 advisory; 2 packages",
    ] {
        assert!(said.stdout.contains(part), "{part:?} is not in:\n{}", said.stdout);
    }
    // A source tree, a package file and a name are audited the same way.
    let dist = world.path("model/dist/model-1.0.0.text.mpkg").display().to_string();
    for (subject, path) in
        [("model", "model corpus"), (&dist, "model corpus"), ("corpus", "corpus")]
    {
        let (code, found) = audit(&world, &[subject]);
        assert_eq!((code, paths(&found)), (1, vec![path.to_owned()]), "{subject}");
    }

    // The base is mended and the model built anew: what is installed can be upgraded.
    corpus(&world, "1.0.1", "Another page.\n");
    release(&world, "corpus");
    std::fs::remove_file(world.path("model/mpkg.lock")).expect("a lock file");
    on(&world, "model", "1.0.1", "corpus");
    release(&world, "model");
    std::fs::remove_file(world.path("tuned/mpkg.lock")).expect("a lock file");
    on(&world, "tuned", "1.0.1", "model");
    release(&world, "tuned");
    let said = world.with_registry(["audit"]);
    assert!(
        said.stdout.contains("tuned 1.0.1 (text) is not affected: mpkg upgrade tuned"),
        "{}",
        said.stdout
    );
    world.with_registry(["upgrade"]).succeeds();
    let (code, found) = audit(&world, &[]);
    assert_eq!((code, paths(&found)), (0, vec![]), "{found:#}");
}

#[test]
fn data_is_named_by_its_digest_and_installing_warns() {
    let world = world();
    let digest = mpkg::package::Digest::of(PAGE.as_bytes()).to_string();
    let file = advise(&world, &["--data", &digest]);
    publish(&world, &file).succeeds();
    let ran = world.with_registry(["install", "model", "corpus", "--json"]).succeeds();
    let id = file.strip_suffix(".json").unwrap();
    assert_eq!(ran.json()["advisories"], json!([id]));
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(id)).collect();
    assert_eq!(warnings.len(), 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("→ data page ("), "{}", ran.stderr);
    let (code, found) = audit(&world, &[]);
    assert_eq!((code, paths(&found)), (1, vec!["corpus page".into(), "model corpus page".into()]));
    let (code, found) = audit(&world, &["tuned"]);
    assert_eq!((code, paths(&found)), (1, vec!["tuned model corpus page".into()]));
    // One about other data concerns nobody.
    let other = mpkg::package::Digest::of(b"other").to_string();
    world.run(["advisory", "update", &file, "--withdraw"]).succeeds();
    world.run(["advisory", "sign", &file, "--key", "me"]).succeeds();
    publish(&world, &file).succeeds();
    publish(&world, &advise(&world, &["--data", &other])).succeeds();
    assert_eq!(audit(&world, &["tuned"]).0, 0);
    let listed = world.with_registry(["advisory", "list"]).succeeds().stdout;
    assert!(listed.contains("withdrawn") && listed.contains("0002"), "{listed}");
    let shown = world.with_registry(["advisory", "show", id]).succeeds();
    assert_eq!(shown.stdout, std::fs::read_to_string(world.path(&file)).expect("the record"));
}

#[test]
fn a_statement_of_the_publisher_clears_a_package_and_one_of_a_stranger_does_not() {
    let world = world();
    publish(&world, &advise(&world, &["--id", "MSA-2026-0007", "--package", "corpus"])).succeeds();
    let file = world.path("model/dist/model-1.0.0.text.mpkg").display().to_string();
    let vex = |out: &str, more: &[&str]| {
        let start = ["advisory", "vex", "MSA-2026-0007", &file, "--out", out];
        world.run(start.iter().chain(more).copied())
    };
    vex("none.json", &[]).fails_with(&["not_affected needs a justification"]);
    assert!(!world.path("none.json").exists());
    vex("bad.json", &["--justification", "because"]).misuses("component_not_present");
    let because =
        ["--justification", "vulnerable_code_not_present", "--impact", "The page is not in it"];
    vex("vex.json", &because).succeeds();
    // A stranger's word is not taken, whatever key id stands beside it.
    let (stranger, _) = world.foreign_key("stranger");
    let bytes = std::fs::read(world.path("vex.json")).expect("a document");
    let notice = mpkg::registry::Notice::parse(&bytes, "vex").expect("it is sound");
    let envelope = notice.sign(&bytes, &[&stranger]).expect("it is signed");
    world.write("vex.json.dsse.json", envelope.to_bytes());
    publish(&world, "vex.json").fails_with(&["the signatures of vex.json do not hold"]);
    assert_eq!(audit(&world, &["tuned"]).0, 1);

    world.run(["advisory", "sign", "vex.json", "--key", "me"]).succeeds();
    publish(&world, "vex.json").succeeds();
    let (code, found) = audit(&world, &["tuned"]);
    assert_eq!((code, paths(&found)), (0, vec![]), "{found:#}");
    assert_eq!(found["not-affected"][0]["name"], "model");
    assert_eq!(found["not-affected"][0]["justification"], "vulnerable_code_not_present");
    let said = world.with_registry(["audit", "tuned"]).succeeds().stdout;
    assert!(said.contains("model 1.0.0 (text) is said to be not_affected"), "{said}");
    assert_eq!(audit(&world, &["corpus"]).0, 1);
    // One about an advisory that is not there is refused.
    let other = world.run([
        "advisory",
        "vex",
        "MSA-2026-0008",
        "model",
        "--impact",
        "x",
        "--out",
        "o.json",
    ]);
    other.succeeds();
    world.run(["advisory", "sign", "o.json", "--key", "me"]).succeeds();
    publish(&world, "o.json").fails_with(&["no advisory MSA-2026-0008", "it has MSA-2026-0007"]);
}

#[test]
fn nobody_else_changes_an_advisory_and_an_older_one_is_refused() {
    let world = world();
    let file = advise(&world, &["--package", "corpus"]);
    let old = std::fs::read(world.path(&file)).expect("a record");
    let old_signatures = std::fs::read(world.path(&format!("{file}.dsse.json"))).expect("them");
    publish(&world, &file).succeeds();
    // What is changed must be signed anew, by the same key.
    world.run(["advisory", "update", &file, "--fixed", "1.0.1", "--details", "More."]).succeeds();
    publish(&world, &file).fails_with(&["are over something else", "mpkg advisory sign"]);
    world.key("other");
    world.run(["advisory", "sign", &file, "--key", "other"]).succeeds();
    publish(&world, &file).fails_with(&["do not hold"]);
    world.run(["advisory", "sign", &file, "--key", "me"]).succeeds();
    let dry = world.run(["publish", "--to", "registry", "--dry-run", "--advisory", &file]);
    assert!(dry.succeeds().stderr.contains("Would publish MSA-"));
    publish(&world, &file).succeeds();
    let found = audit(&world, &["corpus"]).1;
    assert_eq!(found["findings"][0]["fixed"], json!(["1.0.1"]));
    world.write(&file, old);
    world.write(&format!("{file}.dsse.json"), old_signatures);
    publish(&world, &file).fails_with(&["is not newer than what the registry has"]);
    // Unsigned ones, and those of strangers about somebody's package, are refused.
    std::fs::remove_file(world.path(&format!("{file}.dsse.json"))).expect("signatures");
    publish(&world, &file).fails_with(&["is not signed", "mpkg advisory sign"]);
}

#[test]
fn neither_a_server_nor_a_mirror_can_forge_or_hide_one() {
    let world = world();
    let file = advise(&world, &["--package", "corpus"]);
    publish(&world, &file).succeeds();
    // A mirror of a part, and a bundle, carry them all.
    world.run(["registry", "mirror", "registry", "part", "tuned"]).succeeds();
    world.run(["registry", "mirror", "registry", "one.tar", "tuned", "--bundle"]).succeeds();
    world.elsewhere(["registry", "unbundle", "one.tar", "copy"]).succeeds();
    for folder in ["part", "copy"] {
        world.elsewhere(["registry", "add", folder, "--name", folder, "--tofu"]).succeeds();
        let ran = world.elsewhere(["--offline", "--registry", folder, "audit", "tuned", "--json"]);
        assert_eq!(
            (ran.code, paths(&ran.json())),
            (1, vec!["tuned model corpus".into()]),
            "{folder}"
        );
    }
    // Cleaning leaves what is listed.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    for file in std::fs::read_dir(world.path("registry/advisories")).expect("advisories").flatten()
    {
        let file = std::fs::File::options().write(true).open(file.path()).expect("a file");
        file.set_modified(long_ago).expect("a time");
    }
    world.run(["registry", "clean", "registry", "--older-than", "1d"]).succeeds();
    let (code, found) = audit(&world, &["tuned"]);
    assert_eq!((code, found["not-read"].as_array().unwrap().len()), (1, 0));

    // Another record in its place, and none, are said loudly and are no yes.
    let folder = world.path("registry/advisories");
    let find = |ending: &str| {
        let mut files = std::fs::read_dir(&folder).expect("advisories").flatten();
        files.find(|file| file.file_name().to_string_lossy().ends_with(ending)).expect("it").path()
    };
    let record = find(&file);
    let bytes = std::fs::read_to_string(&record).expect("a record");
    std::fs::write(&record, bytes.replace("corpus", "others")).expect("it is forged");
    let forged = world.with_registry(["audit", "tuned"]);
    assert_eq!(forged.code, 1);
    assert!(forged.stderr.contains("cannot be read, and is passed over"), "{}", forged.stderr);
    std::fs::remove_file(&record).expect("it is hidden");
    let hidden = world.with_registry(["install", "model"]).succeeds();
    assert!(hidden.stderr.contains("were not looked at"), "{}", hidden.stderr);
    let list = find("index.json");
    std::fs::write(&list, b"{\"advisories\":[],\"format\":1,\"issuers\":{},\"statements\":[]}")
        .expect("it");
    let (code, found) = audit(&world, &["tuned"]);
    assert_eq!((code, found["not-read"].as_array().unwrap().len()), (1, 1), "{found:#}");
}

#[test]
fn a_record_that_is_none_is_named_with_every_fault_and_skipped_in_a_registry() {
    let world = world();
    let file = advise(&world, &["--package", "corpus"]);
    publish(&world, &file).succeeds();
    let text = std::fs::read_to_string(world.path(&file)).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    record["modified"] = json!("yesterday");
    record["affected"][0]["ranges"][0]["events"] = json!([{"fixed": "1"}]);
    world.write("bad.json", record.to_string());
    let refused = world.run(["advisory", "check", "bad.json"]).fails_with(&[
        "bad.json is no OSV record of mpkg",
        "modified: it is no time such as 2026-11-26T15:00:00Z",
        "affected[0].ranges[0].events[0].fixed:",
        "affected[0].ranges[0].events: none of them says where the range begins",
    ]);
    assert!(!refused.stderr.contains("panicked"));
    let json = world.run(["advisory", "check", "bad.json", "--json"]).json();
    assert_eq!(json["error"]["details"].as_array().map(Vec::len), Some(3), "{json:#}");
    for (bad, why) in [("{", "is no JSON"), ("[]", "it is no object"), ("{}", "id: it is missing")]
    {
        world.write("odd.json", bad);
        world.run(["advisory", "check", "odd.json"]).fails_with(&[why]);
    }
    world.run(["advisory", "new", "--summary", "x"]).fails_with(&["--package NAME or --data"]);
    let greater = ["advisory", "new", "--summary", "x", "--package", "corpus", "--versions", ">1"];
    world.run(greater).fails_with(&["write >="]);

    // In a registry: skipped, and said.
    let bad = record.to_string();
    let sha256 = mpkg::package::Digest::of(bad.as_bytes());
    let id = file.strip_suffix(".json").unwrap();
    world.write(&format!("registry/advisories/{sha256}.{id}.json"), &bad);
    let mut list: Value = serde_json::from_slice(&world.said("advisories/index.json")).unwrap();
    list["advisories"][0]["sha256"] = json!(sha256);
    list["advisories"][0]["size"] = json!(bad.len());
    let bytes = mpkg::crypto::canonical::to_vec(&list).expect("canonical");
    world.say("advisories/index.json", &bytes);
    let ran = world.with_registry(["audit", "corpus"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stderr.contains("it is no time such as"), "{}", ran.stderr);
}

#[test]
fn over_http_nothing_costs_more_than_the_list_and_offline_works_from_copies() {
    let world = world();
    publish(&world, &advise(&world, &["--package", "elsewhere"])).succeeds();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let (root, seen) = (world.path("registry"), std::sync::Arc::clone(&asked));
    let server = crate::support::server::Server::start(move |request| {
        seen.lock().expect("the list").push(request.path.clone());
        match std::fs::read(root.join(request.path.trim_start_matches('/'))) {
            Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
            Err(_) => Answer::status(404),
        }
    });
    let address = server.url("/");
    world.elsewhere(["registry", "add", &address, "--name", "far", "--tofu"]).succeeds();
    world.elsewhere(["install", "tuned"]).succeeds();
    let asked = asked.lock().expect("the list").clone();
    let of_advisories = asked.iter().filter(|path| path.contains("advisories/")).count();
    assert_eq!(of_advisories, 1, "{asked:?}");
    // Only names of bins that somebody looked something up in: tuned's, and the list's.
    let bins = asked.iter().filter(|path| path.contains("bins-")).count();
    assert!(bins <= 2, "{asked:?}");
    world.elsewhere(["audit"]).succeeds();
    world.elsewhere(["--offline", "audit"]).succeeds();
}

#[test]
fn what_is_written_is_a_record_of_osv() {
    let world = World::new();
    let digest = mpkg::package::Digest::of(b"x").to_string();
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N";
    let common =
        ["advisory", "new", "--package", "docs-lm", "--data", &digest, "--alias", "CVE-2026-1"];
    let more =
        ["--reference", "https://example.org/1", "--details", "One.\n\nTwo.", "--summary", "It"];
    for (out, last) in [
        ("a.json", vec!["--versions", ">=0.3, <1.2", "--severity", vector]),
        ("b.json", vec!["--fixed", "1.0.0+2", "--severity", "moderate"]),
        ("c.json", vec!["--versions", "<=1.0.0", "--id", "MSA-2026-0003"]),
    ] {
        let all = common.iter().chain(&more).chain(&last).copied().chain(["--out", out]);
        world.run(all).succeeds();
        world.run(["advisory", "check", out]).succeeds();
    }
    world.run(["advisory", "update", "b.json", "--withdraw", "--severity", "low"]).succeeds();
    world
        .run(["advisory", "new", "--summary", "x", "--data", &digest, "--out", "a.json"])
        .fails_with(&["is there already"]);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/data/osv-constraints.json");
    let program = "\
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
judge = jsonschema.Draft202012Validator(schema)
judge.check_schema(schema)
for name in sys.argv[2:]:
    record = json.load(open(name))
    judge.validate(record)
    for change in (lambda r: r.pop('id'), lambda r: r.update(modified='2026'),
                   lambda r: r['affected'][0]['ranges'][0]['events'].clear()):
        broken = json.loads(json.dumps(record))
        change(broken)
        assert not judge.is_valid(broken), broken
";
    let mut judge = std::process::Command::new(venv("jsonschema", &["jsonschema==4.26.0"]));
    judge.current_dir(world.root()).args(["-c", program]).arg(schema);
    Finished::of(judge.args(["a.json", "b.json", "c.json"])).succeeds();
}

#[test]
fn a_rebuild_without_the_records_to_blame_is_mended() {
    let world = World::new();
    let lines = "A line that may stay.\nA line that its author withdrew.\nAnother that may stay.\n";
    corpus(&world, "1.0.0", lines);
    world.write(
        "corpus/mpkg.toml",
        std::fs::read_to_string(world.path("corpus/mpkg.toml"))
            .unwrap()
            .replace("path = \"page.txt\"", "path = \"page.txt\"\nrecords = \"lines\""),
    );
    release(&world, "corpus");
    let data = mpkg::package::Digest::of(lines.as_bytes()).to_string();
    let record = mpkg::package::Digest::of(b"A line that its author withdrew.").to_string();
    publish(&world, &advise(&world, &["--data", &data, "--record", &record])).succeeds();
    assert_eq!(audit(&world, &["corpus"]).0, 1);
    world.with_registry(["install", "corpus"]).succeeds();

    world
        .run(["exclude", "page", "--record", &record, "--reason", "Withdrawn", "--tree", "corpus"])
        .succeeds();
    let manifest = std::fs::read_to_string(world.path("corpus/mpkg.toml")).expect("a manifest");
    world.write("corpus/mpkg.toml", manifest.replace("1.0.0", "1.0.1"));
    release(&world, "corpus");
    let said = world.with_registry(["audit"]);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains("corpus 1.0.1 (text) is not affected: mpkg upgrade"),
        "{}",
        said.stdout
    );
    let upgraded = world.with_registry(["upgrade"]).succeeds();
    assert!(!upgraded.stderr.contains("is affected by"), "{}", upgraded.stderr);
    let (code, found) = audit(&world, &[]);
    assert_eq!((code, paths(&found)), (0, vec![]), "{found:#}");
    // Where all of the data is to blame, this mends nothing.
    publish(&world, &advise(&world, &["--data", &data])).succeeds();
    assert_eq!(audit(&world, &[]).0, 1);
}
