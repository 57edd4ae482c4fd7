//! Bytes to profile and back.
//!
//! | format | write | read | cannot carry |
//! |---|---|---|---|
//! | [`native`] | yes | yes | nothing: a profile comes back as it was |
//! | [`callgrind`] | yes | yes | stacks, threads but for their names, times, labels, columns |
//! | [`folded`] | yes | yes | addresses, lines, images, times, threads of one name apart, more than one weight |
//! | [`perf_script`] | no | yes | (perf prints it) |
//! | [`pprof`] | yes | yes | times, CPUs, symbols, who named a function, more than one mapping of an image |
//! | [`speedscope`] | yes | yes | addresses, executed lines, images, times, more than one weight |
//! | [`firefox`] | yes | yes | CPUs, stack ends, kernel addresses, more than one weight and the CPU time |
//! | [`chrome`] | yes | yes, and V8's `.cpuprofile` | addresses, executed lines, images, more than one weight |
//! | [`parquet`] | yes | no | build-ids, linkage names, symbols, mappings |
//! | [`json`] | yes | yes | symbols, mappings |
//!
//! It takes [`std::io::Read`] and [`std::io::Write`], never a path, and asks neither clock nor
//! machine: equal profiles give equal bytes in every format. It does not symbolize, and it draws
//! nothing. A reader trusts no byte: declared sizes are held against limits and against what is
//! really there before memory is taken, and a profile is validated before it is handed out.
//!
//! Data goes: rows to columns to chunks ([`native::Writer`], which a recorder can fill as it
//! goes), chunks to rows ([`native::read`]), rows to another format ([`folded::write`],
//! [`pprof::write`]), any format to rows ([`import::read`], which recognises it). [`sniff`] names what a file looks like, for the error of a reader.
//!
//! ```
//! use hotproof_formats::{folded, native, pprof};
//! use hotproof_profile::Profile;
//!
//! let profile = Profile::default();
//! let mut file = Vec::new();
//! native::write(&profile, &mut file)?;
//! assert_eq!(native::read(&file[..])?, profile);
//!
//! let mut gzip = Vec::new();
//! pprof::write(&profile, &mut gzip)?;
//! assert!(folded::lines(&profile, &folded::Options::default()).is_empty());
//!
//! let error = native::read(&gzip[..]).unwrap_err();
//! assert!(error.to_string().contains("gzip data, perhaps a pprof profile"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod callgrind;
pub mod chrome;
mod cpuprofile;
mod error;
pub mod firefox;
pub mod folded;
pub mod import;
pub mod json;
mod nameless;
pub mod native;
pub mod parquet;
pub mod perf_script;
pub mod pprof;
mod sniff;
pub mod speedscope;
mod viewer;

pub use error::WriteError;
pub use sniff::{Kind, SNIFF_BYTES, sniff};
