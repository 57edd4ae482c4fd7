//! The symbolizer on real programs: compiled by gcc, g++ and rustc for the test, or from Debian.

mod binutils;
mod damage;
mod debian;
mod profile;
mod programs;
mod reference;
mod scratch;
mod truth;
