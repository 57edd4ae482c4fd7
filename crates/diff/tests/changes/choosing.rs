//! `--functions` takes what a person would write, and says what is wrong with the rest.

use hotproof_diff::changes::{Changed, ChoiceError, FunctionChoice, choose, parse_function_list};
use hotproof_diff::{Change, Side};

use crate::commit::{File, changes_of};

fn pairs(list: &[FunctionChoice]) -> Vec<(String, String)> {
    let pair = |c: &FunctionChoice| (c.file.clone(), c.name.clone());
    list.iter().map(pair).collect()
}

#[test]
fn the_list_is_read() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "src/a.rs::f1,f2;src/b.rs::T::g",
            &[("src/a.rs", "f1"), ("src/a.rs", "f2"), ("src/b.rs", "T::g")],
        ),
        (" ./a.c :: f , f ;", &[("a.c", "f")]),
        (
            "a.rs::<T as Into<A, B>>::into,Map<K, V>::get#2",
            &[
                ("a.rs", "<T as Into<A, B>>::into"),
                ("a.rs", "Map<K, V>::get#2"),
            ],
        ),
    ];
    for (text, expected) in cases {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|&(file, name)| (file.to_owned(), name.to_owned()))
            .collect();
        assert_eq!(pairs(&parse_function_list(text).unwrap()), expected);
    }
}

#[test]
fn a_list_that_cannot_be_read_is_explained() {
    let cases = [
        ("", "no \"::\""),
        ("src/a.rs", "no \"::\""),
        ("::f", "file is missing"),
        ("a.rs::", "name is missing"),
        ("a.rs::f,,g", "name is missing"),
        ("a.rs::f;;b.rs::g", "no \"::\""),
        ("/etc/a.rs::f", "not relative"),
        ("../a.rs::f", "not relative"),
    ];
    for (text, expected) in cases {
        let error = parse_function_list(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("src/a.rs::f1,f2"), "{error}");
    }
}

const BASE: &str =
    "fn gone() -> u8 { 1 }\nimpl A { fn go(&self) {} }\nimpl B { fn go(&self) {} }\n";
const HEAD: &str = "mod m { fn total() {} }\nimpl A { fn go(&self) { 1; } }\nimpl B { fn go(&self) {} }\n\
                    impl<T> U for Vec<T> { fn map(&self) {} }\n#[cfg(a)]\nfn os() {}\n#[cfg(b)]\nfn os() {}\n";

fn renamed() -> Changed {
    changes_of(&[File {
        base: Some(("src/old.rs", BASE)),
        head: Some(("src/new.rs", HEAD)),
    }])
}

fn chosen(text: &str) -> Result<Changed, ChoiceError> {
    let list = parse_function_list(text).unwrap();
    choose(&list, &renamed(), &mut |side, path| match (side, path) {
        (Side::Base, "src/old.rs") => Some(BASE.as_bytes().to_vec()),
        (Side::Head, "src/new.rs") => Some(HEAD.as_bytes().to_vec()),
        (_, "x.rb") => Some(Vec::new()),
        _ => None,
    })
}

#[test]
fn functions_are_chosen_at_both_refs() {
    let keys = |text: &str| -> Vec<(String, bool, bool)> {
        let changed = chosen(text).unwrap();
        let functions = changed.functions.into_iter();
        functions
            .inspect(|f| assert_eq!(f.change, Change::Chosen))
            .map(|f| (f.key, f.base.is_some(), f.head.is_some()))
            .collect()
    };
    let one = |key: &str, base, head| vec![(key.to_owned(), base, head)];
    assert_eq!(
        keys("src/new.rs::A::go"),
        one("src/new.rs::A::go", true, true)
    );
    assert_eq!(
        keys("src/old.rs::B::go"),
        one("src/new.rs::B::go", true, true)
    );
    assert_eq!(
        keys("src/new.rs::total"),
        one("src/new.rs::m::total", false, true)
    );
    assert_eq!(
        keys("src/new.rs::gone"),
        one("src/new.rs::gone", true, false)
    );
    assert_eq!(
        keys("src/new.rs::Vec::map"),
        one("src/new.rs::<Vec as U>::map", false, true)
    );
    assert_eq!(keys("src/new.rs::os").len(), 2);
    assert_eq!(
        keys("src/new.rs::os#2"),
        one("src/new.rs::os#2", false, true)
    );
}

#[test]
fn a_choice_that_fits_nothing_or_too_much_is_explained() {
    let cases = [
        ("src/none.rs::f", "no file \"src/none.rs\""),
        ("x.rb::f", "not in \"x.rb\""),
        ("src/new.rs::totl", "nearest names are: m::total"),
        (
            "src/new.rs::go",
            "several functions in src/new.rs: A::go, B::go",
        ),
    ];
    for (text, expected) in cases {
        let error = chosen(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
