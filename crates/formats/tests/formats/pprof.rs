//! pprof: the example's message, agreement with our own totals, and `go tool pprof` as a reader.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use flate2::read::GzDecoder;
use hotproof_formats::pprof;
use hotproof_profile::*;
use proptest::prelude::*;

use crate::golden::assert_golden;
use crate::wire::Message;
use crate::{arbitrary, example, skip};

fn bytes_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    bytes
}

fn parse(bytes: &[u8]) -> Message {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    Message::parse(&plain)
}

/// A profile.proto as text: field numbers are those of the schema that pprof publishes.
fn describe(profile: &Message) -> String {
    let texts = profile.texts(6);
    let text = |number: u64| {
        texts[usize::try_from(number).unwrap()]
            .escape_debug()
            .to_string()
    };
    let mut out = String::new();
    let kind =
        |message: &Message| format!("{}/{}", text(message.number(1)), text(message.number(2)));
    for kinds in profile.messages(1) {
        writeln!(out, "sample type {}", kind(&kinds)).unwrap();
    }
    for period in profile.messages(11) {
        writeln!(out, "period {} {}", profile.number(12), kind(&period)).unwrap();
    }
    writeln!(
        out,
        "time {} duration {}",
        profile.number(9),
        profile.number(10)
    )
    .unwrap();
    for comment in profile.numbers(13) {
        writeln!(out, "comment {}", text(comment)).unwrap();
    }
    for m in profile.messages(3) {
        let (start, limit, offset) = (m.number(2), m.number(3), m.number(4));
        write!(
            out,
            "mapping {}: {start:#x}..{limit:#x} offset {offset:#x}",
            m.number(1)
        )
        .unwrap();
        write!(
            out,
            " {} build-id {:?}",
            text(m.number(5)),
            text(m.number(6))
        )
        .unwrap();
        for (tag, has) in [
            (7, "functions"),
            (8, "filenames"),
            (9, "lines"),
            (10, "inlines"),
        ] {
            write!(
                out,
                "{}",
                if m.number(tag) == 1 {
                    format!(" {has}")
                } else {
                    String::new()
                }
            )
            .unwrap();
        }
        out.push('\n');
    }
    for f in profile.messages(5) {
        let (name, system) = (text(f.number(2)), text(f.number(3)));
        let (file, line) = (text(f.number(4)), f.number(5));
        writeln!(
            out,
            "function {}: {name} = {system:?} at {file:?}:{line}",
            f.number(1)
        )
        .unwrap();
    }
    for l in profile.messages(4) {
        write!(
            out,
            "location {}: mapping {} {:#x}",
            l.number(1),
            l.number(2),
            l.number(3)
        )
        .unwrap();
        for line in l.messages(4) {
            write!(
                out,
                " [function {} line {}:{}]",
                line.number(1),
                line.number(2),
                line.number(3)
            )
            .unwrap();
        }
        out.push('\n');
    }
    for s in profile.messages(2) {
        write!(out, "sample {:?} at {:?}", s.numbers(2), s.numbers(1)).unwrap();
        for label in s.messages(3) {
            let value = if label.number(2) == 0 {
                label.signed(3).to_string()
            } else {
                text(label.number(2))
            };
            write!(out, " {}={value}", text(label.number(1))).unwrap();
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_example_reads_as_it_did() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    assert_eq!(bytes_of(&profile), bytes, "equal profiles give equal bytes");
    assert_eq!(bytes[4..8], [0; 4], "the gzip header has no time");
    assert_golden("example.pprof.txt", &describe(&parse(&bytes)));
}

/// Self and total weight by shown name.
type Totals = BTreeMap<String, (i64, i64)>;

fn our_totals(profile: &Profile, weight: usize) -> Totals {
    let mut totals = Totals::new();
    for row in profile.code_totals(weight, Inline::Expand) {
        let entry = totals.entry(profile.code_name(row.code)).or_default();
        entry.0 += row.self_weight;
        entry.1 += row.total;
    }
    totals
}

/// Self and total from the message alone, as pprof adds them up: flat goes to the first line of
/// the leaf, cum to each function of the stack once.
fn their_totals(profile: &Message, weight: usize) -> Totals {
    let texts = profile.texts(6);
    let text = |number: u64| texts[usize::try_from(number).unwrap()].clone();
    let ids = |message: Message| (message.number(1), message);
    let mappings: BTreeMap<u64, Message> = profile.messages(3).into_iter().map(ids).collect();
    let locations: BTreeMap<u64, Message> = profile.messages(4).into_iter().map(ids).collect();
    let functions: BTreeMap<u64, Message> = profile.messages(5).into_iter().map(ids).collect();
    let names = |location: u64| -> Vec<String> {
        let location = &locations[&location];
        let lines = location.messages(4);
        if !lines.is_empty() {
            let name = |line: &Message| text(functions[&line.number(1)].number(2));
            return lines.iter().map(name).collect();
        }
        match mappings.get(&location.number(2)) {
            None => vec!["[unknown]".to_owned()],
            Some(mapping) => {
                let file = text(mapping.number(5));
                let base = file.rsplit('/').next().unwrap();
                vec![if file.starts_with('[') {
                    file
                } else {
                    format!("[{base}]")
                }]
            }
        }
    };
    let mut totals = Totals::new();
    for sample in profile.messages(2) {
        let value = sample.numbers(2)[weight] as i64;
        let stack: Vec<String> = sample.numbers(1).into_iter().flat_map(names).collect();
        totals.entry(stack[0].clone()).or_default().0 += value;
        let once: std::collections::BTreeSet<String> = stack.into_iter().collect();
        for name in once {
            totals.entry(name).or_default().1 += value;
        }
    }
    totals
}

#[test]
fn totals_agree_with_our_own_to_the_integer() {
    let profile = example::profile();
    let message = parse(&bytes_of(&profile));
    for weight in [0, 1] {
        assert_eq!(their_totals(&message, weight), our_totals(&profile, weight));
    }
}

proptest! {
    #[test]
    fn every_profile_becomes_a_well_formed_message(profile in arbitrary::profile()) {
        let bytes = bytes_of(&profile);
        prop_assert_eq!(&bytes_of(&profile), &bytes);
        let message = parse(&bytes);
        let texts = message.texts(6);
        prop_assert_eq!(texts[0].as_str(), "");
        let ids = |tag| message.messages(tag).iter().map(|m| m.number(1)).collect::<Vec<_>>();
        let (mappings, locations, functions) = (ids(3), ids(4), ids(5));
        for list in [&mappings, &locations, &functions] {
            let unique: std::collections::BTreeSet<_> = list.iter().collect();
            prop_assert!(unique.len() == list.len() && !list.contains(&0));
        }
        for location in message.messages(4) {
            let mapping = location.number(2);
            prop_assert!(mapping == 0 || mappings.contains(&mapping));
            for line in location.messages(4) {
                prop_assert!(functions.contains(&line.number(1)));
            }
        }
        for sample in message.messages(2) {
            prop_assert_eq!(sample.numbers(2).len(), message.messages(1).len());
            prop_assert!(sample.numbers(1).iter().all(|id| locations.contains(id)));
            prop_assert!(profile.foreign.is_some() || !sample.numbers(1).is_empty());
        }
    }
}

/// A location's address, its mapping's start and offset give our relative address back.
#[test]
fn relative_addresses_can_be_computed_back() {
    let profile = example::profile();
    let message = parse(&bytes_of(&profile));
    let mappings = message.messages(3);
    for ((_, row), location) in profile.locations.iter().zip(message.messages(4)) {
        let address = location.number(3);
        let image = row.image.map(|image| &profile.images[image]);
        if image.is_none_or(|image| image.kind == ImageKind::Kernel) {
            assert_eq!(address, row.address);
            continue;
        }
        let mut of_location = mappings
            .iter()
            .filter(|m| m.number(1) == location.number(2));
        let mapping = of_location.next().unwrap();
        assert_eq!(address - mapping.number(2) + mapping.number(4), row.address);
        assert!((mapping.number(2)..mapping.number(3)).contains(&address));
    }
}

#[test]
fn a_kernel_that_was_never_mapped_spans_its_locations() {
    let mut p = Profile::default();
    let path = p.strings.intern("[kernel]");
    let kind = ImageKind::Kernel;
    let image = Some(p.images.push(Image {
        path,
        build_id: Vec::new(),
        kind,
    }));
    for address in [0xffff_ffff_8200_0000, 0xffff_ffff_8100_0000, u64::MAX] {
        p.locations
            .push(Location::unresolved(image, address, AddressKind::Ip));
    }
    let mapping = &parse(&bytes_of(&p)).messages(3)[0];
    assert_eq!(
        (mapping.number(2), mapping.number(3)),
        (0xffff_ffff_8100_0000, u64::MAX)
    );
}

/// Runs `go tool pprof` on the example; `None`, visibly, where there is no go.
fn go_tool_pprof(name: &str, options: &[&str]) -> Option<String> {
    if Command::new("go").arg("version").output().is_err() {
        skip("go is not installed, so its pprof cannot read our file");
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("example.pb.gz");
    std::fs::write(&file, bytes_of(&example::profile())).unwrap();
    let output = Command::new("go")
        .args(["tool", "pprof", "-symbolize=none"])
        .args(options)
        .arg(&file)
        .env("PPROF_TMPDIR", &folder)
        .env("HOME", &folder)
        .env_remove("GOFLAGS")
        .current_dir(&folder)
        .output()
        .unwrap();
    let (text, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn go_tool_pprof_reads_the_raw_profile() {
    let Some(text) = go_tool_pprof("pprof-raw", &["-raw"]) else {
        return;
    };
    for part in [
        "samples/count cpu/nanoseconds",
        "PeriodType: cpu-clock nanoseconds",
        "Period: 1001001",
        "/home/u/bench 1234ff [FN][FL][LN][IN]",
        "/usr/lib/libc.so.6 ab01 \n",
        "<[u8; 4] as bench::Sum>::sum /home/u/src/sum.rs:12",
        "core::num::wrapping_add /rustc/abc/library/core/src/num.rs:80",
        "stack_end:[truncated]",
        "process:[bench] thread:[worker 2]",
        "command: ./bench --size 3",
    ] {
        assert!(text.contains(part), "{part:?} is missing from:\n{text}");
    }
}

/// `flat flat% sum% cum cum% name`, in plain numbers.
fn top_totals(text: &str) -> Totals {
    let mut lines = text.lines().skip_while(|line| !line.contains("flat%"));
    lines.next().expect("a table with a head");
    let mut totals = Totals::new();
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |field: &str| field.trim_end_matches("ns").parse::<i64>().unwrap();
        let name = fields[5..]
            .join(" ")
            .replace(" (inline)", "")
            .replace("<unknown>", "[unknown]");
        let entry = totals.entry(name).or_default();
        entry.0 += number(fields[0]);
        entry.1 += number(fields[3]);
    }
    totals
}

#[test]
fn go_tool_pprof_adds_up_what_we_add_up() {
    let profile = example::profile();
    for (weight, sample, unit) in [(0, "samples", "count"), (1, "cpu", "ns")] {
        let index = format!("-sample_index={sample}");
        let unit = format!("-unit={unit}");
        let all = ["-nodecount=100000", "-nodefraction=0", "-edgefraction=0"];
        let options = [&["-top", &index, &unit][..], &all].concat();
        let folder = format!("pprof-top-{sample}");
        let Some(text) = go_tool_pprof(&folder, &options) else {
            return;
        };
        assert_eq!(top_totals(&text), our_totals(&profile, weight), "{text}");
    }
}
