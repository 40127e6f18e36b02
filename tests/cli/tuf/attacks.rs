//! Registries that lie, servers that never end, and clocks that go back, as a user meets them.

use std::time::{Duration, Instant};

use mpkg::explain::Explain as _;
use mpkg::net::{Address, Client, NetOptions, Network};
use mpkg::registry::tuf::{Clock, NetOrigin, Reach, Shelf, View};

use crate::support::World;
use crate::support::packages::Recipe;
use crate::support::server::{Answer, Server};

fn world() -> World {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world
}

/// The files of the trust in the registry, but for the time at which it was read.
fn trust(world: &World) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(world.path("home/trust/registries/registry")).unwrap().flatten();
    let name = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().into_owned();
    let mut files: Vec<(String, Vec<u8>)> =
        files.map(|file| (name(&file), std::fs::read(file.path()).unwrap())).collect();
    files.retain(|(name, _)| name != "last-seen" && name != "lock");
    files.sort();
    files
}

#[test]
fn a_registry_that_nobody_vouched_for_is_not_read() {
    let world = world();
    let location = world.path("registry").display().to_string();
    let refused = world.elsewhere(["--registry", &location, "install", "lm"]);
    let hint = format!("mpkg registry add {location} --root-sha256 HEX");
    let refused = refused.fails_with(&["is not trusted on this machine", &hint]);
    assert!(refused.stdout.is_empty());
    let json = world.elsewhere(["--registry", &location, "info", "lm", "--json"]).json();
    assert_eq!(json["error"]["kind"], "registry-untrusted");
    world.elsewhere(["registry", "add", &location, "--tofu", "--name", "mine"]).succeeds();
    world.elsewhere(["install", "lm"]).succeeds();
    world.elsewhere(["--registry", "mine", "info", "lm"]).succeeds();
    // One that is configured and not trusted can be trusted as it is.
    std::fs::remove_dir_all(world.path("other/trust/registries")).unwrap();
    world.elsewhere(["info", "lm"]).fails_with(&["is not trusted", "--name mine --root-sha256"]);
    world.elsewhere(["registry", "add", &location, "--tofu", "--name", "mine"]).succeeds();
    world.elsewhere(["info", "lm"]).succeeds();
}

#[test]
fn a_registry_without_metadata_is_refused() {
    let world = world();
    std::fs::remove_dir_all(world.path("registry/metadata")).unwrap();
    world
        .with_registry(["install", "lm"])
        .fails_with(&["timestamp.json is not there, though it is vouched for"]);
    let location = world.path("registry").display().to_string();
    world.elsewhere(["registry", "add", &location, "--tofu"]).fails_with(&["is not a registry"]);
}

#[test]
fn case_01_an_older_timestamp_is_refused() {
    let world = world();
    let place = world.path("registry/metadata/timestamp.json");
    let old = std::fs::read(&place).unwrap();
    world.publish(&[Recipe::new("lm", "1.1.0")]);
    world.with_registry(["info", "lm"]).succeeds();
    let before = trust(&world);
    std::fs::write(&place, old).unwrap();
    world.with_registry(["install", "lm"]).fails_with(&[
        "the version of timestamp goes down",
        "hint: somebody offers an older state",
    ]);
    assert_eq!(trust(&world), before);
}

#[test]
fn case_03_expired_metadata_is_accepted_only_where_somebody_says_so() {
    let world = world();
    world.expire("2001-01-01T00:00:00Z");
    let refused = world.with_registry(["info", "lm", "--json"]);
    assert_eq!(refused.code, 1);
    assert_eq!(refused.json()["error"]["kind"], "metadata-expired");
    assert!(refused.stderr.contains("timestamp expired on 2001-01-01T00:00:00Z"));
    assert!(refused.stderr.contains("--accept-stale-until DATE"), "{}", refused.stderr);
    world.with_registry(["info", "lm", "--accept-stale-until", "yesterday"]).misuses("no date");
    let past = ["info", "lm", "--accept-stale-until", "2001-12-31"];
    world.with_registry(past).fails_with(&["expired on"]);
    let accepted = world.with_registry(["install", "lm", "--accept-stale-until", "2126-01-31"]);
    let said = accepted.succeeds().stderr;
    assert!(said.contains("has expired (timestamp; the first on 2001-01-01"), "{said}");
    assert_eq!(said.matches("has expired").count(), 1, "it is said once");
    let kept = world.path("home/trust/registries/registry/stale-until");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains("\"until\":\"2126-02-01T00:00:00Z\""), "{kept}");
    // It holds for later runs, until it is taken back.
    let later = world.with_registry(["info", "lm"]).succeeds();
    assert!(later.stderr.contains("it is accepted"), "{}", later.stderr);
    world.with_registry(past).fails_with(&["expired on"]);
    world.with_registry(["info", "lm"]).fails_with(&["expired on"]);
}

