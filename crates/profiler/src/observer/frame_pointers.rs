//! The kernel's walk along frame pointers behind frames that were unwound.

use hotproof_profile::StackEnd;

use super::{CHAIN_HEAD, Observer};
use crate::decode::Sample;
use crate::markers;

impl Observer<'_> {
    /// Appends what the kernel found along frame pointers beyond the frames that were unwound.
    pub(super) fn continue_by_frame_pointers(
        &mut self,
        sample: &Sample<'_>,
        end: StackEnd,
    ) -> StackEnd {
        if end == StackEnd::Complete {
            return end;
        }
        let user = sample
            .callchain
            .iter()
            .skip_while(|&address| address != markers::USER)
            .skip(1)
            .take_while(|&address| address < markers::FIRST);
        let walked: Vec<u64> = user.collect();
        let first = CHAIN_HEAD + self.chain[1] as usize;
        let Some((unwound, at)) = joint(&self.chain[first..], &walked) else {
            return end;
        };
        self.chain.truncate(first + unwound + 1);
        self.interrupted
            .retain(|&position| position <= first + unwound);
        self.chain.extend(&walked[at + 1..]);
        StackEnd::Unknown
    }
}

/// Where two lists of a stack's addresses, leaf first, mean the same frame: the outermost of `unwound`
/// that `walked` has, by their indices. A recursion has the same address again and again; of these
/// that one is meant in front of which the lists are equal for longest, and of equals the one that is
/// as far from the leaf in both.
fn joint(unwound: &[u64], walked: &[u64]) -> Option<(usize, usize)> {
    let equal_before = |i: usize, at: usize| {
        let pairs = unwound[..i].iter().rev().zip(walked[..at].iter().rev());
        pairs.take_while(|(one, other)| one == other).count()
    };
    (0..unwound.len()).rev().find_map(|i| {
        let places = (0..walked.len()).filter(|&at| walked[at] == unwound[i]);
        let best =
            places.max_by_key(|&at| (equal_before(i, at), std::cmp::Reverse(at.abs_diff(i))));
        Some((i, best?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's list may lack the caller of a leaf without a frame, and go further; recursions are
    /// told apart by what lies in front of them.
    #[test]
    fn lists_are_joined_at_the_same_frame() {
        type Case = (&'static [u64], &'static [u64], Option<(usize, usize)>);
        let cases: [Case; 8] = [
            (&[1, 2, 3], &[1, 2, 3, 4, 5], Some((2, 2))),
            (&[1, 2, 3], &[1, 3, 4, 5], Some((2, 1))),
            (&[1, 2, 3, 9], &[1, 2, 3, 4], Some((2, 2))),
            (&[1, 2, 3], &[7, 8], None),
            (&[], &[7, 8], None),
            // A recursion of `6`, deeper than what was unwound.
            (
                &[1, 2, 5, 6, 6, 6],
                &[1, 2, 5, 6, 6, 6, 6, 6, 7],
                Some((5, 5)),
            ),
            // The same where the kernel did not see the leaf's caller.
            (&[1, 2, 5, 6, 6, 6], &[1, 5, 6, 6, 6, 6, 6, 7], Some((5, 4))),
            // Nothing but the recursion.
            (&[6, 6, 6], &[6, 6, 6, 6, 7], Some((2, 2))),
        ];
        for (unwound, walked, expected) in cases {
            assert_eq!(joint(unwound, walked), expected, "{unwound:?} {walked:?}");
        }
    }
}
