//! The head of a sample.

/// `comm pid/tid [cpu] seconds: period event:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) comm: &'a str,
    /// `None` when only the thread is printed.
    pub(super) pid: Option<u32>,
    pub(super) tid: u32,
    pub(super) cpu: Option<u32>,
    pub(super) time_ns: Option<u64>,
    pub(super) period: Option<u64>,
    /// Without its colon, or the name of a record that is no sample; empty when it is not printed.
    pub(super) event: &'a str,
    /// What follows, trimmed: a frame, or text of a tracepoint.
    pub(super) rest: &'a str,
}

impl Head<'_> {
    /// Whether it is more than a name and a number, which other texts have too.
    pub(super) fn is_plain(&self) -> bool {
        self.time_ns.is_none() && self.event.is_empty()
    }
}

/// Reads a head. A command name may hold anything, numbers too: the thread is the first number
/// after which the rest reads like a head, with a time or an event if any such number has one.
pub(super) fn parse(line: &str) -> Option<Head<'_>> {
    let line = line.trim_end();
    let start = line.len() - line.trim_start().len();
    let mut plain = None;
    for (at, word) in words(&line[start..]) {
        let (at, end) = (start + at, start + at + word.len());
        let comm = line[..at].trim();
        if comm.is_empty() {
            continue;
        }
        let Some((pid, tid)) = ids(word) else {
            continue;
        };
        let head = after_ids(comm, pid, tid, line[end..].trim_start());
        if let Some(head) = head {
            if !head.is_plain() {
                return Some(head);
            }
            plain = Some(head);
        }
    }
    plain
}

fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = line.as_ptr() as usize;
    line.split_whitespace()
        .map(move |word| (word.as_ptr() as usize - base, word))
}

/// `tid` or `pid/tid`; -1 stands for no thread, as the kernel's own records have it.
fn ids(word: &str) -> Option<(Option<u32>, u32)> {
    let number = |text: &str| match text {
        "-1" => Some(0),
        _ if text.starts_with('+') => None,
        _ => text.parse::<u32>().ok(),
    };
    match word.split_once('/') {
        Some((pid, tid)) => Some((Some(number(pid)?), number(tid)?)),
        None => Some((None, number(word)?)),
    }
}

fn after_ids<'a>(comm: &'a str, pid: Option<u32>, tid: u32, mut rest: &'a str) -> Option<Head<'a>> {
    let mut head = Head {
        comm,
        pid,
        tid,
        cpu: None,
        time_ns: None,
        period: None,
        event: "",
        rest: "",
    };
    let mut take = |accept: &mut dyn FnMut(&'a str) -> bool| {
        let word = rest.split_whitespace().next().unwrap_or_default();
        if !word.is_empty() && accept(word) {
            rest = rest[word.len()..].trim_start();
        }
    };
    take(&mut |word| {
        let cpu = word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'));
        head.cpu = cpu.and_then(|cpu| cpu.parse().ok());
        head.cpu.is_some()
    });
    take(&mut |word| {
        head.time_ns = word.strip_suffix(':').and_then(seconds);
        head.time_ns.is_some()
    });
    if rest.starts_with("PERF_RECORD_") {
        head.event = rest.split_whitespace().next().unwrap_or_default();
        head.rest = rest[head.event.len()..].trim_start();
        return Some(head);
    }
    let before_period = rest;
    let mut period = None;
    let mut take = |accept: &mut dyn FnMut(&'a str) -> bool| {
        let word = rest.split_whitespace().next().unwrap_or_default();
        if !word.is_empty() && accept(word) {
            rest = rest[word.len()..].trim_start();
        }
    };
    take(&mut |word| {
        period = word.parse::<u64>().ok();
        period.is_some()
    });
    let mut event = "";
    take(&mut |word| {
        let name = word.strip_suffix(':').filter(|name| is_event(name));
        event = name.unwrap_or_default();
        name.is_some()
    });
    if event.is_empty() {
        // Without an event there is no period either: the number is a frame's address.
        head.rest = before_period;
        let is_alone = head.rest.is_empty() || head.time_ns.is_some();
        return (is_alone || super::frame::parse(head.rest).is_some()).then_some(head);
    }
    (head.event, head.period, head.rest) = (event, period, rest);
    Some(head)
}

