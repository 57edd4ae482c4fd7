//! Samples of both refs are joined to the rows of one table by declared place, never by name.

use std::collections::BTreeMap;

use hotproof_diff::changes::{Changed, Elapsed, Joiner};
use hotproof_diff::{Change, FunctionTally, Side, Tally};
use hotproof_profile::{
    AddressKind, ELAPSED, Frame, Function, FunctionId, Image, ImageKind, Label, LabelValue,
    Location, LocationId, Process, Profile, Sample, Sink, Source, Stack, StackEnd, StackId,
    ThreadId, Unit, Weight,
};

use crate::commit::{File, changes_of, changes_of_edit};

const BASE_ROOT: &str = "/tmp/w/base";
const HEAD_ROOT: &str = "/tmp/w/head";

/// A profile that is made by hand.
pub(crate) struct Made {
    pub(crate) profile: Profile,
    thread: ThreadId,
}

impl Made {
    pub(crate) fn new() -> Made {
        let mut profile = Profile {
            weights: vec![Weight {
                name: "samples".into(),
                unit: Unit::Count,
            }],
            ..Profile::default()
        };
        let name = profile.strings.intern("bench");
        let process = profile.processes.push(Process {
            pid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let thread = profile.threads.push(hotproof_profile::Thread {
            process,
            tid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let path = profile
            .strings
            .intern("/tmp/w/target/bench-0123456789abcdef");
        profile.images.push(Image {
            path,
            build_id: vec![],
            kind: ImageKind::Elf,
        });
        Made { profile, thread }
    }

    pub(crate) fn function(&mut self, name: &str, place: Option<(&str, u32)>) -> FunctionId {
        let strings = &mut self.profile.strings;
        let row = Function {
            name: strings.intern(name),
            linkage_name: strings.intern(""),
            file: place.map(|(file, _)| strings.intern(file)),
            line: place.map(|(_, line)| line),
            image: Some(hotproof_profile::ImageId(0)),
            source: Source::Dwarf,
        };
        self.profile.functions.push(row)
    }

    /// A place in the code with these functions, innermost first; unnamed without any.
    pub(crate) fn location(&mut self, functions: &[FunctionId]) -> LocationId {
        let address = self.profile.locations.len() as u64;
        let image = Some(hotproof_profile::ImageId(0));
        let row = Location::unresolved(image, address, AddressKind::Ip);
        let id = self.profile.locations.push(row);
        let frames: Vec<Frame> = functions
            .iter()
            .map(|&function| Frame {
                function,
                line: None,
                column: None,
                file: None,
                contradicted: false,
            })
            .collect();
        self.profile.set_frames(id, &frames);
        id
    }

    /// Samples on a stack, root first.
    fn samples(&mut self, path: &[LocationId], count: usize) {
        let mut stack: Option<StackId> = None;
        for &location in path {
            let row = Stack {
                parent: stack,
                location,
            };
            stack = Some(self.profile.stacks.push(row));
        }
        for time_ns in 0..count as u64 {
            let sample = Sample {
                thread: self.thread,
                time_ns,
                stack,
                weights: &[1],
                cpu: None,
                end: StackEnd::Complete,
                labels: None,
            };
            Sink::sample(&mut self.profile, &sample).unwrap();
        }
    }

    /// One sample in each of these functions, alone on the stack.
    fn leaves(functions: Functions<'_>) -> Profile {
        let mut made = Made::new();
        for &(name, place) in functions {
            let function = made.function(name, place);
            let location = made.location(&[function]);
            made.samples(&[location], 1);
        }
        made.profile
    }
}

/// Paths and texts of one ref.
pub(crate) type Files<'t> = &'t [(&'t str, &'t str)];

/// Names with declared files and lines.
type Functions<'t> = &'t [(&'t str, Option<(&'t str, u32)>)];

pub(crate) fn joiner(changed: &Changed, base: Files<'_>, head: Files<'_>) -> Joiner<'static> {
    let mut joiner = Joiner::new(changed);
    for (side, root, files) in [(Side::Base, BASE_ROOT, base), (Side::Head, HEAD_ROOT, head)] {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), text.as_bytes().to_vec());
        let files: BTreeMap<String, Vec<u8>> = files.iter().map(owned).collect();
        joiner.side(side, &[root], move |path| files.get(path).cloned());
    }
    joiner
}

/// `key: total own self` of what was seen.
fn rows(joiner: &Joiner<'_>, tally: &Tally) -> Vec<String> {
    let table = joiner.functions();
    let row = |f: &FunctionTally| {
        let key = &table[f.function].key;
        format!("{key}: {} {} {}", f.total, f.own, f.physical_self)
    };
    tally.functions.iter().map(row).collect()
}

