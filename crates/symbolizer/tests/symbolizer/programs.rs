//! Sources whose chains are known.

/// Two levels of inlining, and a static function that `C_OTHER` has too.
pub(crate) const C_MAIN: &str = r#"
#include <stdio.h>
unsigned other(unsigned x);
volatile unsigned sink;
static inline __attribute__((always_inline)) unsigned inner(unsigned x) { // decl inner
    sink = x;             // body inner
    return sink * 3;
}
static inline __attribute__((always_inline)) unsigned middle(unsigned x) { // decl middle
    return inner(x) + 1;  // body middle
}
__attribute__((noinline)) unsigned outer(unsigned x) { // decl outer
    return middle(x) ^ 5; // body outer
}
static __attribute__((noinline)) unsigned twin(unsigned x) { // decl twin
    return sink + x * 5;
}
int main(int argc, char **argv) {
    printf("%s\n", argv[0]);
    return (int)(outer((unsigned)argc) + twin((unsigned)argc) + other((unsigned)argc));
}
"#;

/// The other file.
pub(crate) const C_OTHER: &str = r#"
extern volatile unsigned sink;
static __attribute__((noinline)) unsigned twin(unsigned x) { // decl other twin
    return sink ^ x * 11;
}
__attribute__((noinline)) unsigned other(unsigned x) {
    return twin(x) + 2;
}
"#;

/// A function whose rare path the compiler moves away, to `parted.cold`.
pub(crate) const COLD: &str = r#"
#include <stdexcept>
volatile unsigned sink;
unsigned parted(unsigned n) { // decl parted
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += sink;
        if (sum == 77)
            throw std::runtime_error("rare"); // cold parted
    }
    return sum;
}
int main(int argc, char **) {
    return (int)parted((unsigned)argc);
}
"#;

/// Namespaces, methods, a template with two instances, overloads, a lambda.
pub(crate) const CPP: &str = r#"
#include <cstdio>
volatile unsigned sink;
namespace ns {
struct Circle {
    unsigned r;
    unsigned area() const;
    __attribute__((always_inline)) unsigned twice() const { // decl twice
        sink = r;
        return r * 2;
    }
};
__attribute__((noinline)) unsigned Circle::area() const { // decl area
    return twice() + sink;
}
template <class T> __attribute__((noinline)) T square(T x) { // decl square
    sink = (unsigned)x;
    return x * x;
}
}
namespace {
__attribute__((noinline)) unsigned hidden(unsigned x) { // decl hidden
    return sink + x * 3;
}
}
__attribute__((noinline)) unsigned load(unsigned x) { return sink + x; } // decl load unsigned
__attribute__((noinline)) unsigned load(double x) { return sink + (unsigned)x; } // decl load double
int main(int argc, char **) {
    ns::Circle circle{(unsigned)argc};
    auto lambda = [&](unsigned x) __attribute__((noinline)) { // decl lambda
        return sink + x + circle.r;
    };
    return (int)(circle.area() + ns::square(argc) + (unsigned)ns::square(2.5 * argc)
        + hidden((unsigned)argc) + load((unsigned)argc) + load(1.5 * argc) + lambda(3));
}
"#;

/// Two levels of inlining, a generic with two instances, a method in two impls, a closure.
pub(crate) const RUST: &str = r#"
use std::sync::atomic::{AtomicU64, Ordering};
static SINK: AtomicU64 = AtomicU64::new(0);
mod shapes {
    pub struct Circle(pub u64);
    pub struct Square(pub u64);
    pub trait Shape { fn area(&self) -> u64; }
    impl Shape for Circle {
        #[inline(never)]
        fn area(&self) -> u64 { // decl circle area
            super::load() + self.0 * 3
        }
    }
    impl Shape for Square {
        #[inline(never)]
        fn area(&self) -> u64 { // decl square area
            super::load() + self.0 * self.0
        }
    }
    impl Square {
        #[inline(never)]
        pub fn grow(&mut self) { // decl grow
            self.0 += super::load();
        }
    }
}
use shapes::{Circle, Shape, Square};
#[inline(always)]
fn load() -> u64 { // decl load
    SINK.load(Ordering::SeqCst)
}
#[inline(always)]
fn inner(x: u64) -> u64 { // decl inner
    SINK.fetch_add(x, Ordering::SeqCst); // body inner
    x + 1
}
#[inline(always)]
fn middle(x: u64) -> u64 { // decl middle
    inner(x) * 3 // body middle
}
#[inline(never)]
fn outer(x: u64) -> u64 { // decl outer
    middle(x) ^ 5 // body outer
}
#[inline(never)]
fn generic<T: Copy + Into<u64>>(x: T) -> u64 { // decl generic
    load() + x.into()
}
#[inline(never)]
fn apply(f: impl Fn(u64) -> u64) -> u64 {
    f(load()) + f(3)
}
fn main() {
    let k = std::env::args().count() as u64;
    let mut square = Square(k);
    square.grow();
    let closure = |y: u64| { // decl closure
        SINK.store(y, Ordering::SeqCst);
        y + k
    };
    let sum = outer(k) + generic(k as u32) + generic(k) + apply(closure)
        + Circle(k).area() + square.area();
    println!("{sum}");
}
"#;
