//! Sums over the elements of two tensors, from which distances follow. Every sum has a fixed
//! order, so that distances do not depend on how many threads there are.

use super::lanes::{LANES, LaneSums, take_in};

/// How many elements are read at a time: small enough to stay in the nearest cache.
pub(super) const TILE: usize = 1024;

/// The sums of a tensor or a part of it. Elements that are NaN or infinite in either are counted
/// and left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    first: f64,
    second: f64,
    product: f64,
    difference: f64,
    /// The largest absolute difference.
    pub(super) max_abs: f64,
    /// How many elements have another value.
    pub(super) changed: u64,
    /// How many elements are NaN or infinite in either.
    pub(super) odd: u64,
    /// How many of these are not the same in both.
    pub(super) odd_changed: u64,
}

/// The elements of both tensors at one place, with their differences.
pub(super) struct Tile {
    pub(super) first: [f64; TILE],
    pub(super) second: [f64; TILE],
    pub(super) difference: [f64; TILE],
}

impl Tile {
    pub(super) const fn new() -> Self {
        Self { first: [0.0; TILE], second: [0.0; TILE], difference: [0.0; TILE] }
    }

    /// The differences, where they follow from the elements as these are.
    #[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
    #[inline(always)]
    pub(super) fn subtract(&mut self, length: usize) {
        let both = self.first[..length].iter().zip(&self.second[..length]);
        for (difference, (one, other)) in self.difference[..length].iter_mut().zip(both) {
            *difference = one - other;
        }
    }
}

impl Sums {
    /// Takes in the first `length` elements of `tile`.
    #[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
    #[inline(always)]
    pub(super) fn take(&mut self, tile: &mut Tile, length: usize) {
        if !is_finite(&tile.first[..length]) || !is_finite(&tile.second[..length]) {
            self.set_odd_aside(tile, length);
        }
        let rest = length.next_multiple_of(LANES);
        for values in [&mut tile.first, &mut tile.second, &mut tile.difference] {
            values[length..rest].fill(0.0);
        }
        let (first, _) = tile.first[..rest].as_chunks::<LANES>();
        let (second, _) = tile.second[..rest].as_chunks::<LANES>();
        let (difference, _) = tile.difference[..rest].as_chunks::<LANES>();
        let mut sums = [[0.0; LANES]; 6];
        for ((one, other), delta) in first.iter().zip(second).zip(difference) {
            for lane in 0..LANES {
                take_in(&mut sums, lane, one[lane], other[lane], delta[lane]);
            }
        }
        self.take_lanes(&sums);
    }

    /// Takes in the sums of a tile.
    pub(super) fn take_lanes(&mut self, sums: &LaneSums) {
        let sum = |place: usize| sums[place].iter().sum::<f64>();
        self.first += sum(0);
        self.second += sum(1);
        self.product += sum(2);
        self.difference += sum(3);
        self.changed += whole(sum(4));
        self.max_abs = sums[5].iter().copied().fold(self.max_abs, f64::max);
    }

    /// Counts what is NaN or infinite, and puts zeros in its place.
    fn set_odd_aside(&mut self, tile: &mut Tile, length: usize) {
        for place in 0..length {
            let (one, other) = (tile.first[place], tile.second[place]);
            if one.is_finite() && other.is_finite() {
                continue;
            }
            self.odd += 1;
            let same = one.is_nan() && other.is_nan()
                || one.is_infinite() && one.to_bits() == other.to_bits();
            if !same {
                self.odd_changed += 1;
                self.changed += 1;
            }
            (tile.first[place], tile.second[place], tile.difference[place]) = (0.0, 0.0, 0.0);
        }
    }

    /// Adds the sums of the part that follows.
    pub(super) fn add(&mut self, other: &Self) {
        self.first += other.first;
        self.second += other.second;
        self.product += other.product;
        self.difference += other.difference;
        self.max_abs = self.max_abs.max(other.max_abs);
        self.changed += other.changed;
        self.odd += other.odd;
        self.odd_changed += other.odd_changed;
    }

    /// Whether the sums are finite: squares of the largest numbers are not.
    pub(super) fn is_measured(&self) -> bool {
        [self.first, self.second, self.product, self.difference].iter().all(|sum| sum.is_finite())
    }

    /// The length of the difference over the length of the first; there is none where the first
    /// is all zeros and the second is not.
    pub(super) fn relative_l2(&self) -> Option<f64> {
        if self.difference == 0.0 {
            return Some(0.0);
        }
        let ratio = self.difference.sqrt() / self.first.sqrt();
        ratio.is_finite().then_some(ratio)
    }

    /// The cosine: 1 where both are all zeros, 0 where one is.
    pub(super) fn cosine(&self) -> f64 {
        if self.difference == 0.0 {
            return 1.0;
        }
        if self.first == 0.0 || self.second == 0.0 {
            return 0.0;
        }
        (self.product / (self.first.sqrt() * self.second.sqrt())).clamp(-1.0, 1.0)
    }
}

#[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
#[inline(always)]
fn is_finite(values: &[f64]) -> bool {
    values.iter().fold(true, |finite, value| finite & value.is_finite())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of at most TILE elements"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(first: &[f64], second: &[f64]) -> Sums {
        let mut tile = Tile::new();
        tile.first[..first.len()].copy_from_slice(first);
        tile.second[..second.len()].copy_from_slice(second);
        tile.subtract(first.len());
        let mut sums = Sums::default();
        sums.take(&mut tile, first.len());
        sums
    }

    #[test]
    fn distances_follow_from_sums() {
        let found = sums(&[3.0, 4.0, 0.0], &[3.0, 4.0, 0.5]);
        assert_eq!((found.changed, found.max_abs), (1, 0.5));
        assert_eq!(found.relative_l2(), Some(0.1));
        assert!((found.cosine() - 25.0 / (5.0 * 25.25_f64.sqrt())).abs() < 1e-15);
        let opposite = sums(&[1.0, -2.0], &[-1.0, 2.0]);
        assert!((opposite.cosine() + 1.0).abs() < 1e-15, "{opposite:?}");
    }

    #[test]
    fn zeros_have_no_direction() {
        assert!(sums(&[0.0; 3], &[-0.0; 3]).cosine() > 0.999);
        let gone = sums(&[1.0, 2.0], &[0.0, 0.0]);
        assert_eq!((gone.cosine(), gone.relative_l2()), (0.0, Some(1.0)));
        let grown = sums(&[0.0, 0.0], &[1.0, 2.0]);
        assert_eq!((grown.cosine(), grown.relative_l2()), (0.0, None));
    }

    #[test]
    fn odd_values_are_counted_and_left_out() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let found =
            sums(&[1.0, nan, nan, infinite, infinite], &[1.5, nan, 0.0, infinite, -infinite]);
        assert_eq!((found.odd, found.odd_changed, found.changed), (4, 2, 3));
        assert_eq!((found.max_abs, found.relative_l2()), (0.5, Some(0.5)));
        let huge = sums(&[1e300], &[-1e300]);
        assert!(!huge.is_measured());
    }
}
