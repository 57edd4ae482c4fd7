//! Each rung of the ladder on which functions of two builds are matched, and what must not match.

use hotproof_diff::changes::{
    Closures, FunctionFacts, FunctionGroups, Moves, Rung, match_groups, parse_diff,
};

/// Name, linkage name, file and line; empty and 0 where unknown.
type Row<'t> = (&'t str, &'t str, &'t str, u32);

fn groups<'t>(rows: &[Row<'t>], closures: Closures) -> FunctionGroups<'t> {
    let facts: Vec<FunctionFacts> = rows
        .iter()
        .map(|&(name, linkage, file, line)| FunctionFacts {
            name,
            linkage_name: linkage,
            file: Some(file).filter(|file| !file.is_empty()),
            line: (line > 0).then_some(line),
            image: Some("/t/demo-0123456789abcdef"),
        })
        .collect();
    FunctionGroups::of(&facts, closures)
}

/// `name:line = name:line rung` of each match.
fn matched(
    base: &[Row<'_>],
    head: &[Row<'_>],
    closures: Closures,
    moves: Option<&Moves>,
) -> Vec<String> {
    let (base, head) = (groups(base, closures), groups(head, closures));
    let show = |groups: &FunctionGroups, at: usize| {
        let group = &groups.groups[at];
        format!("{}:{}", group.name, group.line.unwrap_or(0))
    };
    let matches = match_groups(&base, &head, moves);
    let rows = matches.iter();
    rows.map(|m| {
        format!(
            "{} = {} {:?}",
            show(&base, m.base),
            show(&head, m.head),
            m.rung
        )
    })
    .collect()
}

#[test]
fn each_rung_finds_what_the_one_above_cannot() {
    const A: &str = "/a/demo/src/m.rs";
    const B: &str = "/ci/b/demo/src/m.rs";
    let cases: &[(&[Row<'_>], &[Row<'_>], &[&str])] = &[
        // A suffix of a clone, in another directory, with other lines.
        (
            &[(
                "demo::area",
                "_ZN4demo4area17h0123456789abcdefE.llvm.42",
                A,
                3,
            )],
            &[("demo::area", "_ZN4demo4area17h0123456789abcdefE", B, 9)],
            &["demo::area:3 = demo::area:9 Linkage"],
        ),
        // Two static functions of one name: only their files tell them apart.
        (
            &[("help", "help", "/a/x.c", 3), ("help", "help", "/a/y.c", 3)],
            &[
                ("help", "help", "/b/y.c", 5),
                ("help", "help.part.0", "/b/x.c", 5),
            ],
            &["help:3 = help:5 Linkage", "help:3 = help:5 Linkage"],
        ),
        (
            &[("help", "help", "/a/x.c", 3)],
            &[("help", "help", "/a/y.c", 3)],
            &[],
        ),
        // All hashes moved with the version.
        (
            &[("demo::show::<u8>", "_RINvCs1_4demo4showhE", A, 3)],
            &[("demo::show::<u8>", "_RINvCs2_4demo4showhE", B, 4)],
            &["demo::show:3 = demo::show:4 Path"],
        ),
        // The other mangling.
        (
            &[("demo::Stack<T>::push", "_ZN1", A, 3)],
            &[
                ("<demo::Stack<u8>>::push", "_R1", B, 4),
                ("<demo::Stack<u16>>::push", "_R2", B, 4),
            ],
            &["demo::Stack<T>::push:3 = <demo::Stack<u8>>::push:4 Place"],
        ),
        // Two functions of one path, as impls for several types: the order of lines.
        (
            &[("demo::T::f", "", A, 3), ("demo::T::f", "", A, 9)],
            &[("demo::T::f", "", B, 13), ("demo::T::f", "", B, 19)],
            &[
                "demo::T::f:3 = demo::T::f:13 Place",
                "demo::T::f:9 = demo::T::f:19 Place",
            ],
        ),
        (
            &[("<T as demo::Shape>::area", "_ZN1", A, 3)],
            &[("<u8 as demo::Shape>::area", "_R1", B, 4)],
            &["<T as demo::Shape>::area:3 = <u8 as demo::Shape>::area:4 Name"],
        ),
        // Another version of a crate of the registry, and one of another crate.
        (
            &[
                ("foo::go", "_ZN1", "/r/registry/src/i/foo-1.2.3/src/a.rs", 3),
                ("go", "", "/r/registry/src/i/bar-1.0.0/src/z.rs", 3),
            ],
            &[
                ("foo::go", "_ZN2", "/r/registry/src/i/foo-1.3.0/src/a.rs", 8),
                ("go", "", "/r/registry/src/i/baz-1.0.0/src/z.rs", 3),
            ],
            &["foo::go:3 = foo::go:8 Path"],
        ),
        // Nothing but names, as in a stripped binary.
        (
            &[("demo::f", "_ZN1", "", 0)],
            &[("demo::f", "_ZN2", "", 0)],
            &["demo::f:0 = demo::f:0 Path"],
        ),
        // What is ambiguous is left alone.
        (&[("a", "", A, 3), ("a", "", A, 5)], &[("a", "", B, 3)], &[]),
    ];
    for (base, head, expected) in cases {
        assert_eq!(
            matched(base, head, Closures::Merged, None),
            *expected,
            "{base:?}"
        );
        let own = matched(base, base, Closures::Merged, None);
        assert_eq!(
            own.len(),
            groups(base, Closures::Merged).groups.len(),
            "{base:?}"
        );
    }
}

/// An inserted closure changes the numbers of all that follow: with their function they match
/// whatever their number is, alone by their order where as many are left.
#[test]
fn closures_match_with_their_function_or_by_their_order() {
    const A: &str = "/a/src/m.rs";
    let base: &[Row<'_>] = &[
        ("demo::sum", "_ZN1", A, 3),
        ("demo::sum::{{closure}}", "_ZN2", A, 5),
        ("demo::sum::{{closure}}", "_ZN3", A, 7),
        ("demo::run::{async_fn#0}", "_RN4", A, 20),
        ("demo::run", "_RN5", A, 20),
    ];
    let head: &[Row<'_>] = &[
        ("demo::sum", "_RN1", A, 3),
        ("demo::sum::{closure#1}", "_RN2", A, 6),
        ("demo::sum::{closure#2}", "_RN3", A, 8),
        ("demo::run::{async_fn#0}", "_RN6", A, 22),
    ];
    assert_eq!(
        matched(base, head, Closures::Merged, None),
        [
            "demo::sum:3 = demo::sum:3 Path",
            "demo::run:20 = demo::run:22 Path"
        ]
    );
    let apart = matched(base, head, Closures::Apart, None);
    let closures: Vec<&String> = apart.iter().filter(|m| m.ends_with("Closure")).collect();
    assert_eq!(closures.len(), 3, "{apart:#?}");
    assert!(
        closures[0].contains(":5 =") && closures[0].contains(":6 "),
        "{apart:#?}"
    );
    assert!(
        closures[1].contains(":7 =") && closures[1].contains(":8 "),
        "{apart:#?}"
    );
}

/// Where a diff is known, a renamed function in a renamed file is found by its line.
#[test]
fn lines_are_mapped_through_renames_and_hunks() {
    let diff = parse_diff(
        b"diff --git a/src/m.rs b/src/n.rs\nsimilarity index 90%\nrename from src/m.rs\n\
          rename to src/n.rs\n@@ -1,0 +2,4 @@\n+a\n+b\n+c\n+d\n@@ -20 +24 @@\n-x\n+y\n",
    )
    .unwrap();
    let moves = Moves::new(&diff, ["/a", "/b/"]);
    let base: &[Row<'_>] = &[
        ("old", "", "/a/src/m.rs", 10),
        ("gone", "", "/a/src/m.rs", 20),
    ];
    let head: &[Row<'_>] = &[
        ("new", "", "/b/src/n.rs", 14),
        ("came", "", "/b/src/n.rs", 24),
    ];
    assert_eq!(
        matched(base, head, Closures::Merged, Some(&moves)),
        [format!("old:10 = new:14 {:?}", Rung::Line)]
    );
    assert!(matched(base, head, Closures::Merged, None).is_empty());
}

/// A build without debug information has names alone: none of its functions matched those of a build
/// with it. Two functions that both have files are told apart by them, whatever else has no file.
#[test]
fn a_name_matches_where_one_side_has_no_file() {
    let cases: &[(&[Row<'_>], &[Row<'_>], &[&str])] = &[
        (
            &[("area", "area", "", 0), ("main", "main", "", 0)],
            &[("area", "area", "/b/x.c", 3), ("main", "main", "/b/x.c", 9)],
            &["area:0 = area:3 Fileless", "main:0 = main:9 Fileless"],
        ),
        (
            &[("area", "area", "/a/x.c", 3)],
            &[("area", "area.part.0", "", 0)],
            &["area:3 = area:0 Fileless"],
        ),
        // Which of two it is nobody knows.
        (
            &[("help", "help", "", 0)],
            &[("help", "help", "/b/x.c", 3), ("help", "help", "/b/y.c", 3)],
            &[],
        ),
        // What has a file on both sides goes by it.
        (
            &[("help", "help", "/a/x.c", 3), ("area", "area", "", 0)],
            &[("help", "help", "/b/y.c", 3), ("area", "area", "/b/y.c", 9)],
            &["area:0 = area:9 Fileless"],
        ),
        (
            &[("help", "help", "/a/x.c", 3), ("help", "help", "", 0)],
            &[("help", "help", "/b/x.c", 5)],
            &["help:3 = help:5 Linkage"],
        ),
    ];
    for (base, head, expected) in cases {
        let matches = matched(base, head, Closures::Merged, None);
        assert_eq!(matches, *expected, "{base:?}");
    }
    // Two images have the name: the one of the same name is meant.
    let facts = |image: &'static str, file: Option<&'static str>| FunctionFacts {
        name: "init",
        linkage_name: "init",
        file,
        line: file.map(|_| 3),
        image: Some(image),
    };
    let base = [facts("/a/demo", None), facts("/a/libx.so", None)];
    let head = [facts("/b/demo", Some("/b/x.c"))];
    let [base, head] = [&base[..], &head].map(|rows| FunctionGroups::of(rows, Closures::Merged));
    let matches = match_groups(&base, &head, None);
    let [only] = matches[..] else {
        panic!("{matches:?}");
    };
    assert_eq!(&*base.groups[only.base].place, "demo");
}
