//! Functions that change with the constants, statics and macros that they use, and with their
//! dependencies.

use hotproof_diff::Change;
use hotproof_diff::changes::Changed;

use crate::commit::{File, changes_of, edited};

/// The changes of a commit with what uses them in the whole tree at head, of which the files of
/// the commit are a part.
fn with_uses(files: &[File<'_>], others: &[(&str, &str)]) -> Changed {
    let mut changed = changes_of(files);
    let tree: Vec<(String, Vec<u8>)> = files
        .iter()
        .filter_map(|file| file.head)
        .chain(others.iter().copied())
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    changed.add_uses(&mut |names| {
        let holds = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            names.iter().any(|name| text.contains(name.as_str()))
        };
        tree.iter()
            .filter(|(_, text)| holds(text))
            .cloned()
            .collect()
    });
    changed
}

/// `key: cause` of each function that did not change by line.
fn causes(changed: &Changed) -> Vec<String> {
    let rows = changed.functions.iter();
    rows.filter_map(|f| Some(format!("{}: {:?} {}", f.key, f.change, f.cause.as_ref()?)))
        .collect()
}

#[test]
fn users_of_constants_statics_and_macros_are_marked() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "src/a.rs",
            "const LIMIT: u8 = 1;\nfn user() -> u8 { LIMIT }\nfn other() -> u8 { u8::LIMIT }\n",
            "const LIMIT: u8 = 2;\nfn user() -> u8 { LIMIT }\nfn other() -> u8 { u8::LIMIT }\n",
            &["src/a.rs::user: UsesConstant constant LIMIT"],
        ),
        (
            "src/a.rs",
            "static T: [u8; 1] = [1];\nfn f() { g(|| crate::T[0]) }\nfn h(t: T) {}\n",
            "static T: [u8; 1] = [2];\nfn f() { g(|| crate::T[0]) }\nfn h(t: X) {}\n",
            &["src/a.rs::f: UsesConstant static T"],
        ),
        (
            "src/a.rs",
            "struct A;\nimpl A {\n const N: u8 = 1;\n fn f() -> u8 { Self::N }\n}\nstruct B;\nimpl B {\n const N: u8 = 1;\n fn f() -> u8 { Self::Q + B::N }\n}\nfn g() -> u8 { A::N }\nfn h<N>() {}\n",
            "struct A;\nimpl A {\n const N: u8 = 2;\n fn f() -> u8 { Self::N }\n}\nstruct B;\nimpl B {\n const N: u8 = 1;\n fn f() -> u8 { Self::Q + B::N }\n}\nfn g() -> u8 { A::N }\nfn h<N>() {}\n",
            &[
                "src/a.rs::A::f: UsesConstant constant N",
                "src/a.rs::g: UsesConstant constant N",
            ],
        ),
        (
            "src/a.rs",
            "macro_rules! m {\n () => { 1 };\n}\nfn f() -> u8 { m!() }\nfn g(m: u8) -> u8 { m }\nmod x { fn h() { q!(m!()) } }\n",
            "macro_rules! m {\n () => { 2 };\n}\nfn f() -> u8 { m!() }\nfn g(m: u8) -> u8 { m }\nmod x { fn h() { q!(m!()) } }\n",
            &[
                "src/a.rs::f: ExpandsMacro macro m",
                "src/a.rs::x::h: ExpandsMacro macro m",
            ],
        ),
        // Through a constant, and through a macro.
        (
            "src/a.rs",
            "const A: u8 = 1;\nconst B: u8 = A + 1;\nmacro_rules! m { () => { B } }\nfn f() -> u8 { m!() }\nfn g() -> u8 { B }\n",
            "const A: u8 = 3;\nconst B: u8 = A + 1;\nmacro_rules! m { () => { B } }\nfn f() -> u8 { m!() }\nfn g() -> u8 { B }\n",
            &[
                "src/a.rs::f: ExpandsMacro macro m (through constant A)",
                "src/a.rs::g: UsesConstant constant B (through constant A)",
            ],
        ),
        (
            "src/a.c",
            "#define N 3\n#define M (N + 1)\n#define F(x) ((x) * M)\nint f(void) { return N; }\nint g(void) { return F(2); }\nint h(struct s *p) { return p->N; }\n",
            "#define N 4\n#define M (N + 1)\n#define F(x) ((x) * M)\nint f(void) { return N; }\nint g(void) { return F(2); }\nint h(struct s *p) { return p->N; }\n",
            &[
                "src/a.c::f: ExpandsMacro macro N",
                "src/a.c::g: ExpandsMacro macro F (through macro N)",
            ],
        ),
        (
            "src/a.c",
            "static const int table[] = {1, 2}, *p = table;\nint f(int i) { return table[i]; }\nint g(int table) { return table; }\n",
            "static const int table[] = {1, 3}, *p = table;\nint f(int i) { return table[i]; }\nint g(int table) { return table; }\n",
            &["src/a.c::f: UsesConstant constant table"],
        ),
        (
            "src/a.cpp",
            "namespace n {\nconstexpr int K = 1;\nstruct S { static constexpr int L = 1; int f() { return L + K; } int g(); };\nint S::g() { return S::L; }\nint h(T t) { return t.K; }\n}\n",
            "namespace n {\nconstexpr int K = 2;\nstruct S { static constexpr int L = 2; int f() { return L + K; } int g(); };\nint S::g() { return S::L; }\nint h(T t) { return t.K; }\n}\n",
            &[
                "src/a.cpp::n::S::f: UsesConstant constant K, constant L",
                "src/a.cpp::n::S::g: UsesConstant constant L",
            ],
        ),
        (
            "p/a.go",
            "package p\n\nconst limit = 1\n\nvar a, b = 1, 2\n\nfunc f() int { return limit }\nfunc g(limit int) int { return limit + b }\n",
            "package p\n\nconst limit = 2\n\nvar a, b = 1, 3\n\nfunc f() int { return limit }\nfunc g(limit int) int { return limit + b }\n",
            &[
                "p/a.go::f: UsesConstant constant limit",
                "p/a.go::g: UsesConstant static b",
            ],
        ),
        (
            "a.py",
            "LIMIT = 1\nclass A:\n    SIZE = 3\n    def f(self): return self.SIZE + LIMIT\ndef g(): return h(LIMIT=3)\ndef k(): return A.SIZE\n",
            "LIMIT = 2\nclass A:\n    SIZE = 4\n    def f(self): return self.SIZE + LIMIT\ndef g(): return h(LIMIT=3)\ndef k(): return A.SIZE\n",
            &[
                "a.py::A::f: UsesConstant constant LIMIT, constant SIZE",
                "a.py::k: UsesConstant constant SIZE",
            ],
        ),
        (
            "a.ts",
            "const limit: number = 1;\nfunction f() { return limit; }\nconst g = () => ({ limit: 3 });\nclass T { static size = 1; h() { return T.size; } k(limit: number) { return limit; } }\n",
            "const limit: number = 2;\nfunction f() { return limit; }\nconst g = () => ({ limit: 3 });\nclass T { static size = 2; h() { return T.size; } k(limit: number) { return limit; } }\n",
            &[
                "a.ts::f: UsesConstant constant limit",
                "a.ts::T::h: UsesConstant static size",
            ],
        ),
    ];
    for (path, base, head, expected) in cases {
        let changed = with_uses(&[edited(path, base, head)], &[]);
        assert_eq!(causes(&changed), *expected, "{path}: {head}");
        assert!(!changed.outside.is_empty(), "{path}: {head}");
    }
}

