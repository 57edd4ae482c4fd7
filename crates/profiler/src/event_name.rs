//! Events that can be asked for by name.

use std::path::PathBuf;
use std::str::FromStr;

use crate::events::EventKind;

/// An event to sample, as users name it: `cycles`, `instructions`, `cpu-clock`, `task-clock`,
/// `page-faults`, `context-switches`, `rNNN` (a raw number of the CPU's, hexadecimal), or a
/// tracepoint such as `sched:sched_switch`.
///
/// ```
/// let event: hotproof_profiler::EventName = "page-faults".parse()?;
/// assert_eq!(event.to_string(), "page-faults");
/// assert!("page-fault".parse::<hotproof_profiler::EventName>().is_err());
/// # Ok::<(), hotproof_profiler::UnknownEvent>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventName {
    name: String,
    kind: EventKind,
}

/// Why a name is no event.
#[derive(Debug, thiserror::Error)]
pub enum UnknownEvent {
    /// No event is called so.
    #[error(
        "no event `{name}`: expected cycles, instructions, cpu-clock, task-clock, page-faults, \
         context-switches, rNNN (hexadecimal) or a tracepoint such as sched:sched_switch"
    )]
    Name {
        /// What was asked for.
        name: String,
    },
    /// A tracepoint's number cannot be read.
    #[error(
        "the number of tracepoint {name} cannot be read from {path} ({source}): check its name; \
         only privileged users may read it, and tracefs must be mounted on /sys/kernel/tracing"
    )]
    Tracepoint {
        /// What was asked for.
        name: String,
        /// Where its number should be.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Where tracefs is mounted, now and on older systems.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

impl EventName {
    pub(crate) fn kind(&self) -> EventKind {
        self.kind
    }

    /// Whether its periods are nanoseconds on a CPU.
    pub fn is_clock(&self) -> bool {
        self.kind.is_clock()
    }
}

impl std::fmt::Display for EventName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for EventName {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<EventName, UnknownEvent> {
        let unknown = || UnknownEvent::Name {
            name: name.to_owned(),
        };
        let raw = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let kind = match name {
            "cycles" | "cpu-cycles" => EventKind::Cycles,
            "instructions" => EventKind::Instructions,
            "cpu-clock" => EventKind::CpuClock,
            "task-clock" => EventKind::TaskClock,
            "page-faults" | "faults" => EventKind::PageFaults,
            "context-switches" | "cs" => EventKind::ContextSwitches,
            _ => match (name.split_once(':'), name.strip_prefix('r').and_then(raw)) {
                (Some((group, point)), _) => EventKind::Tracepoint(tracepoint(group, point)?),
                (None, Some(number)) => EventKind::Raw(number),
                (None, None) => return Err(unknown()),
            },
        };
        let name = match kind {
            EventKind::Raw(_) | EventKind::Tracepoint(_) => name,
            named => named.name(),
        };
        Ok(EventName {
            name: name.to_owned(),
            kind,
        })
    }
}

/// The number of a tracepoint: `events/GROUP/POINT/id` of tracefs.
fn tracepoint(group: &str, point: &str) -> Result<u64, UnknownEvent> {
    let name = format!("{group}:{point}");
    let plain = |part: &str| !part.is_empty() && !part.contains(['/', '.', ':']);
    if !plain(group) || !plain(point) {
        return Err(UnknownEvent::Name { name });
    }
    let place = |root: &str| PathBuf::from(format!("{root}/events/{group}/{point}/id"));
    let mut refused = None;
    for path in TRACEFS.map(place) {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                return text.trim().parse().map_err(|_| UnknownEvent::Name { name });
            }
            Err(source) => {
                let path = path.display().to_string();
                refused.get_or_insert((path, source));
            }
        }
    }
    let (path, source) = refused.expect("there is more than one place");
    Err(UnknownEvent::Tracepoint { name, path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_told_apart() {
        let cases = [
            ("cpu-cycles", EventKind::Cycles, "cycles"),
            ("task-clock", EventKind::TaskClock, "task-clock"),
            ("faults", EventKind::PageFaults, "page-faults"),
            ("cs", EventKind::ContextSwitches, "context-switches"),
            ("r1a8", EventKind::Raw(0x1a8), "r1a8"),
        ];
        for (text, kind, name) in cases {
            let event: EventName = text.parse().unwrap();
            assert_eq!((event.kind(), event.to_string().as_str()), (kind, name));
        }
        for none in [
            "",
            "r",
            "rxyz",
            "page-fault",
            "../x:id",
            "a:",
            ":b",
            "a:b:c",
        ] {
            assert!(
                matches!(none.parse::<EventName>(), Err(UnknownEvent::Name { .. })),
                "{none}"
            );
        }
        let missing = "no-such:tracepoint".parse::<EventName>().unwrap_err();
        assert!(missing.to_string().contains("tracefs"), "{missing}");
    }
}
