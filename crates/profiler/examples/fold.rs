//! A recording of perf to folded stacks, with symbols: what `perf script | inferno-collapse-perf`
//! does.
//!
//! `fold PERF.DATA [--plain]` writes to standard output and the time of each step to standard error;
//! `--plain` leaves inlined frames out, as `perf script --no-inline` does.

#![allow(clippy::print_stderr)]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

use hotproof_formats::folded;
use hotproof_profile::Inline;
use hotproof_profiler::replay;
use hotproof_symbolizer::Symbolizer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("usage: fold PERF.DATA [--plain]")?;
    let plain = words.next().is_some_and(|word| word == "--plain");
    let started = Instant::now();
    let imported = replay::read_file(&File::open(path)?, &replay::Options::default())?;
    let mut profile = imported.profile;
    let read = started.elapsed();
    Symbolizer::new().symbolize(&mut profile);
    let symbolized = started.elapsed();
    // perf and inferno weigh by the period.
    let options = folded::Options {
        weight: 1,
        inline: if plain {
            Inline::Physical
        } else {
            Inline::Expand
        },
    };
    let mut out = std::io::stdout().lock();
    folded::write(&profile, &options, &mut out)?;
    out.flush()?;
    eprintln!(
        "{} samples, {} stacks, {} locations: read {read:?}, named {:?}, written {:?}",
        profile.samples.len(),
        profile.stacks.len(),
        profile.locations.len(),
        symbolized - read,
        started.elapsed() - symbolized
    );
    for note in &profile.meta.notes {
        eprintln!("{note}");
    }
    Ok(())
}
