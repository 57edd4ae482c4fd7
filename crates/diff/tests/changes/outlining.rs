//! Functions are found with their names and lines, in broken code too.

use hotproof_diff::changes::{
    FileSources, FunctionKind, Hunk, Language, LineRange, changed, functions, parse_diff,
};
use proptest::prelude::*;

const RUST: &str = r#"//! A file.
#![allow(dead_code)]

/// Documented.
#[inline]
// A remark.
pub async fn free<T>(value: T) -> T {
    let twice = |x: u8| x * 2;
    value
}

mod a {
    pub mod b {
        const fn deep() {}
    }
    #[test]
    fn b() {
        fn inner() {}
        struct Local;
        impl Local {
            fn method(&self) {}
        }
    }
}

impl<'a, T: Copy, const N: usize> Stack<'a, T, N> {
    fn push(&mut self) {}
}
impl Stack<'static, u8, 4> {
    fn push(&mut self) {}
}
impl<T> fmt::Display for Stack<'_, T, 1> {
    fn fmt(&self) {}
}
impl<T> From<[T; 2]> for &mut Stack<T> {
    fn from(v: [T; 2]) -> Self { todo!() }
}
unsafe trait Shape {
    fn area(&self) -> f64;
    fn twice(&self) -> f64 { 2.0 * self.area() }
}
extern "C" {
    fn c_function(x: i32);
}
extern "C" fn callback() {}
macro_rules! make {
    ($name:ident) => {
        fn $name() {}
    };
}
make!(made);
wrap! {
    #[inline(always)]
    pub(crate) unsafe fn wrapped(
        x: u8,
    ) -> u8 {
        x
    }
}
#[cfg(unix)]
fn twice() {}
#[cfg(windows)]
fn twice() {}
static TABLE: fn() = { fn in_static() {} in_static };
"#;

