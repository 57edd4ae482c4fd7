//! Functions of all kinds, for the test that finds each of them in another build.

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

trait Shape {
    fn area(&self) -> f64;
    #[inline(never)]
    fn twice(&self) -> f64 {
        2.0 * self.area()
    }
}

struct Square(f64);
struct Circle(f64);

impl Shape for Square {
    #[inline(never)]
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

impl Shape for Circle {
    #[inline(never)]
    fn area(&self) -> f64 {
        self.0 * self.0 * 3.1
    }
}

impl Square {
    #[inline(never)]
    fn new(side: f64) -> Self {
        Square(side)
    }
}

impl Circle {
    #[inline(never)]
    fn new(radius: f64) -> Self {
        Circle(radius)
    }
}

trait Named {
    fn name(&self) -> String;
}

impl<T: fmt::Debug> Named for T {
    #[inline(never)]
    fn name(&self) -> String {
        format!("<{self:?}>")
    }
}

struct Stack<T> {
    values: Vec<T>,
}

impl<T: Clone> Stack<T> {
    #[inline(never)]
    fn push(&mut self, value: T) {
        self.values.push(value.clone());
    }
}

impl<T: fmt::Display> fmt::Display for Stack<T> {
    #[inline(never)]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.iter().try_for_each(|value| write!(out, "{value} "))
    }
}

#[inline(never)]
fn generic<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    values.iter().map(|&value| value.into()).sum()
}

#[inline(never)]
fn closures(values: &mut [u64]) -> u64 {
    /* INSERT A CLOSURE */
    values.sort_by(|a, b| b.cmp(a));
    let scale = black_box(|x: u64| x.wrapping_mul(3));
    values.iter().map(|&x| scale(x)).filter(|x| x % 2 == 0).sum()
}

#[inline(never)]
fn outer(x: u64) -> u64 {
    #[inline(never)]
    fn inner(x: u64) -> u64 {
        x ^ 0x55
    }
    inner(x) + inner(x + 1)
}

#[inline]
fn tiny(x: u64) -> u64 {
    x.rotate_left(5) ^ 7
}

async fn step(x: u64) -> u64 {
    black_box(x) + tiny(x)
}

#[inline(never)]
async fn steps(n: u64) -> u64 {
    let mut sum = 0;
    for x in 0..n {
        sum += step(x).await;
    }
    sum
}

mod twins {
    pub mod a {
        #[inline(never)]
        pub fn work(x: u64) -> u64 {
            x * 3
        }
    }
    pub mod b {
        #[inline(never)]
        pub fn work(x: u64) -> u64 {
            x * 5
        }
    }
}

macro_rules! make {
    ($($name:ident $number:literal)*) => {$(
        #[inline(never)]
        fn $name(x: u64) -> u64 {
            black_box(x) % $number
        }
    )*};
}

make!(made_one 7 made_two 11);

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn main() {
    let shapes: [Box<dyn Shape>; 2] = [Box::new(Square::new(2.0)), Box::new(Circle::new(1.0))];
    let area: f64 = shapes.iter().map(|shape| shape.twice()).sum();
    let mut stack = Stack { values: vec![1u8] };
    stack.push(black_box(3));
    let mut names = Stack { values: vec![String::new()] };
    names.push(1u8.name() + &"x".name());
    let sum = generic(&[1u8, 2]) + generic(&[1.5f32]) + generic(&[3i32]);
    let rest = outer(black_box(3)) + closures(&mut [3, 1, 2]) + block_on(steps(black_box(9)));
    let work = twins::a::work(black_box(1)) + twins::b::work(black_box(2));
    let made = made_one(work) + made_two(rest);
    let a = black_box("kitten");
    let b = black_box("sitting");
    let distance = strsim::levenshtein(a, b)
        + strsim::osa_distance(a, b)
        + strsim::damerau_levenshtein(a, b)
        + strsim::hamming(a, a).unwrap_or(0);
    let near = strsim::jaro_winkler(a, b) + strsim::sorensen_dice(a, b);
    println!("{area} {stack} {names} {sum} {rest} {made} {distance} {near}");
}
