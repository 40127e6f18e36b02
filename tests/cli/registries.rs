//! Which registries are asked: `HOME/registries.toml`, priorities, pins, and `--registry` by name.

use snapbox::assert_data_eq;
use snapbox::str;

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

/// Publishes packages made of `recipes`, signed with the key `me`, into `folder`.
fn publish(world: &World, folder: &str, recipes: &[Recipe]) {
    let key = world.key("me");
    let mut command = world.mpkg();
    command.args(["publish", "--create", "--to"]).arg(world.path(folder));
    for recipe in recipes {
        command.args(recipe.make(world, &format!("dist-{folder}"), &key).arguments());
    }
    Finished::of(&mut command).succeeds();
}

/// `lm` as 1.0.0 in `main` and as 1.0.0 and 2.0.0 in `own`; `main` comes first.
fn world() -> World {
    let world = World::new();
    publish(&world, "main", &[Recipe::new("lm", "1.0.0")]);
    publish(&world, "own", &[Recipe::new("lm", "2.0.0"), Recipe::new("extra", "1.0.0")]);
    configure(&world, "");
    world
}

/// Writes the configuration: `own` with `more` in its table, then `main` with priority 10.
fn configure(world: &World, more: &str) {
    let place = |folder: &str| world.path(folder).display().to_string();
    let text = format!(
        "# two of them\n[[registry]]\nname = \"own\"\nlocation = \"{}\"\n{more}\n\
         [[registry]]\nname = \"main\"\nlocation = \"{}\"\npriority = 10\n",
        place("own"),
        place("main")
    );
    world.write("home/registries.toml", text);
}

fn plan(world: &World, arguments: &[&str]) -> String {
    let mut all = vec!["install", "--dry-run"];
    all.extend(arguments);
    world.run(all).succeeds().stdout
}

#[test]
fn they_are_listed_in_the_order_in_which_they_are_asked() {
    let world = world();
    let list = world.run(["registry", "list"]).succeeds();
    let text = list.stdout.replace(&world.root().display().to_string(), "[ROOT]");
    assert_data_eq!(
        text,
        str![[r#"
main  [ROOT]/main  priority 10
own   [ROOT]/own   priority 0

"#]]
    );
    let json = world.run(["registry", "list", "--json"]).succeeds().json();
    assert_eq!(json["registries"][0]["name"], "main");
    world
        .run(["registry", "remove", "mian"])
        .fails_with(&["no registry called mian is configured", "there is a registry called main"]);
    world.run(["registry", "remove", "main"]).succeeds();
    let text = std::fs::read_to_string(world.path("home/registries.toml")).unwrap();
    assert!(text.starts_with("# two of them\n[[registry]]\nname = \"own\""), "{text}");
    assert!(!text.contains("main"), "{text}");
    world.run(["registry", "remove", "own"]).succeeds();
    let none = world.run(["registry", "list"]).succeeds();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "No registry is configured\n"));
}

#[test]
fn a_registry_that_is_away_keeps_nobody_from_the_others() {
    let world = world();
    std::fs::rename(world.path("own"), world.path("away")).unwrap();
    assert!(plan(&world, &["lm"]).contains("lm 1.0.0"));
    let found = world.run(["search", "lm"]).succeeds();
    assert!(found.stdout.starts_with("lm  1.0.0"), "{}", found.stdout);
    assert!(found.stderr.contains("The registry own was not searched: "), "{}", found.stderr);
    // What only the other one may have is asked for there.
    world.run(["install", "extra"]).fails_with(&["own"]);
    world.run(["registry", "add", ".", "--tofu"]).fails_with(&["is not a registry"]);
}

#[test]
fn a_name_comes_from_the_first_that_has_it() {
    let world = world();
    assert!(plan(&world, &["lm"]).contains("lm 1.0.0"));
    assert!(plan(&world, &["extra"]).contains("extra 1.0.0"));
    world.run(["install", "lm@^2"]).fails_with(&["you ask for lm ^2, and there is only 1.0.0"]);
}

#[test]
fn named_registries_override_the_configuration() {
    let world = world();
    assert!(plan(&world, &["lm", "--registry", "own"]).contains("lm 2.0.0"));
    assert!(plan(&world, &["lm", "--registry", "own", "--registry", "main"]).contains("2.0.0"));
    let place = world.path("own").display().to_string();
    assert!(plan(&world, &["lm", "--registry", &place]).contains("lm 2.0.0"));
    let mut command = world.mpkg();
    command.env("MPKG_REGISTRY", "own main").args(["install", "lm", "--dry-run"]);
    assert!(Finished::of(&mut command).succeeds().stdout.contains("lm 2.0.0"));
}

