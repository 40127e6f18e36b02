//! Reads two sets of tensors side by side, in blocks, on every processor.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;

use super::distance::{Sums, Tile};
use super::element::Element;
use super::error::Result;
use crate::fs::Error as FileError;
use crate::progress::Task;

/// How many tiles one thread reads at a time.
const BLOCK_TILES: usize = 256;
/// Differing bytes are counted in runs that a byte can count.
const RUN: usize = 128;

/// Where the bytes of one tensor lie.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) file: &'a File,
    pub(super) start: u64,
}

/// One tensor of both sets, of one type and shape.
pub(super) struct Pair<'a> {
    pub(super) element: Element,
    pub(super) first: Source<'a>,
    pub(super) second: Source<'a>,
    pub(super) bytes: u64,
}

/// What was found in a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    Same,
    Changed {
        bytes: u64,
        /// None where the elements are not read.
        sums: Option<Sums>,
    },
}

/// A part of a pair that is read at once.
#[derive(Clone, Copy)]
struct Block {
    pair: usize,
    offset: u64,
    length: usize,
}

struct Buffers {
    first: Vec<u8>,
    second: Vec<u8>,
    tile: Box<Tile>,
}

impl Buffers {
    fn new() -> Self {
        Self { first: Vec::new(), second: Vec::new(), tile: Box::new(Tile::new()) }
    }
}

/// Compares every pair; nothing is held in memory but a block a thread.
pub(super) fn compare(pairs: &[Pair<'_>], task: &dyn Task) -> Result<Vec<Found>> {
    let blocks = blocks(pairs);
    let found: Vec<Found> = blocks
        .par_iter()
        .map_init(Buffers::new, |buffers, block| {
            task.advance(block.length as u64);
            look(&pairs[block.pair], *block, buffers)
        })
        .collect::<Result<_>>()?;
    let mut changed = vec![false; pairs.len()];
    for (block, found) in blocks.iter().zip(&found) {
        changed[block.pair] |= *found != Found::Same;
    }
    // The length of a tensor that changed counts the blocks of it that did not.
    let found: Vec<Found> = blocks
        .par_iter()
        .zip(found)
        .map_init(Buffers::new, |buffers, (block, found)| match found {
            Found::Same if changed[block.pair] => measure(&pairs[block.pair], *block, buffers),
            found => Ok(found),
        })
        .collect::<Result<_>>()?;
    Ok(gather(pairs, &blocks, &found))
}

fn blocks(pairs: &[Pair<'_>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let step = (pair.element.tile_bytes() * BLOCK_TILES) as u64;
        let mut offset = 0;
        while offset < pair.bytes {
            let length = step.min(pair.bytes - offset);
            let length = usize::try_from(length).expect("a block is a few MiB");
            blocks.push(Block { pair: number, offset, length });
            offset += step;
        }
    }
    blocks
}

/// Puts the blocks of each pair together, in their order.
fn gather(pairs: &[Pair<'_>], blocks: &[Block], found: &[Found]) -> Vec<Found> {
    let mut whole = vec![Found::Same; pairs.len()];
    for (block, part) in blocks.iter().zip(found) {
        let goal = &mut whole[block.pair];
        *goal = match (*goal, *part) {
            (Found::Same, part) => part,
            (whole, Found::Same) => whole,
            (Found::Changed { bytes, sums }, Found::Changed { bytes: more, sums: others }) => {
                let sums = sums.zip(others).map(|(mut sums, others)| {
                    sums.add(&others);
                    sums
                });
                Found::Changed { bytes: bytes + more, sums }
            }
        };
    }
    whole
}

fn read<'b>(source: Source<'_>, block: Block, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    buffer.resize(block.length.max(buffer.len()), 0);
    let bytes = &mut buffer[..block.length];
    let place = source.start + block.offset;
    source.file.read_exact_at(bytes, place).map_err(FileError::at("read", source.path))?;
    Ok(bytes)
}

/// Compares one block; what is the same is not measured yet.
fn look(pair: &Pair<'_>, block: Block, buffers: &mut Buffers) -> Result<Found> {
    let first = read(pair.first, block, &mut buffers.first)?;
    let second = read(pair.second, block, &mut buffers.second)?;
    if first == second {
        return Ok(Found::Same);
    }
    Ok(measured(pair.element, first, second, &mut buffers.tile))
}

/// Measures a block that is the same in both.
fn measure(pair: &Pair<'_>, block: Block, buffers: &mut Buffers) -> Result<Found> {
    let bytes = read(pair.first, block, &mut buffers.first)?;
    Ok(measured(pair.element, bytes, bytes, &mut buffers.tile))
}

/// Measures one block of both, with wider vectors where the processor has them. The sums are the
/// same: they have the same order, and nothing is fused.
#[cfg(target_arch = "x86_64")]
fn measured(element: Element, first: &[u8], second: &[u8], tile: &mut Tile) -> Found {
    #[target_feature(enable = "avx2")]
    fn wide(element: Element, first: &[u8], second: &[u8], tile: &mut Tile) -> Found {
        block(element, first, second, tile)
    }
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is made for.
        return unsafe { wide(element, first, second, tile) };
    }
    block(element, first, second, tile)
}

