//! The passages of a text that stand in one shard, with as few searches as will do.

use std::ops::Range;

use super::END;
use super::order::Order;

/// The passages of at least `shortest` bytes of `text` that stand in the shard and in no longer
/// one that does, in the order of their starts.
///
/// A passage that covers a window must hold the window's second half too. So that half is looked
/// for first, and where it is not found the next half window is passed over.
pub(super) fn passages(order: &Order, text: &[u8], shortest: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for part in text.split(|byte| *byte == END) {
        let mut at = 0;
        while at + shortest <= part.len() {
            let window = at + shortest;
            let from = first_start(order, part, at, window, shortest / 2);
            if from > at {
                at = from;
                continue;
            }
            let end = at + order.longest(&part[at..]);
            found.push(start + at..start + end);
            if end == part.len() {
                break;
            }
            // What comes next goes beyond `end`, and begins no sooner than this.
            at = first_start(order, part, at + 1, end + 1, shortest / 2).max(at + 1);
        }
        start += part.len() + 1;
    }
    found
}

/// The smallest start from `from` on such that `part[start..end]` stands in the shard.
fn first_start(order: &Order, part: &[u8], from: usize, end: usize, half: usize) -> usize {
    let stands = |start: usize| {
        let pattern = &part[start..end];
        order.longest(pattern) == pattern.len()
    };
    let probe = end.saturating_sub(half.max(2)).max(from);
    if !stands(probe) {
        return probe + 1;
    }
    let (mut low, mut high) = (from, probe);
    while low < high {
        let middle = low + (high - low) / 2;
        if stands(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Those of `passages` that lie in no other, the longest first, then in the order of their starts.
#[must_use]
pub fn outermost(mut passages: Vec<Range<usize>>) -> Vec<Range<usize>> {
    passages.sort_by_key(|passage| (passage.start, std::cmp::Reverse(passage.end)));
    let mut reached = 0;
    passages.retain(|passage| {
        let goes_beyond = passage.end > reached;
        reached = reached.max(passage.end);
        goes_beyond
    });
    passages.sort_by_key(|passage| (std::cmp::Reverse(passage.len()), passage.start));
    passages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a list of one passage")]
    fn what_lies_in_another_goes() {
        assert_eq!(outermost(vec![3..9, 0..10, 0..4, 8..12]), [0..10, 8..12]);
        assert_eq!(outermost(vec![0..4, 0..4]), [0..4]);
        assert_eq!(outermost(vec![0..4, 6..12]), [6..12, 0..4]);
    }
}
