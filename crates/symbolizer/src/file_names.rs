//! Names of many addresses of one file, kept as small as they are read.

use std::path::{Path, PathBuf};

use hotproof_image::DebugPlaces;
use hotproof_profile::ImageKind;

use crate::answer::{Answer, FrameRef, NamedSymbol, StoredAnswer, Tables};
use crate::files::{Detail, Wanted};
use crate::summary::Problem;
use crate::worker::Worker;

/// The names of addresses of one file.
///
/// Functions, paths and frames that addresses share are kept once, so that a million addresses take
/// tens of megabytes. [`crate::Symbolizer::symbolize_addresses`] gives each address values of its
/// own.
///
/// ```
/// use hotproof_symbolizer::FileNames;
///
/// let program = std::env::current_exe()?;
/// // Address 0x10 lies in the file's header, which is no code.
/// let names = FileNames::read(&program, &[0x10])?;
/// assert_eq!(names.frames(0).count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileNames {
    /// In the order of the addresses as they were given.
    answers: Vec<StoredAnswer>,
    tables: Tables,
    problems: Vec<Problem>,
}

impl FileNames {
    /// Names relative addresses of an ELF file, as [`crate::Symbolizer::symbolize_addresses`] does.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn read(path: &Path, relative_addresses: &[u64]) -> Result<FileNames, Problem> {
        let worker = Worker::start(Wanted {
            path: PathBuf::from(path),
            build_id: Vec::new(),
            kind: ImageKind::Elf,
            places: DebugPlaces::default(),
            held: None,
            detail: Detail::Full,
            cache: None,
            has_stacks: false,
        })?;
        // The file is opened meanwhile.
        let (sorted, rows) = in_order(relative_addresses);
        worker.ask(sorted);
        let mut batch = worker.receive()?;
        if !batch.is_open {
            return Err(batch.problems.pop().unwrap_or(Problem::NoSymbols));
        }
        // What the reader keeps would lie beside the copy of the answers.
        drop(worker);
        let answers = match rows {
            None => batch.answers,
            Some(rows) => {
                let answers = rows.into_iter().map(|row| batch.answers[row as usize]);
                answers.collect()
            }
        };
        Ok(FileNames {
            answers,
            tables: batch.rows,
            problems: batch.problems,
        })
    }

    /// The answer in a place; `None` when there is no such place.
    fn answer(&self, place: usize) -> Option<Answer> {
        self.answers.get(place).map(|answer| answer.unpack())
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether no address was asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What went wrong; empty when nothing did.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The frames of the address in this place, innermost first; none when nobody can name it or
    /// there is no such place.
    #[inline]
    pub fn frames(&self, place: usize) -> impl Iterator<Item = FrameRef<'_>> {
        let answer = self.answer(place).unwrap_or_default();
        self.tables.frames(answer)
    }

    /// The linker's symbol of the address in this place; `None` when no table has one or there is
    /// no such place.
    pub fn symbol(&self, place: usize) -> Option<&NamedSymbol> {
        let row = self.answer(place)?.symbol?;
        Some(&self.tables.symbols[row as usize])
    }
}

/// So many bits of an address are sorted at a time.
const DIGIT_BITS: u32 = 12;
/// The lower half of a number that is sorted: a place.
const PLACE_BITS: u32 = 32;

/// Addresses ascending, each once, and for each place where its address is among them; without
/// places, they were so before.
fn in_order(addresses: &[u64]) -> (Vec<u64>, Option<Vec<u32>>) {
    if addresses.is_sorted_by(|a, b| a < b) {
        return (addresses.to_vec(), None);
    }
    let mut sorted: Vec<u64> = Vec::with_capacity(addresses.len());
    let mut rows = vec![0; addresses.len()];
    for (address, place) in sorted_places(addresses) {
        if sorted.last() != Some(&address) {
            sorted.push(address);
        }
        rows[place as usize] = sorted.len() as u32 - 1;
    }
    (sorted, Some(rows))
}

/// Addresses with their places, ascending. There are fewer than 2^32, which are 32 gigabytes.
fn sorted_places(addresses: &[u64]) -> Box<dyn Iterator<Item = (u64, u32)>> {
    let first = addresses.iter().copied().min().unwrap_or(0);
    let last = addresses.iter().copied().max().unwrap_or(0);
    let places = addresses.iter().copied().zip(0u32..);
    let span = last - first;
    if span >> PLACE_BITS != 0 {
        let mut pairs: Vec<(u64, u32)> = places.collect();
        pairs.sort_unstable();
        return Box::new(pairs.into_iter());
    }
    // Addresses of one file lie so near to each other that one and its place are one number.
    let packed = places.map(|(address, place)| (address - first) << PLACE_BITS | u64::from(place));
    let packed = sorted_from(
        packed.collect(),
        PLACE_BITS,
        u64::BITS - span.leading_zeros(),
    );
    let unpack = move |pair: u64| (first + (pair >> PLACE_BITS), pair as u32);
    Box::new(packed.into_iter().map(unpack))
}

/// Sorts numbers by so many of their bits, from one on; equal ones stay in their order. A radix
/// sort, because there may be millions of them and they differ in few bits.
fn sorted_from(mut numbers: Vec<u64>, first_bit: u32, bits: u32) -> Vec<u64> {
    let mut next = vec![0; numbers.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit =
            |number: u64| (number >> (first_bit + shift)) as usize & ((1 << DIGIT_BITS) - 1);
        let mut starts = vec![0usize; 1 << DIGIT_BITS];
        for &number in &numbers {
            starts[digit(number)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &number in &numbers {
            let start = &mut starts[digit(number)];
            next[*start] = number;
            *start += 1;
        }
        std::mem::swap(&mut numbers, &mut next);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::in_order;

    proptest! {
        #[test]
        fn addresses_come_in_order_and_are_found_again(
            addresses in prop_oneof![
                proptest::collection::vec(prop_oneof![any::<u64>(), 0..50u64], 0..80),
                proptest::collection::vec(7..50u64, 0..80),
                proptest::collection::vec((1 << 40)..(1u64 << 40) + (1 << 31), 0..80),
            ],
        ) {
            let (sorted, rows) = in_order(&addresses);
            let mut expected = addresses.clone();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(&sorted, &expected);
            let found = match rows {
                Some(rows) => rows.iter().map(|&row| sorted[row as usize]).collect(),
                None => sorted,
            };
            prop_assert_eq!(found, addresses);
        }
    }
}
