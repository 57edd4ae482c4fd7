//! Which symbols of a table can have a say in the names of given addresses.
//!
//! A big library has hundreds of thousands of symbols and a profile hits a few hundred of its
//! addresses. One pass over the table, without its names, finds the symbols that matter; only they
//! are then read, sorted and nested.

use object::read::elf::Sym;
use object::{LittleEndian, elf};

use crate::elf::{Headers, SymbolSource};

/// The addresses at which the symbols that matter begin.
#[derive(Debug)]
pub(crate) struct Near {
    /// Sorted.
    starts: Vec<u64>,
}

/// So many times more symbols than addresses have to be there for the first pass to be worth it.
const WORTH_IT: usize = 4;

impl Near {
    /// For sorted addresses; `None` when all symbols should be read.
    ///
    /// Besides the addresses themselves, the last symbol that begins at or before each matters,
    /// because it ends those before it that have no size; and what covers the beginning of that
    /// one, because a label within a function is none of its own. All names of one address matter
    /// together.
    pub(crate) fn new<H: Headers>(svmas: &[u64], source: &SymbolSource<'_, '_, H>) -> Option<Near> {
        let table = source.table;
        if table.len() / WORTH_IT < svmas.len() {
            return None;
        }
        let mut last_starts = vec![None; svmas.len()];
        for (index, symbol) in table.enumerate().filter(|(_, symbol)| has_type(*symbol)) {
            let start = source.start(symbol);
            let first = svmas.partition_point(|&svma| svma < start);
            let last = last_starts.get_mut(first);
            if let Some(last) = last.filter(|last| **last < Some(start))
                && source.section_of_function(index, symbol).is_some()
            {
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
        let symbols = table.symbols().iter().filter(|symbol| has_type(*symbol));
        let symbols = symbols.map(|s| (source.start(s), s.st_size(LittleEndian).into()));
        let covering = symbols.filter(|&(start, size)| {
            let next = points.partition_point(|&point| point < start);
            let next = points.get(next);
            next.is_some_and(|&point| point == start || point - start < size)
        });
        let mut starts: Vec<u64> = covering.map(|(start, _)| start).collect();
        starts.sort_unstable();
        starts.dedup();
        Some(Near { starts })
    }

    /// Whether a symbol that begins there matters.
    pub(crate) fn keeps(&self, start: u64) -> bool {
        self.starts.binary_search(&start).is_ok()
    }
}

/// Whether a table has any function or label in code.
pub(crate) fn has_function<H: Headers>(source: &SymbolSource<'_, '_, H>) -> bool {
    let symbols = source.table.enumerate();
    let mut functions = symbols.filter(|(_, symbol)| has_type(*symbol));
    functions.any(|(index, symbol)| source.section_of_function(index, symbol).is_some())
}

fn has_type(symbol: &impl Sym) -> bool {
    let kind = symbol.st_type();
    matches!(kind, elf::STT_FUNC | elf::STT_GNU_IFUNC | elf::STT_NOTYPE)
}

#[cfg(test)]
mod tests {
    use hotproof_image::ImageFile;

    use crate::elf::{Elf, TableKind};
    use crate::symbols::SymbolIndex;

    /// Our own test binary has tens of thousands of symbols of all kinds: what is found among the
    /// few that were read for some addresses is what is found among all.
    #[test]
    fn few_symbols_name_addresses_as_all_do() {
        let image = ImageFile::open(&std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&image).unwrap();
        let all = SymbolIndex::read(&elf, TableKind::Full, &[]);
        let text: Vec<_> = [".init", ".text", ".fini"]
            .iter()
            .filter_map(|name| image.section_svma(name))
            .collect();
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
