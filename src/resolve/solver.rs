//! The one file that names the solver library: turns a request into its terms and back.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use resolvo::conflict::{ConflictCause, ConflictEdge, ConflictNode};
use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    Interner, KnownDependencies, NameId, Problem, SolvableId, Solver, SolverCache, StringId,
    UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::explain::{Asker, Clash, Conflict, Excluded, Need, Why};
use super::{Candidate, Error, Request, Universe, Wish};
use crate::package::{Digest, PackageName, Requirement};

/// How many rounds of search are allowed at least: a count, not a time, so that every machine
/// agrees.
const FEWEST_ROUNDS: u64 = 5_000;
/// How many more are allowed for each name.
const ROUNDS_A_NAME: u64 = 10;
/// How many are allowed at most.
const MOST_ROUNDS: u64 = 100_000;

/// The longest that a search takes. Whoever comes near it has a universe that was made to be hard:
/// rounds end the others, and do so alike on every machine. So time never decides which answer
/// there is, only that there is none.
const LONGEST: Duration = Duration::from_secs(30);

/// How many rounds of search are allowed over `universe`.
pub(super) fn rounds_for(universe: &Universe) -> u64 {
    let names = universe.packages().count() as u64;
    (FEWEST_ROUNDS + ROUNDS_A_NAME * names).min(MOST_ROUNDS)
}

/// Which candidates of one name will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Spec {
    Wished(Wish),
    Providing(PackageName),
    NotProviding(PackageName),
    Among(Rc<[Digest]>),
    Nothing,
}

/// A place in [`Provider::candidates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place(usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl VersionSet for Spec {
    type V = Place;
}

/// Whether `wish` can be met by a package that only provides its name: a provided name has no
/// version and no variant.
pub(super) fn providers_will_do(wish: &Wish) -> bool {
    wish.requirement == Requirement::any() && wish.variant.is_none() && wish.exact.is_none()
}

/// Whether `candidate` meets `wish`, by its name or by what it provides.
pub(super) fn meets(candidate: &Candidate, wish: &Wish) -> bool {
    if candidate.release.name != wish.name {
        return providers_will_do(wish) && candidate.provides.contains(&wish.name);
    }
    match wish.exact {
        // Whoever names the very package asks for it, also where it is a pre-release.
        Some(digest) => digest == candidate.digest,
        None => {
            wish.requirement.matches(&candidate.release.version)
                && (wish.variant.is_none() || candidate.release.variant == wish.variant)
        }
    }
}

struct Provider<'a> {
    universe: &'a Universe,
    request: &'a Request,
    pool: Pool<Spec, PackageName>,
    candidates: Vec<&'a Candidate>,
    by_name: BTreeMap<&'a PackageName, Vec<SolvableId>>,
    rounds: Cell<u64>,
    most_rounds: u64,
    began: Instant,
}

