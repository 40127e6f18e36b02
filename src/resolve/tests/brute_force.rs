//! Thousands of small random universes, solved a second time by trying everything.
//!
//! What an answer is, and which of several is the right one, is written down here anew: nothing of
//! the solver's own rules is used.

use super::*;

/// How many universes are tried; each is made of its own number as a seed.
const UNIVERSES: u64 = 10_000;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const VIRTUAL: [&str; 2] = ["v", "w"];
const VERSIONS: [&str; 6] = ["1.0.0", "1.0.0+1", "1.1.0", "2.0.0-rc.1", "2.0.0", "2.1.0-beta"];
const REQUIREMENTS: [&str; 7] =
    ["*", "^1", "^2", ">=1.1.0", "=1.0.0", "^2.0.0-rc.1", "=2.1.0-beta"];

/// Numbers that look random and are the same on every machine (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    fn wish(&mut self) -> Wish {
        if self.one_in(6) {
            return Wish::any(self.of(&VIRTUAL).parse().unwrap());
        }
        let name = self.of(&NAMES);
        let requirement = if self.one_in(2) { "*" } else { self.of(&REQUIREMENTS) };
        let variant = if self.one_in(8) { ":q8" } else { "" };
        format!("{name}@{requirement}{variant}").parse().unwrap()
    }

    fn candidates(&mut self) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = Vec::new();
        for _ in 0..5 + self.below(7) {
            let mut new = super::candidate(self.of(&NAMES), self.of(&VERSIONS), &[]);
            if self.one_in(3) {
                new = super::variant(new, "q8");
            }
            let name = new.release.name.clone();
            for _ in 0..self.below(5) / 2 {
                let wish = self.wish();
                if wish.name != name {
                    let Wish { name, requirement, variant, .. } = wish;
                    new.dependencies.push(Dependency { name, requirement, variant });
                }
            }
            new.dependencies.sort_by(|one, other| one.name.cmp(&other.name));
            new.dependencies.dedup_by(|one, other| one.name == other.name);
            if self.one_in(4) {
                new.provides.push(self.of(&VIRTUAL).parse().unwrap());
            }
            if self.one_in(5) {
                let list = if self.one_in(2) { &NAMES[..] } else { &VIRTUAL[..] };
                new.conflicts.push(self.of(list).parse().unwrap());
                new.conflicts.retain(|other| *other != name);
            }
            if self.one_in(8) {
                new.yanked = Some("a mistake".into());
            }
            if all.iter().all(|old| old.digest != new.digest) {
                all.push(new);
            }
        }
        all
    }

    fn request(&mut self, all: &[Candidate]) -> Request {
        let mut request = Request::default();
        for _ in 0..=self.below(2) {
            let mut wish = self.wish();
            if self.one_in(12) {
                let one = &all[self.below(all.len())];
                wish = Wish { exact: Some(one.digest), ..Wish::any(one.release.name.clone()) };
            }
            request.wishes.push(wish);
        }
        if self.one_in(3) {
            request.kept.push(self.wish());
        }
        for _ in 0..self.below(3) {
            let one = &all[self.below(all.len())];
            request.preferred.insert(one.release.name.clone(), one.digest);
        }
        if self.one_in(5) {
            let one = &all[self.below(all.len())];
            // Sometimes the lock file pins what is no longer there.
            let digest = if self.one_in(4) { Digest::of(b"gone") } else { one.digest };
            request.locked.insert(one.release.name.clone(), digest);
        }
        request
    }
}

/// Everything tried: the rules of spec/resolving.md, read off the page.
struct BruteForce<'a> {
    all: &'a [Candidate],
    request: &'a Request,
}

impl<'a> BruteForce<'a> {
    fn meets(one: &Candidate, wish: &Wish) -> bool {
        if one.release.name != wish.name {
            let is_plain = wish.exact.is_none()
                && wish.variant.is_none()
                && wish.requirement == Requirement::any();
            return is_plain && one.provides.contains(&wish.name);
        }
        if let Some(digest) = wish.exact {
            return one.digest == digest;
        }
        let right_variant = wish.variant.is_none() || wish.variant == one.release.variant;
        right_variant && wish.requirement.matches(&one.release.version)
    }

    fn is_held(&self, one: &Candidate) -> bool {
        let name = &one.release.name;
        self.request.locked.get(name) == Some(&one.digest)
            || self.request.preferred.get(name) == Some(&one.digest)
    }

    fn is_allowed(&self, one: &Candidate) -> bool {
        let locked = self.request.locked.get(&one.release.name);
        locked.is_none_or(|digest| *digest == one.digest)
            && (one.yanked.is_none() || self.is_held(one))
    }

    /// Its place among what meets `wish`: lower is better.
    fn rank(&self, one: &Candidate, wish: &Wish) -> impl Ord + use<> {
        let preferred = self.request.preferred.get(&one.release.name);
        let is_preferred = |other: &Candidate| {
            Some(&other.digest) == preferred && self.is_allowed(other) && Self::meets(other, wish)
        };
        let same_name = |other: &&Candidate| other.release.name == one.release.name;
        (
            !self.all.iter().filter(same_name).any(is_preferred),
            one.release.name != wish.name,
            one.release.name.clone(),
            !is_preferred(one),
            std::cmp::Reverse(one.release.version.clone()),
            !one.default_variant,
            one.release.variant.clone(),
            one.digest,
        )
    }

