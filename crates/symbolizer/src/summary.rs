//! What a symbolizer could not do, and why.

use std::path::PathBuf;

use hotproof_profile::{ImageKind, Source};

/// Why addresses of an image have no names, or poorer ones than there could be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is missing, cut, or no ELF file.
    #[error("{detail}")]
    Unreadable {
        /// What was read and what was expected.
        detail: String,
    },
    /// The file at this path is another build than the one that was recorded.
    #[error(
        "{} has build-id {found}, expected {expected} as recorded: it was rebuilt or replaced; \
         record again, or put the recorded build back",
        path.display()
    )]
    OtherBuild {
        /// The file.
        path: PathBuf,
        /// Its build-id in hexadecimal, or `none`.
        found: String,
        /// The profile's.
        expected: String,
    },
    /// A debug file is there but was not used.
    #[error("debug file {} was refused: {reason}", path.display())]
    DebugFileRefused {
        /// The debug file.
        path: PathBuf,
        /// What was read and what was expected.
        reason: String,
    },
    /// Debug information or a symbol table could not be read, or not all of it.
    #[error("{what} cannot be read, or not all of it: {detail}")]
    Damaged {
        /// Which part.
        what: &'static str,
        /// What the reader said.
        detail: String,
    },
    /// Debug information is split into files beside the objects (`.dwo`), which were not found.
    #[error(
        "its debug information is split into .dwo files that are not there, for example {}: \
         functions and inlined functions are missing; keep the objects' folder, put the files beside \
         the program, or make a package of them with dwp",
        path.display()
    )]
    SplitDebugInfo {
        /// The first that is missing, as the program names it.
        path: PathBuf,
    },
    /// The program is of 32 bits, whose stacks no recorder of ours reads.
    #[error(
        "it is a 32-bit program: its code is named, but stacks of 32-bit code are not unwound, so \
         that callers are missing; build it for 64 bits to see them"
    )]
    NarrowStacks,
    /// The file has neither debug information nor a symbol table.
    #[error(
        "it has no symbols and no debug information: build with debug information, or install its debug package"
    )]
    NoSymbols,
    /// Kernel addresses cannot be named.
    #[error("{detail}")]
    Kernel {
        /// Why not.
        detail: String,
    },
    /// Nothing names this kind of code.
    #[error(
        "code made at run time, of which its maker wrote no perf map and no jitdump: run node with \
         --perf-basic-prof, python with -X perf, or the like"
    )]
    NoFile,
    /// Reading the image ended in a panic of a reader, or no thread could be started for it.
    #[error("its reader failed: {detail}")]
    ReaderFailed {
        /// What is known of it.
        detail: String,
    },
}

/// What became of the locations of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOutcome {
    /// The image's path as the profile has it.
    pub path: String,
    /// What kind of image it is.
    pub kind: ImageKind,
    /// Locations that were looked up.
    pub locations: u64,
    /// Locations that have a name now.
    pub resolved: u64,
    /// Addresses that the cache on disk answered; the image's files were not read for them.
    pub recalled: u64,
    /// Addresses that the image's files were read for; with 0, none of them was opened to name it.
    pub read: u64,
    /// Named locations by who named their outermost function, ordered by source.
    pub sources: Vec<(Source, u64)>,
    /// What went wrong; empty when nothing did.
    pub problems: Vec<Problem>,
}

/// What became of all locations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Locations that were looked up, those without an image included.
    pub locations: u64,
    /// Locations that have a name now.
    pub resolved: u64,
    /// Images with locations that were looked up, in the order of the profile.
    pub images: Vec<ImageOutcome>,
    /// Why names could not be kept for another time; `None` when they were, or there is no cache.
    pub unkept: Option<String>,
}

impl Summary {
    /// Images with a problem, and the problem.
    pub fn problems(&self) -> impl Iterator<Item = (&ImageOutcome, &Problem)> {
        let images = self.images.iter();
        images.flat_map(|image| image.problems.iter().map(move |problem| (image, problem)))
    }
}
