//! Black-box tests: the built binary, real targets, real repositories.

mod accuracy;
mod checkouts;
mod faults;
mod inputs;
mod interrupts;
mod layering;
mod matching;
mod perf_data;
mod place;
mod policies;
mod quick_look;
mod recording;
mod references;
mod run;
mod stat;
mod stops;
mod symbolize;
mod transforms;
mod verdicts;
mod whom;
mod witness;
mod workloads;
