//! The same split as `split.c`, through a generic function, a closure and a trait object.

use std::hint::black_box;

#[inline(never)]
fn step(mut x: u64, n: u32) -> u64 {
    for _ in 0..n {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        x ^= x >> 29;
    }
    x
}

#[inline(never)]
fn apply<F: Fn(u64) -> u64>(x: u64, f: F) -> u64 {
    black_box(f(x)) + 1
}

#[inline(never)]
fn heavy(x: u64) -> u64 {
    // Work behind the call keeps it from becoming a jump, which leaves no frame.
    black_box(apply(x, |x| step(x, 75_000))) + 3
}

#[inline(never)]
fn light(f: &dyn Fn(u64) -> u64, x: u64) -> u64 {
    black_box(f(x)) + 2
}

fn main() {
    let rounds: u32 = std::env::args().nth(1).map_or(1000, |n| n.parse().unwrap());
    let mut x = 1;
    for _ in 0..rounds {
        x = heavy(x);
        x = light(&|x| step(x, 25_000), x);
    }
    println!("{x}");
}
