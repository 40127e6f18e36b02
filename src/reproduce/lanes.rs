//! Sums over whole tiles of ordinary numbers, without a stop on the way: elements are read, widened
//! and summed in the processor's vector registers.

use super::distance::TILE;

/// How many sums run side by side, for the processor's vector units.
pub(super) const LANES: usize = 8;

/// The sums of one tile: of the first squared, the second squared, the products, the differences
/// squared, how many differ, and the largest absolute difference.
pub(super) type LaneSums = [[f64; LANES]; 6];

/// Takes in one element of both, in one lane.
#[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
#[inline(always)]
pub(super) fn take_in(sums: &mut LaneSums, lane: usize, x: f64, y: f64, d: f64) {
    sums[0][lane] += x * x;
    sums[1][lane] += y * y;
    sums[2][lane] += x * y;
    sums[3][lane] += d * d;
    sums[4][lane] += if d == 0.0 { 0.0 } else { 1.0 };
    let size = d.abs();
    sums[5][lane] = if size > sums[5][lane] { size } else { sums[5][lane] };
}

/// The sums of a whole tile in `first` and `second`; `None` where it is not whole, or an element is
/// NaN or infinite.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub(super) fn whole_tile<const N: usize>(
    first: &[u8],
    second: &[u8],
    value: impl Fn([u8; N]) -> f64,
) -> Option<LaneSums> {
    let first: &[[u8; N]; TILE] = first.as_chunks::<N>().0.try_into().ok()?;
    let second: &[[u8; N]; TILE] = second.as_chunks::<N>().0.try_into().ok()?;
    let (mut sums, mut odd) = ([[0.0; LANES]; 6], [0.0; LANES]);
    let pairs = first.as_chunks::<LANES>().0.iter().zip(second.as_chunks::<LANES>().0);
    for (one, other) in pairs {
        for lane in 0..LANES {
            let (x, y) = (value(one[lane]), value(other[lane]));
            take_in(&mut sums, lane, x, y, x - y);
            // It stays zero for as long as all are finite.
            odd[lane] += x * 0.0 + y * 0.0;
        }
    }
    odd.iter().all(|it| *it == 0.0).then_some(sums)
}

/// The half-precision number with these bits; infinite ones and NaN are NaN.
#[inline(always)]
pub(super) fn half(bits: u16) -> f64 {
    /// What moves the exponent of a half to that of a single, 2^112.
    const EXPONENT: f32 = f32::from_bits((112 + 127) << 23);
    let bits = u32::from(bits);
    let size = f32::from_bits((bits & 0x7fff) << 13) * EXPONENT;
    let size = if bits & 0x7c00 == 0x7c00 { f32::NAN } else { size };
    f64::from(f32::from_bits(size.to_bits() | (bits & 0x8000) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_what_they_are_elsewhere() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (half(bits), half::f16::from_bits(bits).to_f64());
            let same = ours.to_bits() == theirs.to_bits();
            assert!(same || ours.is_nan() && !theirs.is_finite(), "{bits:#x}: {ours} {theirs}");
        }
    }

    #[test]
    fn a_tile_that_is_not_whole_or_not_finite_is_left_to_others() {
        let read = |bytes| f32::from_le_bytes(bytes).into();
        let ones: Vec<u8> = [1.0_f32; TILE].iter().flat_map(|it| it.to_le_bytes()).collect();
        let sums = whole_tile::<4>(&ones, &ones, read).unwrap();
        let lanes = [f64::from(u16::try_from(TILE / LANES).unwrap()); LANES].map(f64::to_bits);
        assert_eq!(sums[0].map(f64::to_bits), lanes);
        assert!(whole_tile::<4>(&ones[4..], &ones[4..], read).is_none());
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut other = ones.clone();
            other[400..404].copy_from_slice(&odd.to_le_bytes());
            assert!(whole_tile::<4>(&ones, &other, read).is_none());
            assert!(whole_tile::<4>(&other, &ones, read).is_none());
        }
    }
}
