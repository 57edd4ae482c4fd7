//! One binary as the system sees it: ELF facts, build-id, address spaces, debug files, the vdso
//! and the kernel's symbol list.
//!
//! An [`ImageFile`] maps a little-endian ELF file and answers what a profiler and a
//! symbolizer ask of it: which architecture, which build-id, which sections, which address a file
//! offset has. [`find_debug_file`] finds the separate file with its debug information and refuses
//! one that belongs to another build. [`vdso`] copies the page of code that the kernel maps into
//! this process, and [`kernel`] reads the kernel's symbol list.
//!
//! It names no address: symbols, DWARF and demangling belong to the symbolizer. It reads no perf
//! events and no other process. Big-endian files are refused with an error that says so.
//!
//! Data goes: path to mapped bytes to ELF headers (checked once, on opening) to plain facts;
//! section contents are read, and decompressed within a bound, when they are asked for. An object
//! file or a kernel module, whose addresses are not final, is placed first, in a copy.
//!
//! Three address spaces are kept apart. The *svma* is the address as linked, which DWARF and symbol
//! tables use. The *relative address* is the svma less the lowest loadable address
//! ([`ImageFile::base_svma`]), which profiles use. A *file offset* is what a memory mapping is
//! described by.
//!
//! ```
//! use hotproof_image::ImageFile;
//!
//! let image = ImageFile::open(&std::env::current_exe()?)?;
//! let code = image.segments().iter().find(|s| s.executable).expect("a program has code");
//! assert_eq!(
//!     image.svma_of_file_offset(code.file_offset),
//!     Some(code.svma),
//! );
//! println!("{} {:?}", image.path().display(), image.build_id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crc;
mod debug_file;
mod debuginfod;
mod error;
mod facts;
mod file;
mod held;
pub mod kernel;
mod mapped;
mod mini;
mod object_file;
mod trust;
mod vdso;

pub use crc::crc32;
pub use debug_file::{DebugPlaces, DebugSearch, find_debug_file};
pub use debuginfod::{Debuginfod, DebuginfodError};
pub use error::ImageError;
pub use facts::{Arch, Class, DebugLink, FileKind, Segment};
pub use file::{ImageFile, PackedSize, Section};
pub use held::{HeldFiles, open_code_file};
pub use mapped::Bytes;
pub use vdso::vdso;
