//! Small universes with known answers, and many against brute force.

use super::*;

/// `name version [variant|default-variant!] > dep req[:variant], … | provides … | conflicts …`.
fn candidate(name: &str, version: &str, needs: &[&str]) -> Candidate {
    let dependencies = needs
        .iter()
        .map(|text| {
            let wish: Wish = text.parse().unwrap();
            Dependency { name: wish.name, requirement: wish.requirement, variant: wish.variant }
        })
        .collect();
    Candidate {
        release: Release {
            name: name.parse().unwrap(),
            version: version.parse().unwrap(),
            variant: Some("f32".parse().unwrap()),
        },
        digest: Digest::of(format!("{name} {version} f32").as_bytes()),
        default_variant: true,
        dependencies,
        provides: Vec::new(),
        conflicts: Vec::new(),
        yanked: None,
    }
}

fn variant(mut candidate: Candidate, variant: &str) -> Candidate {
    candidate.release.variant = Some(variant.parse().unwrap());
    candidate.default_variant = false;
    candidate.digest = Digest::of(candidate.release.to_string().as_bytes());
    candidate
}

fn request(wishes: &[&str]) -> Request {
    Request {
        wishes: wishes.iter().map(|text| text.parse().unwrap()).collect(),
        ..Request::default()
    }
}