/// The keys of what was seen, in the order of the table.
fn keys(joiner: &Joiner<'_>, tally: &Tally) -> Vec<String> {
    let table = joiner.functions();
    let seen = tally.functions.iter();
    seen.map(|f| table[f.function].key.clone()).collect()
}

/// The keys that a profile of base and one of head are joined to.
fn joined(
    changed: &Changed,
    base: (Files<'_>, Functions<'_>),
    head: (Files<'_>, Functions<'_>),
) -> (Vec<String>, Vec<String>) {
    let mut joiner = joiner(changed, base.0, head.0);
    let left = joiner.tally(Side::Base, &Made::leaves(base.1));
    let right = joiner.tally(Side::Head, &Made::leaves(head.1));
    (keys(&joiner, &left), keys(&joiner, &right))
}

const TWO_IMPLS: &str = "impl A {\n    fn go() { 1 }\n}\nimpl B {\n    fn go() { 1 }\n}\n";

/// Wall time: waits have their exact time and belong to the function of the user's that waits, what
/// ran shares the rest, and a wait with the stack of another moment has none.
#[test]
fn waits_are_counted_where_the_user_waits() {
    let text = "fn fetch() { 1 }\nfn main() { 2 }\n";
    let changed = changes_of_edit("src/a.rs", text, &text.replace('1', "3"));
    let files: Files<'_> = &[("src/a.rs", text)];
    let mut made = Made::new();
    let file = "/tmp/w/base/src/a.rs";
    let [main, fetch] = [("x::main", 2), ("x::fetch", 1)].map(|(name, line)| {
        let function = made.function(name, Some((file, line)));
        made.location(&[function])
    });
    let path = made.profile.strings.intern("[kernel]");
    let kernel = made.profile.images.push(Image {
        path,
        build_id: vec![],
        kind: ImageKind::Kernel,
    });
    let sleep = made.function("do_nanosleep", None);
    let sleep = made.location(&[sleep]);
    made.profile.locations[sleep].image = Some(kernel);
    // Stacks: main alone, twice as much as fetch; fetch sleeps; main would wait at an unknown place.
    made.samples(&[main], 2);
    made.samples(&[main, fetch], 1);
    made.samples(&[main, fetch, sleep], 1);
    made.samples(&[main], 1);
    let profile = &mut made.profile;
    let weight = |name: &str, unit| Weight {
        name: name.to_owned(),
        unit,
    };
    profile.weights.push(weight(ELAPSED, Unit::Nanoseconds));
    profile.samples.weights = vec![vec![1, 1, 1, 0, 0], vec![9, 9, 9, 60, 10]];
    let [key, value] = ["stack", "borrowed"].map(|text| profile.strings.intern(text));
    let value = LabelValue::Text(value);
    profile.samples.labels[4] = Some(profile.labels.intern(&[Label { key, value }]));
    let mut joiner = joiner(&changed, files, files);
    let elapsed = |wall_ns| Elapsed {
        wall_ns,
        tick_ns: 10,
    };
    let tally = |joiner: &mut Joiner<'_>, profile: &Profile, wall_ns| {
        joiner.tally_elapsed(Side::Base, profile, elapsed(wall_ns))
    };
    // Of 100 ns, 30 are left for what ran.
    let all = tally(&mut joiner, profile, 100).unwrap();
    assert_eq!(
        (all.samples, all.complete, all.changed_own, all.unjoinable),
        (10, 9, 7, 1)
    );
    assert_eq!(
        rows(&joiner, &all),
        [
            "src/a.rs::fetch: 7 7 1",
            "[unknown]: 1 1 1",
            "src/a.rs::main: 9 2 2",
            "bench!do_nanosleep: 6 0 6",
        ]
    );
    // Clocks that differ a little: no more than the wall time is shared.
    let short = tally(&mut joiner, profile, 70).unwrap();
    assert_eq!((short.samples, short.changed_own), (7, 6));
    // Without a sample, what is left has no stack.
    profile.samples.weights = vec![vec![0; 5], vec![0, 0, 0, 60, 10]];
    let asleep = tally(&mut joiner, profile, 100).unwrap();
    assert_eq!((asleep.changed_own, asleep.unjoinable), (6, 4));
    profile.weights.pop();
    assert_eq!(tally(&mut joiner, profile, 100), None);
}

