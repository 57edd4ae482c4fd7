//! Samples itself with pprof-rs and writes its profile.proto to the file that the argument names.

use std::time::{Duration, Instant};

use pprof::protos::Message;

#[inline(never)]
fn digits(text: &[u8]) -> u64 {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    digits.map(|byte| u64::from(byte - b'0')).sum()
}

#[inline(never)]
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn main() {
    let guard = pprof::ProfilerGuard::new(199).unwrap();
    let text = vec![b'7'; 1 << 20];
    let helper = std::thread::Builder::new().name("helper".into());
    let helper = helper.spawn(|| std::hint::black_box(fib(36))).unwrap();
    let mut sum = 0;
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        sum += digits(std::hint::black_box(&text));
    }
    helper.join().unwrap();
    let report = guard.report().build().unwrap();
    let bytes = report.pprof().unwrap().encode_to_vec();
    std::fs::write(std::env::args().nth(1).unwrap(), bytes).unwrap();
    println!("{sum}");
}
