//! Sources that nobody would write: no panic, no overflow, and work in proportion to their size.

use hotproof_diff::changes::{Language, changed, functions};
use proptest::prelude::*;

use crate::commit::{edited, sources_of};
use crate::settings::SETTINGS;

const ALL: [(Language, &str); 8] = [
    (Language::Rust, "rs"),
    (Language::C, "c"),
    (Language::Cpp, "cpp"),
    (Language::Go, "go"),
    (Language::Python, "py"),
    (Language::JavaScript, "js"),
    (Language::TypeScript, "ts"),
    (Language::Tsx, "tsx"),
];

/// What is repeated, and how often.
const REPEATED: &[(&str, usize)] = &[
    ("(", 6_000),
    ("{", 6_000),
    ("[", 6_000),
    ("<", 2_000),
    ("a<", 2_000),
    ("fn f(){", 2_000),
    ("mod m{", 2_000),
    ("namespace n{", 2_000),
    ("class C{", 2_000),
    ("struct S{", 2_000),
    ("template<class T>", 2_000),
    ("a::", 4_000),
    ("function f(){", 2_000),
    ("()=>", 2_000),
    ("export default ", 2_000),
    ("@a ", 2_000),
    ("#[a]", 2_000),
    ("'a'\n", 4_000),
    ("\"", 4_001),
    ("`${", 2_000),
    ("if a:\n ", 2_000),
    ("func(){", 2_000),
    ("#define A \\\n", 2_000),
    ("#if A\n", 2_000),
    ("/*", 4_000),
    ("\0", 10_000),
    ("\u{fffd}", 4_000),
    ("int f(void) { return 1; }\n", 3_000),
    ("def f(): pass\n", 3_000),
    ("const N = 1;\n", 3_000),
    ("*", 6_000),
    ("-", 6_000),
    (",", 6_000),
    ("\\\n", 4_000),
];

/// One language a thread: some of these take a grammar seconds.
#[test]
fn repetition_without_end_is_read() {
    let read = |language| {
        for &(text, count) in REPEATED {
            let source = text.repeat(count);
            for f in functions(language, source.as_bytes()) {
                let name = f.name.chars().take(50).collect::<String>();
                assert!(f.first_line <= f.last_line, "{language:?}: {name}");
                assert!(f.name.len() <= 3_000, "{language:?}: {name}");
            }
        }
    };
    std::thread::scope(|scope| {
        for (language, _) in ALL {
            scope.spawn(move || read(language));
        }
    });
}

/// Many functions of one name, all of them changed: pairing must not try each with each.
#[test]
fn many_functions_of_one_name_are_paired() {
    let cases = [
        ("a.rs", "fn f() -> u32 { @ }\n"),
        ("a.c", "int f(void) { return @; }\n"),
        ("a.py", "def f(): return @\n"),
        ("a.js", "function f() { return @; }\n"),
    ];
    for (path, text) in cases {
        let file = |first: usize| -> String {
            let lines = (first..first + 2_000).map(|n| text.replace('@', &n.to_string()));
            lines.collect()
        };
        let (base, head) = (file(0), file(5_000));
        let mut files = sources_of(&[edited(path, "", "a\n")]);
        files[0].base = Some(base.into_bytes());
        files[0].head = Some(head.into_bytes());
        files[0].diff.hunks[0].base.count = 2_000;
        files[0].diff.hunks[0].base.first = 1;
        files[0].diff.hunks[0].head.count = 2_000;
        let found = changed(&files);
        assert_eq!(found.functions.len(), 2_000, "{path}");
    }
}

#[test]
fn one_line_of_megabytes_is_read() {
    for (path, part) in [
        ("a.js", "function f(){return 1}"),
        ("a.rs", "fn f(){1}"),
        ("a.cpp", "int f(){return 1;}"),
    ] {
        let base = part.repeat((2 << 20) / part.len());
        let language = Language::of_path(path).unwrap();
        let list = functions(language, base.as_bytes());
        assert_eq!(list.len(), (2 << 20) / part.len(), "{path}");
        assert!(list.iter().all(|f| f.last_line == 1), "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Sources of all languages, cut and with bytes changed, NUL and invalid UTF-8 among them.
    #[test]
    fn damaged_sources_of_all_languages_never_panic(
        setting in 0..SETTINGS.len(),
        language in 0..ALL.len(),
        end in 0.0..1.0f64,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let setting = &SETTINGS[setting];
        let whole = setting.file(&setting.render(&setting.target())).into_bytes();
        let mut bytes = whole.clone();
        for (at, byte) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes.truncate((end * bytes.len() as f64) as usize);
        let (language, extension) = ALL[language];
        for f in functions(language, &bytes) {
            prop_assert!(f.first_line <= f.signature_line && f.signature_line <= f.last_line);
        }
        let path = format!("src/x.{extension}");
        for (base, head) in [(&whole, &bytes), (&bytes, &whole)] {
            let mut files = sources_of(&[edited(&path, "a\n", "b\n")]);
            files[0].base = Some(base.clone());
            files[0].head = Some(head.clone());
            let mut found = changed(&files);
            let tree = vec![(path.clone(), head.clone())];
            found.add_uses(&mut |_| tree.clone());
        }
    }
}