/// Where threads are stopped for samples, one may stand for the time of several, as after a long
/// system call: counted like any other one, it gave its functions too small a share.
#[test]
fn samples_count_as_much_as_they_stand_for() {
    let text = "fn reads() { 1 }\nfn main() { 2 }\n";
    let changed = changes_of_edit("src/a.rs", text, &text.replace('1', "3"));
    let files: Files<'_> = &[("src/a.rs", text)];
    let mut made = Made::new();
    let file = "/tmp/w/base/src/a.rs";
    let [main, reads] = [("x::main", 2), ("x::reads", 1)].map(|(name, line)| {
        let function = made.function(name, Some((file, line)));
        made.location(&[function])
    });
    made.samples(&[main], 3);
    made.samples(&[main, reads], 1);
    let profile = &mut made.profile;
    profile.weights.push(Weight {
        name: "cpu".into(),
        unit: Unit::Nanoseconds,
    });
    profile.samples.weights = vec![vec![1; 4], vec![10, 10, 10, 90]];
    let mut joiner = joiner(&changed, files, files);
    let by_time = joiner.tally_weighted(Side::Base, profile, "cpu").unwrap();
    assert_eq!(
        (by_time.samples, by_time.complete, by_time.changed_own),
        (4, 4, 3)
    );
    assert_eq!(
        rows(&joiner, &by_time),
        ["src/a.rs::reads: 3 3 3", "src/a.rs::main: 4 1 1"]
    );
    assert_eq!(joiner.tally(Side::Base, profile).changed_own, 1);
    assert_eq!(joiner.tally_weighted(Side::Base, profile, "cycles"), None);
}

/// Of a sample whose outer callers are only likely, its leaf counts and no caller does.
#[test]
fn callers_of_stitched_samples_are_not_counted() {
    let text = "fn outer() { 1 }\nfn inner() { 2 }\n";
    let changed = changes_of_edit("src/a.rs", text, &text.replace('1', "3"));
    let files: Files<'_> = &[("src/a.rs", text)];
    let tally = |end: StackEnd| {
        let mut made = Made::new();
        let file = "/tmp/w/base/src/a.rs";
        let functions = [("x::outer", 1), ("x::inner", 2)];
        let path = functions.map(|(name, line)| {
            let function = made.function(name, Some((file, line)));
            made.location(&[function])
        });
        made.samples(&path, 3);
        made.profile.samples.end[0] = end;
        let mut joiner = joiner(&changed, files, files);
        let tally = joiner.tally(Side::Base, &made.profile);
        (tally.changed_below, tally.complete, rows(&joiner, &tally))
    };
    let (below, complete, whole) = tally(StackEnd::Complete);
    assert_eq!((below, complete), (3, 3));
    let (below, complete, stitched) = tally(StackEnd::Stitched);
    assert_eq!((below, complete), (2, 2));
    let totals = |rows: Vec<String>| {
        let figures = rows
            .iter()
            .map(|row| row.split(": ").nth(1).unwrap().to_owned());
        figures.collect::<Vec<_>>()
    };
    assert_eq!(totals(whole), ["3 0 0", "3 3 3"]);
    assert_eq!(totals(stitched), ["2 0 0", "3 3 3"]);
}

#[test]
fn one_method_name_in_two_impls_and_two_files_stays_apart() {
    let head = format!("// New.\n{}", TWO_IMPLS.replacen('1', "2", 1));
    let changed = changes_of_edit("src/a.rs", TWO_IMPLS, &head);
    let files = |a| [("src/a.rs", a), ("src/b.rs", TWO_IMPLS)];
    let (base_files, head_files) = (files(TWO_IMPLS), files(head.as_str()));
    let in_file = |file: &'static str, shift: u32| {
        [
            ("x::A::go", Some((file, 2 + shift))),
            ("x::B::go", Some((file, 5 + shift))),
        ]
    };
    let base = [
        in_file("/tmp/w/base/src/a.rs", 0),
        in_file("/tmp/w/base/src/b.rs", 0),
    ]
    .concat();
    let head = [
        in_file("/tmp/w/head/src/a.rs", 1),
        in_file("/tmp/w/head/src/b.rs", 0),
    ]
    .concat();
    let (left, right) = joined(&changed, (&base_files, &base), (&head_files, &head));
    let expected = [
        "src/a.rs::A::go",
        "src/a.rs::B::go",
        "src/b.rs::A::go",
        "src/b.rs::B::go",
    ];
    assert_eq!(
        (left, right),
        (
            expected.map(String::from).to_vec(),
            expected.map(String::from).to_vec()
        )
    );
}