#[test]
fn a_pinned_name_comes_from_its_registry_alone() {
    let world = world();
    configure(&world, "pin = [\"lm\", \"unmade\"]\n");
    assert!(plan(&world, &["lm"]).contains("lm 2.0.0"));
    world
        .run(["install", "lm", "--registry", "main"])
        .fails_with(&["lm is pinned to the registry own, which is not asked", "--registry own"]);
    // Nobody else can offer a name that is to come from there.
    publish(&world, "main", &[Recipe::new("unmade", "1.0.0")]);
    world.run(["install", "unmade"]).fails_with(&["no package is called unmade"]);
}

#[test]
fn a_wrong_configuration_is_shown_with_its_line() {
    let world = world();
    configure(&world, "prioritiy = 3");
    let refused = world.run(["install", "lm"]);
    assert_eq!(refused.code, 1);
    let text = refused.stderr.replace(&world.root().display().to_string(), "[ROOT]");
    assert_data_eq!(
        text,
        str![[r#"
error: [[registry]] has no key `prioritiy`
 --> [ROOT]/home/registries.toml:5:1
  |
5 | prioritiy = 3
  | ^^^^^^^^^ unknown key
  |
  = help: did you mean `priority`?

"#]]
    );
    let json = world.run(["registry", "list", "--json"]);
    assert_eq!(json.json()["error"]["kind"], "registries");
    // What needs no registry works all the same.
    world.run(["list"]).succeeds();
}

#[test]
fn a_prerelease_from_a_file_stays() {
    let world = world();
    let key = world.key("me");
    let early = Recipe::new("early", "1.0.0-rc.1").make(&world, "dist", &key);
    world.run(["install", &early.binary.display().to_string()]).succeeds();
    world.run(["install", "extra"]).succeeds();
    let list = world.run(["list"]).succeeds().stdout;
    assert!(list.contains("1.0.0-rc.1") && list.contains("extra"), "{list}");
}

#[test]
fn a_package_that_comes_from_elsewhere_now_is_said() {
    let world = world();
    let first = world.run(["install", "lm"]).succeeds();
    assert!(!first.stderr.contains("warning"), "{}", first.stderr);
    let second = world.run(["install", "lm@^2", "--registry", "own"]).succeeds();
    let (main, own) = (world.path("main"), world.path("own"));
    let said = format!(
        "warning: lm was installed from {}, and comes from {} now",
        main.display(),
        own.display()
    );
    assert!(second.stderr.contains(&said), "{}", second.stderr);
}

#[test]
fn a_registry_that_is_not_known_or_not_there_is_named() {
    let world = world();
    world
        .run(["info", "lm", "--registry", "mian"])
        .fails_with(&["no registry called mian is configured", "there is a registry called main"]);
    world
        .run(["info", "lm", "--registry", "other-one"])
        .fails_with(&["no registry called other-one is configured", "mpkg registry list"]);
    world.run(["info", "lm", "--registry", "main"]).succeeds();
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let text = std::fs::read_to_string(world.path("home/registries.toml")).unwrap();
    let more = format!("{text}\n[[registry]]\nname = \"away\"\nlocation = \"{address}\"\n");
    world.write("home/registries.toml", more);
    std::fs::create_dir_all(world.path("home/trust/registries/away")).unwrap();
    let root = "home/trust/registries/main/root.json";
    std::fs::copy(world.path(root), world.path("home/trust/registries/away/root.json")).unwrap();
    world.run(["info", "lm", "--registry", "away"]).fails_with(&[
        "the registry away cannot be reached",
        &format!("cannot reach {address}"),
        "with --offline, or ask other registries",
    ]);
}

#[test]
fn a_dependency_that_nobody_has_comes_with_the_nearest_name() {
    let world = World::new();
    publish(&world, "main", &[Recipe::new("app", "1.0.0").needs("tokeniser", "^1")]);
    publish(&world, "main", &[Recipe::new("tokenizer", "1.0.0")]);
    world.run(["install", "app", "--registry", "main"]).fails_with(&[
        "app 1.0.0 needs tokeniser ^1, and no package is called tokeniser",
        "there is a package called tokenizer",
    ]);
}
