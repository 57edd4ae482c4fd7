//! Our own index over an ELF symbol table.
//!
//! Ready-made maps keep one alias by rules of their own, read the dynamic table only when there is
//! no full one, and let a label inside a function cut the function in two.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

use object::read::elf::Sym;
use object::{LittleEndian, elf};

use crate::elf::{Elf, Headers, SymbolSource, TableKind, with_class};
use crate::near::{self, Near};

/// How far ahead of the last address the next one is looked for.
const NEAR_ROWS: usize = 8;

/// A function of a symbol table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SymbolRow<'a> {
    pub(crate) start: u64,
    /// Exclusive; where the next symbol or the section ends when the table gives no size.
    end: u64,
    /// As the table has it; 0 when unknown.
    pub(crate) size: u64,
    pub(crate) name: &'a [u8],
    /// The row that this one lies within.
    outer: Option<u32>,
    /// Its other names: how many before it in the list of all, and how many of its own.
    aliases: (u32, u32),
}

/// The functions of one table, sorted by address, one name for each address and all others beside.
#[derive(Debug, Default)]
pub(crate) struct SymbolIndex<'a> {
    rows: Vec<SymbolRow<'a>>,
    aliases: Vec<&'a [u8]>,
    /// How many rows began at or before the last address: addresses are asked for in their order,
    /// so the next one is near.
    last: AtomicUsize,
}

/// The rank of symbols without a type: labels of assembler code.
const LABEL_RANK: u8 = 2;

/// A symbol before names of one address are reduced to one.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    start: u64,
    size: u64,
    name: &'a [u8],
    /// Smaller is preferred.
    rank: (u8, u8),
    section_end: u64,
    aliases: (u32, u32),
}

