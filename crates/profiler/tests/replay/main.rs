//! Recordings of perf: what is read of them, what is missing, and that no bytes do harm.

mod recording;

use std::collections::{BTreeMap, BTreeSet};

use hotproof_profile::{AddressKind, ImageId, Profile, Sink, StackEnd, StackId, ThreadId, Unit};
use hotproof_profiler::replay::{
    self, Counted, Imported, Options, Recording as Input, ReplayError, SampleRows,
};
use hotproof_profiler::{Replay, Sampler, TakeError};
use proptest::prelude::*;
use recording::{FORMS, Form, KERNEL_MARKER, Recording, USER_MARKER};

fn read(bytes: &[u8]) -> Imported {
    let imported = replay::read(bytes, &Options::default()).unwrap();
    imported.profile.validate().unwrap();
    imported
}

/// Each sample as time, thread name and chain, leaf first, with images.
fn told(profile: &Profile) -> Vec<(u64, String, Vec<String>)> {
    let samples = &profile.samples;
    let row = |i: usize| {
        let thread = &profile.threads[samples.thread[i]];
        let path = profile.path(samples.stack[i]).map(|id| {
            let location = &profile.locations[id];
            let image = location.image.map(|image| profile.images[image].path);
            let image = image.map_or("?", |path| &profile.strings[path]);
            let mark = match location.kind {
                AddressKind::Ip => "",
                AddressKind::ReturnAddress => "<",
                AddressKind::Adjusted => "=",
            };
            format!("{image}+{:x}{mark}", location.address)
        });
        let name = profile.strings[thread.name].to_owned();
        (samples.time_ns[i], name, path.collect())
    };
    (0..samples.len()).map(row).collect()
}

/// A parent and its child, which executes another program; events, unknown records, losses.
fn family() -> Recording {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false)
        .mmap(0, 10, 0x40_0000, "/none/main")
        .sample(30, 1, 10, &[USER_MARKER, 0x40_0010, 0x40_0123])
        .fork(40, 11, 10)
        .sample(
            60,
            1,
            10,
            &[KERNEL_MARKER, 0xffff_ffff_8100_0000, 0xffff_ffff_8100_0009],
        )
        // Another ring, read after the first.
        .sample(20, 2, 10, &[USER_MARKER, 0x40_0010])
        .sample(45, 1, 11, &[USER_MARKER, 0x40_0020])
        .comm(50, 11, "child", true)
        .mmap(51, 11, 0x70_0000, "/none/child")
        .round()
        .sample(
            55,
            1,
            11,
            &[
                KERNEL_MARKER,
                0xffff_ffff_8100_0000,
                USER_MARKER,
                0x70_0044,
                0x40_0010,
            ],
        )
        .other(2, 0, 70, 7u128.to_ne_bytes().to_vec())
        .other(40, 0, 70, vec![0; 8])
        .of_perf(99, &[])
        .of_perf(82, &[])
        .round();
    // Lost: an id, then how many.
    let lost = r.records.iter_mut().find(|r| r[0] == 2).unwrap();
    lost[8..24].copy_from_slice(&[[1, 0, 0, 0, 0, 0, 0, 0], [7, 0, 0, 0, 0, 0, 0, 0]].concat());
    r
}

/// A recording of the whole machine begins with what ran before it; no record names the idle task.
#[test]
fn processes_that_ran_before_have_their_own_names() {
    let mut r = Recording::default();
    r.found(1, 0, "init")
        .found(10, 1, "server")
        .fork(20, 11, 10)
        .sample(30, 1, 1, &[USER_MARKER, 0x40_0010])
        .sample(31, 1, 10, &[USER_MARKER, 0x40_0010])
        .sample(32, 1, 11, &[USER_MARKER, 0x40_0010])
        .sample(33, 1, 0, &[KERNEL_MARKER, 0xffff_ffff_8100_0000])
        .sample(34, 1, 12, &[USER_MARKER, 0x40_0010])
        .round();
    let profile = read(&r.bytes(Form::File)).profile;
    let named = |row: usize| {
        let thread = &profile.threads[profile.samples.thread[row]];
        let process = &profile.processes[thread.process];
        let name = |id| profile.strings[id].to_owned();
        (process.pid, name(process.name), name(thread.name))
    };
    let expected = [
        (1, "init", "init"),
        (10, "server", "server"),
        (11, "server", "server"),
        (0, "swapper", "swapper"),
        (12, "pid 12", "pid 12"),
    ];
    let expected = expected.map(|(pid, process, thread)| (pid, process.into(), thread.into()));
    let told: Vec<_> = (0..profile.samples.len()).map(named).collect();
    assert_eq!(told, expected);
}

