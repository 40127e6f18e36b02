//! Universes that somebody made to keep a solver busy, or to fill its memory.

use super::*;

/// `pigeons` names that each need one of the same holes; two pigeons in one hole clash. With one
/// hole too few there is no answer, and showing that takes a number of steps that grows
/// exponentially.
fn pigeonholes(pigeons: usize) -> Vec<Candidate> {
    let holes = pigeons - 1;
    let mut all = vec![candidate(
        "root",
        "1.0.0",
        &(0..pigeons)
            .map(|pigeon| format!("pigeon{pigeon}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )];
    for pigeon in 0..pigeons {
        for hole in 0..holes {
            let place = format!("place-{hole}@={}.0.0", pigeon + 1);
            let name = format!("pigeon{pigeon}");
            all.push(candidate(&name, &format!("{}.0.0", hole + 1), &[&place]));
            all.push(candidate(&format!("place-{hole}"), &format!("{}.0.0", pigeon + 1), &[]));
        }
    }
    all
}

#[test]
fn an_exponential_universe_ends_in_an_error_of_its_own() {
    let request = request(&["root"]);
    let universe = Universe::of(&request, pigeonholes(12));
    let error = resolve(&universe, &request).unwrap_err();
    assert_eq!(error.to_string(), "no answer was found within 5240 rounds of search");
    assert_eq!(crate::explain::Explain::kind(&error), "too-hard");
    // What is small enough is explained as usual.
    let universe = Universe::of(&request, pigeonholes(6));
    assert!(matches!(resolve(&universe, &request), Err(Error::Unsolvable(_))));
}

#[test]
fn names_without_end_are_not_all_looked_up() {
    let request = request(&["n0"]);
    let mut asked = 0;
    let gathered: Result<Universe, Error> = Universe::gather(&request, &[], &mut |names| {
        asked += names.len();
        let listing = |name: &PackageName| {
            let number: u64 = name.as_str()[1..].parse().unwrap();
            let needs = (1..=10).map(|more| format!("n{}", number * 10 + more));
            let needs: Vec<String> = needs.collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let candidates = vec![candidate(name.as_str(), "1.0.0", &needs)];
            Listing { candidates, providers: Vec::new() }
        };
        Ok(names.iter().map(listing).collect())
    });
    let error = gathered.unwrap_err();
    assert_eq!(
        error.to_string(),
        "more than 50000 names could be needed, and so many are not looked at"
    );
    assert!(asked <= 50_000, "{asked} were looked up");
}

#[test]
fn a_long_chain_of_needs_is_no_trouble() {
    let mut all = Vec::new();
    for link in 0..1000 {
        all.push(candidate(&format!("n{link}"), "1.0.0", &[&format!("n{}", link + 1)]));
    }
    let request = request(&["n0"]);
    let text = solved(&request, all.clone()).unwrap_err();
    assert!(text.contains("n999 1.0.0 needs n1000, and no package is called n1000"), "{text}");
    all.push(candidate("n1000", "1.0.0", &["n0"]));
    assert_eq!(solved(&request, all).unwrap().split(';').count(), 1001);
}

/// Names beside a hard problem, which give a search more rounds and each of them more to do.
fn padding(count: usize) -> Vec<Candidate> {
    let pads: Vec<String> = (0..count).map(|pad| format!("pad{pad}")).collect();
    let needs: Vec<&str> = pads.iter().map(String::as_str).collect();
    let mut all: Vec<Candidate> = pads.iter().map(|pad| candidate(pad, "1.0.0", &[])).collect();
    all.push(candidate("padding", "1.0.0", &needs));
    all
}

#[test]
fn a_padded_universe_ends_as_well() {
    for wishes in [["root", "padding"], ["padding", "root"]] {
        let request = request(&wishes);
        let universe = Universe::of(&request, [pigeonholes(12), padding(200)].concat());
        let error = resolve(&universe, &request).unwrap_err();
        assert_eq!(crate::explain::Explain::kind(&error), "too-hard", "{error}");
    }
    // Padding alone has an answer.
    let request = request(&["padding"]);
    let universe = Universe::of(&request, padding(2_000));
    assert_eq!(resolve(&universe, &request).unwrap().len(), 2_001);
}
