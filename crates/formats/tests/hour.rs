//! An hour of samples in little memory. A program of its own, because it looks at its own peak.

#![allow(
    clippy::print_stdout,
    reason = "the figures are for whoever asks with --nocapture"
)]

use std::fs::File;
use std::io::{Seek, SeekFrom};

use hotproof_formats::native::{self, Writer};
use hotproof_profile::*;

const SAMPLES: u64 = 3_600_000;
const STACKS: u32 = 4_000;
const DEPTH: u32 = 24;
const MIB: u64 = 1 << 20;

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// Four thousand stacks, each with its own way from the tenth frame on.
fn tables(writer: &mut Writer<File>) -> Result<(ThreadId, Vec<StackId>), SinkError> {
    let weight = |name: &str, unit| Weight {
        name: name.to_owned(),
        unit,
    };
    writer.weights(&[
        weight("samples", Unit::Count),
        weight("cpu", Unit::Nanoseconds),
    ])?;
    let name = writer.string("hour")?;
    let process = writer.process(Process {
        pid: 1,
        name,
        start_ns: 0,
        end_ns: None,
    })?;
    let thread = writer.thread(Thread {
        process,
        tid: 1,
        name,
        start_ns: 0,
        end_ns: None,
    })?;
    let mut leaves = Vec::new();
    for number in 0..STACKS {
        let mut parent = None;
        for depth in 0..DEPTH {
            let address = u64::from(number / (1 << (DEPTH - depth).min(12)) * DEPTH + depth);
            let kind = AddressKind::ReturnAddress;
            let location = writer.location(Location::unresolved(None, address, kind))?;
            parent = Some(writer.stack(Stack { parent, location })?);
        }
        leaves.extend(parent);
    }
    Ok((thread, leaves))
}

/// Samples at one kilohertz, most of them of a few stacks, made safe every second.
fn hour(file: File) -> Result<File, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = Writer::new(file)?;
    let (thread, leaves) = tables(&mut writer)?;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut time_ns = 0;
    for number in 0..SAMPLES {
        time_ns += 1_000_000 + random.below(4_000);
        let most = 1 << random.below(12);
        let stack = leaves[random.below(most.max(1)) as usize];
        writer.sample(&Sample {
            thread,
            time_ns,
            stack: Some(stack),
            weights: &[1, 1_003_009],
            cpu: Some((random.below(50) == 0).into()),
            end: StackEnd::Complete,
            labels: None,
        })?;
        if number % 1_000 == 0 {
            writer.secure()?;
        }
    }
    Ok(writer.finish()?)
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse::<u64>().unwrap() * 1024
}

/// The bars: 64 MiB for an hour at 1 kHz, from the first sample to the finished file, and
/// 8 bytes a sample. In memory, as rows, the samples alone would take 190 MB.
#[test]
fn an_hour_of_samples_takes_little_memory_and_disk() {
    let mut file = hour(tempfile::tempfile().unwrap()).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let summed = native::read_summed(&file).unwrap();
    assert_eq!(summed.sample_count(), SAMPLES);
    let finished = tempfile::tempfile().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    native::write_with_samples(&summed, &file, &finished).unwrap();
    let bytes = [&file, &finished].map(|file| file.metadata().unwrap().len());
    let a_sample = bytes.map(|bytes| bytes as f64 / SAMPLES as f64);
    let peak = peak_bytes();
    println!("{a_sample:.2?} bytes a sample, peak {} MiB", peak / MIB);
    assert!(peak < 64 * MIB, "{peak}");
    assert!(a_sample.iter().all(|&bytes| bytes <= 8.0), "{a_sample:?}");
}
