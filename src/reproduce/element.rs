//! How the elements of a tensor are stored, and their values.

use std::sync::LazyLock;

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::distance::{TILE, Tile};
use super::lanes::{LaneSums, half, whole_tile};
use super::quants::QUANTS;
use crate::formats::gguf::KINDS;
use crate::formats::{DType, Format};

/// How many blocks whose elements are not read are looked at together.
const BLOCK: usize = 32;

/// A way to store elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    /// A float of one byte, by its place in [`SMALL_FLOATS`].
    Small(usize),
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    /// A pair of 32-bit floats, taken as two elements.
    C64,
    /// Blocks of small integers with scales, by their place in [`QUANTS`].
    Quantised(usize),
    /// Blocks of so many bytes whose elements are not read.
    Opaque(usize),
}

/// A float of one byte.
struct SmallFloat {
    exponent_bits: u32,
    bias: i32,
    signed: bool,
    odd: Odd,
}

/// Which bytes are NaN or infinite.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// As in IEEE 754: the largest exponent.
    LargestExponent,
    /// The largest number of either sign is NaN.
    LargestNumber,
    /// What would be the negative zero is NaN.
    NegativeZero,
}

const SMALL_NAMES: [&str; 5] = ["F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"];
const SMALL_FLOATS: [SmallFloat; 5] = [
    SmallFloat { exponent_bits: 5, bias: 15, signed: true, odd: Odd::LargestExponent },
    SmallFloat { exponent_bits: 4, bias: 7, signed: true, odd: Odd::LargestNumber },
    SmallFloat { exponent_bits: 8, bias: 127, signed: false, odd: Odd::LargestNumber },
    SmallFloat { exponent_bits: 4, bias: 8, signed: true, odd: Odd::NegativeZero },
    SmallFloat { exponent_bits: 5, bias: 16, signed: true, odd: Odd::NegativeZero },
];

static SMALL_VALUES: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let values = |kind: &SmallFloat| (0..=u8::MAX).map(|byte| kind.value(byte)).collect();
    SMALL_FLOATS.iter().map(values).collect()
});

impl SmallFloat {
    fn value(&self, byte: u8) -> f64 {
        let bits = u32::from(byte);
        let mantissa_bits = if self.signed { 7 - self.exponent_bits } else { 0 };
        let magnitude = if self.signed { bits & 0x7f } else { bits };
        let exponent = magnitude >> mantissa_bits;
        let mantissa = magnitude & ((1 << mantissa_bits) - 1);
        let largest = (1 << self.exponent_bits) - 1;
        let is_nan = match self.odd {
            Odd::LargestExponent => exponent == largest && mantissa != 0,
            Odd::LargestNumber => magnitude == if self.signed { 0x7f } else { 0xff },
            Odd::NegativeZero => byte == 0x80,
        };
        if is_nan {
            return f64::NAN;
        }
        let sign = if self.signed && bits >= 0x80 { -1.0 } else { 1.0 };
        if self.odd == Odd::LargestExponent && exponent == largest {
            return sign * f64::INFINITY;
        }
        let fraction = f64::from(mantissa) / f64::from(1_u32 << mantissa_bits);
        let power = i32::try_from(exponent).unwrap_or_default() - self.bias;
        if exponent == 0 && self.signed {
            sign * fraction * 2.0_f64.powi(1 - self.bias)
        } else {
            sign * (1.0 + fraction) * 2.0_f64.powi(power)
        }
    }
}

