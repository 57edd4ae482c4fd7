//! The fair coin that orders the runs of a pair.

use std::fs::File;
use std::io::{self, Read};

use hotproof_diff::Order;

/// A stream of pseudo-random numbers: SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014). The same seed gives the same stream for ever, so that
/// the orders of a comparison follow from its logged seed.
#[derive(Debug, Clone)]
pub(crate) struct Coin {
    state: u64,
}

impl Coin {
    pub(crate) fn new(seed: u64) -> Coin {
        Coin { state: seed }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Heads or tails, by the highest bit of the next number.
    pub(crate) fn toss(&mut self) -> Order {
        if self.number() >> 63 == 0 {
            Order::BaseFirst
        } else {
            Order::HeadFirst
        }
    }
}

/// A seed from the system. 53 bits, so that it survives JSON readers that know doubles alone.
pub(crate) fn draw_seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes) >> 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs for seed 1234567, as published with the reference implementation.
        let mut coin = Coin::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(expected.map(|_| coin.number()), expected);
    }

    #[test]
    fn the_coin_is_fair_and_has_no_memory() {
        let mut coin = Coin::new(7);
        let tosses: Vec<Order> = (0..10_000).map(|_| coin.toss()).collect();
        let heads = tosses
            .iter()
            .filter(|&&toss| toss == Order::HeadFirst)
            .count();
        let changes = tosses.windows(2).filter(|pair| pair[0] != pair[1]).count();
        // Five standard deviations of a fair coin.
        for count in [heads, changes] {
            assert!((4_750..=5_250).contains(&count), "{count}");
        }
    }
}
