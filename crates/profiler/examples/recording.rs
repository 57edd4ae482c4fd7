//! Records a command and prints what came of it: a bench for the recorder itself.
//!
//! `cargo run -p hotproof-profiler --example recording -- RATE dwarf|fp|none|BYTES RUNS CMD...`
//!
//! With the variable `FAILED` set it also prints the addresses of stacks that are not whole.

#![allow(clippy::print_stdout)]

use hotproof_profile::{Profile, StackEnd};
use hotproof_profiler::{Recorder, Request, StackMode, Tail};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let rate_hz = words.next().ok_or("no rate")?.parse()?;
    let stacks = match words.next().ok_or("no stack mode")?.as_str() {
        "fp" => StackMode::FramePointer,
        "dwarf" => StackMode::Adaptive { tail: Tail::Stitch },
        "none" => StackMode::None,
        bytes => StackMode::Dwarf {
            bytes: bytes.parse()?,
        },
    };
    let runs: u32 = words.next().ok_or("no number of runs")?.parse()?;
    let mut request = Request::new(words);
    request.rate_hz = rate_hz;
    request.stacks = stacks;
    let mut recorder = Recorder::new();
    for _ in 0..runs {
        let mut profile = Profile::default();
        let recording = recorder.record(&request, &mut profile, &mut |_| ())?;
        profile.validate()?;
        let of = |end| profile.samples.end.iter().filter(|&&e| e == end).count();
        let cpu_ns = recording.counts.cpu_ns.max(1);
        println!(
            "{:?} {:?} samples {} lost {:?} complete {} stitched {} truncated {} failed {} stacks {} \
             coverage {:.4} cpu {:.3} s wall {:.3} s recorder {:.2} ms ({:.2} %)",
            recording.exit,
            recording.sampled,
            recording.samples,
            recording.lost,
            of(StackEnd::Complete),
            of(StackEnd::Stitched),
            of(StackEnd::Truncated),
            of(StackEnd::Failed),
            profile.stacks.len(),
            profile.total_weight(1) as f64 / cpu_ns as f64,
            cpu_ns as f64 / 1e9,
            recording.counts.wall_ns as f64 / 1e9,
            recording.recorder_cpu_ns as f64 / 1e6,
            100.0 * recording.recorder_cpu_ns as f64 / cpu_ns as f64,
        );
        println!("{:?} {:?}", recording.counts, recording.notes);
        if std::env::var_os("FAILED").is_some() {
            print_failed(&profile);
        }
    }
    Ok(())
}

fn print_failed(profile: &Profile) {
    for (i, end) in profile.samples.end.iter().enumerate() {
        if *end == StackEnd::Complete {
            continue;
        }
        let addresses = profile.path(profile.samples.stack[i]).map(|id| {
            let row = &profile.locations[id];
            let image = row.image.map_or("?", |id| {
                let path = profile.images[id].path;
                &profile.strings[path]
            });
            format!("{image}+{:x}", row.address)
        });
        let addresses: Vec<String> = addresses.collect();
        println!("{end:?} {i} {}", addresses.join(" < "));
    }
}
