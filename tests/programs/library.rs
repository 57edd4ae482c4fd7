//! Two functions whose work is almost all in library code inlined into them: 60 and 40 %.

mod work;

/// Elements of the data, which stay in the first-level cache.
const ELEMENTS: u64 = 1_000;

/// Passes over the data that make a unit: about 2 ms.
const PASSES: u64 = 600;

macro_rules! polynomial {
    ($name:ident, $salt:literal) => {
        #[inline(never)]
        fn $name(coefficients: &[u64], offsets: &[u64], mut x: u64) -> u64 {
            for pass in 0..PASSES {
                for ((left, right), index) in coefficients.iter().zip(offsets).zip(pass..) {
                    x = x.wrapping_mul(left.wrapping_add($salt)).rotate_left(23);
                    x = x.wrapping_mul(right.wrapping_sub(index)).rotate_right(11);
                }
            }
            std::hint::black_box(x)
        }
    };
}

polynomial!(first, 0x5bd1_e995_1234_5671);
polynomial!(second, 0x27d4_eb2f_1656_67c5);

fn main() {
    let mut deck = work::Deck::from_args(&[12, 8]);
    let coefficients: Vec<u64> = (0..ELEMENTS).map(|n| n % 1024 | 1).collect();
    let offsets: Vec<u64> = (0..ELEMENTS).map(|n| n % 509 | 2).collect();
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = if card == 0 {
            first(&coefficients, &offsets, x | 1)
        } else {
            second(&coefficients, &offsets, x | 1)
        };
    }
    std::hint::black_box(x);
    deck.print(&[
        "library::main;library::first",
        "library::main;library::second",
    ]);
}
