//! Which of several answers is taken: a walk over what is needed, each need getting the first
//! release that some answer allows it.

use std::collections::{BTreeMap, BTreeSet};

use super::explain::{Conflict, Excluded, Why};
use super::solver::{Search, meets, providers_will_do, rounds_for};
use super::{Candidate, Error, Request, Universe, Wish};
use crate::package::{PackageName, VariantName};

/// A name and a variant of it.
type Variant = (PackageName, VariantName);

/// The first answer, in the order in which it was found.
///
/// # Errors
/// [`Error::Unsolvable`], [`Error::TooHard`].
pub(super) fn first<'a>(
    universe: &'a Universe,
    request: &'a Request,
) -> Result<Vec<&'a Candidate>, Error> {
    let mut search = Search::new(universe, request);
    let witness = search.any()?;
    let mut walk = Walk {
        universe,
        request,
        search,
        needs: Vec::new(),
        by_name: BTreeMap::new(),
        cursor: 0,
        fixed: Taken::default(),
        forks: Vec::new(),
        witness,
        unasked: BTreeMap::new(),
    };
    walk.need(request.in_order());
    walk.run()
}

/// A place to which the walk can go back.
struct Fork {
    cursor: usize,
    needs: usize,
    fixed: usize,
    /// The first option that was not tried.
    next: usize,
}

struct Walk<'a> {
    universe: &'a Universe,
    request: &'a Request,
    search: Search<'a>,
    /// Everything that is needed so far; those before `cursor` are met.
    needs: Vec<Wish>,
    /// The places of needs in `needs`.
    by_name: BTreeMap<PackageName, Vec<usize>>,
    cursor: usize,
    /// What is taken so far.
    fixed: Taken<'a>,
    forks: Vec<Fork>,
    /// An answer to the request that holds all of `fixed`.
    witness: Vec<&'a Candidate>,
    /// Variants that stood where nobody asks for them.
    unasked: BTreeMap<Variant, &'a Candidate>,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<Vec<&'a Candidate>, Error> {
        let mut start = 0;
        let (mut steps, most) = (0, rounds_for(self.universe));
        loop {
            steps += 1;
            if steps > most {
                return Err(Error::TooHard(most));
            }
            self.search.demand_time()?;
            if self.cursor == self.needs.len() {
                if self.every_variant_is_asked_for() {
                    return Ok(self.fixed.all);
                }
            } else if self.step(start)? {
                start = 0;
                continue;
            }
            match self.go_back() {
                Some(next) => start = next,
                None => return Err(self.no_answer()),
            }
        }
    }

    fn need(&mut self, wishes: impl IntoIterator<Item = Wish>) {
        for wish in wishes {
            self.by_name.entry(wish.name.clone()).or_default().push(self.needs.len());
            self.needs.push(wish);
        }
    }

    /// Meets the need at the cursor with the first option from `start` on that some answer
    /// allows; no where there is none.
    fn step(&mut self, start: usize) -> Result<bool, Error> {
        let need = &self.needs[self.cursor];
        if start == 0 && self.fixed.meets(need) {
            self.cursor += 1;
            return Ok(true);
        }
        let mut options = self.search.options(need);
        options.retain(|option| self.is_compatible(option));
        let mut place = if start == 0 { found_in(&options, &self.witness) } else { None };
        loop {
            let earlier = options.get(start..place.unwrap_or(options.len())).unwrap_or_default();
            if earlier.is_empty() {
                break;
            }
            let Some(witness) = self.search.complete(&self.fixed.all, earlier)? else { break };
            place = found_in(earlier, &witness).map(|place| start + place);
            self.witness = witness;
        }
        let Some(place) = place else { return Ok(false) };
        self.forks.push(Fork {
            cursor: self.cursor,
            needs: self.needs.len(),
            fixed: self.fixed.all.len(),
            next: place + 1,
        });
        let option = options[place];
        let mut wishes: Vec<Wish> = option.dependencies.iter().map(Wish::from).collect();
        wishes.sort_by_cached_key(|wish| (wish.name.clone(), wish.to_string()));
        self.need(wishes);
        self.fixed.push(option);
        self.cursor += 1;
        Ok(true)
    }

    /// Whether nothing that is taken or asked for already keeps `option` out. This looks only at
    /// what is plain to see; the search finds out the rest.
    fn is_compatible(&self, option: &Candidate) -> bool {
        let name = &option.release.name;
        let needs = self.by_name.get(name).into_iter().flatten().map(|place| &self.needs[*place]);
        let mut by_name = needs.filter(|need| !providers_will_do(need));
        by_name.all(|need| meets(option, need)) && self.fixed.agrees_with(option)
    }

    /// Goes back to the last place that has options left, and says which is the next.
    fn go_back(&mut self) -> Option<usize> {
        let fork = self.forks.pop()?;
        for (place, gone) in self.needs.drain(fork.needs..).enumerate() {
            if let Some(places) = self.by_name.get_mut(&gone.name) {
                places.retain(|known| *known != fork.needs + place);
            }
        }
        self.cursor = fork.cursor;
        self.fixed.truncate(fork.fixed);
        Some(fork.next)
    }

    /// Whether each variant that must be asked for is, by a wish or by what was taken.
    fn every_variant_is_asked_for(&mut self) -> bool {
        let mut all = true;
        for one in &self.fixed.all {
            let Some(variant) = &one.release.variant else { continue };
            let name = &one.release.name;
            let needs = self.by_name.get(name).into_iter().flatten();
            let mut needs = needs.map(|place| &self.needs[*place]);
            let is_asked = needs.any(|need| {
                need.variant.as_ref() == Some(variant) || need.exact == Some(one.digest)
            });
            if !is_asked && !self.request.holds(one) && self.universe.must_be_asked_for(one) {
                self.unasked.insert((name.clone(), variant.clone()), one);
                all = false;
            }
        }
        all
    }

    /// There are answers only with variants that nobody asks for.
    fn no_answer(&self) -> Error {
        let why = |one: &&Candidate| Excluded { release: one.release.clone(), why: Why::Variant };
        let excluded: BTreeSet<Excluded> = self.unasked.values().map(why).collect();
        let mut conflict =
            Conflict { excluded: excluded.into_iter().collect(), ..Conflict::default() };
        conflict.complete(self.universe);
        Error::Unsolvable(Box::new(conflict))
    }
}