/// `Self::N` of one type counted as a use of another type's constant of that name, so that time of
/// functions that did not change was taken for that of the change.
#[test]
fn self_means_the_type_around_it() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "src/a.rs",
            "impl A {\n const N: u8 = 1;\n fn f() -> u8 { Self::N }\n}\nimpl B {\n const N: u8 = 3;\n fn g() -> u8 { Self::N }\n}\nimpl C {\n fn h() -> u8 { Self::N }\n}\n",
            "const N: u8 = 1",
            &["src/a.rs::A::f: UsesConstant constant N"],
        ),
        (
            "src/a.rs",
            "trait T {\n const N: u8 = 1;\n fn f() -> u8 { Self::N }\n}\nimpl T for B {\n fn g() -> u8 { Self::N }\n}\nimpl B {\n fn h() -> u8 { Self::N }\n}\nimpl T for C {\n const N: u8 = 3;\n fn i() -> u8 { Self::N }\n}\n",
            "const N: u8 = 1",
            &[
                "src/a.rs::<B as T>::g: UsesConstant constant N",
                "src/a.rs::B::h: UsesConstant constant N",
                "src/a.rs::T::f: UsesConstant constant N",
            ],
        ),
        (
            "a.py",
            "class A:\n    N = 1\n    def f(self): return self.N\nclass B(A):\n    def g(self): return self.N\nclass C(B):\n    N = 3\n    def h(self): return self.N\nclass D:\n    def i(self): return self.N\n",
            "N = 1",
            &[
                "a.py::A::f: UsesConstant constant N",
                "a.py::B::g: UsesConstant constant N",
            ],
        ),
        (
            "a.cpp",
            "struct S { static constexpr int N = 1; int f(); };\nstruct R { static constexpr int N = 3; int g(); };\nint S::f() { return this->N; }\nint R::g() { return this->N + N; }\n",
            "int N = 1",
            &["a.cpp::S::f: UsesConstant constant N"],
        ),
    ];
    for (path, base, line, expected) in cases {
        let head = base.replace(line, &line.replace('1', "2"));
        let changed = with_uses(&[edited(path, base, &head)], &[]);
        let mut found = causes(&changed);
        found.sort();
        assert_eq!(found, *expected, "{path}: {head}");
    }
}