#[test]
fn renamed_files_and_functions_share_a_row() {
    let base = "fn total(v: &[u32]) -> u32 {\n    let mut s = 0;\n    for x in v { s += x; }\n    s\n}\nfn keeps() {}\n";
    let head = base.replace("total", "sum");
    let changed = changes_of(&[File {
        base: Some(("src/old.rs", base)),
        head: Some(("src/new.rs", &head)),
    }]);
    let at = |file, line| Some((file, line));
    let (old, new) = ("/tmp/w/base/src/old.rs", "/tmp/w/head/src/new.rs");
    let (left, right) = joined(
        &changed,
        (
            &[("src/old.rs", base)],
            &[("x::total", at(old, 1)), ("x::keeps", at(old, 6))],
        ),
        (
            &[("src/new.rs", &head)],
            &[("x::sum", at(new, 1)), ("x::keeps", at(new, 6))],
        ),
    );
    assert_eq!(left, ["src/new.rs::sum", "src/new.rs::keeps"]);
    assert_eq!(left, right);
}

#[test]
fn closures_async_bodies_instances_and_copies_are_their_function() {
    let source = "fn f<T>() {\n    g(|x| x + 1);\n    async { 1 };\n}\n";
    let changed = changes_of_edit("a.rs", source, &source.replace("+ 1", "+ 2"));
    let functions = [
        ("x::f::<u32>", Some(("/tmp/w/head/a.rs", 1))),
        ("f<u64>", Some(("/tmp/w/head/./b/../a.rs", 1))),
        ("x::f::{closure#0}", Some(("/tmp/w/head/a.rs", 2))),
        ("x::f::{{closure}}", Some(("/tmp/w/head/a.rs", 3))),
        ("x::f::{async_fn#0}", Some(("a.rs", 1))),
    ];
    let mut joiner = joiner(&changed, &[], &[("a.rs", source)]);
    let tally = joiner.tally(Side::Head, &Made::leaves(&functions));
    assert_eq!(rows(&joiner, &tally), ["a.rs::f: 5 5 5"]);
    assert_eq!((tally.changed_own, tally.changed_below), (5, 0));
}

#[test]
fn what_lies_beyond_the_sources_is_told_apart_by_place_and_name() {
    let source =
        "macro_rules! m {\n    ($n:ident) => { fn $n() {} };\n}\n#[derive(Clone)]\nstruct S;\n";
    let files = [("src/a.rs", source), ("src/b.cc", "")];
    let registry = "/home/u/.cargo/registry/src/index.x-6f17d22bba15001f/serde-1.0.1/src/de.rs";
    let functions = [
        // Made by a macro, derived, in a language that is not parsed.
        ("x::one", Some(("/tmp/w/base/src/a.rs", 2))),
        ("x::two", Some(("/tmp/w/base/src/a.rs", 2))),
        (
            "<x::S as core::clone::Clone>::clone",
            Some(("/tmp/w/base/src/a.rs", 4)),
        ),
        ("ns::f(int)", Some(("/tmp/w/base/src/b.cc", 9))),
        ("ns::f(long)", Some(("/tmp/w/base/src/b.cc", 12))),
        // Libraries.
        (
            "core::num::add::<u8>",
            Some(("/rustc/abc123/library/core/src/num.rs", 7)),
        ),
        (
            "core::num::sub",
            Some(("/rustc/abc123/library/core/src/num.rs", 7)),
        ),
        (
            "core::num::add::{closure#1}",
            Some(("/t/lib/rustlib/src/rust/library/core/src/num.rs", 7)),
        ),
        ("serde::de::visit", Some((registry, 33))),
        ("other", Some(("/home/u/other/src/lib.rs", 3))),
        // Without a file.
        ("work.isra.0.cold", None),
        ("work", None),
        ("work::h0123456789abcdef", None),
        ("walk.llvm.99", None),
    ];
    let changed = Changed::default();
    let mut joiner = joiner(&changed, &files, &[]);
    let tally = joiner.tally(Side::Base, &Made::leaves(&functions));
    let expected = [
        "src/a.rs::m!::one: 1 1 1",
        "src/a.rs::m!::two: 1 1 1",
        "src/a.rs::<x::S as core::clone::Clone>::clone: 1 1 1",
        "src/b.cc::ns::f(int): 1 1 1",
        "src/b.cc::ns::f(long): 1 1 1",
        "library/core/src/num.rs:7::add: 2 2 2",
        "library/core/src/num.rs:7::sub: 1 1 1",
        "serde-1.0.1/src/de.rs:33::visit: 1 1 1",
        "/home/u/other/src/lib.rs:3::other: 1 1 1",
        "bench!work: 3 3 3",
        "bench!walk: 1 1 1",
    ];
    assert_eq!(rows(&joiner, &tally), expected);
}

#[test]
fn unnamed_code_is_its_image() {
    let mut made = Made::new();
    let location = made.location(&[]);
    made.samples(&[location], 2);
    made.samples(&[], 1);
    let mut joiner = Joiner::new(&Changed::default());
    let tally = joiner.tally(Side::Base, &made.profile);
    assert_eq!(
        rows(&joiner, &tally),
        ["[unknown]: 1 1 1", "[bench]: 2 2 2"]
    );
    assert_eq!((tally.samples, tally.complete, tally.lost), (3, 3, 0));
}

