//! A program that samples itself with pprof-rs while it does known work: an independent opinion.
//!
//! Three functions hold 50, 30 and 20 % of the work. On standard output it prints the counted
//! work as the other programs do, and for each function `pprof NAME SAMPLES`, the samples whose
//! innermost function of this program it is.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program prints what it did"
)]

mod work;

use std::collections::BTreeMap;

/// Iterations of a unit: about 20 ms, several periods of the sampler inside the program.
const UNIT: u64 = 12_000_000;

/// Samples a second; the kernel's timer for it ticks at 250 Hz on usual builds.
const RATE_HZ: i32 = 200;

const FUNCTIONS: [&str; 3] = ["sampled::half", "sampled::third", "sampled::fifth"];

work::worker!(half, UNIT, 0x5bd1_e995_1234_5671);
work::worker!(third, UNIT, 0x27d4_eb2f_1656_67c5);
work::worker!(fifth, UNIT, 0x8525_2181_0d2b_4f33);

/// Which of the functions a frame's name belongs to: `half`, `sampled::half`, or that and a hash,
/// as debug information or the symbol table has it.
fn known(name: &str) -> Option<&'static str> {
    let path = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 => path,
        _ => name,
    };
    FUNCTIONS
        .into_iter()
        .find(|function| path == *function || Some(path) == function.strip_prefix("sampled::"))
}

fn main() {
    let mut deck = work::Deck::from_args(&[5, 3, 2]);
    let sampler = pprof::ProfilerGuard::new(RATE_HZ).expect("pprof starts its timer");
    let mut x = 1;
    while let Some(card) = deck.deal() {
        x = match card {
            0 => half(x),
            1 => third(x),
            _ => fifth(x),
        };
    }
    std::hint::black_box(x);
    let report = sampler.report().build().expect("pprof builds its report");
    deck.print(&FUNCTIONS.map(|function| format!("sampled::main;{function}")));
    let mut samples: BTreeMap<&str, isize> = BTreeMap::new();
    for (stack, count) in &report.data {
        let mut symbols = stack.frames.iter().flatten();
        let innermost = symbols.find_map(|symbol| known(&symbol.name()));
        *samples.entry(innermost.unwrap_or("elsewhere")).or_default() += count;
    }
    for (function, count) in samples {
        println!("pprof {function} {count}");
    }
}