/// Behind the trait of all samplers a recording sends what reading it gives, and says what cannot be
/// read.
#[test]
fn a_recording_is_taken_again_as_a_sampler_does() {
    fn take<S: Sampler<Outcome = Counted, Error = TakeError>>(
        mut sampler: S,
        sink: &mut dyn Sink,
    ) -> Result<Counted, TakeError> {
        sampler.sample(sink, &mut |_| ())
    }
    let file_of = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        let options = Options::default();
        Replay { file, options }
    };
    for form in FORMS {
        let bytes = family().bytes(form);
        let mut profile = Profile::default();
        let counted = take(file_of(&bytes), &mut profile).unwrap();
        profile.validate().unwrap();
        let expected = read(&bytes);
        assert_eq!(counted, expected.counted, "{form:?}");
        assert_eq!(told(&profile), told(&expected.profile), "{form:?}");
        assert_eq!(profile.meta.event, expected.profile.meta.event);
    }
    let failed = take(file_of(b"no recording"), &mut Profile::default());
    assert!(matches!(failed, Err(TakeError::Replay(_))), "{failed:?}");
}

/// Periods that come to more than 64 bits are counted as nonsense, and the profile is valid (found by
/// the fuzzer).
#[test]
fn periods_beyond_all_measure_are_undecodable() {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false);
    for time in 1..4 {
        r.sample(time, 1, 10, &[USER_MARKER, 0x40_0010]);
        let last = r.records.last_mut().unwrap();
        // Behind the header, the numbers of the thread, the time, the event and the CPU.
        last[48..56].copy_from_slice(&(i64::MAX - 2).to_ne_bytes());
    }
    r.sample(5, 1, 10, &[USER_MARKER, 0x40_0010]);
    let last = r.records.last_mut().unwrap();
    last[48..56].copy_from_slice(&2u64.to_ne_bytes());
    for form in FORMS {
        let imported = read(&r.bytes(form));
        assert_eq!(imported.counted.undecodable, 2, "{form:?}");
        assert_eq!(imported.profile.total_weight(1), i64::MAX);
    }
}

/// The three layouts tell the same story, in order of time: names and mappings are those of the
/// moment, the leaf and the user's leaf below the kernel are instructions, and what has no mapping
/// has no image.
#[test]
fn every_layout_tells_the_same_story() {
    let line = |time, name: &str, path: &[&str]| {
        let path = path.iter().map(|s| (*s).to_owned()).collect();
        (time, name.to_owned(), path)
    };
    let expected = [
        line(30, "main", &["/none/main+10", "/none/main+123<"]),
        line(45, "main", &["/none/main+20"]),
        line(
            55,
            "child",
            &["[kernel]+ffffffff81000000", "/none/child+44", "?+0<"],
        ),
        line(
            60,
            "main",
            &["[kernel]+ffffffff81000000", "[kernel]+ffffffff81000009<"],
        ),
    ];
    for form in FORMS {
        let imported = read(&family().bytes(form));
        assert_eq!(told(&imported.profile), expected, "{form:?}");
        let counted = &imported.counted;
        assert_eq!(counted.lost_records, 7, "{form:?}");
        assert_eq!(counted.unknown, [(40, 1), (99, 1)].into(), "{form:?}");
        assert_eq!(counted.other_events, [("page-faults".to_owned(), 1)].into());
        let missing = (
            counted.undecodable,
            counted.missing_bytes,
            counted.broken_at,
        );
        assert_eq!(missing, (0, 0, None), "{form:?}");
        let weights = &imported.profile.weights;
        assert_eq!(
            (weights[1].name.as_str(), weights[1].unit),
            ("cpu", Unit::Nanoseconds)
        );
        assert_eq!(
            imported.profile.samples.weights,
            [vec![1; 4], vec![1_000; 4]]
        );
        assert_eq!(imported.profile.meta.lost.samples, 7);
        assert_eq!(imported.profile.meta.event, "cpu-clock");
    }
}

/// A file read in pieces gives what its bytes in memory give.
#[test]
fn a_file_is_read_as_its_bytes_are() {
    let mut r = family();
    for i in 0..20_000 {
        r.sample(
            100 + i,
            1,
            10,
            &[USER_MARKER, 0x40_0000 + i % 7, 0x40_0100 + i % 3],
        );
    }
    let bytes = r.bytes(Form::File);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let options = Options::default();
    let from_file = replay::read_file(&file, &options).unwrap();
    assert_eq!(from_file, read(&bytes));
    assert_eq!(from_file.profile.samples.len(), 20_004);
}

