//! Which symbols of a table can have a say in the names of given addresses.
//!
//! A big library has hundreds of thousands of symbols and a profile hits a few hundred of its
//! addresses. One pass over the table, without its names, finds the symbols that matter; only they
//! are then read, sorted and nested.

use std::ops::Range;

use object::read::elf::{Sym, SymbolTable};
use object::{LittleEndian, SymbolIndex as ElfIndex, elf};

/// The symbols that matter are those that cover one of these addresses or begin at one.
#[derive(Debug)]
pub(crate) struct Near {
    /// Sorted.
    points: Vec<u64>,
}

/// So many times more symbols than addresses have to be there for the first pass to be worth it.
const WORTH_IT: usize = 4;

impl Near {
    /// For sorted addresses; `None` when all symbols should be read.
    ///
    /// Besides the addresses themselves, the last symbol that begins at or before each matters,
    /// because it ends those before it that have no size; and what covers the beginning of that
    /// one, because a label within a function is none of its own.
    pub(crate) fn new(
        svmas: &[u64],
        table: &SymbolTable<'_, elf::FileHeader64<LittleEndian>>,
        code: &[Option<Range<u64>>],
    ) -> Option<Near> {
        if table.len() / WORTH_IT < svmas.len() {
            return None;
        }
        let mut last_starts = vec![None; svmas.len()];
        for (index, symbol) in table.enumerate() {
            if !matches!(
                symbol.st_type(),
                elf::STT_FUNC | elf::STT_GNU_IFUNC | elf::STT_NOTYPE
            ) {
                continue;
            }
            let start = symbol.st_value(LittleEndian);
            let first = svmas.partition_point(|&svma| svma < start);
            let Some(last) = last_starts.get_mut(first).filter(|last| **last < Some(start)) else {
                continue;
            };
            let section = section(table, code, index, symbol);
            let name = || table.symbol_name(LittleEndian, symbol).unwrap_or_default();
            if section.is_some_and(|range| range.contains(&start)) && is_function_name(name()) {
                *last = Some(start);
            }
        }
        let mut last = None;
        let starts = last_starts.into_iter().filter_map(|start| {
            last = last.max(start);
            last
        });
        let mut points: Vec<u64> = starts.chain(svmas.iter().copied()).collect();
        points.sort_unstable();
        points.dedup();
        Some(Near { points })
    }

    /// Whether a symbol matters.
    pub(crate) fn keeps(&self, start: u64, size: u64) -> bool {
        let next = self.points.partition_point(|&point| point < start);
        let next = self.points.get(next);
        next.is_some_and(|&point| point == start || point - start < size)
    }
}

/// `$x` and `$d` mark code and data on Arm; `.L` labels belong to the assembler.
pub(crate) fn is_function_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"$") && !name.starts_with(b".L")
}

/// The executable section that a symbol lies in.
fn section<'c>(
    table: &SymbolTable<'_, elf::FileHeader64<LittleEndian>>,
    code: &'c [Option<Range<u64>>],
    index: ElfIndex,
    symbol: &elf::Sym64<LittleEndian>,
) -> Option<&'c Range<u64>> {
    let section = table.symbol_section(LittleEndian, symbol, index).ok()??;
    code.get(section.0)?.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::{Elf, SymbolIndex, TableKind};

    /// Our own test binary has tens of thousands of symbols of all kinds: what is found among the
    /// few that were read for some addresses is what is found among all.
    #[test]
    fn few_symbols_name_addresses_as_all_do() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&*bytes).unwrap();
        let all = SymbolIndex::read(&elf, TableKind::Full, &[]);
        let text = crate::symbols::executable_sections(&elf);
        let text: Vec<_> = text.into_iter().flatten().collect();
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        for count in [1, 7, 300] {
            let mut svmas: Vec<u64> = (0..count)
                .map(|_| {
                    random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let section = &text[(random >> 40) as usize % text.len()];
                    section.start + (random >> 20) % (section.end - section.start + 16)
                })
                .collect();
            svmas.sort_unstable();
            let few = SymbolIndex::read(&elf, TableKind::Full, &svmas);
            let mut found = 0;
            for &svma in &svmas {
                let row = |index: &SymbolIndex<'_>| {
                    let row = index.find(svma)?;
                    Some((row.start, row.size, row.name.to_vec()))
                };
                assert_eq!(row(&few), row(&all), "{svma:#x}");
                found += usize::from(row(&all).is_some());
            }
            assert!(found * 2 > svmas.len());
        }
    }
}
