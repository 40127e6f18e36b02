//! Where the tar stream is cut into frames (spec/container.md, "Cutting").

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::tar;
use crate::formats::WeightsInfo;

/// The bytes of a block of a large tensor.
pub(super) const BLOCK: u64 = 4 << 20;
/// From so many bytes on a tensor has frames of its own, and a group of smaller ones is closed.
pub(super) const LARGE: u64 = 1 << 20;

/// The lengths of the frames of a record of weights: header, contents of `size` bytes, padding.
/// How many of them hold no data is the second value.
pub(super) fn plan(weights: &WeightsInfo, size: u64) -> (Vec<u64>, usize) {
    let mut frames = Vec::new();
    blocks(&mut frames, tar::BLOCK as u64 + weights.data_start.min(size));
    let head = frames.len();
    let mut group = 0;
    for (place, tensor) in weights.tensors.iter().enumerate() {
        let end = weights.tensors.get(place + 1).map_or(size, |next| next.start);
        // What aligns the next tensor belongs to this one.
        let length = end - tensor.start.min(end);
        if length >= LARGE {
            close(&mut frames, &mut group);
            blocks(&mut frames, length);
        } else {
            group += length;
            if group >= LARGE {
                close(&mut frames, &mut group);
            }
        }
    }
    close(&mut frames, &mut group);
    if let Some(last) = frames.last_mut() {
        *last += tar::padding(size);
    }
    (frames, head)
}

fn close(frames: &mut Vec<u64>, group: &mut u64) {
    if *group > 0 {
        frames.push(std::mem::take(group));
    }
}

fn blocks(frames: &mut Vec<u64>, mut length: u64) {
    while length > 0 {
        frames.push(length.min(BLOCK));
        length -= length.min(BLOCK);
    }
}

/// The fewest bytes of a frame that is cut by content, but for the last of a run.
pub(super) const SHORTEST: usize = 128 << 10;
/// The most bytes of a frame that is cut by content.
pub(super) const LONGEST: usize = 2 << 20;
/// The 18 highest bits: a cut about every 256 KiB beyond the shortest.
const MASK: u64 = !0 << 46;
/// A gear hash depends on this many bytes.
const WINDOW: usize = 64;

/// Byte `i` stands for the first eight bytes, big-endian, of SHA-256("mpkg gear " and that byte).
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let mut hasher = Sha256::new();
        hasher.update(b"mpkg gear ");
        hasher.update([u8::try_from(byte).expect("the array has 256 places")]);
        let digest: [u8; 32] = hasher.finalize().into();
        digest[..8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
    })
});

/// Finds the cuts of one run of bytes, handed over piece by piece.
pub(super) struct Cutter {
    hasher: gearhash::Hasher<'static>,
    length: usize,
}

impl Cutter {
    pub(super) fn new() -> Self {
        Self { hasher: gearhash::Hasher::new(&GEAR), length: 0 }
    }

    /// How many of `bytes` belong to the current frame, and whether it ends with them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Cut) {
        let blind = (SHORTEST - WINDOW).saturating_sub(self.length).min(bytes.len());
        self.length += blind;
        let warm = SHORTEST.saturating_sub(self.length).min(bytes.len() - blind);
        self.hasher.update(&bytes[blind..blind + warm]);
        self.length += warm;
        let start = blind + warm;
        if self.length == SHORTEST && warm > 0 && self.hasher.is_match(MASK) {
            return (start, self.end());
        }
        let room = (LONGEST - self.length).min(bytes.len() - start);
        if let Some(found) = self.hasher.next_match(&bytes[start..start + room], MASK) {
            return (start + found, self.end());
        }
        self.length += room;
        let cut = if self.length == LONGEST { self.end() } else { Cut::Open };
        (start + room, cut)
    }

    /// Begins a frame anew.
    pub(super) fn end(&mut self) -> Cut {
        self.hasher.set_hash(0);
        self.length = 0;
        Cut::Here
    }
}

/// Whether a frame ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It goes on.
    Open,
    /// It ends here.
    Here,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Format, Tensor};

    fn cuts(bytes: &[u8], piece: usize) -> Vec<usize> {
        let (mut cutter, mut cuts, mut at) = (Cutter::new(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, cut) = cutter.take(rest);
                at += taken;
                rest = &rest[taken..];
                if cut == Cut::Here {
                    cuts.push(at);
                }
            }
        }
        cuts
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[4]
        })
        .take(length)
        .collect()
    }

    /// The rule as the specification states it.
    fn stated(bytes: &[u8]) -> Vec<usize> {
        let (mut cuts, mut start) = (Vec::new(), 0);
        for end in 1..=bytes.len() {
            let length = end - start;
            let hash = || {
                bytes[end - WINDOW..end]
                    .iter()
                    .fold(0_u64, |hash, byte| (hash << 1).wrapping_add(GEAR[usize::from(*byte)]))
            };
            if length == LONGEST || length >= SHORTEST && hash() & MASK == 0 {
                cuts.push(end);
                start = end;
            }
        }
        cuts
    }

    #[test]
    fn cuts_are_those_of_the_specification_whatever_the_pieces() {
        let bytes = noise(1 << 20);
        let expected = stated(&bytes);
        assert!(expected.len() >= 2, "{expected:?}");
        for piece in [bytes.len(), 1 << 16, 4097, 77] {
            assert_eq!(cuts(&bytes, piece), expected, "{piece}");
        }
    }

    #[test]
    fn weights_are_cut_at_their_tensors() {
        const MIB: u64 = 1 << 20;
        let mut at = 1000;
        let tensor = |length: u64| {
            at += length;
            let (name, dtype, shape) = (String::new(), String::new(), vec![]);
            Tensor { name, dtype, shape, start: at - length, end: at }
        };
        let tensors: Vec<_> =
            [100, 9 * MIB, 50, 2 * MIB, MIB - 1, 60, 70, 0].into_iter().map(tensor).collect();
        let size = at;
        let weights =
            WeightsInfo { format: Format::Gguf, data_start: 1000, tensors, canonical: true };
        let (mut frames, head) = plan(&weights, size);
        assert_eq!(frames.iter().sum::<u64>(), tar::record_length(size));
        *frames.last_mut().unwrap() -= tar::padding(size);
        assert_eq!(head, 1);
        let expected = [1512, 100, 4 * MIB, 4 * MIB, MIB, 50, 2 * MIB, MIB - 1 + 60, 70];
        assert_eq!(frames, expected);
        let empty = WeightsInfo { tensors: vec![], ..weights };
        assert_eq!(plan(&empty, 1000), (vec![512 + 1024], 1));
    }

    #[test]
    fn bytes_without_a_cut_are_cut_at_the_longest() {
        assert_eq!(cuts(&vec![0; 5 << 20], 1 << 16), [LONGEST, 2 * LONGEST]);
    }
}