#[test]
fn own_time_follows_the_inline_chain_and_below_what_is_called() {
    let source = "fn hot() { 1 }\nfn helper() {}\nfn main() {}\n";
    let changed = changes_of_edit("a.rs", source, &source.replace('1', "2"));
    let mut made = Made::new();
    let hot = made.function("hot", Some(("/tmp/w/head/a.rs", 1)));
    let helper = made.function("helper", Some(("/tmp/w/head/a.rs", 2)));
    let main = made.function("main", Some(("/tmp/w/head/a.rs", 3)));
    let add = made.function("add", Some(("/rustc/a/library/core/src/n.rs", 1)));
    let libc = made.function("memcpy", None);
    let in_main = made.location(&[main]);
    let in_hot = made.location(&[hot]);
    let library_in_hot = made.location(&[add, hot]);
    let helper_in_hot = made.location(&[add, helper, hot, main]);
    let in_helper = made.location(&[helper]);
    let in_libc = made.location(&[libc]);
    let library = made.location(&[add]);
    made.samples(&[in_main, in_hot], 1);
    made.samples(&[in_main, library_in_hot], 2);
    made.samples(&[helper_in_hot], 4);
    made.samples(&[in_main, in_hot, in_helper], 8);
    made.samples(&[in_main, in_hot, in_helper, in_hot, in_libc], 16);
    made.samples(&[in_main, in_helper], 32);
    made.samples(&[in_main, library], 64);
    let mut joiner = joiner(&changed, &[], &[("a.rs", source)]);
    let tally = joiner.tally(Side::Head, &made.profile);
    assert_eq!(
        rows(&joiner, &tally),
        [
            // Leaf chain 1 + 2 + 4; on the stack 8 and, recursing, 16 once.
            "a.rs::hot: 31 7 1",
            "a.rs::main: 127 0 0",
            "library/core/src/n.rs:1::add: 70 64 70",
            // Inlined into the changed function it is still its own time.
            "a.rs::helper: 60 44 40",
            "bench!memcpy: 16 16 16",
        ]
    );
    assert_eq!((tally.changed_own, tally.changed_below), (7, 24));
    assert_eq!(tally.samples, 127);
    let table = joiner.functions();
    assert_eq!(table[0].change, Some(Change::Modified));
    assert_eq!(
        (table[0].file.as_deref(), table[0].line),
        (Some("a.rs"), Some(1))
    );
}

#[test]
fn the_innermost_changed_function_has_the_sample() {
    let source = "fn a() { 1 }\nfn b() { 1 }\n";
    let changed = changes_of_edit("a.rs", source, &source.replace('1', "2"));
    let mut made = Made::new();
    let a = made.function("a", Some(("/tmp/w/base/a.rs", 1)));
    let b = made.function("b", Some(("/tmp/w/base/a.rs", 2)));
    let location = made.location(&[b, a]);
    made.samples(&[location], 3);
    let mut joiner = joiner(&changed, &[("a.rs", source)], &[]);
    let tally = joiner.tally(Side::Base, &made.profile);
    assert_eq!(rows(&joiner, &tally), ["a.rs::a: 3 0 0", "a.rs::b: 3 3 3"]);
    assert_eq!(tally.changed_own, 3);
}

#[test]
fn two_functions_on_one_line_are_told_apart_by_name() {
    let source = "fn a() { fn b() {} } fn c() {}\n";
    let functions = ["x::a", "x::a::b", "x::c", "x::c::{closure#0}"]
        .map(|name| (name, Some(("/tmp/w/base/a.rs", 1))));
    let mut joiner = joiner(&Changed::default(), &[("a.rs", source)], &[]);
    let tally = joiner.tally(Side::Base, &Made::leaves(&functions));
    assert_eq!(
        rows(&joiner, &tally),
        ["a.rs::a: 1 1 1", "a.rs::a::b: 1 1 1", "a.rs::c: 2 2 2"]
    );
}

#[test]
fn a_row_takes_the_place_of_head_when_it_is_seen_there() {
    let head = "\n\nfn f() {}\n";
    let mut joiner = joiner(
        &Changed::default(),
        &[("a.rs", "fn f() {}\n")],
        &[("a.rs", head)],
    );
    joiner.tally(
        Side::Base,
        &Made::leaves(&[("f", Some(("/tmp/w/base/a.rs", 1)))]),
    );
    assert_eq!(joiner.functions()[0].line, Some(1));
    joiner.tally(
        Side::Head,
        &Made::leaves(&[("f", Some(("/tmp/w/head/a.rs", 3)))]),
    );
    joiner.tally(
        Side::Base,
        &Made::leaves(&[("f", Some(("/tmp/w/base/a.rs", 1)))]),
    );
    assert_eq!(
        (joiner.functions().len(), joiner.functions()[0].line),
        (1, Some(3))
    );
}

