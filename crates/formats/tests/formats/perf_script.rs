//! The text of perf script: its forms, its odd names, and agreement with perf itself.

use hotproof_formats::folded::{self, Options};
use hotproof_formats::import::{self, Format, ImportError, Imported, Limits};
use hotproof_profile::*;

fn read(text: &str) -> Imported {
    let imported = import::read(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(imported.format, Format::PerfScript, "{text}");
    imported
}

fn folded_of(profile: &Profile, weight: usize) -> Vec<String> {
    let options = Options {
        weight,
        ..Options::default()
    };
    let lines = folded::lines(profile, &options).into_iter();
    lines
        .map(|(stack, weight)| format!("{stack} {weight}"))
        .collect()
}

const USUAL: &str = "\
# ========
# os release : 6.1.0
# arch : x86_64
# nrcpus online : 2
# cpudesc : A CPU
# cmdline : /usr/bin/perf record -g ./a
# ========
#
a prog 2 21574/21575 [001]  4981.329090:    5025125 cpu-clock: 
\t            11fd inner+0x4d (inlined)
\t            11fd leaf+0x4d (/tmp/a prog 2)
\t            109b main+0x3b (/tmp/a prog 2)
\t           27249 [unknown] (/usr/lib/libc.so.6)

x 7/7 [000]  4981.400000:    1000000 cpu-clock: 
\tffffffff81000010 do_syscall_64+0x10 ([kernel.kallsyms])
\t            ffff [unknown] ([unknown])

a prog 2 21574/21575 [001]  4981.500000:    1 cpu-clock: 

";

#[test]
fn the_usual_form() {
    let Imported {
        profile: p,
        dropped,
        ..
    } = read(USUAL);
    assert_eq!(
        folded_of(&p, 0),
        [
            r"a prog\_2;[libc.so.6];main;leaf;inner 1",
            r"a prog\_2;[unknown] 1",
            r"x;[unknown];do_syscall_64 1",
        ]
    );
    assert_eq!(
        folded_of(&p, 1)[0],
        r"a prog\_2;[libc.so.6];main;leaf;inner 5025125"
    );
    let weights: Vec<(&str, Unit)> = p
        .weights
        .iter()
        .map(|w| (w.name.as_str(), w.unit))
        .collect();
    assert_eq!(
        weights,
        [("samples", Unit::Count), ("cpu", Unit::Nanoseconds)]
    );
    assert_eq!(
        p.samples.time_ns,
        [4_981_329_090_000, 4_981_400_000_000, 4_981_500_000_000]
    );
    assert_eq!(p.samples.cpu, [Some(1), Some(0), Some(1)]);
    let threads: Vec<(u32, u32)> = p
        .threads
        .iter()
        .map(|(_, row)| (p.processes[row.process].pid, row.tid))
        .collect();
    assert_eq!(threads, [(21574, 21575), (7, 7)]);
    assert_eq!((p.meta.event.as_str(), p.meta.host.cpus), ("cpu-clock", 2));
    assert_eq!(p.meta.command, ["/usr/bin/perf", "record", "-g", "./a"]);
    let inlined = p.locations.iter().map(|(_, row)| row.frames.len()).max();
    assert_eq!(inlined, Some(2), "an inlined frame belongs to its location");
    assert_eq!(dropped.len(), 1, "{dropped:?}");
}

#[test]
fn other_forms() {
    let cases: [(&str, &[&str]); 6] = [
        // Without callchains.
        (
            "        a prog 2 21607  4982.4:    5025125 cpu-clock:      5555b1670209 leaf+0x59 (/tmp/a prog 2)\n             ff 1 4982.5: 1 cpu-clock:  ff x (/x)\n",
            &[r"a prog\_2;leaf 1", "ff;x 1"],
        ),
        // -F comm,tid,ip,sym
        (
            "a prog 2 21574 \n\t 11fd inner (inlined)\n\t 11fd leaf\n\t 1238 mid\n\n",
            &[r"a prog\_2;mid;leaf;inner 1"],
        ),
        // Source lines.
        (
            "a 1 2.0: 7 x: \n\t 11fd inner+0x4d\n  a.c:3 (inlined)\n\t 11fd leaf+0x4d (/a)\n  a.c:4\n\n",
            &["a;leaf;inner 1"],
        ),
        // Records that are no samples, and a loss.
        (
            "swapper     0 PERF_RECORD_MMAP -1/0: [0xf(0x1) @ 0xf]: x [k]_text\na 1 2.0: PERF_RECORD_LOST lost 12\na 1 2.0: 7 x: \n\t 1 f (/a)\n\n",
            &["a;f 1"],
        ),
        // A tracepoint with its own text, and a chain.
        (
            "a 1 2.0: s:t: prev_comm=b 3\n\t 1 f (/a)\n\na 1 2.1: s:t: x\n",
            &["a;[unknown] 1", "a;f 1"],
        ),
        // No empty line at the end, and lines as Windows ends them.
        ("a 1 2.0: 7 x: \r\n\t 1 f (/a)\r\n", &["a;f 1"]),
    ];
    for (text, lines) in cases {
        assert_eq!(folded_of(&read(text).profile, 0), lines, "{text}");
    }
    let text = cases[3].0;
    let imported = read(text);
    assert_eq!(imported.profile.meta.lost.samples, 12);
    assert!(
        imported
            .dropped
            .iter()
            .any(|what| what.contains("record that is no sample"))
    );
    let p = read(cases[2].0).profile;
    let lines: Vec<_> = p.frames.iter().map(|(_, row)| row.line).collect();
    assert_eq!(lines, [Some(3), Some(4)]);
}

#[test]
fn several_events_keep_apart() {
    let p =
        read("a 1 2.0: 5 cycles: \n\t 1 f (/a)\n\na 1 2.0: 9 instructions:u: \n\t 1 f (/a)\n\n")
            .profile;
    let names: Vec<&str> = p.weights.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "cycles samples",
            "cycles",
            "instructions:u samples",
            "instructions:u"
        ]
    );
    let totals: Vec<i64> = (0..4).map(|weight| p.total_weight(weight)).collect();
    assert_eq!(totals, [1, 5, 1, 9]);
}

#[test]
fn the_error_names_the_line() {
    let error = import::read(
        b"a 1 2.0: 5 cycles: \n\t 1 f (/a)\n;;;\n",
        Limits::default(),
    )
    .unwrap_err();
    let ImportError::Damaged { place, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*place, import::Place::Line(3));
    let text = "the file is no readable perf script text: line 3: neither the head of a sample nor a frame: \";;;\"";
    assert_eq!(error.to_string(), text);
}