#[test]
fn another_event_is_read_when_asked_for_or_when_the_first_never_fired() {
    let options = Options {
        event: Some("page-faults".to_owned()),
        ..Options::default()
    };
    let bytes = family().bytes(Form::File);
    let imported = replay::read(&bytes, &options).unwrap();
    assert_eq!(imported.profile.samples.time_ns, [20]);
    assert_eq!(
        imported.counted.other_events,
        [("cpu-clock".to_owned(), 4)].into()
    );
    let mut r = Recording::default();
    r.sample(5, 2, 10, &[USER_MARKER, 0x40_0010]);
    let imported = read(&r.bytes(Form::File));
    assert_eq!(imported.profile.meta.event, "page-faults");
    let options = Options {
        event: Some("cycles".to_owned()),
        ..Options::default()
    };
    let error = replay::read(&bytes, &options).unwrap_err();
    let text = "no event is called cycles, expected one of: cpu-clock, page-faults";
    assert_eq!(error.to_string(), text);
}

/// Sums of weights by thread, stack and end.
fn sums(profile: &Profile) -> BTreeMap<(ThreadId, Option<StackId>, StackEnd), Vec<i64>> {
    let samples = &profile.samples;
    let mut sums = BTreeMap::<_, Vec<i64>>::new();
    for row in 0..samples.len() {
        let key = (samples.thread[row], samples.stack[row], samples.end[row]);
        let sum = sums
            .entry(key)
            .or_insert_with(|| vec![0; samples.weights.len()]);
        for (sum, column) in sum.iter_mut().zip(&samples.weights) {
            *sum += column[row];
        }
    }
    sums
}

/// Rows of sums have the same weights for each thread, stack and end as single samples have.
#[test]
fn sums_hold_what_single_samples_hold() {
    let mut r = family();
    for i in 0..3_000 {
        let chain = [USER_MARKER, 0x40_0000 + i % 7, 0x40_0100 + i % 3, i];
        r.sample(100 + i, 1, 10 + (i % 2) as u32, &chain);
    }
    let bytes = r.bytes(Form::File);
    let summed = Options {
        rows: SampleRows::Summed,
        ..Options::default()
    };
    let (each, summed) = (read(&bytes), replay::read(&bytes, &summed).unwrap());
    assert_eq!(sums(&summed.profile), sums(&each.profile));
    assert_eq!(summed.profile.samples.len(), sums(&each.profile).len());
    assert!(summed.profile.samples.len() < 60);
    assert_eq!(summed.profile.meta, each.profile.meta);
    assert_eq!(summed.counted, each.counted);
}

/// Where garbage was found, code may be mapped later.
#[test]
fn a_mapping_over_what_lay_nowhere_is_seen() {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false)
        .mmap(0, 10, 0x40_0000, "/none/main");
    let chain = [USER_MARKER, 0x40_0010, 0x50_0010];
    r.sample(20, 1, 10, &chain).sample(21, 1, 10, &chain);
    r.mmap(22, 10, 0x50_0000, "/none/late");
    r.sample(23, 1, 10, &chain);
    let bytes = r.bytes(Form::File);
    let options = Options::default();
    let mut nothing = |_: &Profile, _: ImageId, _: u64| None;
    let named = replay::read_names(Input::Bytes(&bytes), &options, &mut nothing).unwrap();
    for profile in [read(&bytes).profile, named.profile] {
        let chains = told(&profile).into_iter().map(|(_, _, chain)| chain);
        let outer: Vec<String> = chains.map(|chain| chain[1].clone()).collect();
        let (first, last) = (outer.first().unwrap(), outer.last().unwrap());
        assert!(first.starts_with("?+0"), "{outer:?}");
        assert_eq!(last, "/none/late+10<", "{outer:?}");
    }
}

/// What an address is called here: by the kilobyte it lies in, unless nothing is known of that.
fn kilobyte(lookup_address: u64) -> Option<u64> {
    (lookup_address % 0x1000 < 0xc00).then_some(lookup_address & !0x3ff)
}