#[test]
fn each_source_is_asked_for_once() {
    let mut asked: BTreeMap<String, u32> = BTreeMap::new();
    let mut joiner = Joiner::new(&Changed::default());
    joiner.side(Side::Head, &["/w/"], |path: &str| {
        *asked.entry(path.to_owned()).or_default() += 1;
        None
    });
    let functions = [("f", Some(("/w/a.rs", 1))), ("g", Some(("/w//a.rs", 2)))];
    for _ in 0..3 {
        joiner.tally(Side::Head, &Made::leaves(&functions));
    }
    drop(joiner);
    assert_eq!(asked, BTreeMap::from([("a.rs".to_owned(), 1)]));
}

/// How many of a hundred samples of a stack of functions could hide a changed one. The image also
/// has functions with declared places.
fn unjoinable(image: &str, stack: &[&str]) -> u64 {
    let mut made = Made::new();
    let placed = made.function("placed", Some(("/tmp/w/base/a.rs", 1)));
    made.profile.images[hotproof_profile::ImageId(0)].path = made.profile.strings.intern(image);
    let path: Vec<LocationId> = stack
        .iter()
        .map(|&name| match name {
            "placed" => made.location(&[placed]),
            "" => made.location(&[]),
            name => {
                let function = made.function(name, None);
                made.location(&[function])
            }
        })
        .collect();
    made.samples(&path, 100);
    let mut joiner = joiner(&Changed::default(), &[("a.rs", "fn placed() {}\n")], &[]);
    joiner.tally(Side::Base, &made.profile).unjoinable
}

#[test]
fn code_without_a_place_may_hide_a_changed_function() {
    const BENCH: &str = "/tmp/w/base/bench";
    for (image, stack, expected) in [
        (BENCH, &["_start", "main", "placed"][..], 0),
        (BENCH, &["_start", "main", "hot", "placed"], 100),
        (BENCH, &["main", "placed", "hot"], 100),
        (BENCH, &["main", ""], 100),
        // What was inlined into it may have changed.
        (BENCH, &["_start", "main"], 100),
        (BENCH, &[], 100),
        (BENCH, &["main", "std::rt::lang_start", "placed"], 0),
        ("/usr/lib/libc.so.6", &["__libc_start_main", "memcpy"], 0),
        ("/usr/local/bin/bench", &["main", "hot"], 100),
    ] {
        assert_eq!(unjoinable(image, stack), expected, "{image} {stack:?}");
    }
}

#[test]
fn without_any_debug_information_even_main_may_hide_it() {
    let mut made = Made::new();
    let main = made.function("main", None);
    let libc = made.function("std::copy", None);
    let path = [main, libc].map(|function| made.location(&[function]));
    made.samples(&path, 5);
    let tally = Joiner::new(&Changed::default()).tally(Side::Base, &made.profile);
    assert_eq!((tally.unjoinable, tally.samples), (5, 5));
}

#[test]
fn line_tables_alone_do_not_place_a_function() {
    let mut made = Made::new();
    let function = made.function("a::f", Some(("/tmp/w/base/a.rs", 1)));
    made.profile.functions[function].line = None;
    let location = made.location(&[function]);
    made.samples(&[location], 3);
    let mut joiner = joiner(&Changed::default(), &[("a.rs", "fn f() {}\n")], &[]);
    assert_eq!(joiner.tally(Side::Base, &made.profile).unjoinable, 3);
}

#[test]
fn own_time_under_a_changed_function_is_not_of_the_rest() {
    let source = "fn hot() { 1 }\nfn helper() {}\n";
    let changed = changes_of_edit("a.rs", source, &source.replace('1', "2"));
    let mut made = Made::new();
    let hot = made.function("hot", Some(("/tmp/w/base/a.rs", 1)));
    let helper = made.function("helper", Some(("/tmp/w/base/a.rs", 2)));
    let (in_hot, in_helper) = (made.location(&[hot]), made.location(&[helper]));
    made.samples(&[in_hot, in_helper], 3);
    made.samples(&[in_helper], 4);
    let mut joiner = joiner(&changed, &[("a.rs", source)], &[]);
    let tally = joiner.tally(Side::Base, &made.profile);
    let rest: Vec<(u64, u64)> = tally.functions.iter().map(|f| (f.own, f.rest)).collect();
    assert_eq!(rest, [(0, 0), (7, 4)]);
}

