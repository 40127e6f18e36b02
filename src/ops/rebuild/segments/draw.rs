//! Which segments are checked (spec/checkpoints.md, "Drawing").

use super::Error;
use crate::build::checkpoints::Chain;
use crate::package::{Digest, PartName, Release};

/// What a draw begins with.
const BEGINNING: &str = "mpkg segments 1";

/// Which segments are to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These.
    These(Vec<Named>),
    /// So many, drawn with a seed.
    Drawn {
        /// How many.
        count: usize,
        /// The seed: any words.
        seed: String,
    },
}

/// A segment that somebody names, as in `2` or `train:2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The step; it may be left out where only one writes checkpoints.
    pub step: Option<PartName>,
    /// The number of the checkpoint that it goes on from; 0 is the beginning.
    pub number: usize,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "it is a number from 0 on, or a step and a number, as in train:2".to_owned();
        let (step, number) = match text.rsplit_once(':') {
            Some((step, number)) => (Some(step.parse().map_err(|_| wrong())?), number),
            None => (None, text),
        };
        Ok(Self { step, number: number.parse().map_err(|_| wrong())? })
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.step {
            Some(step) => write!(f, "{step}:{}", self.number),
            None => self.number.fmt(f),
        }
    }
}

/// A segment of one of the chains: the chain's place in their list, and its number.
pub(super) type Place = (usize, usize);

/// The segments of `chains` that are meant, in their order.
///
/// # Errors
/// [`Error::NoSegment`].
pub(super) fn choose(
    which: &Which,
    chains: &[Chain],
    release: &Release,
) -> Result<Vec<Place>, Error> {
    let mut chosen = match which {
        Which::These(named) => {
            named.iter().map(|one| find(one, chains, release)).collect::<Result<Vec<_>, _>>()?
        }
        Which::Drawn { count, seed } => drawn(*count, seed, chains),
    };
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

fn find(named: &Named, chains: &[Chain], release: &Release) -> Result<Place, Error> {
    let is_meant = |chain: &&Chain| match &named.step {
        Some(step) => chain.step == *step,
        None => chains.len() == 1,
    };
    let place = chains.iter().position(|chain| is_meant(&chain));
    match place.filter(|place| named.number < chains[*place].links.len()) {
        Some(place) => Ok((place, named.number)),
        None => Err(Error::NoSegment {
            release: Box::new(release.clone()),
            asked: named.to_string(),
            exists: in_words(chains),
        }),
    }
}

fn in_words(chains: &[Chain]) -> String {
    let one = |chain: &Chain| match (chains.len(), chain.links.len() - 1) {
        (1, last) => format!("0 to {last}"),
        (_, last) => format!("{step}:0 to {step}:{last}", step = chain.step),
    };
    let all: Vec<String> = chains.iter().map(one).collect();
    format!("there are {}; what follows the last checkpoint runs in every check", all.join(", "))
}

/// The `count` segments whose digests with the seed are the smallest.
fn drawn(count: usize, seed: &str, chains: &[Chain]) -> Vec<Place> {
    let mut all: Vec<(Digest, Place)> = Vec::new();
    for (place, chain) in chains.iter().enumerate() {
        let head = chain.head();
        for number in 0..chain.links.len() {
            let text = format!("{BEGINNING}\n{head} {number}\n{seed}\n");
            all.push((Digest::of(text.as_bytes()), (place, number)));
        }
    }
    all.sort_unstable_by_key(|(digest, place)| (*digest.as_bytes(), *place));
    all.into_iter().take(count).map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::checkpoints::Checkpoint;

    fn chain(step: &str, links: usize) -> Chain {
        let checkpoint = |number: usize| Checkpoint {
            path: format!("c/{number:04}.safetensors").parse().unwrap(),
            size: 1,
            sha256: Digest::of(&[1]),
            training_step: None,
        };
        let checkpoints: Vec<Checkpoint> = (0..links).map(checkpoint).collect();
        Chain::of(step.parse().unwrap(), Digest::of(b"inputs"), &checkpoints, None)
    }

    fn release() -> Release {
        Release { name: "x".parse().unwrap(), version: "1.0.0".parse().unwrap(), variant: None }
    }

    #[test]
    fn a_seed_draws_the_same_again_and_every_segment_at_times() {
        let chains = [chain("train", 4), chain("tune", 2)];
        let draw = |seed: &str, count| {
            let which = Which::Drawn { count, seed: seed.to_owned() };
            choose(&which, &chains, &release()).unwrap()
        };
        assert_eq!(draw("a", 2), draw("a", 2));
        assert_eq!(draw("a", 9).len(), 6, "all of them");
        let mut times = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let places = draw(&seed.to_string(), 1);
            *times.entry(places[0]).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 6);
        assert!(times.values().all(|count| (800..1200).contains(count)), "{times:?}");
    }

    #[test]
    fn segments_are_found_by_their_names() {
        let two = [chain("train", 4), chain("tune", 2)];
        let named = |text: &str| Which::These(vec![text.parse().unwrap()]);
        assert_eq!(choose(&named("tune:1"), &two, &release()).unwrap(), [(1, 1)]);
        assert_eq!(choose(&named("3"), &two[..1], &release()).unwrap(), [(0, 3)]);
        for wrong in ["3", "tune:2", "other:0"] {
            let error = choose(&named(wrong), &two, &release()).unwrap_err();
            assert!(matches!(error, Error::NoSegment { .. }), "{error}");
        }
        assert!("train:x".parse::<Named>().is_err());
    }
}
