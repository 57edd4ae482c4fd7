//! How much of the order of functions changes from one layout of a program to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// What start files bring: in one section for each of them, whatever the program is compiled with.
const OF_START_FILES: [&str; 6] = [
    "_start",
    "_dl_relocate_static_pie",
    "deregister_tm_clones",
    "register_tm_clones",
    "__do_global_dtors_aux",
    "frame_dummy",
];

/// The functions of a program, and in how many pieces its layouts put them into other orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) functions: usize,
    pub(crate) pieces: usize,
}

impl Pieces {
    /// The pieces of a program by the orders of its functions in all its layouts: neighbours in each
    /// of them lie in one section. Names that stand for several functions are left out.
    fn of(orders: &[Vec<String>]) -> Pieces {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for name in orders.iter().flatten() {
            *seen.entry(name).or_default() += 1;
        }
        let count = orders.len();
        let in_each = |name: &&str| seen[name] == count;
        let orders: Vec<Vec<&str>> = orders
            .iter()
            .map(|order| order.iter().map(String::as_str).filter(in_each).collect())
            .collect();
        let neighbours = orders.iter().map(|order| -> BTreeSet<(&str, &str)> {
            order.windows(2).map(|pair| (pair[0], pair[1])).collect()
        });
        let together = neighbours.reduce(|a, b| a.intersection(&b).copied().collect());
        let functions = orders.first().map_or(0, Vec::len);
        Pieces {
            functions,
            pieces: functions - together.unwrap_or_default().len(),
        }
    }

    /// The pieces of a program by its layouts, one file after another; `None` where one has no
    /// symbols.
    pub(crate) fn of_files(layouts: impl Iterator<Item = PathBuf>) -> Option<Pieces> {
        let orders = layouts.map(|path| order(&fs::read(path).ok()?));
        orders
            .collect::<Option<Vec<_>>>()
            .map(|all| Pieces::of(&all))
    }

    /// Whether most functions keep their neighbours, so that the layouts say little.
    pub(crate) fn are_few(self) -> bool {
        self.pieces * 2 < self.functions
    }
}

/// The names of the functions in `.text`, by their places; `None` for a program without any.
fn order(program: &[u8]) -> Option<Vec<String>> {
    let file = object::File::parse(program).ok()?;
    let text = file
        .sections()
        .filter(|section| section.kind() == SectionKind::Text && section.name() == Ok(".text"))
        .map(|section| section.index())
        .next()?;
    // Names of one place are one function.
    let mut places: BTreeMap<u64, &str> = BTreeMap::new();
    for symbol in file.symbols() {
        let is_function = symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(text);
        let Some(name) = symbol.name().ok().filter(|_| is_function) else {
            continue;
        };
        if !OF_START_FILES.contains(&name) {
            places.entry(symbol.address()).or_insert(name);
        }
    }
    let names: Vec<String> = places.into_values().map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(orders: &[&str]) -> (usize, usize) {
        let orders: Vec<Vec<String>> = orders
            .iter()
            .map(|order| order.split(' ').map(str::to_owned).collect())
            .collect();
        let Pieces { functions, pieces } = Pieces::of(&orders);
        (functions, pieces)
    }

    #[test]
    fn functions_that_always_follow_each_other_are_one_piece() {
        for (orders, expected) in [
            // Two object files, of two and three functions.
            (&["a b c d e", "c d e a b"][..], (5, 2)),
            // A section for each; `b c` stays together by chance in one of the orders.
            (&["a b c d", "b c a d", "d b a c"], (4, 4)),
            (&["a b c", "a b c"], (3, 1)),
            // A name of two functions says nothing of either.
            (&["a x b x", "x b x a"], (2, 2)),
            (&[], (0, 0)),
        ] {
            assert_eq!(pieces(orders), expected, "{orders:?}");
        }
        assert_eq!(order(b"#!/bin/sh\n"), None);
    }
}
