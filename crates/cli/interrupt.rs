//! Ctrl-C as a flag, so that whatever was begun is ended properly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Code, Failure};

/// A flag that Ctrl-C, a hang-up and a polite request to end set.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(|error| {
            Failure::new(
                Code::Failure,
                format!("cannot watch for signal {signal}: {error}"),
            )
        })?;
    }
    Ok(flag)
}

/// Two flags: end properly, end at once.
pub(crate) type Flags = (Arc<AtomicBool>, Arc<AtomicBool>);

/// The same flag, and one that the second Ctrl-C sets: end at once with what there is.
pub(crate) fn flags() -> Result<Flags, Failure> {
    let (stop, stop_now) = (flag()?, Arc::new(AtomicBool::new(false)));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
        Failure::new(Code::Failure, format!("cannot watch for signals: {error}"))
    })?;
    let second = Arc::clone(&stop_now);
    std::thread::spawn(move || {
        for _ in signals.forever().skip(1) {
            second.store(true, Ordering::Relaxed);
        }
    });
    Ok((stop, stop_now))
}
