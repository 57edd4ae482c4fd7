//! The tests of screens, documents and pictures, in one program: each test program of its own would
//! be built and linked anew.

mod compare;
mod confirm;
mod deep;
mod difference;
mod fixture;
mod flamegraph;
mod functions;
mod ledger;
mod log;
mod narrow;
mod page;
mod pictures;
mod schemas;
mod stat;