fn solved(request: &Request, candidates: Vec<Candidate>) -> Result<String, String> {
    let universe = Universe::of(request, candidates);
    match resolve(&universe, request) {
        Ok(chosen) => Ok(chosen
            .iter()
            .map(|chosen| {
                let release = &chosen.candidate.release;
                let variant = release.variant.as_ref().map_or("", |variant| variant.as_str());
                format!("{} {} {variant}", release.name, release.version)
            })
            .collect::<Vec<_>>()
            .join("; ")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn the_highest_version_that_fits() {
    let all = || {
        vec![
            candidate("lib", "1.0.0", &[]),
            candidate("lib", "1.2.0", &[]),
            candidate("lib", "2.0.0", &[]),
            candidate("app", "1.0.0", &["lib@^1"]),
        ]
    };
    assert_eq!(solved(&request(&["app"]), all()), Ok("app 1.0.0 f32; lib 1.2.0 f32".into()));
    assert_eq!(solved(&request(&["lib"]), all()), Ok("lib 2.0.0 f32".into()));
    assert_eq!(
        solved(&request(&["app", "lib@=1.0.0"]), all()),
        Ok("app 1.0.0 f32; lib 1.0.0 f32".into())
    );
}

#[test]
fn packaging_revisions_order_and_prereleases_are_asked_for() {
    let all = || {
        vec![
            candidate("lib", "1.0.0+1", &[]),
            candidate("lib", "1.0.0+10", &[]),
            candidate("lib", "1.0.0+2", &[]),
            candidate("lib", "1.1.0-rc.1", &[]),
        ]
    };
    assert_eq!(solved(&request(&["lib"]), all()), Ok("lib 1.0.0+10 f32".into()));
    assert_eq!(solved(&request(&["lib@=1.1.0-rc.1"]), all()), Ok("lib 1.1.0-rc.1 f32".into()));
    assert_eq!(
        solved(&request(&["lib@^1.1"]), all()),
        Err("you ask for lib ^1.1, and only a pre-release fits: 1.1.0-rc.1".into())
    );
}

#[test]
fn variants_are_the_default_unless_somebody_asks() {
    let all = || {
        let small = |version| variant(candidate("base", version, &[]), "q8_0");
        vec![
            candidate("base", "1.0.0", &[]),
            small("1.0.0"),
            candidate("lora", "1.0.0", &["base@^1:q8_0"]),
        ]
    };
    assert_eq!(solved(&request(&["base"]), all()), Ok("base 1.0.0 f32".into()));
    assert_eq!(solved(&request(&["base:q8_0"]), all()), Ok("base 1.0.0 q8_0".into()));
    assert_eq!(
        solved(&request(&["base", "lora"]), all()),
        Ok("base 1.0.0 q8_0; lora 1.0.0 f32".into())
    );
    assert_eq!(
        solved(&request(&["base:bf16"]), all()),
        Err("you ask for base in variant bf16, and its variants are f32 and q8_0".into())
    );
    let alone = vec![variant(candidate("base", "1.0.0", &[]), "q8_0")];
    assert_eq!(solved(&request(&["base"]), alone), Ok("base 1.0.0 q8_0".into()));
}

#[test]
fn what_is_provided_stands_for_a_name() {
    let all = || {
        let mut one = candidate("one", "1.0.0", &[]);
        one.provides = vec!["generator".parse().unwrap()];
        let mut two = candidate("two", "1.0.0", &[]);
        two.provides = vec!["generator".parse().unwrap()];
        two.conflicts = vec!["generator".parse().unwrap()];
        vec![one, two, candidate("app", "1.0.0", &["generator"])]
    };
    assert_eq!(solved(&request(&["app"]), all()), Ok("app 1.0.0 f32; one 1.0.0 f32".into()));
    assert_eq!(solved(&request(&["app", "two"]), all()), Ok("app 1.0.0 f32; two 1.0.0 f32".into()));
    let conflict = solved(&request(&["one", "two"]), all()).unwrap_err();
    assert!(conflict.contains("two 1.0.0 cannot be installed beside one 1.0.0"), "{conflict}");
    let mut installed = request(&["app"]);
    installed.preferred.insert("two".parse().unwrap(), Digest::of(b"two 1.0.0 f32"));
    assert_eq!(solved(&installed, all()), Ok("app 1.0.0 f32; two 1.0.0 f32".into()));
}

#[test]
fn yanked_releases_only_where_they_are_held() {
    let all = || {
        let mut bad = candidate("lib", "1.1.0", &[]);
        bad.yanked = Some("wrong licence".into());
        vec![candidate("lib", "1.0.0", &[]), bad]
    };
    assert_eq!(solved(&request(&["lib"]), all()), Ok("lib 1.0.0 f32".into()));
    let refused = solved(&request(&["lib@=1.1.0"]), all()).unwrap_err();
    assert!(refused.contains("it was yanked: wrong licence"), "{refused}");
    let mut locked = request(&["lib"]);
    locked.locked.insert("lib".parse().unwrap(), Digest::of(b"lib 1.1.0 f32"));
    assert_eq!(solved(&locked, all()), Ok("lib 1.1.0 f32".into()));
}

#[test]
fn what_is_installed_stays_where_it_will_do() {
    let all = || {
        vec![
            candidate("lib", "1.0.0", &[]),
            candidate("lib", "1.2.0", &[]),
            candidate("app", "1.0.0", &["lib@^1"]),
            candidate("new", "1.0.0", &["lib@^1.2"]),
        ]
    };
    let mut kept = request(&["app"]);
    kept.preferred.insert("lib".parse().unwrap(), Digest::of(b"lib 1.0.0 f32"));
    assert_eq!(solved(&kept, all()), Ok("app 1.0.0 f32; lib 1.0.0 f32".into()));
    let mut forced = request(&["app", "new"]);
    forced.preferred = kept.preferred;
    assert_eq!(solved(&forced, all()), Ok("app 1.0.0 f32; lib 1.2.0 f32; new 1.0.0 f32".into()));
}

#[test]
fn the_explanation_says_who_needs_what() {
    let all = vec![
        candidate("lib", "1.0.0", &[]),
        candidate("lib", "2.0.0", &[]),
        candidate("app", "1.0.0", &["lib@^1"]),
        candidate("app", "1.1.0", &["lib@^1"]),
        candidate("new", "1.0.0", &["lib@^2"]),
        candidate("lost", "1.0.0", &["gone"]),
    ];
    let text = solved(&request(&["app", "new"]), all.clone()).unwrap_err();
    for part in ["app 1.0.0 and 1.1.0 need lib ^1", "new 1.0.0 needs lib ^2"] {
        assert!(text.contains(part), "{text}");
    }
    let text = solved(&request(&["lost"]), all.clone()).unwrap_err();
    assert!(text.contains("lost 1.0.0 needs gone, and no package is called gone"), "{text}");
    let text = solved(&request(&["lib@^3"]), all).unwrap_err();
    assert_eq!(text, "you ask for lib ^3, and there is only 2.0.0 and 1.0.0");
}

mod brute_force;
mod hostile;
mod messages;
