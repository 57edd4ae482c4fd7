//! What the Rust test programs share: a shuffled deck of work cards that counts what it deals.
//!
//! A program deals whole decks until its budget is used up, so that the shares of its cards are
//! exact however long it runs. The order within a deck is pseudo-random, so that no sampling
//! period can beat against the program's own.

/// A multiplier without pattern (2^64 divided by the golden ratio, made odd).
pub(crate) const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// When a program stops; always after a whole deck.
enum Budget {
    CpuSeconds(f64),
    Decks(u64),
}

/// CPU time of this process so far. It comes in ticks of 1/100 s, the unit of this file whatever
/// the kernel's own tick.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process can read its state");
    let after_name = stat.rsplit_once(')').expect("the name is in parentheses").1;
    // Fields 14 and 15, user and system time; the text begins with field 3.
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    ticks as f64 / 100.0
}

/// A deck of cards; card `i` occurs as often as weight `i` says.
pub(crate) struct Deck {
    cards: Vec<usize>,
    next: usize,
    counts: Vec<u64>,
    dealt: u64,
    budget: Budget,
    random: u64,
}

impl Deck {
    /// A deck for the budget on the command line: `seconds S` of CPU time or `decks N`.
    pub(crate) fn from_args(weights: &[usize]) -> Deck {
        let mut args = std::env::args().skip(1);
        let budget = match (args.next().as_deref(), args.next()) {
            (Some("seconds"), Some(s)) => {
                Budget::CpuSeconds(s.parse().expect("a number of seconds"))
            }
            (Some("decks"), Some(n)) => Budget::Decks(n.parse().expect("a number of decks")),
            _ => {
                eprintln!("usage: PROGRAM seconds S | decks N");
                std::process::exit(2);
            }
        };
        let cards: Vec<usize> = weights
            .iter()
            .enumerate()
            .flat_map(|(card, &weight)| std::iter::repeat_n(card, weight))
            .collect();
        Deck {
            next: cards.len(),
            cards,
            counts: vec![0; weights.len()],
            dealt: 0,
            budget,
            random: MULTIPLIER,
        }
    }

    /// The next card, or `None` after the last whole deck of the budget.
    pub(crate) fn deal(&mut self) -> Option<usize> {
        if self.next == self.cards.len() {
            let more = match self.budget {
                Budget::CpuSeconds(limit) => cpu_seconds() < limit,
                Budget::Decks(limit) => self.dealt < limit,
            };
            if !more {
                return None;
            }
            self.shuffle();
        }
        let card = self.cards[self.next];
        self.next += 1;
        self.counts[card] += 1;
        Some(card)
    }

    fn shuffle(&mut self) {
        for last in (1..self.cards.len()).rev() {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.cards.swap(last, self.random as usize % (last + 1));
        }
        self.next = 0;
        self.dealt += 1;
    }

    /// Prints how much work was done under which chain of functions, root first.
    ///
    /// A function in brackets is inlined into the one before it.
    pub(crate) fn print(&self, chains: &[impl AsRef<str>]) {
        for (chain, count) in chains.iter().zip(&self.counts) {
            println!("{} {count}", chain.as_ref());
        }
    }
}

/// A function that does one unit of work: a chain of dependent operations, so that its time is
/// its length. The salt makes each body different, so that no two are merged into one.
#[allow(unused_macros)]
macro_rules! worker {
    ($name:ident, $iterations:expr, $salt:literal) => {
        #[inline(never)]
        fn $name(mut x: u64) -> u64 {
            for _ in 0..$iterations {
                x = (x ^ $salt).wrapping_mul(work::MULTIPLIER).rotate_left(23);
            }
            std::hint::black_box(x)
        }
    };
}
#[allow(unused_imports)]
pub(crate) use worker;
