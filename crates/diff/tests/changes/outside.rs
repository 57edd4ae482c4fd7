//! Changes beyond one function: what lies outside, what moves, what is renamed, what is no code.

use hotproof_diff::Change;
use hotproof_diff::changes::Changed;

use crate::commit::{File, changes_of, changes_of_edit, edited};

/// `file:line what` of each change outside of functions.
fn outside(changed: &Changed) -> Vec<String> {
    let rows = changed.outside.iter();
    rows.map(|o| format!("{}:{} {}", o.file, o.line, o.what))
        .collect()
}

/// `base -> head` of each changed function, by key at its own ref.
fn touched(changed: &Changed) -> Vec<String> {
    let key = |place: &Option<hotproof_diff::changes::Place>| {
        place
            .as_ref()
            .map_or("-".to_owned(), hotproof_diff::changes::Place::key)
    };
    let rows = changed.functions.iter();
    rows.map(|f| match f.change {
        Change::Modified if key(&f.base) == key(&f.head) => key(&f.head),
        _ => format!("{} -> {}", key(&f.base), key(&f.head)),
    })
    .collect()
}

#[test]
fn what_lies_outside_functions_is_listed() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "a.rs",
            "const X: u8 = 1;\n",
            "const X: u8 = 2;\n",
            &["a.rs:1 constant"],
        ),
        (
            "a.rs",
            "static X: u8 = 1;\n",
            "static X: u8 = 2;\n",
            &["a.rs:1 static"],
        ),
        ("a.rs", "struct A;\n", "struct A(u8);\n", &["a.rs:1 type"]),
        (
            "a.rs",
            "#[derive(Clone)]\nstruct A {\n    x: u8,\n}\n",
            "#[derive(Clone)]\n#[repr(C)]\nstruct A {\n    x: u8,\n}\n",
            &["a.rs:2 type"],
        ),
        (
            "a.rs",
            "struct A {\n    x: u8,\n    y: u8,\n}\n",
            "struct A {\n    x: u8,\n}\n",
            &["a.rs:3 field"],
        ),
        ("a.rs", "use a::b;\n", "use a::c;\n", &["a.rs:1 use"]),
        ("a.rs", "mod a;\n", "pub mod a;\n", &["a.rs:1 module"]),
        ("a.rs", "#![no_std]\n", "", &["a.rs:1 attribute"]),
        (
            "a.rs",
            "macro_rules! m {\n    () => { 1 };\n}\n",
            "macro_rules! m {\n    () => { 2 };\n}\n",
            &["a.rs:2 macro"],
        ),
        ("a.rs", "m!(1);\n", "m!(2);\n", &["a.rs:1 macro call"]),
        (
            "a.rs",
            "impl A {\n    fn f() {}\n}\n",
            "impl<T> A {\n    fn f() {}\n}\n",
            &["a.rs:1 impl header"],
        ),
        (
            "a.rs",
            "impl A {\n    const N: u8 = 1;\n    fn f() {}\n}\n",
            "impl A {\n    const N: u8 = 2;\n    fn f() {}\n}\n",
            &["a.rs:2 constant"],
        ),
        (
            "a.rs",
            "trait A {\n    fn f();\n}\n",
            "trait A {\n    fn f(&self);\n}\n",
            &["a.rs:2 declaration"],
        ),
        ("a.c", "#define N 3\n", "#define N 4\n", &["a.c:1 macro"]),
        (
            "a.c",
            "#define F(x) (x)\n",
            "#define F(x) (-x)\n",
            &["a.c:1 macro"],
        ),
        (
            "a.c",
            "#include <a.h>\n",
            "#include <b.h>\n",
            &["a.c:1 use"],
        ),
        (
            "a.c",
            "static const int x = 1;\n",
            "static const int x = 2;\n",
            &["a.c:1 constant"],
        ),
        (
            "a.c",
            "static int x[] = {\n1,\n2,\n};\n",
            "static int x[] = {\n1,\n3,\n};\n",
            &["a.c:3 static"],
        ),
        (
            "a.h",
            "int f(int);\n",
            "int f(long);\n",
            &["a.h:1 declaration"],
        ),
        (
            "a.h",
            "char *f(int);\n",
            "char *f(long);\n",
            &["a.h:1 declaration"],
        ),
        (
            "a.h",
            "typedef int t;\n",
            "typedef long t;\n",
            &["a.h:1 type alias"],
        ),
        (
            "a.c",
            "#ifdef A\nint f(void) { return 1; }\n#endif\n",
            "#ifdef B\nint f(void) { return 1; }\n#endif\n",
            &["a.c:1 preprocessor condition"],
        ),
        (
            "Cargo.toml",
            "[package]\n",
            "[package]\nname = \"x\"\n",
            &["Cargo.toml:2 build file"],
        ),
        (
            "x/build.rs",
            "fn main() {}\n",
            "fn main() { f() }\n",
            &["x/build.rs:1 build file"],
        ),
        (
            "CMakeLists.txt",
            "a\n",
            "b\n",
            &["CMakeLists.txt:1 build file"],
        ),
        (
            ".cargo/config.toml",
            "a\n",
            "b\n",
            &[".cargo/config.toml:1 build file"],
        ),
        (
            "Cargo.toml",
            "[profile.release]\n",
            "[profile.release]\nopt-level = 2\n",
            &["Cargo.toml:2 build flags"],
        ),
        (
            "Makefile",
            "# -O2\nCFLAGS = -O2\nall:\n\tcc -o a a.c\n",
            "# -O3\nCFLAGS = -O2\nall:\n\tcc -o b a.c\n",
            &["Makefile:1 build file"],
        ),
        (
            "sub/meson.build",
            "project('a', default_options: ['buildtype=release'])\n",
            "",
            &["sub/meson.build:1 build flags"],
        ),
        ("Cargo.lock", "a\n", "b\n", &["Cargo.lock:1 lock file"]),
        (
            "src/a.java",
            "int a;\n",
            "int b;\n",
            &["src/a.java:1 unparsed file"],
        ),
        (
            "bench.rb",
            "a\nb\n",
            "a\nc\n",
            &["bench.rb:2 unparsed file"],
        ),
        ("data.json", "1\n", "2\n", &["data.json:1 other file"]),
        // What a program includes, or a benchmark reads, was taken for documentation.
        (
            "benches/input.md",
            "a\n",
            "b\n",
            &["benches/input.md:1 other file"],
        ),
        (
            "crates/x/src/template.rst",
            "a\n",
            "b\n",
            &["crates/x/src/template.rst:1 other file"],
        ),
    ];
    for (path, base, head, expected) in cases {
        let changed = changes_of_edit(path, base, head);
        assert_eq!(outside(&changed), *expected, "{path}: {base} => {head}");
        assert!(
            changed.functions.is_empty() && changed.code_changed,
            "{path}: {base}"
        );
    }
}