    /// What of `set` is needed, in the order in which it is found, each with its place among all
    /// that meet the same need; nothing where a need is not met.
    fn needed(&self, set: &[&'a Candidate]) -> Option<(Vec<&'a Candidate>, Vec<usize>)> {
        let sorted = |list: &[Wish]| {
            let mut list = list.to_vec();
            list.sort_by_key(|wish| (wish.name.clone(), wish.to_string(), wish.exact));
            list
        };
        let mut needs = [sorted(&self.request.wishes), sorted(&self.request.kept)].concat();
        let (mut reached, mut places, mut next) = (Vec::<&Candidate>::new(), Vec::new(), 0);
        while let Some(need) = needs.get(next).cloned() {
            next += 1;
            if reached.iter().any(|one| Self::meets(one, &need)) {
                continue;
            }
            let mut options: Vec<&Candidate> =
                self.all.iter().filter(|one| Self::meets(one, &need)).collect();
            options.sort_by_key(|one| self.rank(one, &need));
            let place = options.iter().position(|one| set.iter().any(|it| it.digest == one.digest));
            let one = options[place?];
            places.push(place?);
            let mut more: Vec<Wish> = one.dependencies.iter().map(Wish::from).collect();
            more.sort_by_key(|wish| (wish.name.clone(), wish.to_string()));
            needs.extend(more);
            reached.push(one);
        }
        Some((reached, places))
    }

    fn clash(one: &Candidate, other: &Candidate) -> bool {
        let hits =
            |name: &PackageName| *name == other.release.name || other.provides.contains(name);
        one.release.name != other.release.name && one.conflicts.iter().any(hits)
    }

    /// Whether a variant that is not the default one is there because somebody asks for it.
    fn variant_is_asked_for(&self, one: &Candidate, set: &[&Candidate]) -> bool {
        let twin = |other: &Candidate| {
            other.release.name == one.release.name
                && other.release.version == one.release.version
                && other.release.variant != one.release.variant
        };
        if one.default_variant || self.is_held(one) || !self.all.iter().any(twin) {
            return true;
        }
        let names = |wish: &Wish| {
            wish.name == one.release.name
                && (wish.variant == one.release.variant || wish.exact == Some(one.digest))
        };
        let wishes = self.request.wishes.iter().chain(&self.request.kept);
        wishes.into_iter().any(names)
            || set.iter().flat_map(|other| &other.dependencies).any(|need| names(&need.into()))
    }

    /// Its releases by their places of preference, where `set` is an answer without a superfluous
    /// release.
    fn judge(&self, set: &[&'a Candidate]) -> Option<Vec<usize>> {
        let (reached, places) = self.needed(set)?;
        let is_answer = reached.len() == set.len()
            && set.iter().all(|one| self.is_allowed(one) && self.variant_is_asked_for(one, set))
            && set.iter().all(|one| set.iter().all(|other| !Self::clash(one, other)));
        is_answer.then_some(places)
    }

    /// The best answer, as the digests of its releases.
    fn best(&self) -> Option<BTreeSet<Digest>> {
        let mut best: Option<(Vec<usize>, BTreeSet<Digest>)> = None;
        let mut sets: Vec<Vec<&Candidate>> = vec![Vec::new()];
        for name in NAMES {
            let releases = self.all.iter().filter(|one| one.release.name.as_str() == name);
            let releases: Vec<&Candidate> = releases.collect();
            let with = |set: &Vec<&'a Candidate>| {
                releases.iter().map(|one| [set.clone(), vec![*one]].concat()).collect::<Vec<_>>()
            };
            sets.extend(sets.iter().flat_map(with).collect::<Vec<_>>());
        }
        for set in sets {
            let Some(places) = self.judge(&set) else { continue };
            if best.as_ref().is_none_or(|(known, _)| places < *known) {
                best = Some((places, set.iter().map(|one| one.digest).collect()));
            }
        }
        best.map(|(_, digests)| digests)
    }
}

fn digests(answer: &Result<Vec<Chosen>, Error>) -> Option<BTreeSet<Digest>> {
    let chosen = answer.as_ref().ok()?;
    Some(chosen.iter().map(|chosen| chosen.candidate.digest).collect())
}

/// The message of an answer that is none.
fn message(answer: &Result<Vec<Chosen>, Error>) -> Option<String> {
    answer.as_ref().err().map(ToString::to_string)
}

#[test]
fn the_best_answer_exactly_where_there_is_one() {
    let mut solved = 0;
    for seed in 0..UNIVERSES {
        let mut dice = Dice(seed);
        let mut all = dice.candidates();
        let mut request = dice.request(&all);
        let best = BruteForce { all: &all, request: &request }.best();
        let answer = resolve(&Universe::of(&request, all.clone()), &request);
        assert_eq!(digests(&answer), best, "seed {seed}: {request:#?}\n{all:#?}\n{answer:#?}");
        solved += u64::from(answer.is_ok());
        dice.shuffle(&mut all);
        dice.shuffle(&mut request.wishes);
        let again = resolve(&Universe::of(&request, all.clone()), &request);
        assert_eq!(digests(&again), best, "seed {seed}, shuffled");
        assert_eq!(message(&again), message(&answer), "seed {seed}, shuffled");
        if let Err(error) = answer {
            assert!(matches!(error, Error::Unsolvable(_)), "seed {seed}: {error}");
        }
    }
    // Both kinds must be there in numbers, or the test shows nothing.
    assert!((UNIVERSES / 5..UNIVERSES * 4 / 5).contains(&solved), "{solved} were solved");
}
