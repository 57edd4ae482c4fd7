//! Black-box tests: the built binary, real targets, real repositories.

mod layering;
