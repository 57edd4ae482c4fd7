//! Five functions that hold 40, 25, 20, 10 and 5 % of the work.

mod work;

/// Iterations of a unit: about 2 ms.
const UNIT: u64 = 1_200_000;

work::worker!(alpha, UNIT, 0x5bd1_e995_1234_5671);
work::worker!(beta, UNIT, 0x27d4_eb2f_1656_67c5);
work::worker!(gamma, UNIT, 0x8525_2181_0d2b_4f33);
work::worker!(delta, UNIT, 0x1656_67b1_9e37_79f9);
work::worker!(epsilon, UNIT, 0x2545_f491_4f6c_dd1d);

fn main() {
    let mut deck = work::Deck::from_args(&[8, 5, 4, 2, 1]);
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = match card {
            0 => alpha(x),
            1 => beta(x),
            2 => gamma(x),
            3 => delta(x),
            _ => epsilon(x),
        };
    }
    std::hint::black_box(x);
    deck.print(&[
        "five::main;five::alpha",
        "five::main;five::beta",
        "five::main;five::gamma",
        "five::main;five::delta",
        "five::main;five::epsilon",
    ]);
}
