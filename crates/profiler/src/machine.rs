//! Facts about the machine and about processes, read from `/proc` and `/sys`.

use hotproof_profile::Host;
use rustix::process::Pid;

/// The machine as the profile's meta tells it.
pub(crate) fn host() -> Host {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let kernel = rustix::system::uname();
    Host {
        arch: std::env::consts::ARCH.to_owned(),
        kernel: kernel.release().to_string_lossy().into_owned(),
        cpu_model: model.unwrap_or_default(),
        cpus: u32::try_from(online_cpus().len()).unwrap_or(u32::MAX),
    }
}

/// The numbers of all CPUs that are online, in order; CPU 0 alone when the list cannot be read.
pub(crate) fn online_cpus() -> Vec<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = parse_cpu_list(list.trim()).unwrap_or_default();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// A list such as `0-3,8`; `None` when it is none.
fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    /// `CONFIG_NR_CPUS` is at most this.
    const MOST_CPUS: usize = 8_192;
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST_CPUS {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// The scheduler's account of one thread since its fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadTimes {
    /// On a CPU.
    pub(crate) cpu_ns: u64,
    /// Ready, but waiting for a CPU.
    pub(crate) queued_ns: u64,
}

impl ThreadTimes {
    /// Of a process's main thread, from `/proc/PID/schedstat`; `None` where the kernel keeps no
    /// such account.
    pub(crate) fn of_main(pid: Pid) -> Option<ThreadTimes> {
        let path = format!("/proc/{}/schedstat", pid.as_raw_nonzero());
        ThreadTimes::parse(&std::fs::read_to_string(path).ok()?)
    }

    fn parse(schedstat: &str) -> Option<ThreadTimes> {
        let mut numbers = schedstat.split_ascii_whitespace().map(str::parse);
        Some(ThreadTimes {
            cpu_ns: numbers.next()?.ok()?,
            queued_ns: numbers.next()?.ok()?,
        })
    }
}

/// CPU time that all CPUs have spent on anything but idling since the boot, by ticks; `None` when
/// it cannot be read.
pub(crate) fn busy_ns() -> Option<u64> {
    busy_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// From the line `cpu user nice system idle iowait irq softirq ...` (proc(5)).
fn busy_of(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields = line.split_ascii_whitespace().take(7);
    let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq] = ticks[..] else {
        return None;
    };
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let busy = [user, nice, system, irq, softirq];
    busy.iter()
        .try_fold(0u64, |sum, ticks| sum.checked_add(*ticks))?
        .checked_mul(tick_ns)
}

/// The largest resident set that a process has had since its exec, or its fork: `VmHWM` of
/// `/proc/PID/status`. `None` when it has no memory any more or cannot be read.
pub(crate) fn peak_rss_bytes(pid: Pid) -> Option<u64> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_thread_are_read() {
        let times = |cpu_ns, queued_ns| Some(ThreadTimes { cpu_ns, queued_ns });
        assert_eq!(
            ThreadTimes::parse("878000 5768000 3\n"),
            times(878_000, 5_768_000)
        );
        assert_eq!(ThreadTimes::parse("0 0 0"), times(0, 0));
        assert_eq!(ThreadTimes::parse("12\n"), None);
        assert_eq!(ThreadTimes::parse(""), None);
    }

    #[test]
    fn lists_of_cpus_are_read() {
        let cases = [
            ("0", Some(vec![0])),
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("0,2-3,7", Some(vec![0, 2, 3, 7])),
            ("", None),
            ("0-", None),
            ("0-99999999999", None),
        ];
        for (list, expected) in cases {
            assert_eq!(parse_cpu_list(list), expected, "{list:?}");
        }
        assert!(!online_cpus().is_empty());
    }

    #[test]
    fn this_process_has_a_peak() {
        let peak = peak_rss_bytes(rustix::process::getpid()).unwrap();
        assert!((1 << 20..1 << 40).contains(&peak), "{peak}");
    }

    #[test]
    fn this_machine_has_a_name_and_cpus() {
        let host = host();
        assert!(host.cpus >= 1 && !host.kernel.is_empty() && !host.arch.is_empty());
    }
}
