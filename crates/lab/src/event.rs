//! What happens during a comparison, for whoever shows progress.

use std::time::Duration;

use hotproof_diff::{Ceiling, Estimate, Function, Machine, OutsideChange, RefFacts, Side};
use hotproof_profile::Profile;

/// One of the checkouts that a comparison builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Checkout {
    /// The base ref.
    Base,
    /// The head ref.
    Head,
    /// The base ref again, built separately: its difference from the first is noise.
    Copy,
}

impl Checkout {
    /// `base`, `head` or `copy`: also the name of its folder, all of one length.
    pub fn name(self) -> &'static str {
        match self {
            Checkout::Base => "base",
            Checkout::Head => "head",
            Checkout::Copy => "copy",
        }
    }
}

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A ref is known.
    Resolved {
        /// Which.
        side: Side,
        /// What it is.
        facts: &'a RefFacts,
    },
    /// A build begins.
    BuildStarted {
        /// Of which checkout.
        checkout: Checkout,
        /// What is run, for people.
        command: &'a str,
    },
    /// A build ended well.
    BuildFinished {
        /// Of which checkout.
        checkout: Checkout,
        /// How long it took.
        seconds: f64,
    },
    /// A checkout is in the cache with its build.
    BuildKept {
        /// Which checkout.
        checkout: Checkout,
    },
    /// What the diff touches.
    Changed {
        /// Changed functions.
        functions: &'a [Function],
        /// Changed lines outside any function.
        outside: &'a [OutsideChange],
        /// Whether anything but comments and white space changed.
        code_changed: bool,
    },
    /// Base was looked at before head runs.
    Ceiling {
        /// The functions that the rows are of.
        functions: &'a [Function],
        /// The most that can be won.
        ceiling: &'a Ceiling,
    },
    /// Something that the user has to know; also among the comparison's warnings.
    Notice(&'a str),
    /// The warm-up pair is done: what is measured, and how, is fixed now.
    Machine(&'a Machine),
    /// The project's tests at head begin.
    Testing {
        /// What is run, for people.
        command: &'a str,
    },
    /// A pair of the A/A block is done.
    Placebo {
        /// Pairs so far.
        done: usize,
        /// Pairs of the block.
        of: usize,
        /// Since the first run.
        elapsed: Duration,
    },
    /// A counted pair is done.
    Pair {
        /// Pairs so far.
        done: usize,
        /// Where it ends at the latest.
        at_most: usize,
        /// Since the first run.
        elapsed: Duration,
        /// The change of the primary metric so far, as ln(head / base); `None` before there is
        /// an interval.
        interim: Option<Estimate>,
    },
    /// A run under callgrind begins.
    Counting {
        /// Of which checkout.
        checkout: Checkout,
    },
    /// A run of [`crate::measure`] is done.
    Run {
        /// Runs so far.
        done: usize,
        /// Where it ends at the latest.
        at_most: usize,
        /// Since the first run.
        elapsed: Duration,
    },
}

/// Whoever shows progress.
pub trait Observer {
    /// Takes notice of an event; called from the thread that measures, between runs, so that it
    /// should be quick.
    fn event(&mut self, event: &Event<'_>);

    /// Takes what all counted runs of one side sampled, symbolized, as one profile; called once for
    /// each side that was sampled, after the last run, when [`crate::RunProfiles::Kept`] asks for it.
    fn profile(&mut self, _side: Side, _profile: Profile) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: &Event<'_>) {}
}