/// Where addresses of one name are not told apart, the sums by names are those of single samples,
/// no row and no stack comes twice, and addresses of no known name stay as they are.
#[test]
fn stacks_of_names_hold_what_single_samples_hold() {
    let mut r = family();
    let mut random = 1_u64;
    let mut dice = |sides: u64| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) % sides
    };
    for i in 0..3_000 {
        let tid = 10 + dice(2) as u32;
        // The second process is another one after a while.
        if i == 1_500 {
            r.comm(1_600, 11, "next", true)
                .mmap(1_600, 11, 0x40_0000, "/none/other");
        }
        let mut chain = Vec::new();
        if dice(3) == 0 {
            chain.extend([KERNEL_MARKER, 0xffff_ffff_8100_0000 + dice(0x2000)]);
        }
        chain.push(USER_MARKER);
        chain.extend((0..=dice(4)).map(|_| 0x40_0000 + dice(0x1000)));
        chain.extend([dice(1 << 30)].iter().filter(|_| i % 3 == 0));
        r.sample(100 + i, 1, tid, &chain);
    }
    let bytes = r.bytes(Form::File);
    let mut alike = |_: &Profile, _: ImageId, address: u64| kilobyte(address);
    let options = Options::default();
    let named = replay::read_names(Input::Bytes(&bytes), &options, &mut alike).unwrap();
    named.profile.validate().unwrap();
    let each = read(&bytes);
    let by_name = |profile: &Profile| {
        let mut by_name = BTreeMap::<_, Vec<i64>>::new();
        for ((thread, stack, end), weights) in sums(profile) {
            let path = profile.path(stack).map(|id| {
                let location = &profile.locations[id];
                let at = location.lookup_address();
                let name = location.image.and_then(|_| kilobyte(at));
                (location.image, name.unwrap_or(at))
            });
            let key = (thread, path.collect::<Vec<_>>(), end);
            let sum = by_name.entry(key).or_insert_with(|| vec![0; weights.len()]);
            for (sum, weight) in sum.iter_mut().zip(weights) {
                *sum += weight;
            }
        }
        by_name
    };
    assert_eq!(by_name(&named.profile), by_name(&each.profile));
    assert_eq!(named.profile.samples.len(), sums(&named.profile).len());
    let stacks: BTreeSet<_> = named
        .profile
        .stacks
        .iter()
        .map(|(_, row)| (row.parent, row.location))
        .collect();
    assert_eq!(stacks.len(), named.profile.stacks.len());
    assert!(named.profile.locations.len() * 2 < each.profile.locations.len());
    assert_eq!(named.profile.meta, each.profile.meta);
    assert_eq!(named.counted, each.counted);
}

/// Whatever number a walk ends at, it is one location that lies nowhere, and the share of samples
/// that have it is told; a number within the chain is kept apart from its callers all the same.
#[test]
fn addresses_that_lie_nowhere_are_one_location_and_counted() {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false)
        .mmap(0, 10, 0x40_0000, "/none/main");
    for garbage in [0x10, 0xdead_0000, 0x7fff_0000_0000] {
        r.sample(20, 1, 10, &[USER_MARKER, 0x40_0010, garbage]);
        r.sample(20, 1, 10, &[USER_MARKER, 0x40_0010, garbage, 0x40_0020]);
    }
    r.sample(30, 1, 10, &[USER_MARKER, 0x40_0010, 0x40_0020]);
    r.sample(31, 1, 10, &[USER_MARKER, 0x77]);
    let profile = read(&r.bytes(Form::File)).profile;
    let nowhere = profile
        .locations
        .iter()
        .filter(|(_, row)| row.image.is_none());
    assert_eq!(
        nowhere.count(),
        2,
        "one as the leaf, one as a return address"
    );
    let stacks: BTreeSet<_> = profile.samples.stack.iter().collect();
    assert_eq!(stacks.len(), 4);
    let notes = profile.meta.notes.join(" ");
    assert!(
        notes.contains("87.5 % of samples") && notes.contains("(12.5 % as the leaf)"),
        "{notes}"
    );
}

#[test]
fn recordings_of_other_architectures_are_refused_by_name() {
    /// `HEADER_ARCH`.
    const ARCH: u64 = 6;
    let mut body = ARCH.to_ne_bytes().to_vec();
    body.extend([8, 0, 0, 0]);
    body.extend(b"sparc64\0");
    let mut r = Recording::default();
    r.of_perf(80, &body)
        .sample(20, 1, 10, &[USER_MARKER, 0x40_0010]);
    let error = replay::read(&r.bytes(Form::Pipe), &Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("recorded on sparc64") && text.contains(std::env::consts::ARCH),
        "{text}"
    );
}

#[test]
fn what_is_no_recording_of_this_machine_is_refused_by_name() {
    let other = replay::read(b"2ELIFREP\0\0\0\0", &Options::default());
    assert!(matches!(other, Err(ReplayError::OtherByteOrder)));
    for bytes in [&b""[..], b"PERF", b"\x7fELF\x02\x01\x01\0\0\0"] {
        let error = replay::read(bytes, &Options::default());
        assert!(matches!(error, Err(ReplayError::NotPerfData { .. })));
        assert!(!replay::looks_like(bytes));
    }
    let bytes = Recording::default().bytes(Form::File);
    assert!(replay::looks_like(&bytes));
    let cut = replay::read(&bytes[..60], &Options::default()).unwrap_err();
    assert!(matches!(cut, ReplayError::Header { .. }), "{cut}");
}

