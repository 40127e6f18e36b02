//! The one file that names the solver library: turns a request into its terms and back.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use resolvo::conflict::{ConflictCause, ConflictEdge, ConflictNode};
use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    Interner, KnownDependencies, NameId, Problem, SolvableId, Solver, SolverCache, StringId,
    UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::explain::{Asker, Clash, Conflict, Excluded, Need};
use super::{Candidate, Error, Request, Universe, Wish};
use crate::package::{PackageName, Requirement};

/// How many rounds of search are allowed: a count, not a time, so that every machine agrees.
const MOST_ROUNDS: u64 = 2_000_000;

/// Which candidates of one name will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Spec {
    Wished(Wish),
    Providing(PackageName),
    NotProviding(PackageName),
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
fn providers_will_do(wish: &Wish) -> bool {
    wish.requirement == Requirement::any() && wish.variant.is_none() && wish.exact.is_none()
}

/// Whether `candidate` meets `wish`, by its name or by what it provides.
pub(super) fn meets(candidate: &Candidate, wish: &Wish) -> bool {
    if candidate.release.name != wish.name {
        return providers_will_do(wish) && candidate.provides.contains(&wish.name);
    }
    wish.requirement.matches(&candidate.release.version)
        && (wish.variant.is_none() || candidate.release.variant == wish.variant)
        && wish.exact.is_none_or(|digest| digest == candidate.digest)
}

struct Provider<'a> {
    universe: &'a Universe,
    request: &'a Request,
    pool: Pool<Spec, PackageName>,
    candidates: Vec<&'a Candidate>,
    by_name: BTreeMap<&'a PackageName, Vec<SolvableId>>,
    rounds: Cell<u64>,
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
        Self { universe, request, pool, candidates, by_name, rounds: Cell::new(0) }
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
        let mut providers: Vec<&PackageName> =
            self.universe.providers(&wish.name).filter(|name| **name != wish.name).collect();
        if providers.is_empty() {
            return own.into();
        }
        let preferred = |name: &PackageName| {
            let digest = self.request.preferred.get(name)?;
            self.universe.find(name, *digest).filter(|candidate| meets(candidate, wish))
        };
        providers.sort_by_key(|name| (preferred(name).is_none(), *name));
        let providing = |name: &&PackageName| self.set(name, Spec::Providing(wish.name.clone()));
        let mut sets: Vec<VersionSetId> = providers.iter().map(providing).collect();
        let first = providers.first().and_then(|name| preferred(name));
        let own_place = usize::from(first.is_some() && preferred(&wish.name).is_none());
        sets.insert(own_place, own);
        self.pool.intern_version_set_union(sets[0], sets[1..].iter().copied()).into()
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

    fn why_excluded(&self, candidate: &Candidate) -> Option<String> {
        let held = |map: &BTreeMap<PackageName, crate::package::Digest>| {
            map.get(&candidate.release.name) == Some(&candidate.digest)
        };
        if held(&self.request.locked) || held(&self.request.preferred) {
            return None;
        }
        if let Some(reason) = &candidate.yanked {
            return Some(match reason.as_str() {
                "" => "it was yanked".to_owned(),
                reason => format!("it was yanked: {}", crate::explain::printable(reason)),
            });
        }
        (!self.universe.variant_is_eligible(candidate))
            .then(|| "it is not the default variant and nobody asks for it".to_owned())
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
            Spec::Nothing => false,
        };
        let keep = |solvable: &&SolvableId| will_do(self.candidate(**solvable)) != inverse;
        candidates.iter().filter(keep).copied().collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let name = self.pool.resolve_package_name(name);
        let candidates = self.by_name.get(name)?.clone();
        let with_digest = |map: &BTreeMap<PackageName, crate::package::Digest>| {
            let digest = map.get(name)?;
            candidates.iter().copied().find(|id| self.candidate(*id).digest == *digest)
        };
        let excluded = candidates
            .iter()
            .filter_map(|id| {
                let why = self.why_excluded(self.candidate(*id))?;
                Some((*id, self.pool.intern_string(why)))
            })
            .collect();
        Some(Candidates {
            favored: with_digest(&self.request.preferred),
            locked: with_digest(&self.request.locked),
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
        (self.rounds.get() > MOST_ROUNDS).then(|| Box::new(()) as Box<dyn Any>)
    }
}

/// The candidates that meet `request` together.
pub(super) fn solve<'a>(
    universe: &'a Universe,
    request: &'a Request,
) -> Result<Vec<&'a Candidate>, Error> {
    let provider = Provider::new(universe, request);
    let requirements =
        request.wishes.iter().chain(&request.kept).map(|wish| provider.requirement(wish)).collect();
    let problem = Problem::new().requirements(requirements);
    let mut solver = Solver::new(provider);
    match solver.solve(problem) {
        Ok(solvables) => {
            Ok(solvables.into_iter().map(|id| solver.provider().candidate(id)).collect())
        }
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(Error::TooHard(MOST_ROUNDS)),
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let graph = conflict.graph(&solver);
            Err(Error::Unsolvable(Box::new(facts(solver.provider(), &graph, universe))))
        }
    }
}

/// What stands in the way, out of the solver's graph, in a fixed order.
fn facts(
    provider: &Provider<'_>,
    conflict: &resolvo::conflict::ConflictGraph,
    universe: &Universe,
) -> Conflict {
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
            (ConflictEdge::Conflict(ConflictCause::Locked(kept)), ConflictNode::Solvable(id)) => {
                facts.locked.push((candidate(kept).release, candidate(id).release));
            }
            (ConflictEdge::Conflict(ConflictCause::Excluded), ConflictNode::Excluded(why)) => {
                if let Asker::Release(release) = asker {
                    let why = provider.pool.resolve_string(*why).to_owned();
                    facts.excluded.push(Excluded { release, why });
                }
            }
            _ => {}
        }
    }
    facts.complete(universe);
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
