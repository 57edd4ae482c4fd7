//! packlog: reads a day of server log, counts what happened, packs it and seals it.
//!
//! The log is made up on the spot from a fixed seed, so that each run does the same work and
//! prints the same figures.

mod count;
mod pack;
mod parse;
mod seal;
mod write;

/// Lines of log that one run works through.
const LINES: usize = 200_000;

fn main() {
    let text = write::day(LINES, 0x5eed);
    let mut counts = count::Counts::default();
    let mut rejected = 0;
    for line in text.lines() {
        match parse::entry(line) {
            Some(entry) => counts.add(&entry),
            None => rejected += 1,
        }
    }
    let packed = pack::pack(text.as_bytes());
    let seal = seal::adler32(text.as_bytes()) ^ seal::adler32(&packed);

    println!("lines     {LINES}, {rejected} rejected");
    println!("packed    {} of {} bytes", packed.len(), text.len());
    println!("seal      {seal:08x}");
    println!("slowest   {} us", counts.slowest_us());
    for (path, hits, mean) in counts.busiest(5) {
        println!("{hits:>8}  {mean:>6} us  {path}");
    }
    assert_eq!(pack::unpack(&packed), text.as_bytes(), "what was packed comes back");
}