impl<'a> SymbolIndex<'a> {
    /// Reads the functions and labels in executable sections: those that matter for sorted
    /// addresses, or all where there are no addresses, or where they are many.
    pub(crate) fn read(elf: &Elf<'a>, kind: TableKind, svmas: &[u64]) -> SymbolIndex<'a> {
        let mut candidates =
            with_class!(elf, file => candidates(&SymbolSource::of(file, kind), svmas));
        candidates.sort_unstable_by_key(|c| (c.start, Reverse(c.size), c.rank, c.name));
        SymbolIndex::of_sorted(&candidates)
    }

    fn of_sorted(candidates: &[Candidate<'a>]) -> SymbolIndex<'a> {
        let (kept, aliases) = one_per_address(candidates);
        SymbolIndex {
            rows: nest(&kept),
            aliases,
            last: AtomicUsize::new(0),
        }
    }

    /// The other names of a row's address, sorted: aliases, and functions that were folded into one
    /// because they are identical. Labels are names of places, not of functions.
    pub(crate) fn aliases(&self, row: &SymbolRow<'a>) -> &[&'a [u8]] {
        let (first, count) = (row.aliases.0 as usize, row.aliases.1 as usize);
        &self.aliases[first..first + count]
    }

    /// Whether a table names any code.
    pub(crate) fn has_names(elf: &Elf<'a>, kind: TableKind) -> bool {
        with_class!(elf, file => near::has_function(&SymbolSource::of(file, kind)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows begin at or before an address.
    fn rows_up_to(&self, svma: u64) -> usize {
        let last = self.last.load(Ordering::Relaxed);
        let is_past = last == 0 || self.rows.get(last - 1).is_some_and(|row| row.start <= svma);
        let near = self.rows.get(last..).unwrap_or_default();
        let near = &near[..near.len().min(NEAR_ROWS)];
        let ahead = near.partition_point(|row| row.start <= svma);
        let after = if is_past && ahead < near.len() {
            last + ahead
        } else {
            self.rows.partition_point(|row| row.start <= svma)
        };
        self.last.store(after, Ordering::Relaxed);
        after
    }

    /// The innermost symbol that covers a linked address.
    pub(crate) fn find(&self, svma: u64) -> Option<&SymbolRow<'a>> {
        self.find_until(svma).0
    }

    /// The innermost symbol that covers a linked address, and the first address after it of which
    /// that may no longer be so.
    pub(crate) fn find_until(&self, svma: u64) -> (Option<&SymbolRow<'a>>, u64) {
        let after = self.rows_up_to(svma);
        let next = self.rows.get(after).map_or(u64::MAX, |row| row.start);
        let mut row = after.checked_sub(1).and_then(|row| self.rows.get(row));
        while let Some(found) = row
            && svma >= found.end
        {
            row = found.outer.and_then(|outer| self.rows.get(outer as usize));
        }
        (row, row.map_or(next, |row| next.min(row.end)))
    }
}

fn candidates<'a, H: Headers>(
    source: &SymbolSource<'_, 'a, H>,
    svmas: &[u64],
) -> Vec<Candidate<'a>> {
    let near = match svmas {
        [] => None,
        svmas => Near::new(svmas, source),
    };
    let mut found = Vec::new();
    for (index, symbol) in source.table.enumerate() {
        let kind_rank = match symbol.st_type() {
            elf::STT_FUNC => 0,
            // What lies there is the function that chooses the implementation.
            elf::STT_GNU_IFUNC => 1,
            elf::STT_NOTYPE => LABEL_RANK,
            _ => continue,
        };
        let binding_rank = match symbol.st_bind() {
            elf::STB_LOCAL => 2,
            elf::STB_WEAK => 1,
            _ => 0,
        };
        let start = source.start(symbol);
        if near.as_ref().is_some_and(|near| !near.keeps(start)) {
            continue;
        }
        let Some(section) = source.section_of_function(index, symbol) else {
            continue;
        };
        found.push(Candidate {
            start,
            size: symbol.st_size(LittleEndian).into(),
            name: source.name(symbol),
            rank: (kind_rank, binding_rank),
            section_end: section.end,
            aliases: (0, 0),
        });
    }
    found
}

/// Keeps the preferred name of each address: functions before labels, global before weak before
/// local, then by name. The largest size of all aliases counts. The other names come apart.
fn one_per_address<'a>(candidates: &[Candidate<'a>]) -> (Vec<Candidate<'a>>, Vec<&'a [u8]>) {
    let mut kept: Vec<Candidate<'a>> = Vec::with_capacity(candidates.len());
    let mut aliases: Vec<&'a [u8]> = Vec::new();
    for group in candidates.chunk_by(|one, next| one.start == next.start) {
        let preferred = group.iter().min_by_key(|c| (c.rank, c.name));
        let Some(preferred) = preferred else {
            continue;
        };
        let first = aliases.len();
        let is_alias = |c: &&Candidate<'_>| {
            c.name != preferred.name && (c.rank.0 < LABEL_RANK || preferred.rank.0 == LABEL_RANK)
        };
        aliases.extend(group.iter().filter(is_alias).map(|c| c.name));
        aliases[first..].sort_unstable();
        let mut count = 0;
        for at in first..aliases.len() {
            if count == 0 || aliases[first + count - 1] != aliases[at] {
                aliases[first + count] = aliases[at];
                count += 1;
            }
        }
        aliases.truncate(first + count);
        kept.push(Candidate {
            // The first of an address has the largest size.
            size: group[0].size,
            // A table has fewer than 2^32 symbols.
            aliases: (first as u32, count as u32),
            ..*preferred
        });
    }
    (kept, aliases)
}