/// Of a cut file everything in front of the cut is read, and the rest is told to be missing.
#[test]
fn a_cut_file_gives_what_is_whole() {
    let bytes = family().bytes(Form::File);
    let whole = read(&bytes).profile.samples.len();
    let start = 104 + 16 + 2 * 152;
    let mut most = 0;
    for end in start..bytes.len() {
        let imported = read(&bytes[..end]);
        let samples = imported.profile.samples.len();
        assert!(samples >= most && samples <= whole, "cut at {end}");
        most = samples;
        let counted = imported.counted;
        assert!(
            counted.missing_bytes >= (bytes.len() - end) as u64,
            "cut at {end}"
        );
        assert!(!imported.profile.meta.notes.is_empty());
    }
    assert_eq!(most, whole);
}

/// Records of a file without rounds wait for the end of it, up to a limit: in the order of time they
/// are the same then, and what comes after younger records is counted and not lost.
#[test]
fn waiting_is_bounded() {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false)
        .mmap(0, 10, 0x40_0000, "/none/main");
    let sample = |r: &mut Recording, i: u64| {
        r.sample(100 + i, 1, 10, &[USER_MARKER, 0x40_0000 + i % 7]);
    };
    (0..2_000).for_each(|i| sample(&mut r, i));
    let options = Options {
        most_waiting_bytes: 4096,
        ..Options::default()
    };
    let bytes = r.bytes(Form::File);
    assert_eq!(replay::read(&bytes, &options).unwrap(), read(&bytes));
    // The ring of another CPU, which was read after the first one.
    (0..300).for_each(|i| sample(&mut r, i));
    let bytes = r.bytes(Form::File);
    let whole = read(&bytes);
    assert_eq!(whole.counted.late, 0);
    let bounded = replay::read(&bytes, &options).unwrap();
    assert_eq!(bounded.counted.late, 300);
    assert_eq!(sums(&bounded.profile), sums(&whole.profile));
    assert!(bounded.profile.meta.notes.len() > whole.profile.meta.notes.len());
}

/// Each chain of a hostile file can be a new one: rows are refused beyond their limit, whatever
/// becomes a row.
#[test]
fn rows_are_bounded() {
    let mut r = Recording::default();
    r.comm(0, 10, "main", false)
        .mmap(0, 10, 0x40_0000, "/none/main");
    for i in 0..4_000 {
        let step = |depth: u64| 0x40_0000 + (i * 31 + depth * 97) % 0x1000;
        let chain: Vec<u64> = [USER_MARKER].into_iter().chain((0..20).map(step)).collect();
        r.sample(100 + i, 1, 10, &chain);
    }
    let bytes = r.bytes(Form::File);
    let options = Options {
        most_row_bytes: 100_000,
        ..Options::default()
    };
    let mut nothing = |_: &Profile, _: ImageId, _: u64| None;
    let names = replay::read_names(Input::Bytes(&bytes), &options, &mut nothing);
    for refused in [replay::read(&bytes, &options), names] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("the bytes of the profile's rows"), "{error}");
    }
    assert_eq!(read(&bytes).profile.samples.len(), 4_000);
}

/// 64 MiB of zeros compress to little; they do not get the memory.
#[test]
fn decompression_is_bounded() {
    let mut r = Recording::default();
    for _ in 0..1_100 {
        r.of_perf(99, &[0; 60_000]);
    }
    let bytes = r.bytes(Form::Compressed);
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    let options = Options {
        most_inflated_bytes: 1 << 24,
        ..Options::default()
    };
    let error = replay::read(&bytes, &options).unwrap_err();
    assert!(matches!(error, ReplayError::Limit { .. }), "{error}");
    let imported = read(&bytes);
    assert_eq!(imported.counted.unknown, [(99, 1_100)].into());
}

proptest! {
    /// No change of any bytes and no cut makes the reader panic or hand out a broken profile.
    #[test]
    fn no_bytes_do_harm(
        form in prop::sample::select(&FORMS[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..12),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = family().bytes(form);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(imported) = replay::read(&bytes, &Options::default()) {
            prop_assert!(imported.profile.validate().is_ok());
            let told = imported.profile.samples.len() as u64
                + imported.counted.undecodable
                + imported.counted.other_events.values().sum::<u64>();
            prop_assert!(told <= bytes.len() as u64);
        }
    }
}