impl<'a> Provider<'a> {
    fn new(universe: &'a Universe, request: &'a Request) -> Self {
        let pool = Pool::default();
        let mut candidates = Vec::new();
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, releases) in universe.packages() {
            let id = pool.intern_package_name(name);
            for candidate in releases {
                let solvable = pool.intern_solvable(id, Place(candidates.len()));
                candidates.push(candidate);
                by_name.entry(name).or_default().push(solvable);
            }
        }
        let (rounds, most_rounds) = (Cell::new(0), rounds_for(universe));
        let began = Instant::now();
        Self { universe, request, pool, candidates, by_name, rounds, most_rounds, began }
    }

    fn candidate(&self, solvable: SolvableId) -> &'a Candidate {
        self.candidates[self.pool.resolve_solvable(solvable).record.0]
    }

    fn place(&self, solvable: SolvableId) -> usize {
        self.pool.resolve_solvable(solvable).record.0
    }

    fn set(&self, name: &PackageName, spec: Spec) -> VersionSetId {
        self.pool.intern_version_set(self.pool.intern_package_name(name), spec)
    }

    /// `wish` in the solver's terms: its own name first, then those that provide it, the
    /// preferred ones before the others.
    fn requirement(&self, wish: &Wish) -> ConditionalRequirement {
        let own = self.set(&wish.name, Spec::Wished(wish.clone()));
        if !providers_will_do(wish) {
            return own.into();
        }
        let set = |name: &&PackageName| match **name == wish.name {
            true => own,
            false => self.set(name, Spec::Providing(wish.name.clone())),
        };
        let names = self.names_for(wish);
        let sets: Vec<VersionSetId> = names.iter().map(set).collect();
        self.union(&sets)
    }

    fn union(&self, sets: &[VersionSetId]) -> ConditionalRequirement {
        match sets {
            [only] => (*only).into(),
            _ => self.pool.intern_version_set_union(sets[0], sets[1..].iter().copied()).into(),
        }
    }

    /// The names whose releases can meet `wish`, in the order in which they are tried: those of
    /// which a preferred release will do, then the name itself, then those that provide it.
    fn names_for<'n>(&self, wish: &'n Wish) -> Vec<&'n PackageName>
    where
        'a: 'n,
    {
        let mut names = vec![&wish.name];
        if providers_will_do(wish) {
            names.extend(self.universe.providers(&wish.name).filter(|name| **name != wish.name));
        }
        let preferred = |name: &PackageName| {
            let digest = self.request.preferred.get(name)?;
            let candidate = self.universe.find(name, *digest)?;
            (meets(candidate, wish) && self.why_excluded(candidate).is_none()).then_some(())
        };
        names.sort_by_key(|name| (preferred(name).is_none(), **name != wish.name, *name));
        names
    }

    /// The releases that meet `wish` and may be chosen, in the order in which they are tried.
    fn options(&self, wish: &Wish) -> Vec<&'a Candidate> {
        let mut options = Vec::new();
        for name in self.names_for(wish) {
            let fits = |one: &&Candidate| meets(one, wish) && self.why_excluded(one).is_none();
            let begin = options.len();
            options.extend(self.universe.releases(name).iter().filter(fits));
            let preferred = self.request.preferred.get(name);
            let is_preferred = |one: &&Candidate| Some(&one.digest) == preferred;
            if let Some(place) = options[begin..].iter().position(is_preferred) {
                options[begin..=begin + place].rotate_right(1);
            }
        }
        options
    }

    /// In the solver's terms: one of `options`.
    fn among(&self, options: &[&Candidate]) -> ConditionalRequirement {
        let mut by_name: BTreeMap<&PackageName, Vec<Digest>> = BTreeMap::new();
        for option in options {
            by_name.entry(&option.release.name).or_default().push(option.digest);
        }
        let sets: Vec<VersionSetId> = by_name
            .into_iter()
            .map(|(name, digests)| self.set(name, Spec::Among(digests.into())))
            .collect();
        self.union(&sets)
    }

    /// The conflicts of `candidate`: no release of that name, and no other package that provides it.
    fn constraints(&self, candidate: &Candidate) -> Vec<VersionSetId> {
        let own = &candidate.release.name;
        let mut sets = Vec::new();
        for name in &candidate.conflicts {
            if name != own {
                sets.push(self.set(name, Spec::Nothing));
            }
            for provider in self.universe.providers(name).filter(|other| *other != own) {
                if provider != name {
                    sets.push(self.set(provider, Spec::NotProviding(name.clone())));
                }
            }
        }
        sets
    }

    fn why_excluded(&self, candidate: &Candidate) -> Option<Why> {
        if let Some(kept) = self.request.locked.get(&candidate.release.name) {
            return (*kept != candidate.digest).then_some(Why::Locked(*kept));
        }
        if self.request.holds(candidate) {
            return None;
        }
        match &candidate.yanked {
            Some(reason) => Some(Why::Yanked(reason.clone())),
            None => (!self.universe.variant_is_eligible(candidate)).then_some(Why::Variant),
        }
    }
}

