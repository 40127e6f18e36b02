//! The quantised types of GGUF: blocks of small integers with scales. The order of bits and the
//! arithmetic are those of the format's own tools, in 64-bit floats.

use half::f16;

/// A quantised type.
pub(super) struct Quant {
    /// Its name in GGUF.
    pub(super) name: &'static str,
    /// How many elements a block has.
    pub(super) elements: usize,
    /// How many bytes it takes.
    pub(super) bytes: usize,
    /// Puts the elements of one block in their places.
    decode: fn(&[u8], &mut [f64]),
}

const fn quant(
    name: &'static str,
    elements: usize,
    bytes: usize,
    decode: fn(&[u8], &mut [f64]),
) -> Quant {
    Quant { name, elements, bytes, decode }
}

/// Those that are read.
pub(super) const QUANTS: [Quant; 15] = [
    quant("Q8_0", 32, 34, q8_0),
    quant("Q4_0", 32, 18, q4_0),
    quant("Q4_1", 32, 20, q4_1),
    quant("Q5_0", 32, 22, q5_0),
    quant("Q5_1", 32, 24, q5_1),
    quant("Q2_K", 256, 84, q2_k),
    quant("Q3_K", 256, 110, q3_k),
    quant("Q4_K", 256, 144, q4_k),
    quant("Q5_K", 256, 176, q5_k),
    quant("Q6_K", 256, 210, q6_k),
    quant("IQ4_NL", 32, 18, iq4_nl),
    quant("IQ4_XS", 256, 136, iq4_xs),
    quant("TQ1_0", 256, 54, tq1_0),
    quant("TQ2_0", 256, 66, tq2_0),
    quant("MXFP4", 32, 17, mxfp4),
];

/// The values that the four bits of the types IQ4 stand for.
const IQ4_VALUES: [f64; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];

/// Twice the values that the four bits of MXFP4 stand for.
const FP4_VALUES: [f64; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, -0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

impl Quant {
    /// Fills `into` with the elements of the whole blocks in `bytes`, and says how many there are.
    pub(super) fn fill(&self, bytes: &[u8], into: &mut [f64]) -> usize {
        let places = into.chunks_exact_mut(self.elements);
        let blocks = places.zip(bytes.chunks_exact(self.bytes));
        blocks.map(|(places, block)| (self.decode)(block, places)).count() * self.elements
    }
}

/// The half-precision number at `at`.
fn half_at(block: &[u8], at: usize) -> f64 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f64()
}

/// The numbers of four bits: those of the lower halves of the bytes, then those of the upper.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

/// The same with a fifth bit for each from `high`.
fn five_bits(high: &[u8], low: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    nibbles(low).zip(0..).map(move |(low, place)| low | (u8::from(high >> place & 1 == 1) << 4))
}

fn q8_0(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 0);
    for (place, value) in into.iter_mut().zip(&block[2..]) {
        *place = scale * f64::from(value.cast_signed());
    }
}

fn q4_0(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 0);
    for (place, value) in into.iter_mut().zip(nibbles(&block[2..])) {
        *place = scale * (f64::from(value) - 8.0);
    }
}

fn q4_1(block: &[u8], into: &mut [f64]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for (place, value) in into.iter_mut().zip(nibbles(&block[4..])) {
        *place = scale * f64::from(value) + least;
    }
}

fn q5_0(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 0);
    for (place, value) in into.iter_mut().zip(five_bits(&block[2..6], &block[6..])) {
        *place = scale * (f64::from(value) - 16.0);
    }
}

fn q5_1(block: &[u8], into: &mut [f64]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for (place, value) in into.iter_mut().zip(five_bits(&block[4..8], &block[8..])) {
        *place = scale * f64::from(value) + least;
    }
}

/// Two bits of each element of the types `Q2_K` and `Q3_K`, sixteen at a time: which sixteen, and
/// where the bits lie.
fn pairs_of_bits(stored: &[u8]) -> impl Iterator<Item = (usize, impl Iterator<Item = u8>)> {
    (0..16).map(move |part| {
        let (half, shift, side) = (part / 8, part % 8 / 2 * 2, part % 2);
        let start = half * 32 + side * 16;
        (part, stored[start..start + 16].iter().map(move |byte| byte >> shift & 3))
    })
}

fn q2_k(block: &[u8], into: &mut [f64]) {
    let (scale, least) = (half_at(block, 80), half_at(block, 82));
    for (part, values) in pairs_of_bits(&block[16..80]) {
        let (times, minus) =
            (scale * f64::from(block[part] & 15), least * f64::from(block[part] >> 4));
        for (place, value) in into[part * 16..].iter_mut().zip(values) {
            *place = times * f64::from(value) - minus;
        }
    }
}

