//! A closure behind a pointer holds 45 % of the work, one inlined into a generic function 30 %.

mod work;

/// Iterations of a unit: about 2 ms.
const UNIT: u64 = 1_200_000;

work::worker!(plain, UNIT, 0x8525_2181_0d2b_4f33);

#[inline(never)]
fn apply<F: Fn(u64) -> u64>(x: u64, work: F) -> u64 {
    std::hint::black_box(work(x))
}

#[inline(never)]
fn called(salt: u64) -> Box<dyn Fn(u64) -> u64> {
    Box::new(move |mut x| {
        for _ in 0..UNIT {
            x = (x ^ salt).wrapping_mul(work::MULTIPLIER).rotate_left(23);
        }
        std::hint::black_box(x)
    })
}

#[inline(never)]
fn passed(x: u64, salt: u64) -> u64 {
    let work = |mut x: u64| {
        for _ in 0..UNIT {
            x = (x ^ salt).wrapping_mul(work::MULTIPLIER).rotate_left(23);
        }
        x
    };
    std::hint::black_box(apply(x, work))
}

fn main() {
    let mut deck = work::Deck::from_args(&[9, 6, 5]);
    let by_pointer = std::hint::black_box(called(0x5bd1_e995_1234_5671));
    let salt = std::hint::black_box(0x27d4_eb2f_1656_67c5);
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = match card {
            0 => by_pointer(x),
            1 => passed(x, salt),
            _ => plain(x),
        };
    }
    std::hint::black_box(x);
    deck.print(&[
        "closure::main;closure::called::{closure#0}",
        "closure::main;closure::passed;closure::apply;[closure::passed::{closure#0}]",
        "closure::main;closure::plain",
    ]);
}