impl Interner for Provider<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl fmt::Display + '_ {
        &self.candidate(solvable).release
    }

    fn display_name(&self, name: NameId) -> impl fmt::Display + '_ {
        self.pool.resolve_package_name(name)
    }

    fn display_version_set(&self, set: VersionSetId) -> impl fmt::Display + '_ {
        format!("{:?}", self.pool.resolve_version_set(set))
    }

    fn display_string(&self, string: StringId) -> impl fmt::Display + '_ {
        self.pool.resolve_string(string)
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        self.pool.resolve_version_set_package_name(set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}

impl DependencyProvider for Provider<'_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let spec = self.pool.resolve_version_set(set);
        let will_do = |candidate: &Candidate| match spec {
            Spec::Wished(wish) => meets(candidate, wish),
            Spec::Providing(name) => candidate.provides.contains(name),
            Spec::NotProviding(name) => !candidate.provides.contains(name),
            Spec::Among(digests) => digests.contains(&candidate.digest),
            Spec::Nothing => false,
        };
        let keep = |solvable: &&SolvableId| will_do(self.candidate(**solvable)) != inverse;
        candidates.iter().filter(keep).copied().collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let name = self.pool.resolve_package_name(name);
        let candidates = self.by_name.get(name)?.clone();
        let preferred = self.request.preferred.get(name);
        let is_preferred = |id: &SolvableId| Some(&self.candidate(*id).digest) == preferred;
        let excluded = candidates
            .iter()
            .filter_map(|id| {
                self.why_excluded(self.candidate(*id))?;
                Some((*id, self.pool.intern_string("excluded")))
            })
            .collect();
        Some(Candidates {
            favored: candidates.iter().copied().find(is_preferred),
            locked: None,
            hint_dependencies_available: resolvo::HintDependenciesAvailable::None,
            excluded,
            candidates,
            allow_multiple: false,
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        // The universe holds them in the order in which they are to be tried.
        solvables.sort_by_key(|id| self.place(*id));
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let candidate = self.candidate(solvable);
        Dependencies::Known(KnownDependencies {
            requirements: candidate
                .dependencies
                .iter()
                .map(|need| self.requirement(&need.into()))
                .collect(),
            constrains: self.constraints(candidate),
        })
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.rounds.set(self.rounds.get() + 1);
        let is_over = self.rounds.get() > self.most_rounds || self.began.elapsed() > LONGEST;
        is_over.then(|| Box::new(()) as Box<dyn Any>)
    }
}

/// A search for answers to one request; what was found out is kept from one look to the next.
pub(super) struct Search<'a> {
    solver: Solver<Provider<'a>>,
    wishes: Vec<Wish>,
}

impl<'a> Search<'a> {
    pub(super) fn new(universe: &'a Universe, request: &'a Request) -> Self {
        Self { solver: Solver::new(Provider::new(universe, request)), wishes: request.in_order() }
    }

    /// That the search was given up: after too many rounds, or after too long a time.
    fn too_hard(&self) -> Error {
        let Provider { rounds, most_rounds, .. } = self.solver.provider();
        match rounds.get() > *most_rounds {
            true => Error::TooHard(*most_rounds),
            false => Error::TooSlow(LONGEST.as_secs()),
        }
    }

    /// Demands that there is time left.
    ///
    /// # Errors
    /// [`Error::TooSlow`].
    pub(super) fn demand_time(&self) -> Result<(), Error> {
        match self.solver.provider().began.elapsed() > LONGEST {
            true => Err(Error::TooSlow(LONGEST.as_secs())),
            false => Ok(()),
        }
    }

