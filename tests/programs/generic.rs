//! A generic function with two instances: 65 % of its work in one, 35 % in the other.

mod work;

/// Iterations of a unit: about 2 ms.
const UNIT: u64 = 1_200_000;

trait Salt {
    const SALT: u64;
}

struct Sea;
struct Rock;

impl Salt for Sea {
    const SALT: u64 = 0x5bd1_e995_1234_5671;
}

impl Salt for Rock {
    const SALT: u64 = 0x27d4_eb2f_1656_67c5;
}

#[inline(never)]
fn mix<S: Salt>(mut x: u64) -> u64 {
    for _ in 0..UNIT {
        x = (x ^ S::SALT).wrapping_mul(work::MULTIPLIER).rotate_left(23);
    }
    std::hint::black_box(x)
}

#[inline(never)]
fn at_sea(x: u64) -> u64 {
    std::hint::black_box(mix::<Sea>(x))
}

#[inline(never)]
fn on_rock(x: u64) -> u64 {
    std::hint::black_box(mix::<Rock>(x))
}

fn main() {
    let mut deck = work::Deck::from_args(&[13, 7]);
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = if card == 0 { at_sea(x) } else { on_rock(x) };
    }
    std::hint::black_box(x);
    deck.print(&[
        "generic::main;generic::at_sea;generic::mix",
        "generic::main;generic::on_rock;generic::mix",
    ]);
}
