//! One function inlined into two callers: 70 % of its work is done in one, 30 % in the other.

mod work;

/// Iterations of a unit: about 2 ms.
const UNIT: u64 = 1_200_000;

#[inline(always)]
fn kernel(mut x: u64, salt: u64) -> u64 {
    for _ in 0..UNIT {
        x = (x ^ salt).wrapping_mul(work::MULTIPLIER).rotate_left(23);
    }
    x
}

#[inline(never)]
fn left(x: u64) -> u64 {
    std::hint::black_box(kernel(x, 0x5bd1_e995_1234_5671))
}

#[inline(never)]
fn right(x: u64) -> u64 {
    std::hint::black_box(kernel(x, 0x27d4_eb2f_1656_67c5))
}

fn main() {
    let mut deck = work::Deck::from_args(&[14, 6]);
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = if card == 0 { left(x) } else { right(x) };
    }
    std::hint::black_box(x);
    deck.print(&[
        "inlined::main;inlined::left;[inlined::kernel]",
        "inlined::main;inlined::right;[inlined::kernel]",
    ]);
}