#[test]
fn what_is_no_code_changes_nothing() {
    let cases = [
        ("README.md", "a\n", "b\n"),
        ("docs/x.rst", "a\n", "b\n"),
        ("notes.md", "a\n", "b\n"),
        ("crates/x/DESIGN.md", "a\n", "b\n"),
        ("crates/x/readme.md", "a\n", "b\n"),
        ("LICENSE", "a\n", "b\n"),
        ("LICENSE-MIT", "a\n", "b\n"),
        (".gitignore", "a\n", "b\n"),
        ("a.rs", "//! One.\n", "//! Two.\n"),
        ("a.rs", "use a::{b, c};\n", "use a::{\n    b,\n    c,\n};\n"),
        ("a.rs", "use a;\nuse b;\n", "use b;\nuse a;\n"),
        ("a.rs", "fn f() {}\n", "fn f() {}\n\n\n// The end.\n"),
        (
            "a.rs",
            "fn f() { match x { A => {} B => 1 } }",
            "fn f() {\n  match x {\n    A => {}\n    B => 1,\n  }\n}\n",
        ),
        (
            "a.rs",
            "fn f() {}\nfn g() { 1 }\n",
            "fn g() { 1 }\nfn f() {}\n",
        ),
        ("a.c", "#define N 3 // three\n", "#define N   3 /* 3 */\n"),
        (
            "a.c",
            "#define F(x) do { x; } while (0)\n",
            "#define F(x) \\\n  do { x; } \\\n  while (0)\n",
        ),
        (
            "a.c",
            "int f(void) { return 1; }\n",
            "int\nf(void)\n{\n  return 1; /* one */\n}\n",
        ),
        ("Cargo.toml", "# One.\n[package]\n", "# Two.\n\n[package]\n"),
        (
            "build.rs",
            "fn main() {}\n",
            "// Nothing.\nfn main() {\n}\n",
        ),
    ];
    for (path, base, head) in cases {
        let changed = changes_of_edit(path, base, head);
        assert!(
            !changed.code_changed,
            "{path}: {base} => {head}: {changed:?}"
        );
        assert_eq!((touched(&changed), outside(&changed)), (vec![], vec![]));
    }
}

