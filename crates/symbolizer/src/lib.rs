//! Addresses of binaries to symbols, source functions and inlined frames.
//!
//! A [`Symbolizer`] names the unresolved locations of a profile. For each image it opens the file
//! that the profile names, refuses one whose build-id differs, finds the separate debug file, and
//! asks in this order: DWARF (with inlined functions), Go's own table (which has lines and inlined
//! functions too), `.symtab`, MiniDebugInfo, `.dynsym`, the procedure linkage table, the function
//! starts of `.eh_frame`. The vdso is copied from this process, kernel addresses are looked up in
//! `/proc/kallsyms`, code made at run time in its maker's jitdump or perf map. What nobody can name
//! stays unknown: no name is ever guessed. What a recorder still has open ([`Symbolizer::hold`]) is
//! preferred to what lies at the same paths now.
//!
//! It does not record, does not decide which function changed, and fetches nothing from a network
//! unless its [`DebugPlaces`] name servers.
//! It keeps names on disk when it is given a [`Cache`], and only then: an image that was named
//! before is then named again without being opened, as long as its build-id, the file itself and
//! every place where debug files are looked for are as they were. Locations that already have
//! frames are left alone.
//!
//! Data goes: locations to unique addresses for each image, sorted; a thread for each image, which
//! owns the mapped files and what was read of them, answers them in one batch; answers go into a
//! cache and from there into the profile's tables. The thread lives as long as the symbolizer, so
//! that the next profile of the same binary costs lookups alone, and damaged debug information
//! that trips a reader loses one image, not the process.
//!
//! Two names are kept. A location's symbol is the linker's function with its suffixes (`.cold`,
//! `.isra.0`); its frames are the source's functions. A function row is (name, declared file,
//! declared line, image): the file and line of its declaration are the same for every inlined copy
//! and every instance of a generic, and are what a comparison of two builds joins by.
//!
//! An address of a file, with its inlined functions:
//!
//! ```
//! use hotproof_symbolizer::Symbolizer;
//!
//! let program = std::env::current_exe()?;
//! for named in Symbolizer::new().symbolize_addresses(&program, &[0x10, 0x20])? {
//!     for frame in named.frames {
//!         let (function, line) = (frame.function, frame.line);
//!         println!("{} at {:?}, by {}", function.name, line, function.source.word());
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole profile, with what could not be named:
//!
//! ```
//! use hotproof_profile::*;
//! use hotproof_symbolizer::Symbolizer;
//!
//! let program = std::env::current_exe()?;
//! let mut profile = Profile::default();
//! let path = profile.strings.intern(program.to_str().expect("a UTF-8 path"));
//! let image = profile.images.push(Image { path, build_id: Vec::new(), kind: ImageKind::Elf });
//! profile.locations.push(Location::unresolved(Some(image), 0x10, AddressKind::Ip));
//!
//! let summary = Symbolizer::new().symbolize(&mut profile);
//! // Address 0x10 lies in the file's header, which is no code.
//! assert_eq!((summary.locations, summary.resolved), (1, 0));
//! for (image, problem) in summary.problems() {
//!     println!("{}: {problem}", image.path);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alike;
mod answer;
mod bounded;
mod cache;
mod demangle;
mod dwarf;
mod elf;
mod examine;
mod file_names;
mod files;
mod go_table;
mod kernel;
mod linker;
mod namer;
mod names;
mod near;
mod path;
mod plt;
mod recall;
mod run_time;
mod summary;
mod symbolizer;
mod symbols;
mod unwind;
mod worker;
mod writer;

pub use answer::{AddressNames, FrameRef, NamedAddress, NamedFrame, NamedFunction, NamedSymbol};
pub use cache::{Cache, CacheContent, CacheEntry, CacheError, Cleared};
pub use demangle::{demangle, demangle_whole};
pub use examine::{Examined, examine, lowest_address};
pub use file_names::FileNames;
pub use files::Detail;
pub use hotproof_image::{DebugPlaces, Debuginfod, HeldFiles};
pub use summary::{ImageOutcome, Problem, Summary};
pub use symbolizer::Symbolizer;