/// The functions of a crate whose version changed are changed functions, and the same rows at
/// both refs although file and lines moved; other crates stay as they are.
#[test]
fn functions_of_a_changed_dependency_are_changed() {
    let lock = |version: &str| {
        format!("[[package]]\nname = \"foo\"\nversion = \"{version}\"\nsource = \"registry+x\"\n")
    };
    let (old, new) = (lock("1.2.3"), lock("1.2.4"));
    let changed = changes_of_edit("Cargo.lock", &old, &new);
    let mut joiner = joiner(&changed, &[], &[]);
    let registry = "/home/u/.cargo/registry/src/index-0123456789abcdef";
    let at = |file: &str| format!("{registry}/{file}");
    let (foo_old, foo_new) = (at("foo-1.2.3/src/a.rs"), at("foo-1.2.4/src/a.rs"));
    let bar = at("bar-1.2.3/src/a.rs");
    let base = Made::leaves(&[
        ("foo::A::go", Some((&foo_old, 10))),
        ("foo::B::go", Some((&foo_old, 20))),
        ("bar::go", Some((&bar, 10))),
    ]);
    let head = Made::leaves(&[
        ("foo::A::go", Some((&foo_new, 14))),
        ("foo::B::go", Some((&foo_new, 24))),
        ("bar::go", Some((&bar, 10))),
    ]);
    let tallies = [
        joiner.tally(Side::Base, &base),
        joiner.tally(Side::Head, &head),
    ];
    let rows: Vec<(String, Option<String>)> = joiner
        .functions()
        .iter()
        .map(|f| (f.key.clone(), f.cause_in_words()))
        .collect();
    let cause = || Some("dependency foo 1.2.3 -> 1.2.4".to_owned());
    let expected = [
        ("foo/src/a.rs::foo::A::go".to_owned(), cause()),
        ("foo/src/a.rs::foo::B::go".to_owned(), cause()),
        ("bar-1.2.3/src/a.rs:10::go".to_owned(), None),
    ];
    assert_eq!(rows, expected);
    assert_eq!(tallies.map(|tally| tally.changed_own), [2, 2]);
}

/// Modules of Go are known by their folder in the cache, where capitals are written in small letters.
#[test]
fn functions_of_a_changed_module_are_changed() {
    let module = |version: &str| format!("module x.org/app\n\nrequire x.org/Sort v{version}\n");
    let (old, new) = (module("1.2.3"), module("1.3.0"));
    let changed = changes_of_edit("go.mod", &old, &new);
    let whats: Vec<&str> = changed.outside.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(whats, ["dependency x.org/Sort v1.2.3 -> v1.3.0"]);
    let mut joiner = joiner(&changed, &[], &[]);
    let at = |version: &str| format!("/home/u/go/pkg/mod/x.org/!sort@v{version}/heap.go");
    let (then, now) = (at("1.2.3"), at("1.3.0"));
    let own = [(Side::Base, then, 10), (Side::Head, now, 14)].map(|(side, file, line)| {
        let leaves = Made::leaves(&[("x.org/Sort.Heap", Some((&file, line)))]);
        joiner.tally(side, &leaves).changed_own
    });
    assert_eq!(own, [1, 1]);
    let rows = joiner.functions();
    let keys: Vec<&str> = rows.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["x.org/Sort/heap.go::x.org/Sort.Heap"]);
    assert_eq!(
        rows[0].cause_in_words().as_deref(),
        Some("dependency x.org/Sort v1.2.3 -> v1.3.0")
    );
}

/// Go states no lines of functions before 1.20, and every file and name.
#[test]
fn functions_of_go_without_a_line_are_joined_by_file_and_name() {
    let text = |number: u8| {
        format!(
            "package main\n\ntype A struct{{}}\n\nfunc (a *A) Run() int {{\n\tf := func() int {{ return {number} }}\n\treturn f()\n}}\n\nfunc Run() int {{ return 1 }}\n\nfunc init() {{ Run() }}\n\nfunc init() {{ Run() }}\n"
        )
    };
    let (old, new) = (text(1), text(2));
    let changed = changes_of_edit("a.go", &old, &new);
    let mut joiner = joiner(&changed, &[("a.go", &old)], &[("a.go", &new)]);
    let names = [
        "main.(*A).Run",
        "main.(*A).Run.func1",
        "main.Run",
        // One of two, and what the compiler made.
        "main.init.0",
        "main.init",
    ];
    for (side, root) in [(Side::Base, BASE_ROOT), (Side::Head, HEAD_ROOT)] {
        for (number, name) in names.into_iter().enumerate() {
            let mut made = Made::new();
            let id = made.function(name, Some((&format!("{root}/a.go"), 0)));
            made.profile.functions[id].line = None;
            let location = made.location(&[id]);
            made.samples(&[location], 1);
            let tally = joiner.tally(side, &made.profile);
            assert_eq!(tally.changed_own, u64::from(number < 2), "{name}");
            assert_eq!(tally.unjoinable, u64::from(number >= 3), "{name}");
        }
    }
    let rows = joiner.functions();
    let keys: Vec<&str> = rows.iter().map(|f| f.key.as_str()).collect();
    let expected = [
        "a.go::A::Run",
        "a.go::Run",
        "a.go::main.init.0",
        "a.go::main.init",
    ];
    assert_eq!(keys, expected);
}

