//! callgrind: the example's text, agreement with callgrind_annotate, what comes back, and files
//! of valgrind and of go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use hotproof_formats::import::{self, Format, Imported, Limits};
use hotproof_formats::{WriteError, callgrind};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::canonical::{self, Totals};
use crate::golden::assert_golden;
use crate::{arbitrary, example, skip};

fn text_of(profile: &Profile) -> String {
    let mut bytes = Vec::new();
    callgrind::write(profile, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn read(text: &str) -> Imported {
    let imported = import::read(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(imported.format, Format::Callgrind);
    imported
}

#[test]
fn the_example_reads_as_it_did() {
    let text = text_of(&example::profile());
    assert_eq!(text_of(&example::profile()), text);
    assert_golden("example.callgrind", &text);
}

/// Without what the format adds (the roots that stand for threads) and what has no weight.
fn but_threads(totals: Totals) -> Totals {
    let is_code = |(name, weights): &(String, (i64, i64))| {
        !name.starts_with("[thread ") && *weights != (0, 0)
    };
    totals.into_iter().filter(is_code).collect()
}

/// Whether a stack holds a function, by its name, more than once.
fn is_recursive(profile: &Profile) -> bool {
    profile.stacks.ids().any(|stack| {
        let codes = profile
            .path(Some(stack))
            .flat_map(|location| profile.code_at(location, Inline::Expand));
        let mut names: Vec<String> = codes.map(|code| profile.code_name(code)).collect();
        let len = names.len();
        names.sort();
        names.dedup();
        names.len() < len
    })
}

/// Weights that the format can say.
fn without_signs(mut profile: Profile) -> Profile {
    for column in &mut profile.samples.weights {
        for weight in column {
            *weight = weight.unsigned_abs().min(1 << 50) as i64;
        }
    }
    profile
}

proptest! {
    #[test]
    fn totals_come_back(profile in arbitrary::profile()) {
        let profile = without_signs(profile);
        let back = read(&text_of(&profile));
        prop_assert_eq!(text_of(&profile), text_of(&profile));
        for weight in 0..profile.weights.len() {
            prop_assert_eq!(back.profile.total_weight(weight), profile.total_weight(weight));
            let totals = |profile| but_threads(canonical::totals_by_name(profile, weight));
            let (ours, theirs) = (totals(&profile), totals(&back.profile));
            let own = |totals: &Totals| -> BTreeMap<String, i64> {
                let own = totals.iter().map(|(name, sums)| (name.clone(), sums.0));
                own.filter(|(_, own)| *own != 0).collect()
            };
            prop_assert_eq!(own(&theirs), own(&ours));
            if !is_recursive(&profile) {
                prop_assert_eq!(theirs, ours);
            }
        }
        let again = read(&text_of(&back.profile));
        prop_assert_eq!(text_of(&again.profile), text_of(&back.profile));
    }
}

/// Names that begin or end with a blank that is no space lost it, and one of such blanks alone made
/// the file one that was refused.
#[test]
fn blanks_beyond_ascii_stay_in_names() {
    let blanks = [
        "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{b}", " ", "\t",
    ];
    let mut names = Vec::new();
    for blank in blanks {
        names.extend([blank.to_owned(), format!("{blank}a"), format!("a{blank}")]);
    }
    let mut profile = example::profile();
    let ids: Vec<FunctionId> = profile.functions.ids().collect();
    let mut wanted: Vec<String> = Vec::new();
    for chunk in names.chunks(ids.len()) {
        for (&id, name) in ids.iter().zip(chunk) {
            profile.functions[id].name = profile.strings.intern(name);
        }
        let back = read(&text_of(&profile)).profile;
        let named = back.functions.rows().iter();
        wanted.extend(named.map(|row| back.strings[row.name].to_owned()));
    }
    for name in names {
        assert!(wanted.contains(&name), "{name:?}");
    }
}

#[test]
fn a_negative_weight_is_refused_by_name() {
    let mut profile = example::profile();
    profile.samples.weights[0] = vec![-1; profile.samples.len()];
    let error = callgrind::write(&profile, Vec::new()).unwrap_err();
    assert!(
        matches!(&error, WriteError::Negative { weight, .. } if *weight < 0),
        "{error}"
    );
}

const VALGRIND: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 1
cmd:  ./a 2
part: 1

desc: Trigger: Program termination

positions: line
events: Ir Dr
summary: 166 3

ob=(1) /home/u/a
fl=(1) a.c
fn=(1) main
5 10 1
fi=(2) a.h
+2 5
fe=(1)
cfn=(2) leaf
calls=3 9
* 150 1
cob=(2) /lib/libc.so
cfi=(3) ???
cfn=(3) puts
calls=1 0
-1 1
jump=2 +1
8

fn=(2)
9 149 1
fi=(2)
3 1 1

ob=(2)
fl=(3)
fn=(3)
0 1

totals: 166 3
";

/// Valgrind names the file of a called function where it is another one than that of the lines
/// around the call: what `main` has from a.h calls what stands in a.h.
#[test]
fn what_inlined_code_calls_lies_in_its_own_file() {
    let text = "events: Ir\nfl=(1) a.c\nfn=(1) main\n5 10\nfi=(2) a.h\n7 5\ncfn=(2) grow\ncalls=1 3\n7 90\n\nfl=(2)\nfn=(2)\n3 90\n";
    let p = read(text).profile;
    let functions = p.functions.iter().map(|(_, row)| {
        let file = row.file.map(|file| p.strings[file].to_owned());
        (p.strings[row.name].to_owned(), file.unwrap_or_default())
    });
    let expected = [("main", "a.c"), ("grow", "a.h")];
    let expected = expected.map(|(name, file)| (name.to_owned(), file.to_owned()));
    assert_eq!(functions.collect::<Vec<_>>(), expected);
    let rows = canonical::totals_by_name(&p, 0);
    assert_eq!((rows["main"], rows["grow"]), ((15, 105), (90, 90)));
}

#[test]
fn valgrinds_compressions_are_understood() {
    let Imported {
        profile: p,
        dropped,
        ..
    } = read(VALGRIND);
    let totals = |weight| canonical::totals_by_name(&p, weight);
    let expected = |rows: &[(&str, (i64, i64))]| -> Totals {
        rows.iter()
            .map(|&(name, sums)| (name.to_owned(), sums))
            .collect()
    };
    assert_eq!(
        totals(0),
        expected(&[("main", (15, 166)), ("leaf", (150, 150)), ("puts", (1, 1))])
    );
    assert_eq!(
        totals(1),
        expected(&[("main", (1, 2)), ("leaf", (2, 2)), ("puts", (0, 0))])
    );
    assert_eq!(p.total_weight(2), 4, "calls");
    let weights: Vec<(&str, Unit)> = p
        .weights
        .iter()
        .map(|w| (w.name.as_str(), w.unit))
        .collect();
    assert_eq!(
        weights,
        [
            ("Ir", Unit::Instructions),
            ("Dr", Unit::Count),
            ("calls", Unit::Count)
        ]
    );
    assert!(
        dropped.iter().any(|what| what.contains("a jump")),
        "{dropped:?}"
    );
    assert_eq!(p.meta.command, ["./a 2"]);
    let text = text_of(&p);
    for part in [
        "events: Ir Dr\n",
        "fn=(2) main\n5 10 1\nfi=(2)\n7 5 0\nfe=(1)\n",
        "calls=3 9\n7 150 1\n",
        "totals: 166 3\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
}

#[test]
fn errors_name_their_line() {
    for (text, message) in [
        (
            "events: Ir\nfn=(1)\n",
            "line 2: name (1) was not given before",
        ),
        (
            "events: Ir\n5 1\n",
            "line 2: a cost before the first fn= line",
        ),
        (
            "events: Ir\nfn=f\ncalls=1 2\n",
            "line 3: a call without a cfn= line before it",
        ),
        (
            "events: Ir\nfn=f\ncfn=g\ncalls=1 2\nfn=h\n",
            "line 5: expected the cost of the call above",
        ),
        (
            "events: Ir\nfn=f\n5 1 2\n",
            "line 3: the line has more costs than there are events",
        ),
        (
            "events: Ir\nfn=f\n5 x\n",
            "line 3: the cost \"x\" is no number of 64 bits",
        ),
        (
            "positions: bb\n",
            "line 1: positions other than instr and line are not known",
        ),
        (
            "version: 1\n?\n",
            "line 2: the line is neither a name, a call, a cost nor a header",
        ),
        (
            "events: Ir\nevents: Dr\n",
            "line 2: a part has other events than the parts before it",
        ),
    ] {
        let error = import::read(text.as_bytes(), Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(message), "{text:?} gives {error}");
    }
}

/// Runs a program; `None`, visibly, where there is none of that name.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        skip(&format!(
            "{program} is not installed, so it cannot take part"
        ));
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    assert!(!errors.contains("WARNING"), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// What callgrind_annotate computes for one event, by `object:file:name`.
fn annotated(
    path: &std::path::Path,
    event: &str,
    inclusive: &str,
) -> Option<BTreeMap<String, i64>> {
    let options = [
        &format!("--show={event}"),
        &format!("--sort={event}"),
        &format!("--inclusive={inclusive}"),
        "--threshold=100",
        "--show-percs=no",
        "--auto=no",
        path.to_str().unwrap(),
    ];
    let text = run("callgrind_annotate", &options)?;
    let rows = text
        .lines()
        .skip_while(|line| !line.ends_with("file:function"));
    let mut totals = BTreeMap::new();
    for row in rows.skip(2).take_while(|row| !row.is_empty()) {
        let (cost, name) = row.trim().split_once(' ').unwrap();
        let cost = cost.replace(',', "").replace('.', "0");
        totals.insert(name.trim().to_owned(), cost.parse().unwrap());
    }
    assert!(!totals.is_empty(), "{text}");
    Some(totals)
}

#[test]
fn callgrind_annotate_adds_up_what_we_add_up() {
    let profile = example::profile();
    let path = file("example.callgrind", text_of(&profile).as_bytes());
    for (weight, event) in [(0, "samples"), (1, "cpu(nanoseconds)")] {
        for inclusive in ["no", "yes"] {
            let Some(theirs) = annotated(&path, event, inclusive) else {
                return;
            };
            let mut ours = BTreeMap::new();
            for (name, (own, total)) in canonical::totals_by_name(&profile, weight) {
                ours.insert(name, if inclusive == "yes" { total } else { own });
            }
            let mut by_name = BTreeMap::new();
            for (name, cost) in theirs {
                let name = name
                    .rsplit_once(" [")
                    .map_or(name.as_str(), |(name, _)| name);
                let (_, name) = name.split_once(':').unwrap();
                *by_name.entry(name.to_owned()).or_insert(0) += cost;
            }
            by_name.retain(|name, cost| !name.starts_with("[thread ") && *cost != 0);
            ours.retain(|_, cost| *cost != 0);
            assert_eq!(by_name, ours, "{event}, inclusive: {inclusive}");
        }
    }
}

#[test]
fn a_recording_of_valgrind_goes_through_us_unchanged() {
    for instructions in ["no", "yes"] {
        let path = file(&format!("valgrind.{instructions}.out"), b"");
        let out = format!("--callgrind-out-file={}", path.display());
        let dump = format!("--dump-instr={instructions}");
        let options = ["-q", "--tool=callgrind", &dump, &out, "/bin/true"];
        if run("valgrind", &options).is_none() {
            return;
        }
        let bytes = std::fs::read(&path).unwrap();
        let imported = import::read(&bytes, Limits::default()).unwrap();
        assert_eq!(imported.format, Format::Callgrind);
        let ours = file(
            &format!("ours.{instructions}.out"),
            text_of(&imported.profile).as_bytes(),
        );
        for inclusive in ["no", "yes"] {
            // callgrind_annotate joins functions of one file and name, and shows the object that it
            // met last (`__sigsetjmp` of libc and of the loader, with their debug files there).
            let costs = |path| {
                let mut costs = annotated(path, "Ir", inclusive).unwrap();
                costs.retain(|_, cost| *cost != 0);
                let mut joined = BTreeMap::new();
                for (name, cost) in costs {
                    let name = name.split(" [").next().unwrap_or(&name).to_owned();
                    *joined.entry(name).or_insert(0) += cost;
                }
                joined
            };
            let (before, after) = (costs(&path), costs(&ours));
            if inclusive == "no" {
                assert_eq!(after, before);
            } else {
                // Calls of a function by itself are what differs.
                let differ = before
                    .iter()
                    .filter(|(name, cost)| after.get(*name) != Some(cost));
                let differ = differ.count();
                assert!(differ * 20 < before.len(), "{differ} of {}", before.len());
            }
        }
        let again = import::read(text_of(&imported.profile).as_bytes(), Limits::default()).unwrap();
        assert_eq!(text_of(&again.profile), text_of(&imported.profile));
    }
}