impl Element {
    /// The way that `format` stores elements of the type named `name`.
    pub(super) fn of(format: Format, name: &str) -> Self {
        if let Some(place) = SMALL_NAMES.iter().position(|small| *small == name) {
            return Self::Small(place);
        }
        if let Some(place) = QUANTS.iter().position(|quant| quant.name == name) {
            return Self::Quantised(place);
        }
        match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "I8" => Self::I8,
            "U8" | "BOOL" => Self::U8,
            "I16" => Self::I16,
            "U16" => Self::U16,
            "I32" => Self::I32,
            "U32" => Self::U32,
            "I64" => Self::I64,
            "U64" => Self::U64,
            "C64" => Self::C64,
            other => Self::Opaque(block_bytes(format, other)),
        }
    }

    /// How many elements a block has, and how many bytes it takes.
    pub(super) const fn block(self) -> (usize, usize) {
        match self {
            Self::F64 | Self::I64 | Self::U64 => (1, 8),
            Self::F32 | Self::I32 | Self::U32 | Self::C64 => (1, 4),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => (1, 2),
            Self::Small(_) | Self::I8 | Self::U8 => (1, 1),
            Self::Quantised(place) => (QUANTS[place].elements, QUANTS[place].bytes),
            // Blocks are larger than this, of which only bytes are counted.
            Self::Opaque(bytes) => (BLOCK, bytes),
        }
    }

    /// How many bytes fill a tile.
    pub(super) const fn tile_bytes(self) -> usize {
        let (elements, bytes) = self.block();
        TILE / elements * bytes
    }

    /// Whether its elements have values here.
    pub(super) const fn is_read(self) -> bool {
        !matches!(self, Self::Opaque(_))
    }

    /// The sums of a whole tile in `first` and `second`, where nothing in it asks for more care:
    /// the type is an ordinary number and every element is finite.
    #[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
    #[inline(always)]
    pub(super) fn whole_tile(self, first: &[u8], second: &[u8]) -> Option<LaneSums> {
        match self {
            Self::F64 => whole_tile(first, second, f64::from_le_bytes),
            Self::F32 | Self::C64 => whole_tile(first, second, |it| f32::from_le_bytes(it).into()),
            Self::BF16 => whole_tile(first, second, brain),
            Self::F16 => whole_tile(first, second, |it| half(u16::from_le_bytes(it))),
            Self::I8 => whole_tile(first, second, |it| i8::from_le_bytes(it).into()),
            Self::U8 => whole_tile(first, second, |it| u8::from_le_bytes(it).into()),
            Self::I16 => whole_tile(first, second, |it| i16::from_le_bytes(it).into()),
            Self::U16 => whole_tile(first, second, |it| u16::from_le_bytes(it).into()),
            Self::I32 => whole_tile(first, second, |it| i32::from_le_bytes(it).into()),
            Self::U32 => whole_tile(first, second, |it| u32::from_le_bytes(it).into()),
            _ => None,
        }
    }

    /// Fills `tile` with the elements in `first` and `second`, at most [`Element::tile_bytes`] of
    /// each, and says how many there are.
    #[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
    #[inline(always)]
    pub(super) fn fill(self, first: &[u8], second: &[u8], tile: &mut Tile) -> usize {
        let length = self.values(first, &mut tile.first);
        self.values(second, &mut tile.second);
        match self {
            // Beyond 2^53 neighbours have the same value as a float, and are not the same.
            Self::I64 => exact(first, second, tile, |bytes| i64::from_le_bytes(bytes).into()),
            Self::U64 => exact(first, second, tile, |bytes| u64::from_le_bytes(bytes).into()),
            _ => tile.subtract(length),
        }
        length
    }

    /// The values of the elements in `bytes`.
    #[expect(clippy::cast_precision_loss, reason = "see `fill`, which makes up for it")]
    #[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
    #[inline(always)]
    fn values(self, bytes: &[u8], into: &mut [f64; TILE]) -> usize {
        match self {
            Self::F64 => each(bytes, into, f64::from_le_bytes),
            Self::F32 | Self::C64 => each(bytes, into, |it| f32::from_le_bytes(it).into()),
            Self::BF16 => each(bytes, into, brain),
            Self::F16 => halves(bytes, into),
            Self::Small(place) => {
                let values = &SMALL_VALUES[place];
                each(bytes, into, |[it]: [u8; 1]| values[usize::from(it)])
            }
            Self::I8 => each(bytes, into, |it| i8::from_le_bytes(it).into()),
            Self::U8 => each(bytes, into, |it| u8::from_le_bytes(it).into()),
            Self::I16 => each(bytes, into, |it| i16::from_le_bytes(it).into()),
            Self::U16 => each(bytes, into, |it| u16::from_le_bytes(it).into()),
            Self::I32 => each(bytes, into, |it| i32::from_le_bytes(it).into()),
            Self::U32 => each(bytes, into, |it| u32::from_le_bytes(it).into()),
            Self::I64 => each(bytes, into, |it| i64::from_le_bytes(it) as f64),
            Self::U64 => each(bytes, into, |it| u64::from_le_bytes(it) as f64),
            Self::Quantised(place) => QUANTS[place].fill(bytes, into),
            Self::Opaque(_) => 0,
        }
    }
}

/// A bfloat16: the upper half of a single.
#[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
#[inline(always)]
fn brain(bytes: [u8; 2]) -> f64 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16).into()
}

fn block_bytes(format: Format, name: &str) -> usize {
    let bytes = match format {
        Format::Gguf => KINDS.iter().find(|kind| kind.name == name).map(|kind| kind.bytes),
        // Types of fewer than eight bits share bytes.
        Format::Safetensors => [DType::F4, DType::F6_E2M3, DType::F6_E3M2]
            .iter()
            .find(|kind| kind.name() == name)
            .map(|kind| kind.bits() / 2),
    };
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(1)
}