#[test]
fn what_looks_like_layout_but_is_code_counts() {
    let cases = [
        (
            "a.rs",
            "fn f() { g(\"a b\") }\n",
            "fn f() { g(\"a  b\") }\n",
        ),
        (
            "a.rs",
            "fn f() { g(\"// a\") }\n",
            "fn f() { g(\"// b\") }\n",
        ),
        ("a.rs", "fn f() { (a,) }\n", "fn f() { (a) }\n"),
        ("a.rs", "fn f() { a; }\n", "fn f() { a }\n"),
        ("a.rs", "fn f() { '\\n' }\n", "fn f() { ' ' }\n"),
        ("a.rs", "fn f() { a - -b }\n", "fn f() { a - b }\n"),
        (
            "a.c",
            "char *f(void) { return \"/* a */\"; }\n",
            "char *f(void) { return \"/* b */\"; }\n",
        ),
    ];
    for (path, base, head) in cases {
        let changed = changes_of_edit(path, base, head);
        assert_eq!(
            touched(&changed),
            [format!("{path}::f")],
            "{base} => {head}"
        );
    }
}

#[test]
fn functions_are_paired_over_larger_changes() {
    let long = "fn long(v: &[u32]) -> u32 {\n    let mut s = 0;\n    for x in v { s += x * 3; }\n    s\n}\n";
    let moved = long.replace("* 3", "* 4");
    let one = long.replace("long", "one");
    let two = long.replace("long", "two") + &long.replace("long", "three");
    let cases: Vec<(&str, Vec<File<'_>>, Vec<&str>)> = vec![
        (
            "only the innermost function",
            vec![edited(
                "a.rs",
                "fn f() {\n    fn g() {\n        1\n    }\n    g()\n}\n",
                "fn f() {\n    fn g() {\n        2\n    }\n    g()\n}\n",
            )],
            vec!["a.rs::f::g"],
        ),
        (
            "the outer function alone",
            vec![edited(
                "a.rs",
                "fn f() {\n    fn g() {\n        1\n    }\n    g()\n}\n",
                "fn f() {\n    fn g() {\n        1\n    }\n    g() + 1\n}\n",
            )],
            vec!["a.rs::f"],
        ),
        (
            "a method of one of two impls on one line each",
            vec![edited(
                "a.rs",
                "impl A { fn go() { 1 } }\nimpl B { fn go() { 1 } }\n",
                "impl A { fn go() { 1 } }\nimpl B { fn go() { 2 } }\n",
            )],
            vec!["a.rs::B::go"],
        ),
        (
            "the first of two variants goes",
            vec![edited(
                "a.rs",
                "#[cfg(a)]\nfn f() { 1 }\n#[cfg(b)]\nfn f() { 2 }\n",
                "#[cfg(b)]\nfn f() { 2 }\n",
            )],
            vec!["a.rs::f -> -"],
        ),
        (
            "a renamed file with an edit",
            vec![File {
                base: Some(("old.rs", "fn f() {\n    1\n}\nfn g() {}\n")),
                head: Some(("new.rs", "fn f() {\n    2\n}\nfn g() {}\n")),
            }],
            vec!["old.rs::f -> new.rs::f"],
        ),
        (
            "a new file",
            vec![File {
                base: None,
                head: Some(("new.rs", "use a;\nfn f() {}\n")),
            }],
            vec!["- -> new.rs::f"],
        ),
        (
            "a deleted file",
            vec![File {
                base: Some(("old.c", "int f(void) { return 1; }\n")),
                head: None,
            }],
            vec!["old.c::f -> -"],
        ),
        (
            "a function moves to another file, with an edit",
            vec![edited("a.rs", long, ""), edited("b.rs", "", &moved)],
            vec!["a.rs::long -> b.rs::long"],
        ),
        (
            "a type is renamed, its methods stay",
            vec![edited(
                "a.rs",
                "impl A {\n    fn f() {\n        1\n    }\n    fn g() {\n        2\n    }\n}\n",
                "impl B {\n    fn f() {\n        1\n    }\n    fn g() {\n        3\n    }\n}\n",
            )],
            vec!["a.rs::A::g -> a.rs::B::g"],
        ),
        (
            "two candidates for a rename: none is taken",
            vec![edited("a.rs", &one, &two)],
            vec!["- -> a.rs::two", "a.rs::one -> -", "- -> a.rs::three"],
        ),
    ];
    for (what, files, expected) in cases {
        assert_eq!(
            touched_sorted(&changes_of(&files)),
            sorted(&expected),
            "{what}"
        );
    }
}

