//! Futures that wait for futures, 300 deep, polled from the outermost down again and again.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const DEPTH: u32 = 300;

struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[inline(never)]
fn spin(rounds: u64) -> u64 {
    (0..rounds).fold(1, |x: u64, i| black_box(x.wrapping_mul(6364136223846793005) ^ i))
}

fn level(depth: u32, rounds: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if depth > 0 {
            return level(depth - 1, rounds).await.wrapping_add(u64::from(depth));
        }
        let mut sum = 0u64;
        for _ in 0..rounds {
            sum = sum.wrapping_add(spin(20_000));
            Pause(false).await;
        }
        sum
    })
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let mut outermost = level(DEPTH, rounds);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(sum) = outermost.as_mut().poll(&mut context) {
            println!("{sum}");
            return;
        }
    }
}