#[test]
fn rust_functions_have_names_and_lines() {
    let rows: Vec<String> = functions(Language::Rust, RUST.as_bytes())
        .iter()
        .map(|f| {
            let kind = if f.kind == FunctionKind::Macro {
                " macro"
            } else {
                ""
            };
            let body = if f.body.0 == f.body.1 {
                String::new()
            } else {
                format!(" body {}-{}", f.body.0, f.body.1)
            };
            let (first, name, last) = (f.first_line, f.signature_line, f.last_line);
            format!("{}{kind} {first}/{name}-{last}{body}", f.key())
        })
        .collect();
    let expected = [
        "free 4/7-10 body 7-10",
        "a::b::deep 14/14-14",
        "a::b 16/17-23 body 17-23",
        "a::b::inner 18/18-18",
        "a::b::Local::method 21/21-21",
        "Stack::push 27/27-27",
        "Stack<u8, 4>::push 30/30-30",
        "<Stack<T, 1> as fmt::Display>::fmt 33/33-33",
        "<&mut Stack<T> as From<[T; 2]>>::from 36/36-36",
        "Shape::twice 40/40-40",
        "callback 45/45-45",
        "make! macro 46/46-50 body 46-50",
        "wrapped 53/54-58 body 56-58",
        "twice 60/61-61",
        "twice#2 62/63-63",
        "in_static 64/64-64",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn an_inner_function_knows_its_outer_one() {
    let list = functions(Language::Rust, RUST.as_bytes());
    let parent = |name: &str| {
        let found = list.iter().find(|f| f.name == name).unwrap();
        found.parent.map(|at| list[at].name.as_str())
    };
    assert_eq!(parent("a::b::inner"), Some("a::b"));
    assert_eq!(parent("a::b::Local::method"), Some("a::b"));
    assert_eq!(parent("free"), None);
}

const C: &str = r#"#include <stdio.h>
#define SQUARE(x) ((x) * (x)) /* twice */
#define LIMIT 3

/* Documented. */
static inline const char *name(int at)
{
    return names[at];
}

int (*pick(int which))(void) { return 0; }
int (nested)(void) { if (1) { return (2); } return 0; }
#ifdef FAST
int work(int a) { return a; }
#else
int work(int a) { return a + 1; }
#endif
int prototype(void);
__attribute__((hot)) static
unsigned **
deep(void) { return 0; }
struct s { int (*callback)(void); };
void takes(void (*f)(int), int n) { f(n); }
"#;

#[test]
fn c_functions_have_names_and_lines() {
    let rows: Vec<String> = functions(Language::C, C.as_bytes())
        .iter()
        .map(|f| {
            format!(
                "{} {}/{}-{}",
                f.key(),
                f.first_line,
                f.signature_line,
                f.last_line
            )
        })
        .collect();
    let expected = [
        "SQUARE 2/2-2",
        "name 5/6-9",
        "pick 11/11-11",
        "nested 12/12-12",
        "work 14/14-14",
        "work#2 16/16-16",
        "deep 19/21-21",
        "takes 23/23-23",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn languages_are_known_by_extension() {
    let of = Language::of_path;
    assert_eq!(of("src/a.rs"), Some(Language::Rust));
    assert_eq!(
        (of("a.c"), of("x/a.h")),
        (Some(Language::C), Some(Language::C))
    );
    assert_eq!(
        [of("a.java"), of("rs"), of("a.rs/b"), of("")],
        [None, None, None, None]
    );
    let others = [
        ("a.cc", Language::Cpp),
        ("a.hpp", Language::Cpp),
        ("a.go", Language::Go),
        ("a.py", Language::Python),
        ("a.mjs", Language::JavaScript),
        ("a.jsx", Language::JavaScript),
        ("a.ts", Language::TypeScript),
        ("a.tsx", Language::Tsx),
    ];
    for (path, language) in others {
        assert_eq!(of(path), Some(language), "{path}");
    }
    let header = |text: &str| Language::of_file("a.h", text.as_bytes());
    assert_eq!(header("struct s { int a; };\n"), Some(Language::C));
    assert_eq!(header("#ifdef X\nnamespace a {\n}\n"), Some(Language::Cpp));
}

#[test]
fn functions_around_broken_code_are_found() {
    let source =
        "fn one() {}\nfn broken(a: { b ; \nfn two() { let x = ; }\nimpl X {\n fn three() {}\n}\n";
    let names: Vec<String> = functions(Language::Rust, source.as_bytes())
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert!(names.contains(&"one".to_owned()), "{names:?}");
    assert!(
        names.iter().any(|name| name.ends_with("three")),
        "{names:?}"
    );
}

#[test]
fn deep_nesting_is_no_overflow() {
    let depth = 20_000;
    let source = format!("fn f() {{ {}1{} }}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(functions(Language::Rust, source.as_bytes())[0].name, "f");
    let source = format!(
        "int f(void) {{ return {}1{}; }}",
        "(".repeat(depth),
        ")".repeat(depth)
    );
    assert_eq!(functions(Language::C, source.as_bytes())[0].name, "f");
}

/// A diff that says nothing true about its sources.
fn any_file(base: Vec<u8>, head: Vec<u8>, ranges: &[(u32, u32, u32, u32)]) -> FileSources {
    let mut diff = parse_diff(b"diff --git a/x.rs b/x.rs\n").unwrap().remove(0);
    let range = |first, count| LineRange { first, count };
    diff.hunks = ranges
        .iter()
        .map(|&(a, b, c, d)| Hunk {
            base: range(a, b),
            head: range(c, d),
        })
        .collect();
    FileSources {
        diff,
        base: Some(base),
        head: Some(head),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_sources_never_panic(
        end in 0..=RUST.len(),
        flips in prop::collection::vec((0..RUST.len(), any::<u8>()), 0..20),
        ranges in prop::collection::vec(any::<(u32, u32, u32, u32)>(), 0..4),
    ) {
        let mut bytes = RUST.as_bytes().to_vec();
        for &(at, byte) in &flips {
            bytes[at] = byte;
        }
        bytes.truncate(end);
        for language in [Language::Rust, Language::C] {
            for f in functions(language, &bytes) {
                prop_assert!(f.first_line <= f.signature_line && f.signature_line <= f.last_line);
            }
        }
        let whole = RUST.as_bytes().to_vec();
        changed(&[any_file(whole.clone(), bytes.clone(), &ranges)]);
        changed(&[any_file(bytes, whole, &ranges)]);
    }
}
