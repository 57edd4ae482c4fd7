//! An hour of samples in little memory, and no file in more than its reader may take. A program of
//! its own, because it looks at its own peak.

#![allow(
    clippy::print_stdout,
    reason = "the figures are for whoever asks with --nocapture"
)]

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hotproof_formats::import::{self, Format, Limits};
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

/// The peak of this process above what it held when it was begun anew; one at a time.
struct Peak {
    _alone: MutexGuard<'static, ()>,
    held_bytes: u64,
}

impl Peak {
    fn begin() -> Peak {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let held_bytes = status_bytes("VmRSS:");
        let peak = Peak { _alone, held_bytes };
        peak.again();
        peak
    }

    /// What the peak was before counts no more.
    fn again(&self) {
        // Resets the peak to what is held (proc(5)).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
    }

    fn bytes(&self) -> u64 {
        status_bytes("VmHWM:").saturating_sub(self.held_bytes)
    }
}

fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse::<u64>().unwrap() * 1024
}

/// The bars: 64 MiB for an hour at 1 kHz, from the first sample to the finished file, and
/// 8 bytes a sample. In memory, as rows, the samples alone would take 190 MB.
#[test]
fn an_hour_of_samples_takes_little_memory_and_disk() {
    let peak = Peak::begin();
    let mut file = hour(tempfile::tempfile().unwrap()).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let summed = native::read_summed(&file).unwrap();
    assert_eq!(summed.sample_count(), SAMPLES);
    let finished = tempfile::tempfile().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    native::write_with_samples(&summed, &file, &finished).unwrap();
    let bytes = [&file, &finished].map(|file| file.metadata().unwrap().len());
    let a_sample = bytes.map(|bytes| bytes as f64 / SAMPLES as f64);
    let peak = peak.bytes();
    println!("{a_sample:.2?} bytes a sample, peak {} MiB", peak / MIB);
    assert!(peak < 64 * MIB, "{peak}");
    assert!(a_sample.iter().all(|&bytes| bytes <= 8.0), "{a_sample:?}");
}

/// So large is each of the files below.
const FILE_BYTES: usize = 4 << 20;
/// What their readers may take for rows.
const LIMITS: Limits = Limits {
    input_bytes: 1 << 30,
    memory_bytes: 16 << 20,
};
/// What they take at most: lists grow by doubling, one piece of a trace is held before it is counted,
/// and beside rows there are the texts of the file.
const MOST_BYTES: u64 = 5 * LIMITS.memory_bytes + FILE_BYTES as u64;

/// A file of one piece again and again between a beginning and an end; `#` in the piece is its
/// number.
fn file(begin: &str, piece: &str, end: &str) -> Vec<u8> {
    let mut text = begin.to_owned();
    for number in 1.. {
        if text.len() >= FILE_BYTES {
            break;
        }
        match piece.contains('#') {
            true => text.push_str(&piece.replace('#', &number.to_string())),
            false => text.push_str(piece),
        }
    }
    text.push_str(piece.replace('#', "0").trim_end_matches(','));
    text.push_str(end);
    text.into_bytes()
}