/// What a macro makes is declared in the macro: when that changes, all of it does.
#[test]
fn functions_that_a_changed_macro_makes_are_changed() {
    let text = |number: u8| {
        format!(
            "macro_rules! make {{\n    ($n:ident) => {{\n        fn $n() -> u8 {{ {number} }}\n    }};\n}}\nmake!(one);\nfn other() {{}}\n"
        )
    };
    let (old, new) = (text(1), text(2));
    let changed = changes_of_edit("src/a.rs", &old, &new);
    let mut joiner = joiner(&changed, &[("src/a.rs", &old)], &[("src/a.rs", &new)]);
    for (side, root) in [(Side::Base, BASE_ROOT), (Side::Head, HEAD_ROOT)] {
        let file = format!("{root}/src/a.rs");
        let functions = [
            ("demo::one", Some((&*file, 3))),
            ("demo::other", Some((&*file, 7))),
        ];
        let tally = joiner.tally(side, &Made::leaves(&functions));
        assert_eq!((tally.changed_own, tally.samples), (1, 2));
    }
    let causes: Vec<Option<String>> = joiner
        .functions()
        .iter()
        .map(hotproof_diff::Function::cause_in_words)
        .collect();
    assert_eq!(
        causes,
        [Some("expands changed macro make".to_owned()), None]
    );
}

/// Functions of scripts are joined by file and name where a perf map names them; an interpreter
/// without such frames may be running a changed one.
#[test]
fn functions_of_scripts_are_joined_where_a_perf_map_names_them() {
    let text = |number: u8| {
        format!(
            "class T:\n    def work(self):\n        return {number}\n\ndef other():\n    return 1\n"
        )
    };
    let (old, new) = (text(1), text(2));
    let changed = changes_of_edit("src/a.py", &old, &new);
    let mut joiner = joiner(&changed, &[("src/a.py", &old)], &[("src/a.py", &new)]);
    let mut made = Made::new();
    made.profile.images[hotproof_profile::ImageId(0)].path =
        made.profile.strings.intern("/usr/bin/python3.12");
    let eval = made.function("_PyEval_EvalFrameDefault", None);
    let work = made.function(&format!("py::T.work:{HEAD_ROOT}/src/a.py"), None);
    let other = made.function(
        &format!("py::other.<locals>.<lambda>:{HEAD_ROOT}/src/a.py"),
        None,
    );
    let [eval, work, other] = [eval, work, other].map(|id| made.location(&[id]));
    made.samples(&[eval, work, eval], 5);
    made.samples(&[eval, other], 3);
    made.samples(&[eval], 2);
    let tally = joiner.tally(Side::Head, &made.profile);
    assert_eq!(
        (tally.changed_own, tally.changed_below, tally.unjoinable),
        (0, 5, 2)
    );
    let keys: Vec<String> = joiner.functions().iter().map(|f| f.key.clone()).collect();
    assert!(keys.contains(&"src/a.py::other".to_owned()), "{keys:?}");

    // A script of node, by line; its interpreter hides what it runs.
    let text = |number: u8| format!("const f = () => {number};\nfunction g() {{}}\n");
    let (old, new) = (text(1), text(2));
    let changed = changes_of_edit("a.js", &old, &new);
    let mut joiner = super::joining::joiner(&changed, &[("a.js", &old)], &[("a.js", &new)]);
    let mut made = Made::new();
    let place = format!("LazyCompile:*f {BASE_ROOT}/a.js:1:11");
    let f = made.function(&place, None);
    let hidden = made.function("Builtin:InterpreterEntryTrampoline", None);
    let [f, hidden] = [f, hidden].map(|id| made.location(&[id]));
    made.samples(&[f], 4);
    made.samples(&[hidden], 6);
    let tally = joiner.tally(Side::Base, &made.profile);
    assert_eq!((tally.changed_own, tally.unjoinable), (4, 6));
}