#[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
#[inline(always)]
fn each<const N: usize>(
    bytes: &[u8],
    into: &mut [f64; TILE],
    value: impl Fn([u8; N]) -> f64,
) -> usize {
    let (elements, _) = bytes.as_chunks::<N>();
    for (place, element) in into.iter_mut().zip(elements) {
        *place = value(*element);
    }
    elements.len().min(TILE)
}

fn halves(bytes: &[u8], into: &mut [f64; TILE]) -> usize {
    let (mut stored, mut wide) = ([f16::ZERO; TILE], [0.0_f32; TILE]);
    let (elements, _) = bytes.as_chunks::<2>();
    for (place, element) in stored.iter_mut().zip(elements) {
        *place = f16::from_le_bytes(*element);
    }
    let length = elements.len().min(TILE);
    stored[..length].convert_to_f32_slice(&mut wide[..length]);
    for (place, value) in into.iter_mut().zip(&wide[..length]) {
        *place = f64::from(*value);
    }
    length
}

#[expect(clippy::cast_precision_loss, reason = "a difference is rounded once, not twice")]
fn exact(first: &[u8], second: &[u8], tile: &mut Tile, value: impl Fn([u8; 8]) -> i128) {
    let (first, _) = first.as_chunks::<8>();
    let (second, _) = second.as_chunks::<8>();
    for (difference, (one, other)) in tile.difference.iter_mut().zip(first.iter().zip(second)) {
        *difference = (value(*one) - value(*other)) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str, bytes: &[u8]) -> Vec<f64> {
        let mut tile = Tile::new();
        let length = Element::of(Format::Gguf, name).fill(bytes, bytes, &mut tile);
        tile.first[..length].to_vec()
    }

    #[test]
    fn floats_of_every_width() {
        assert_eq!(values("F64", &1.5_f64.to_le_bytes()), [1.5]);
        assert_eq!(values("F32", &(-2.5_f32).to_le_bytes()), [-2.5]);
        assert_eq!(
            values("F16", &[0x00, 0x3e, 0x01, 0x00, 0x00, 0x7c]),
            [1.5, 2.0_f64.powi(-24), f64::INFINITY]
        );
        assert_eq!(values("BF16", &[0xc0, 0x3f]), [1.5]);
        assert_eq!(
            values("F8_E4M3", &[0x38, 0x7e, 0x01, 0xb8]),
            [1.0, 448.0, 2.0_f64.powi(-9), -1.0]
        );
        assert!(values("F8_E4M3", &[0x7f, 0xff]).iter().all(|value| value.is_nan()));
        assert_eq!(values("F8_E5M2", &[0x3c, 0x7b, 0x7c]), [1.0, 57344.0, f64::INFINITY]);
        assert_eq!(values("F8_E8M0", &[127, 130, 0]), [1.0, 8.0, 2.0_f64.powi(-127)]);
        assert_eq!(values("F8_E4M3FNUZ", &[0x40, 0x7f]), [1.0, 240.0]);
        assert!(values("F8_E5M2FNUZ", &[0x80])[0].is_nan());
    }

    #[test]
    fn quantised_blocks() {
        let mut block = vec![0x00, 0x38]; // 0.5
        block.extend((0..32_u8).map(|value| value.wrapping_sub(16)));
        assert_eq!(values("Q8_0", &block)[..3], [-8.0, -7.5, -7.0]);
        let mut block = vec![0x00, 0x38];
        block.extend([0x9f; 16]);
        let found = values("Q4_0", &block);
        assert_eq!((found[0], found[31]), (3.5, 0.5));
        let mut block = vec![0x00, 0x38, 0x00, 0x3c, 1, 0, 0, 0x80];
        block.extend([0x21; 16]);
        let found = values("Q5_1", &block);
        assert_eq!((found[0], found[1], found[31]), (9.5, 1.5, 10.0));
    }

    #[test]
    fn what_is_not_read_is_counted_in_small_pieces() {
        let element = Element::of(Format::Gguf, "IQ2_S");
        assert_eq!((element.is_read(), element.tile_bytes()), (false, 32 * 82));
        let four_bits = Element::of(Format::Safetensors, "F4");
        assert_eq!((four_bits.is_read(), four_bits.tile_bytes()), (false, 64));
    }

    #[test]
    fn large_integers_differ_by_one() {
        let (one, other) = ((1_i64 << 60).to_le_bytes(), ((1_i64 << 60) + 1).to_le_bytes());
        let mut tile = Tile::new();
        Element::I64.fill(&one, &other, &mut tile);
        assert_eq!((tile.first[0], tile.difference[0]), (tile.second[0], -1.0));
    }
}