/// Releases that are taken, so that one can be found among many thousands.
#[derive(Default)]
struct Taken<'a> {
    all: Vec<&'a Candidate>,
    by_name: BTreeMap<&'a PackageName, &'a Candidate>,
    /// The places in `all` of those that provide something.
    providing: Vec<usize>,
    /// The places of those that state conflicts.
    conflicting: Vec<usize>,
}

impl<'a> Taken<'a> {
    fn push(&mut self, one: &'a Candidate) {
        let place = self.all.len();
        if !one.provides.is_empty() {
            self.providing.push(place);
        }
        if !one.conflicts.is_empty() {
            self.conflicting.push(place);
        }
        self.by_name.insert(&one.release.name, one);
        self.all.push(one);
    }

    fn truncate(&mut self, length: usize) {
        for gone in self.all.drain(length..) {
            self.by_name.remove(&gone.release.name);
        }
        self.providing.retain(|place| *place < length);
        self.conflicting.retain(|place| *place < length);
    }

    /// Whether one of them meets `need`.
    fn meets(&self, need: &Wish) -> bool {
        self.by_name.get(&need.name).is_some_and(|one| meets(one, need))
            || self.providing.iter().any(|place| meets(self.all[*place], need))
    }

    /// Whether none is of the name of `option`, and none keeps it out or is kept out by it.
    fn agrees_with(&self, option: &Candidate) -> bool {
        let states_no_conflict = |place: &usize| !clash(self.all[*place], option);
        !self.by_name.contains_key(&option.release.name)
            && self.conflicting.iter().all(states_no_conflict)
            && (option.conflicts.is_empty() || self.all.iter().all(|one| !clash(option, one)))
    }
}

/// The first of `options` that stands in `witness`.
fn found_in(options: &[&Candidate], witness: &[&Candidate]) -> Option<usize> {
    options.iter().position(|option| witness.iter().any(|one| std::ptr::eq(*one, *option)))
}

/// Whether `one` states a conflict with `other`, by its name or by what it provides.
fn clash(one: &Candidate, other: &Candidate) -> bool {
    let is_other =
        |name: &PackageName| *name == other.release.name || other.provides.contains(name);
    one.release.name != other.release.name && one.conflicts.iter().any(is_other)
}