#[test]
fn case_04_a_clock_that_was_set_back() {
    let world = world();
    world.with_registry(["info", "lm"]).succeeds();
    let file = world.path("home/trust/registries/registry/last-seen");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("20"));
    std::fs::write(&file, "2126-01-01T00:00:00Z\n").unwrap();
    let before = trust(&world);
    let refused = world.with_registry(["info", "lm", "--json"]);
    assert_eq!(refused.json()["error"]["kind"], "clock-set-back");
    assert!(refused.stderr.contains("was read at 2126-01-01T00:00:00Z already"));
    assert!(refused.stderr.contains(&file.display().to_string()), "{}", refused.stderr);
    assert_eq!(trust(&world), before);
    std::fs::remove_file(&file).unwrap();
    world.with_registry(["info", "lm"]).succeeds();
}

/// Refreshes the trust in the registry from `server` with little patience.
fn refresh(world: &World, server: &Server) -> mpkg::registry::tuf::Result<()> {
    let mut options = NetOptions::new(world.path("cache"), Network::Allowed);
    options.idle = Duration::from_millis(300);
    options.retries = 0;
    let client = Client::new(options);
    let address: Address = server.url("/").parse().unwrap();
    let origin = NetOrigin::new(&client, address.join("metadata"), address);
    let shelf = Shelf::at(world.path("home/trust/registries/registry"));
    View::refresh(origin, &shelf, Clock::strict(jiff::Timestamp::now()), Reach::Origin).map(|_| ())
}

/// A server of the registry in which each of these files is answered with `answer`.
fn spoilt(world: &World, file: &'static str, answer: fn() -> Answer) -> Server {
    let root = world.path("registry");
    Server::start(move |request| {
        let path = request.path.trim_start_matches('/').to_owned();
        match std::fs::read(root.join(&path)) {
            _ if path.ends_with(file) => answer(),
            Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
            Err(_) => Answer::status(404),
        }
    })
}

#[test]
fn case_06_a_body_without_end() {
    for file in ["2.root.json", "timestamp.json", ".snapshot.json", ".targets.json"] {
        let world = world();
        world.publish(&[Recipe::new("lm", "1.1.0")]);
        std::fs::remove_file(world.path("home/trust/registries/registry/targets.json")).unwrap();
        let before = trust(&world);
        let server = spoilt(&world, file, Answer::endless);
        let error = refresh(&world, &server).unwrap_err();
        assert_eq!(error.kind(), "too-long", "{file}: {error}");
        let after = trust(&world);
        let kept = |name: &str| after.iter().find(|(other, _)| other == name);
        assert!(before.iter().all(|old| old.0 == "timestamp.json" || kept(&old.0).is_some()));
        let lies = Server::start(|_| Answer::endless().length(1 << 40));
        assert_eq!(refresh(&world, &lies).unwrap_err().kind(), "too-long");
    }
}

#[test]
fn case_07_one_byte_at_a_time() {
    for file in ["2.root.json", "timestamp.json"] {
        let world = world();
        let before = trust(&world);
        let server = spoilt(&world, file, Answer::drip);
        let began = Instant::now();
        let error = refresh(&world, &server).unwrap_err();
        assert_eq!(error.kind(), "stalled", "{file}: {error}");
        // Not as long as the body would take at that pace.
        assert!(began.elapsed() < Duration::from_mins(2));
        assert_eq!(trust(&world), before);
    }
}

#[test]
fn case_11_recovery_from_a_stolen_key_by_the_operator_and_the_user() {
    let world = world();
    // Whoever has the online key signs far ahead, and this machine believes it.
    for _ in 0..5 {
        world.expire("2126-01-01T00:00:00Z");
    }
    world.with_registry(["info", "lm"]).succeeds();
    // The operator takes the key away; what it signed is not what a new timestamp is measured by.
    world.key("registry-new");
    let folder = world.path("registry").display().to_string();
    let rotate = ["registry", "rotate", &folder, "--role", "timestamp", "--add", "registry-new"];
    world.run(rotate.into_iter().chain(["--remove", "registry-online"])).succeeds();
    world.with_registry(["info", "lm"]).succeeds();
    let root = world.path("home/trust/registries/registry/root.json");
    assert!(std::fs::read_to_string(root).unwrap().contains("\"version\":2}"));
    // The old key signs nothing that is believed any more.
    world.expire("2126-01-01T00:00:00Z");
    world
        .with_registry(["info", "lm"])
        .fails_with(&["timestamp.json is not believed", "0 of 1 signatures"]);
}