/// Files whose rows are many times larger than their texts, by format.
fn texts() -> Vec<(Format, &'static str, String, &'static str, &'static str)> {
    use Format::{Callgrind, ChromeTrace, CpuProfile, Firefox, Folded, Json, PerfScript};
    let speedscope = "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",";
    let stacks = format!(
        "{speedscope}\"shared\":{{\"frames\":[{{\"name\":\"a\"}}]}},\"profiles\":[{{\"type\":\"sampled\",\"name\":\"a\",\"unit\":\"none\",\"startValue\":0,\"endValue\":0,\"weights\":[],\"samples\":["
    );
    let frames = format!("{speedscope}\"profiles\":[],\"shared\":{{\"frames\":[");
    let threads = "{\"meta\":{\"preprocessedProfileVersion\":50},\"threads\":[";
    let column = format!("{threads}{{\"samples\":{{\"stack\":[");
    let strings = format!("{threads}{{\"samples\":{{}},\"stringArray\":[");
    let ours = "{\"schema\":{\"name\":\"hotproof.profile\",\"version\":1},\"meta\":{\"notes\":[";
    let chunk = "[{\"ph\":\"P\",\"name\":\"ProfileChunk\",\"args\":{\"data\":{\"cpuProfile\":{\"samples\":[";
    let arguments = "[{\"ph\":\"X\",\"name\":\"a\",\"ts\":0,\"args\":{\"b\":[";
    vec![
        (Format::Speedscope, "stacks", stacks, "[0],", "]}]}"),
        (
            Format::Speedscope,
            "frames",
            frames,
            "{\"name\":\"\"},",
            "]}}",
        ),
        (
            Firefox,
            "threads",
            threads.to_owned(),
            "{\"samples\":{}},",
            "]}",
        ),
        (Firefox, "columns", column, "1,", "]}}]}"),
        (Firefox, "strings", strings, "\"\",", "]}]}"),
        (Json, "notes", ours.to_owned(), "\"\",", "]}}"),
        (
            CpuProfile,
            "nodes",
            "{\"samples\":[],\"nodes\":[".to_owned(),
            "{\"id\":#,\"callFrame\":{\"functionName\":\"\"}},",
            "]}",
        ),
        (
            CpuProfile,
            "samples",
            "{\"nodes\":[],\"samples\":[".to_owned(),
            "1,",
            "]}",
        ),
        (
            ChromeTrace,
            "slices",
            "[".to_owned(),
            "{\"ph\":\"X\",\"ts\":#},",
            "]",
        ),
        (
            ChromeTrace,
            "threads",
            "[".to_owned(),
            "{\"ph\":\"E\",\"ts\":0,\"tid\":#},",
            "]",
        ),
        (
            ChromeTrace,
            "names",
            "[".to_owned(),
            "{\"ph\":\"M\",\"name\":\"thread_name\",\"tid\":#},",
            "]",
        ),
        (
            ChromeTrace,
            "frames",
            "{\"traceEvents\":[],\"stackFrames\":{".to_owned(),
            "\"#\":{},",
            "}}",
        ),
        (
            ChromeTrace,
            "samples",
            "{\"traceEvents\":[],\"samples\":[".to_owned(),
            "{},",
            "]}",
        ),
        (ChromeTrace, "piece", chunk.to_owned(), "1,", "]}}}}]"),
        (
            ChromeTrace,
            "pieces",
            "[".to_owned(),
            "{\"name\":\"ProfileChunk\",\"id\":#},",
            "]",
        ),
        (
            ChromeTrace,
            "arguments",
            arguments.to_owned(),
            "{\"\":[]},",
            "]}}]",
        ),
        (
            ChromeTrace,
            "metadata",
            "{\"traceEvents\":[],\"metadata\":{\"weight\":[".to_owned(),
            "[],",
            "]}}",
        ),
        (Folded, "names", "".to_owned(), "#;# 1\n", ""),
        (
            PerfScript,
            "command",
            "# cmdline :".to_owned(),
            " a",
            "\na 1 2.0: 5 x: \n\n",
        ),
        (
            PerfScript,
            "frames",
            "a 1 2.0: 5 x: \n".to_owned(),
            "\t1 a (b)\n",
            "",
        ),
        (
            PerfScript,
            "samples",
            "".to_owned(),
            "a # 2.0: 5 x: \n\n",
            "",
        ),
        (
            Callgrind,
            "functions",
            "events: A\n".to_owned(),
            "fn=#\n1 1\n",
            "",
        ),
        (
            Callgrind,
            "lines",
            "events: A\nfn=f\n".to_owned(),
            "# 1\n",
            "",
        ),
    ]
}

/// The same of pprof: a table of texts, and what follows in the file.
fn messages() -> [(&'static str, Vec<u8>); 4] {
    let file = |head: &[u8], row: &[u8]| {
        let mut file = [b"\x32\0", head].concat();
        file.extend(row.repeat(FILE_BYTES / row.len()));
        file
    };
    // The number of a message, and its length in seven bits each.
    let length = [
        FILE_BYTES,
        FILE_BYTES >> 7,
        FILE_BYTES >> 14,
        FILE_BYTES >> 21,
    ];
    let inner = |key: u8| {
        let mut head = vec![key << 3 | 2];
        head.extend(length[..3].iter().map(|bits| *bits as u8 | 0x80));
        head.push(length[3] as u8);
        head
    };
    [
        ("samples", file(&[], b"\x12\0")),
        ("lines", file(&inner(4), b"\x22\0")),
        ("ids", file(&inner(2), b"\x08\x01")),
        ("labels", file(&inner(2), b"\x1a\0")),
    ]
}

/// Whatever is in a file, its reader takes a fixed multiple of what it may take, or refuses it.
#[test]
fn no_file_takes_more_memory_than_its_reader_may() {
    let peak = Peak::begin();
    let check = |format, what, bytes: &[u8]| {
        peak.again();
        let outcome = import::read_as(format, bytes, LIMITS);
        let peak = peak.bytes();
        let said = outcome.map_or_else(|error| error.to_string(), |_| "read".to_owned());
        println!("{format}, {what}: {} MiB, {said}", peak / MIB);
        assert!(peak < MOST_BYTES, "{format}, {what}: {peak} bytes, {said}");
    };
    for (format, what, begin, piece, end) in texts() {
        check(format, what, &file(&begin, piece, end));
    }
    for (what, bytes) in messages() {
        check(Format::Pprof, what, &bytes);
    }
}
