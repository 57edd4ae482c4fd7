//! Names of many addresses of one file, kept as small as they are read.

use std::path::{Path, PathBuf};

use hotproof_image::DebugPlaces;
use hotproof_profile::ImageKind;
use rayon::prelude::*;

use crate::answer::{Answer, NamedFunction, NamedSymbol, Tables};
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
    /// In the order of the addresses: the rows of symbol and innermost frame, each one more than
    /// it is, 0 for none.
    answers: Vec<(u32, u32)>,
    tables: Tables,
    problems: Vec<Problem>,
}

/// A frame of [`FileNames`].
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'n> {
    /// The function.
    pub function: &'n NamedFunction,
    /// Line that the address belongs to; `None` when unknown.
    pub line: Option<u32>,
    /// Column; `None` when unknown.
    pub column: Option<u32>,
    /// File of `line`, when it differs from the function's.
    pub file: Option<&'n str>,
    /// Whether the line table contradicts the function; see [`hotproof_profile::Frame`].
    pub contradicted: bool,
}

impl FileNames {
    /// Names relative addresses of an ELF file, as [`crate::Symbolizer::symbolize_addresses`] does.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn read(path: &Path, relative_addresses: &[u64]) -> Result<FileNames, Problem> {
        let (sorted, rows) = in_order(relative_addresses);
        let worker = Worker::start(Wanted {
            path: PathBuf::from(path),
            build_id: Vec::new(),
            kind: ImageKind::Elf,
            places: DebugPlaces::default(),
            held: None,
            detail: Detail::Full,
        })?;
        worker.ask(sorted);
        let mut batch = worker.receive()?;
        if !batch.is_open {
            return Err(batch.problems.pop().unwrap_or(Problem::NoSymbols));
        }
        let answers = match rows {
            Some(rows) => rows
                .iter()
                .map(|&row| packed(batch.answers[row as usize]))
                .collect(),
            None => batch.answers.into_iter().map(packed).collect(),
        };
        Ok(FileNames {
            answers,
            tables: batch.rows,
            problems: batch.problems,
        })
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether no address was asked for.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// What went wrong; empty when nothing did.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The frames of the address in this place, innermost first; none when nobody can name it or
    /// there is no such place.
    pub fn frames(&self, place: usize) -> impl Iterator<Item = FrameRef<'_>> {
        let &(_, frame) = self.answers.get(place).unwrap_or(&(0, 0));
        let answer = Answer {
            symbol: None,
            frame: frame.checked_sub(1),
        };
        self.tables.chain(answer).map(|frame| FrameRef {
            function: &self.tables.functions[frame.function as usize],
            line: frame.line,
            column: frame.column,
            file: frame
                .file
                .map(|file| self.tables.files[file as usize].as_str()),
            contradicted: frame.contradicted,
        })
    }

    /// The linker's symbol of the address in this place; `None` when no table has one or there is
    /// no such place.
    pub fn symbol(&self, place: usize) -> Option<&NamedSymbol> {
        let row = self.answers.get(place)?.0.checked_sub(1)?;
        Some(&self.tables.symbols[row as usize])
    }
}

fn packed(answer: Answer) -> (u32, u32) {
    let row = |row: Option<u32>| row.map_or(0, |row| row + 1);
    (row(answer.symbol), row(answer.frame))
}

/// Addresses ascending, each once, and for each place where its address is among them; without
/// places, they were so before.
fn in_order(addresses: &[u64]) -> (Vec<u64>, Option<Vec<u32>>) {
    if addresses.is_sorted_by(|a, b| a < b) {
        return (addresses.to_vec(), None);
    }
    let places = addresses.iter().zip(0u32..);
    let mut places: Vec<(u64, u32)> = places.map(|(&address, place)| (address, place)).collect();
    places.par_sort_unstable();
    let mut sorted: Vec<u64> = Vec::with_capacity(places.len());
    let mut rows = vec![0; places.len()];
    for (address, place) in places {
        if sorted.last() != Some(&address) {
            sorted.push(address);
        }
        rows[place as usize] = sorted.len() as u32 - 1;
    }
    (sorted, Some(rows))
}
