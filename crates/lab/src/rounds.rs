//! Which links of both refs run in each pair: in a round each of them once, in random order.

use std::collections::VecDeque;

use crate::coin::Coin;

/// The links of the pairs to come.
///
/// From round to round each link of base meets another one of head, so that over as many rounds as
/// there are links every two meet once, and what one link does can be told from what the others do.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    layouts: u32,
    coin: Coin,
    /// How far head's links are ahead of base's in the next round.
    shift: u32,
    /// Base's and head's links in what is left of the round.
    left: VecDeque<(u32, u32)>,
}

impl Rounds {
    /// Links of each ref, below 2 for one; the order follows from the seed.
    pub(crate) fn new(layouts: u32, seed: u64) -> Rounds {
        let layouts = layouts.max(1);
        // A stream of its own: the coin for the order of runs is the same with and without layouts.
        let mut coin = Coin::new(seed ^ 0x6c61_796f_7574_7321);
        let shift = below(&mut coin, layouts);
        Rounds {
            layouts,
            coin,
            shift,
            left: VecDeque::new(),
        }
    }

    /// The link of base and that of head that run next.
    pub(crate) fn next(&mut self) -> (u32, u32) {
        if let Some(pair) = self.left.pop_front() {
            return pair;
        }
        let mut order: Vec<u32> = (0..self.layouts).collect();
        for last in (1..self.layouts).rev() {
            let other = below(&mut self.coin, last + 1);
            order.swap(last as usize, other as usize);
        }
        let ahead = |base: u32| (base, (base + self.shift) % self.layouts);
        self.left = order.into_iter().map(ahead).collect();
        self.shift = (self.shift + 1) % self.layouts;
        self.left.pop_front().unwrap_or_default()
    }
}

/// A number below a small bound; the bias of the remainder is below 1e-17.
fn below(coin: &mut Coin, bound: u32) -> u32 {
    (coin.number() % u64::from(bound)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_round_has_every_link_once_and_every_two_meet() {
        let mut rounds = Rounds::new(4, 7);
        let pairs: Vec<(u32, u32)> = (0..16).map(|_| rounds.next()).collect();
        for round in pairs.chunks(4) {
            let bases: BTreeSet<u32> = round.iter().map(|it| it.0).collect();
            let heads: BTreeSet<u32> = round.iter().map(|it| it.1).collect();
            assert_eq!((bases.len(), heads.len()), (4, 4), "{round:?}");
        }
        assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), 16);
        let again = Rounds::new(4, 7);
        let mut other = again.clone();
        assert_eq!(
            (0..16).map(|_| other.next()).collect::<Vec<_>>(),
            pairs,
            "the same seed"
        );
        let mut one = Rounds::new(0, 7);
        assert_eq!([one.next(), one.next()], [(0, 0), (0, 0)]);
    }
}