/// An event is a name with modifiers: `cycles:u`, `sched:sched_switch`, `cpu/event=0x3c/`.
fn is_event(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_graphic() && byte != b'(' && byte != b')';
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '{')
        && name.bytes().all(is_part)
}

/// `seconds.fraction` in nanoseconds; the fraction has six digits or nine.
fn seconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let whole = seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
    whole.checked_add(fraction.parse::<u64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Command, pid, tid, CPU, nanoseconds, period, event, rest.
    type Fields<'a> = (
        &'a str,
        Option<u32>,
        u32,
        Option<u32>,
        Option<u64>,
        Option<u64>,
        &'a str,
        &'a str,
    );

    #[test]
    fn heads_of_every_kind() {
        let cases: [(&str, Fields<'_>); 12] = [
            (
                "prog 12 [000] 1.500000: 7 cycles:u: ",
                (
                    "prog",
                    None,
                    12,
                    Some(0),
                    Some(1_500_000_000),
                    Some(7),
                    "cycles:u",
                    "",
                ),
            ),
            (
                "a 12/13 2.000000001: cpu-clock:",
                (
                    "a",
                    Some(12),
                    13,
                    None,
                    Some(2_000_000_001),
                    None,
                    "cpu-clock",
                    "",
                ),
            ),
            (
                "a prog 2 21574  4981.329090:    5025125 cpu-clock: ",
                (
                    "a prog 2",
                    None,
                    21574,
                    None,
                    Some(4_981_329_090_000),
                    Some(5_025_125),
                    "cpu-clock",
                    "",
                ),
            ),
            (
                "[kworker/0:1] 3 9 1.000000: 1 x:",
                (
                    "[kworker/0:1] 3",
                    None,
                    9,
                    None,
                    Some(1_000_000_000),
                    Some(1),
                    "x",
                    "",
                ),
            ),
            (
                "   swapper     0 [001] 1.000000: 1 cycles:  ffffffff81000000 idle (x)",
                (
                    "swapper",
                    None,
                    0,
                    Some(1),
                    Some(1_000_000_000),
                    Some(1),
                    "cycles",
                    "ffffffff81000000 idle (x)",
                ),
            ),
            (
                "b 7 9 cycles:",
                ("b", None, 7, None, None, Some(9), "cycles", ""),
            ),
            (
                "my 12 prog 33 cycles:",
                ("my 12 prog", None, 33, None, None, None, "cycles", ""),
            ),
            (
                "a prog 2 21574 ",
                ("a prog 2", None, 21574, None, None, None, "", ""),
            ),
            (
                "c 4 3.000000:",
                ("c", None, 4, None, Some(3_000_000_000), None, "", ""),
            ),
            (
                "d 4 1.000000:  401000 main (/bin/d)",
                (
                    "d",
                    None,
                    4,
                    None,
                    Some(1_000_000_000),
                    None,
                    "",
                    "401000 main (/bin/d)",
                ),
            ),
            (
                "e 4 1.000000: sched:sched_switch: prev_comm=e 9 1.000000: x:",
                (
                    "e",
                    None,
                    4,
                    None,
                    Some(1_000_000_000),
                    None,
                    "sched:sched_switch",
                    "prev_comm=e 9 1.000000: x:",
                ),
            ),
            (
                "swapper -1/0 1.000000: a:",
                (
                    "swapper",
                    Some(0),
                    0,
                    None,
                    Some(1_000_000_000),
                    None,
                    "a",
                    "",
                ),
            ),
        ];
        for (line, fields) in cases {
            let h = parse(line).unwrap_or_else(|| panic!("{line:?} is a head"));
            let found = (
                h.comm, h.pid, h.tid, h.cpu, h.time_ns, h.period, h.event, h.rest,
            );
            assert_eq!(found, fields, "{line:?}");
        }
        for line in [
            "",
            "12",
            "main;work",
            "\t 401000 main+0x1 (/bin/x)",
            "name only",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