/// The sixteen scales of six bits of a block of `Q3_K`.
fn q3_scale(stored: &[u8], part: usize) -> f64 {
    let low = if part < 8 { stored[part] & 15 } else { stored[part - 8] >> 4 };
    let high = stored[8 + part % 4] >> (part / 4 * 2) & 3;
    f64::from(low | high << 4) - 32.0
}

fn q3_k(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 108);
    for (part, values) in pairs_of_bits(&block[32..96]) {
        let times = scale * q3_scale(&block[96..108], part);
        let (start, bit) = (part % 2 * 16, part / 2);
        let high = block[start..start + 16].iter().map(|byte| byte >> bit & 1);
        for (place, (value, high)) in into[part * 16..].iter_mut().zip(values.zip(high)) {
            *place = times * (f64::from(value) - if high == 1 { 0.0 } else { 4.0 });
        }
    }
}

/// The scale and the least value, of six bits each, of a part of 32 elements of `Q4_K` and `Q5_K`.
fn scale_and_least(stored: &[u8], part: usize) -> (f64, f64) {
    let (scale, least) = match part {
        0..4 => (stored[part] & 63, stored[part + 4] & 63),
        _ => (
            stored[part + 4] & 15 | stored[part - 4] >> 6 << 4,
            stored[part + 4] >> 4 | stored[part] >> 6 << 4,
        ),
    };
    (f64::from(scale), f64::from(least))
}

/// `Q4_K` and `Q5_K`: eight parts of 32 elements; `high` has the fifth bits.
fn with_parts(block: &[u8], high: Option<&[u8]>, low: &[u8], into: &mut [f64]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for (part, places) in into.chunks_exact_mut(32).enumerate() {
        let (times, minus) = scale_and_least(&block[4..16], part);
        let (times, minus) = (scale * times, least * minus);
        let stored = &low[part / 2 * 32..];
        for (number, place) in places.iter_mut().enumerate() {
            let value = stored[number] >> (part % 2 * 4) & 15;
            let fifth = high.map_or(0, |high| (high[number] >> part & 1) << 4);
            *place = times * f64::from(value | fifth) - minus;
        }
    }
}

fn q4_k(block: &[u8], into: &mut [f64]) {
    with_parts(block, None, &block[16..], into);
}

fn q5_k(block: &[u8], into: &mut [f64]) {
    with_parts(block, Some(&block[16..48]), &block[48..], into);
}

fn q6_k(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 208);
    for (number, place) in into.iter_mut().enumerate() {
        let (half, part, column) = (number / 128, number % 128 / 32, number % 32);
        let low = block[half * 64 + part % 2 * 32 + column] >> (part / 2 * 4) & 15;
        let high = block[128 + half * 32 + column] >> (part * 2) & 3;
        let own = block[192 + number / 16].cast_signed();
        *place = scale * f64::from(own) * (f64::from(low | high << 4) - 32.0);
    }
}

fn iq4_nl(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 0);
    for (place, value) in into.iter_mut().zip(nibbles(&block[2..])) {
        *place = scale * IQ4_VALUES[usize::from(value)];
    }
}

fn iq4_xs(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (part, places) in into.chunks_exact_mut(32).enumerate() {
        let low = block[4 + part / 2] >> (part % 2 * 4) & 15;
        let own = u16::from(low) | (high >> (part * 2) & 3) << 4;
        let times = scale * (f64::from(own) - 32.0);
        let stored = &block[8 + part * 16..8 + part * 16 + 16];
        for (place, value) in places.iter_mut().zip(nibbles(stored)) {
            *place = times * IQ4_VALUES[usize::from(value)];
        }
    }
}

/// Three values to a digit: the first of `stored` after it was shifted by `digit` digits.
fn third(stored: u8, digit: usize) -> f64 {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let shifted = stored.wrapping_mul(POWERS[digit]);
    f64::from((u16::from(shifted) * 3) >> 8) - 1.0
}

fn tq1_0(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 52);
    let mut places = into.iter_mut();
    for (stored, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        for digit in 0..digits {
            for (byte, place) in stored.iter().zip(&mut places) {
                *place = scale * third(*byte, digit);
            }
        }
    }
}

fn tq2_0(block: &[u8], into: &mut [f64]) {
    let scale = half_at(block, 64);
    for (number, place) in into.iter_mut().enumerate() {
        let stored = block[number / 128 * 32 + number % 32] >> (number % 128 / 32 * 2) & 3;
        *place = scale * (f64::from(stored) - 1.0);
    }
}

fn mxfp4(block: &[u8], into: &mut [f64]) {
    // The table has twice the values, so the exponent is one less.
    let scale = 2.0_f64.powi(i32::from(block[0]) - 128);
    for (place, value) in into.iter_mut().zip(nibbles(&block[1..])) {
        *place = scale * FP4_VALUES[usize::from(value)];
    }
}
