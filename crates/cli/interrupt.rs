//! Ctrl-C as a flag, so that whatever was begun is ended properly.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

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