/// Measures one block of both.
#[cfg(not(target_arch = "x86_64"))]
fn measured(element: Element, first: &[u8], second: &[u8], tile: &mut Tile) -> Found {
    block(element, first, second, tile)
}

#[expect(clippy::inline_always, reason = "it is made for more than one kind of processor")]
#[inline(always)]
fn block(element: Element, first: &[u8], second: &[u8], tile: &mut Tile) -> Found {
    let sums = element.is_read().then(|| sums(element, first, second, tile));
    Found::Changed { bytes: differing(first, second), sums }
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn sums(element: Element, first: &[u8], second: &[u8], tile: &mut Tile) -> Sums {
    let step = element.tile_bytes();
    let mut sums = Sums::default();
    for (first, second) in first.chunks(step).zip(second.chunks(step)) {
        if let Some(found) = element.whole_tile(first, second) {
            sums.take_lanes(&found);
            continue;
        }
        let length = element.fill(first, second, tile);
        sums.take(tile, length);
    }
    sums
}

/// How many bytes differ.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn differing(first: &[u8], second: &[u8]) -> u64 {
    let runs = first.chunks(RUN).zip(second.chunks(RUN));
    runs.map(|(first, second)| {
        let pairs = first.iter().zip(second);
        u64::from(pairs.fold(0_u8, |count, (one, other)| count + u8::from(one != other)))
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write_atomically;
    use crate::progress::Silent;

    #[test]
    fn blocks_add_up_whatever_changed() {
        let world = tempfile::tempdir().unwrap();
        let sevens = (0..7_u8).map(f32::from).cycle();
        let numbers: Vec<f32> = sevens.take(600_000).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut other = bytes.clone();
        let place = 4 * 500_003;
        other[place..place + 4].copy_from_slice(&100.0_f32.to_le_bytes());
        let (one, two) = (world.path().join("one"), world.path().join("two"));
        write_atomically(&one, &bytes).unwrap();
        write_atomically(&two, &other).unwrap();
        let (file_one, file_two) = (File::open(&one).unwrap(), File::open(&two).unwrap());
        let pair = |second| Pair {
            element: Element::F32,
            first: Source { path: &one, file: &file_one, start: 0 },
            second: Source { path: &one, file: second, start: 0 },
            bytes: bytes.len() as u64,
        };
        let found = compare(&[pair(&file_one), pair(&file_two)], &Silent).unwrap();
        assert_eq!(found[0], Found::Same);
        let Found::Changed { bytes, sums: Some(sums) } = found[1] else { panic!("{found:?}") };
        let before = numbers[500_003];
        assert!((1..=4).contains(&bytes), "{bytes}");
        assert_eq!((sums.changed, sums.max_abs), (1, f64::from(100.0 - before)));
        let length: f64 = numbers.iter().map(|number| f64::from(number * number)).sum();
        let expected = f64::from(100.0 - before) / length.sqrt();
        assert!((sums.relative_l2().unwrap() - expected).abs() < 1e-12);
    }
}