/// Of two changed constants of one name in one file, the users of the second were not marked.
#[test]
fn constants_of_one_name_are_told_apart_by_their_types() {
    let text = |value: u8| {
        format!(
            "impl A {{\n const N: u8 = {value};\n fn f() -> u8 {{ Self::N }}\n}}\nimpl B {{\n const N: u8 = {value};\n fn g() -> u8 {{ Self::N }}\n}}\n"
        )
    };
    let changed = with_uses(&[edited("src/a.rs", &text(1), &text(2))], &[]);
    let expected = [
        "src/a.rs::A::f: UsesConstant constant N",
        "src/a.rs::B::g: UsesConstant constant N",
    ];
    assert_eq!(causes(&changed), expected);
}

#[test]
fn users_in_other_files_are_found_where_the_language_lets_them() {
    let rust = edited(
        "src/a.rs",
        "pub const LIMIT: u8 = 1;\n",
        "pub const LIMIT: u8 = 2;\n",
    );
    let others = [
        ("src/b.rs", "use crate::a::LIMIT;\nfn f() -> u8 { LIMIT }\n"),
        (
            "src/c.rs",
            "const LIMIT: u8 = 9;\nfn own() -> u8 { LIMIT }\n",
        ),
        (
            "src/d.rs",
            "fn g() -> u8 { crate::a::LIMIT }\nfn h() -> u8 { other::LIMIT }\n",
        ),
        ("src/e.c", "int f(void) { return LIMIT; }\n"),
    ];
    let expected = [
        "src/b.rs::f: UsesConstant constant LIMIT",
        "src/d.rs::g: UsesConstant constant LIMIT",
    ];
    assert_eq!(causes(&with_uses(&[rust], &others)), expected);

    let local = edited("a.c", "#define N 1\n", "#define N 2\n");
    let shared = edited("a.h", "#define N 1\n", "#define N 2\n");
    let user = [("b.c", "#include \"a.h\"\nint f(void) { return N; }\n")];
    assert!(causes(&with_uses(&[local], &user)).is_empty());
    let expected = ["b.c::f: ExpandsMacro macro N"];
    assert_eq!(causes(&with_uses(&[shared], &user)), expected);

    let go = edited(
        "p/a.go",
        "package p\nconst Max = 1\n",
        "package p\nconst Max = 2\n",
    );
    let others = [
        ("p/b.go", "package p\nfunc f() int { return Max }\n"),
        (
            "q/c.go",
            "package q\nfunc g() int { return p.Max + t.Max }\nfunc h() int { return t.Max }\n",
        ),
    ];
    let expected = [
        "p/b.go::f: UsesConstant constant Max",
        "q/c.go::g: UsesConstant constant Max",
    ];
    assert_eq!(causes(&with_uses(&[go], &others)), expected);
}

#[test]
fn a_function_that_changed_itself_is_marked_once() {
    let base = "const N: u8 = 1;\nfn f() -> u8 { N }\nfn g() -> u8 { N + 1 }\n";
    let head = "const N: u8 = 2;\nfn f() -> u8 { N }\nfn g() -> u8 { N + 2 }\n";
    let changed = with_uses(&[edited("src/a.rs", base, head)], &[]);
    let rows: Vec<(&str, Change)> = changed
        .functions
        .iter()
        .map(|f| (f.key.as_str(), f.change))
        .collect();
    let expected = [
        ("src/a.rs::g", Change::Modified),
        ("src/a.rs::f", Change::UsesConstant),
    ];
    assert_eq!(rows, expected);
    let places = changed.functions[1]
        .base
        .as_ref()
        .zip(changed.functions[1].head.as_ref());
    let lines = places.map(|(base, head)| (base.signature_line, head.signature_line));
    assert_eq!(lines, Some((2, 2)));
}