/// Gives symbols without a size an end, drops labels within functions, and links inner to outer.
fn nest<'a>(candidates: &[Candidate<'a>]) -> Vec<SymbolRow<'a>> {
    let mut rows: Vec<SymbolRow<'a>> = Vec::with_capacity(candidates.len());
    let mut open: Vec<u32> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        while open
            .last()
            .is_some_and(|&row| rows[row as usize].end <= candidate.start)
        {
            open.pop();
        }
        let outer = open.last().copied();
        if candidate.size == 0 && outer.is_some_and(|row| rows[row as usize].size > 0) {
            continue;
        }
        let next = candidates
            .get(index + 1)
            .map_or(u64::MAX, |next| next.start);
        let end = match candidate.size {
            0 => next.min(candidate.section_end),
            size => candidate.start.saturating_add(size),
        };
        // A table has fewer than 2^32 symbols, because a file has fewer than 2^32 of 24 bytes each.
        open.push(rows.len() as u32);
        rows.push(SymbolRow {
            start: candidate.start,
            end,
            size: candidate.size,
            name: candidate.name,
            outer,
            aliases: candidate.aliases,
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(start: u64, size: u64, name: &'static str, rank: (u8, u8)) -> Candidate<'static> {
        Candidate {
            start,
            size,
            name: name.as_bytes(),
            rank,
            section_end: 100,
            aliases: (0, 0),
        }
    }

    fn index(mut list: Vec<Candidate<'static>>) -> SymbolIndex<'static> {
        list.sort_unstable_by_key(|c| (c.start, Reverse(c.size), c.rank, c.name));
        SymbolIndex::of_sorted(&list)
    }

    fn aliases(index: &SymbolIndex<'static>, svma: u64) -> Vec<String> {
        let row = index.find(svma).unwrap();
        let names = index.aliases(row).iter();
        names
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .collect()
    }

    fn name(index: &SymbolIndex<'static>, svma: u64) -> Option<String> {
        let row = index.find(svma)?;
        Some(String::from_utf8(row.name.to_vec()).unwrap())
    }

    #[test]
    fn symbols_without_a_size_reach_to_the_next_or_to_the_end_of_the_section() {
        let index = index(vec![
            candidate(10, 0, "start", (1, 0)),
            candidate(20, 5, "sized", (0, 0)),
            candidate(90, 0, "last", (1, 2)),
        ]);
        assert_eq!(name(&index, 9), None);
        assert_eq!(name(&index, 19).as_deref(), Some("start"));
        assert_eq!(name(&index, 24).as_deref(), Some("sized"));
        assert_eq!(name(&index, 25), None, "a size is believed");
        assert_eq!(name(&index, 99).as_deref(), Some("last"));
        assert_eq!(name(&index, 100), None);
    }

    #[test]
    fn labels_do_not_cut_functions_and_inner_symbols_do_not_hide_outer_ones() {
        let index = index(vec![
            candidate(10, 40, "outer", (0, 0)),
            candidate(15, 0, "label", (1, 2)),
            candidate(20, 5, "inner", (0, 2)),
        ]);
        assert_eq!(name(&index, 16).as_deref(), Some("outer"));
        assert_eq!(name(&index, 22).as_deref(), Some("inner"));
        assert_eq!(name(&index, 25).as_deref(), Some("outer"));
    }

    #[test]
    fn what_is_found_holds_until_the_next_symbol_or_its_end() {
        let index = index(vec![
            candidate(10, 40, "outer", (0, 0)),
            candidate(20, 5, "inner", (0, 2)),
            candidate(60, 0, "last", (0, 0)),
        ]);
        for svma in 0..120 {
            let (found, until) = index.find_until(svma);
            assert!(until > svma);
            for other in svma..until.min(120) {
                let same = index.find(other).map(|row| row.start);
                assert_eq!(same, found.map(|row| row.start), "{svma} to {other}");
            }
        }
    }

    #[test]
    fn of_the_names_of_one_address_functions_and_global_ones_win() {
        let index = index(vec![
            candidate(10, 5, "local", (0, 2)),
            candidate(10, 5, "weak", (0, 1)),
            candidate(10, 0, "label", (1, 0)),
            candidate(10, 0, "global", (0, 0)),
            candidate(10, 5, "global_too", (0, 0)),
        ]);
        assert_eq!(
            name(&index, 12).as_deref(),
            Some("global"),
            "with the size of its aliases"
        );
    }

    #[test]
    fn all_names_of_an_address_are_kept_once() {
        let index = index(vec![
            candidate(10, 5, "weak", (0, 1)),
            candidate(10, 5, "folded", (0, 2)),
            candidate(10, 5, "folded", (0, 2)),
            candidate(10, 0, "label", (LABEL_RANK, 2)),
            candidate(10, 5, "chosen", (1, 0)),
            candidate(10, 5, "chooser", (0, 0)),
            candidate(20, 0, "first", (LABEL_RANK, 0)),
            candidate(20, 0, "second", (LABEL_RANK, 0)),
        ]);
        assert_eq!(name(&index, 12).as_deref(), Some("chooser"));
        assert_eq!(aliases(&index, 12), ["chosen", "folded", "weak"]);
        assert_eq!(name(&index, 20).as_deref(), Some("first"));
        assert_eq!(aliases(&index, 20), ["second"], "labels alone");
    }
}
