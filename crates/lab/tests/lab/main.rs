//! Comparisons of small repositories, from outside.

// A skipped test has to be seen.
#![allow(clippy::print_stdout)]

mod builds;
mod checkouts;
mod comparison;
mod faults;
mod repository;