    /// The releases that meet `wish` and may be chosen, in the order in which they are tried.
    pub(super) fn options(&self, wish: &Wish) -> Vec<&'a Candidate> {
        self.solver.provider().options(wish)
    }

    /// Releases that meet the request together and hold all of `fixed` and one of `options`; none
    /// where there are no such releases. Where nothing is fixed and no option is named, any will
    /// do.
    ///
    /// # Errors
    /// [`Error::TooHard`].
    pub(super) fn complete(
        &mut self,
        fixed: &[&'a Candidate],
        options: &[&'a Candidate],
    ) -> Result<Option<Vec<&'a Candidate>>, Error> {
        match self.solve(fixed, options) {
            Ok(found) => Ok(Some(found)),
            Err(UnsolvableOrCancelled::Unsolvable(_)) => Ok(None),
            Err(UnsolvableOrCancelled::Cancelled(_)) => Err(self.too_hard()),
        }
    }

    /// Any releases that meet the request together, or else what stands in their way.
    ///
    /// # Errors
    /// [`Error::Unsolvable`], [`Error::TooHard`].
    pub(super) fn any(&mut self) -> Result<Vec<&'a Candidate>, Error> {
        match self.solve(&[], &[]) {
            Ok(found) => Ok(found),
            Err(UnsolvableOrCancelled::Cancelled(_)) => Err(self.too_hard()),
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                let graph = conflict.graph(&self.solver);
                Err(Error::Unsolvable(Box::new(facts(self.solver.provider(), &graph))))
            }
        }
    }

    fn solve(
        &mut self,
        fixed: &[&Candidate],
        options: &[&Candidate],
    ) -> Result<Vec<&'a Candidate>, UnsolvableOrCancelled> {
        let provider = self.solver.provider();
        let mut requirements: Vec<ConditionalRequirement> =
            self.wishes.iter().map(|wish| provider.requirement(wish)).collect();
        requirements.extend(fixed.iter().map(|one| provider.among(&[one])));
        if !options.is_empty() {
            requirements.push(provider.among(options));
        }
        let found = self.solver.solve(Problem::new().requirements(requirements))?;
        Ok(found.into_iter().map(|id| self.solver.provider().candidate(id)).collect())
    }
}

/// What stands in the way, out of the solver's graph, in a fixed order.
fn facts(provider: &Provider<'_>, conflict: &resolvo::conflict::ConflictGraph) -> Conflict {
    let graph = &conflict.graph;
    let mut facts = Conflict::default();
    let candidate = |id: &SolvableId| provider.candidate(*id).clone();
    for edge in graph.edge_indices() {
        let (Some((from, to)), Some(weight)) =
            (graph.edge_endpoints(edge), graph.edge_weight(edge))
        else {
            continue;
        };
        let asker = match &graph[from] {
            ConflictNode::Solvable(id) => Asker::Release(candidate(id).release),
            _ => Asker::User,
        };
        match (weight, &graph[to]) {
            (ConflictEdge::Requires(requirement), to) => {
                let Some(wish) = wish_of(provider, *requirement) else { continue };
                let offer = match to {
                    ConflictNode::Solvable(id) => Some(candidate(id).release),
                    _ => None,
                };
                facts.add_need(asker, wish, offer);
            }
            (ConflictEdge::Conflict(ConflictCause::Constrains(_)), ConflictNode::Solvable(id)) => {
                facts.clashes.push(Clash { asker, with: candidate(id).release });
            }
            (ConflictEdge::Conflict(ConflictCause::Excluded), ConflictNode::Excluded(_)) => {
                if let ConflictNode::Solvable(id) = &graph[from]
                    && let Some(why) = provider.why_excluded(provider.candidate(*id))
                {
                    facts.excluded.push(Excluded { release: candidate(id).release, why });
                }
            }
            _ => {}
        }
    }
    facts.complete(provider.universe);
    facts
}

fn wish_of(provider: &Provider<'_>, requirement: resolvo::Requirement) -> Option<Wish> {
    let wish = |set: VersionSetId| match provider.pool.resolve_version_set(set) {
        Spec::Wished(wish) => Some(wish.clone()),
        _ => None,
    };
    match requirement {
        resolvo::Requirement::Single(set) => wish(set),
        resolvo::Requirement::Union(union) => {
            provider.pool.resolve_version_set_union(union).find_map(wish)
        }
    }
}

impl From<&Need> for Wish {
    fn from(need: &Need) -> Self {
        need.wish.clone()
    }
}