#[test]
fn a_chain_of_definitions_ends() {
    // Each constant uses the next: only four steps are followed, and rings end.
    let chain: String = (0..50)
        .map(|n| format!("const C{n}: u8 = C{};\nfn f{n}() -> u8 {{ C{n} }}\n", n + 1))
        .collect();
    let base = format!("{chain}const C50: u8 = 1;\n");
    let head = format!("{chain}const C50: u8 = 2;\n");
    let changed = with_uses(&[edited("src/a.rs", &base, &head)], &[]);
    let keys: Vec<&str> = changed.functions.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["src/a.rs::f47", "src/a.rs::f48", "src/a.rs::f49"]);
    let ring = |n: u8| format!("const A: u8 = B + {n};\nconst B: u8 = A;\nfn f() -> u8 {{ B }}\n");
    let changed = with_uses(&[edited("src/a.rs", &ring(1), &ring(2))], &[]);
    assert_eq!(
        causes(&changed),
        ["src/a.rs::f: UsesConstant constant B (through constant A)"]
    );
}

/// What is beyond the limits is listed, not dropped.
#[test]
fn definitions_that_were_not_followed_are_listed() {
    let text = |value: u8| -> String {
        (0..520)
            .map(|n| format!("const C{n}: u8 = {value};\n"))
            .collect()
    };
    let changed = with_uses(&[edited("src/a.rs", &text(1), &text(2))], &[]);
    let last = changed.outside.last().map(|o| o.what.clone());
    assert_eq!(
        last.as_deref(),
        Some("20 definitions whose uses were not followed")
    );
}

#[test]
fn a_lock_file_tells_which_crates_changed() {
    let lock = |version: &str, own: &str| {
        format!(
            "# This file is automatically @generated by Cargo.\nversion = 4\n\n\
             [[package]]\nname = \"foo\"\nversion = \"{version}\"\nsource = \"registry+x\"\n\n\
             [[package]]\nname = \"own\"\nversion = \"{own}\"\n"
        )
    };
    let outside = |base: &str, head: &str| -> Vec<String> {
        let changed = changes_of(&[edited("Cargo.lock", base, head)]);
        let rows = changed.outside.iter();
        rows.map(|o| format!("{}:{} {}", o.file, o.line, o.what))
            .collect()
    };
    let old = lock("1.2.3", "0.1.0");
    assert_eq!(
        outside(&old, &lock("1.2.4", "0.1.0")),
        ["Cargo.lock:4 dependency foo 1.2.3 -> 1.2.4"]
    );
    assert_eq!(
        outside(&old, &lock("1.2.3", "0.2.0")),
        ["Cargo.lock:11 lock file"]
    );
}

/// Who may name a thing changes no code: users of a field that became public counted as changed.
#[test]
fn visibility_alone_changes_no_user() {
    let rust = |field: &str, constant: &str| {
        format!(
            "struct A {{\n    {field},\n}}\n{constant};\nfn f(a: &A) -> u8 {{ a.size + LIMIT }}\n"
        )
    };
    let cpp = |first: &str| {
        format!(
            "class A {{\n{first}\n    int size;\npublic:\n    int get() {{ return size; }}\n}};\n"
        )
    };
    let base = rust("size: u8", "const LIMIT: u8 = 1");
    let cases = [
        (
            "a.rs",
            base.clone(),
            rust("pub size: u8", "const LIMIT: u8 = 1"),
        ),
        (
            "a.rs",
            base.clone(),
            rust("pub(crate) size: u8", "const LIMIT: u8 = 1"),
        ),
        (
            "a.rs",
            rust("pub size: u8", "const LIMIT: u8 = 1"),
            rust("pub(in crate::a) size: u8", "const LIMIT: u8 = 1"),
        ),
        (
            "a.rs",
            base.clone(),
            rust("size: u8", "pub(super) const LIMIT: u8 = 1"),
        ),
        ("a.cc", cpp("private:"), cpp("protected:")),
        ("a.cc", cpp(""), cpp("public:")),
    ];
    for (path, base, head) in &cases {
        let changed = with_uses(&[edited(path, base, head)], &[]);
        assert_eq!(causes(&changed), [""; 0], "{head}");
        let [outside] = &changed.outside[..] else {
            panic!("{:?} in {head}", changed.outside);
        };
        assert_eq!(outside.what, "visibility", "{head}");
    }
    // With another type it is a change, however visible the field is.
    let changed = with_uses(
        &[edited(
            "a.rs",
            &base,
            &rust("pub size: u16", "const LIMIT: u8 = 1"),
        )],
        &[],
    );
    assert_eq!(causes(&changed).len(), 1, "{:?}", changed.functions);
    // What stands in brackets after `pub` can be the type of a field without a name.
    let tuple = |field: &str| format!("struct A(pub {field});\nfn f(a: &A) -> u8 {{ 1 }}\n");
    let changed = with_uses(&[edited("a.rs", &tuple("(u8, u8)"), &tuple("u8"))], &[]);
    assert_ne!(changed.outside[0].what, "visibility");
}
