//! How long to wait before the rings are read again.

use std::time::Duration;

use crate::observer::Observer;
use crate::watch::Watch;

/// The first wait: the earlier it is seen that stacks are cut, the fewer are.
const FIRST: Duration = Duration::from_millis(2);
/// While stacks reach beyond the largest copies: the rest of each is read while it still is there.
const PROMPT: Duration = Duration::from_millis(4);
/// While copies of the stack may have to grow: at the usual rate so many samples may be cut by then.
const WATCHFUL: Duration = Duration::from_millis(10);
/// When nothing is pressing: rings wake the recorder when they fill.
const SLOWEST: Duration = Duration::from_millis(100);

/// Waits that become longer from time to time while all is well.
#[derive(Debug)]
pub(crate) struct Pace {
    wait: Duration,
    beyond_copy: u64,
}

impl Pace {
    /// The pace of a recording that begins.
    pub(crate) fn new(observer: &Observer<'_>) -> Pace {
        Pace {
            wait: FIRST,
            beyond_copy: observer.beyond_copy,
        }
    }

    /// How long to wait at most this time.
    pub(crate) fn next(&mut self, observer: &Observer<'_>, watch: &Watch) -> Duration {
        let slowest = if watch.can_grow() { WATCHFUL } else { SLOWEST };
        self.after(observer.beyond_copy).min(slowest)
    }

    fn after(&mut self, beyond_copy: u64) -> Duration {
        if beyond_copy > self.beyond_copy {
            self.beyond_copy = beyond_copy;
            self.wait = PROMPT;
            return PROMPT;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(SLOWEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits double up to the slowest, and are short again after a stack beyond its copy.
    #[test]
    fn waits_grow_while_stacks_fit() {
        let mut pace = Pace {
            wait: FIRST,
            beyond_copy: 0,
        };
        let mut waits = |beyond| pace.after(beyond).as_millis();
        assert_eq!([0; 8].map(&mut waits), [2, 4, 8, 16, 32, 64, 100, 100]);
        assert_eq!([1, 5, 5, 5, 5].map(&mut waits), [4, 4, 4, 8, 16]);
    }
}