fn touched_sorted(changed: &Changed) -> Vec<String> {
    let mut list = touched(changed);
    list.sort();
    list
}

fn sorted(list: &[&str]) -> Vec<String> {
    let mut list: Vec<String> = list.iter().map(|&text| text.to_owned()).collect();
    list.sort();
    list
}

#[test]
fn files_that_are_no_text_are_listed() {
    let diff =
        b"diff --git a/x.bin b/x.bin\nindex 1..2 100644\nBinary files a/x.bin and b/x.bin differ\n\
        diff --git a/sub b/sub\nindex 1..2 160000\n\
        diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
        diff --git a/a.rs b/b.rs\nsimilarity index 100%\nrename from a.rs\nrename to b.rs\n";
    let files: Vec<_> = hotproof_diff::changes::parse_diff(diff)
        .unwrap()
        .into_iter()
        .map(|diff| hotproof_diff::changes::FileSources {
            diff,
            base: Some(b"fn f() {}\n".to_vec()),
            head: Some(b"fn f() {}\n".to_vec()),
        })
        .collect();
    let changed = hotproof_diff::changes::changed(&files);
    assert_eq!(
        outside(&changed),
        [
            "b.rs:1 renamed file",
            "run.sh:1 unparsed file",
            "sub:1 submodule",
            "x.bin:1 binary file"
        ]
    );
}

#[test]
fn a_source_that_was_not_read_is_listed() {
    let diff = b"diff --git a/a.rs b/a.rs\n@@ -3 +3 @@\n-a\n+b\n";
    let diff = hotproof_diff::changes::parse_diff(diff).unwrap().remove(0);
    let file = hotproof_diff::changes::FileSources {
        diff,
        base: None,
        head: None,
    };
    let changed = hotproof_diff::changes::changed(&[file]);
    assert_eq!(outside(&changed), ["a.rs:3 unparsed file"]);
}

#[test]
fn names_are_shown_with_their_module() {
    let cases = [
        ("src/parse.rs", "fn number() { 1 }\n", "parse::number"),
        ("crates/x/src/a/mod.rs", "fn f() { 1 }\n", "a::f"),
        ("src/lib.rs", "fn f() { 1 }\n", "f"),
        ("src/bin/tool.rs", "fn f() { 1 }\n", "f"),
        ("benches/b.rs", "fn f() { 1 }\n", "f"),
        (
            "src/a.rs",
            "impl T for U { fn f() { 1 } }\n",
            "<a::U as T>::f",
        ),
        ("src/a.c", "int f(void) { return 1; }\n", "f"),
    ];
    for (path, source, expected) in cases {
        let changed = changes_of_edit(path, source, &source.replace('1', "2"));
        assert_eq!(changed.functions[0].name, expected, "{path}");
    }
}

#[test]
fn a_removed_function_keeps_a_key_of_its_own() {
    let base = "#[cfg(a)]\nfn f() { 1 }\n#[cfg(b)]\nfn f() { 2 }\n";
    let changed = changes_of_edit("a.rs", base, "#[cfg(b)]\nfn f() { 2 }\n");
    assert_eq!(changed.functions[0].key, "a.rs::f (removed)");
    assert_eq!(changed.functions[0].change, Change::Removed);
}
