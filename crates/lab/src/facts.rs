//! What is known of the machine: from `/proc` and `/sys`, nothing is changed.

use std::collections::BTreeSet;
use std::fs;

use hotproof_diff::Machine;

/// The machine before anything runs; what sampling adds comes with the warm-up pair.
pub(crate) fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Machine {
        cpu_model: cpu_model(&read("/proc/cpuinfo")),
        cpus: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        load: read("/proc/loadavg")
            .split_whitespace()
            .next()
            .and_then(|first| first.parse().ok())
            .unwrap_or(0.0),
        governor: governor(),
        ..Machine::default()
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let line = |wanted: &str| {
        cpuinfo.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == wanted).then(|| value.trim().to_owned())
        })
    };
    // arm64 has no model name, only the implementer's and the part's numbers.
    line("model name")
        .or_else(|| line("CPU part").map(|part| format!("ARM part {part}")))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The frequency governors of all CPUs; `None` where there are none, as in most virtual machines.
pub(crate) fn governor() -> Option<String> {
    let cpus = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let names: BTreeSet<String> = cpus
        .flatten()
        .filter_map(|cpu| fs::read_to_string(cpu.path().join("cpufreq/scaling_governor")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// The most samples a second that the kernel accepts; `None` when it does not say.
pub(crate) fn max_sample_rate_hz() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").ok()?;
    text.trim().parse().ok()
}

/// Time of all CPUs since boot, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    all: u64,
    stolen: u64,
}

impl CpuTicks {
    /// As of now; `None` where `/proc/stat` cannot be read.
    pub(crate) fn now() -> Option<CpuTicks> {
        CpuTicks::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and
    /// two guest columns that user and nice hold already (proc(5)).
    fn parse(stat: &str) -> Option<CpuTicks> {
        let columns = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = columns
            .split_whitespace()
            .take(8)
            .map_while(|column| column.parse().ok())
            .collect();
        Some(CpuTicks {
            all: ticks.iter().sum(),
            stolen: *ticks.get(7)?,
        })
    }

    /// Stolen time since an earlier moment, in per cent of all CPU time.
    pub(crate) fn stolen_pct_since(self, earlier: CpuTicks) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|&all| all > 0)?;
        let stolen = self.stolen.checked_sub(earlier.stolen)?;
        Some(100.0 * stolen as f64 / all as f64)
    }
}

/// Time since boot in which some task on the machine waited for a CPU, nanoseconds; `None` where
/// the kernel keeps no pressure account (Documentation/accounting/psi.rst).
pub(crate) fn cpu_pressure_ns() -> Option<u64> {
    parse_pressure(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn parse_pressure(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let total = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("total="))?;
    Some(total.parse::<u64>().ok()?.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let earlier = CpuTicks::parse("cpu  100 0 50 800 0 0 0 10 0 0\ncpu0 1\n").unwrap();
        let later = CpuTicks::parse("cpu  150 0 70 820 0 0 0 20 7 0\n").unwrap();
        assert_eq!(later.stolen_pct_since(earlier), Some(10.0));
        assert_eq!(earlier.stolen_pct_since(earlier), None);
        assert_eq!(CpuTicks::parse("cpu  1 2 3"), None);
        assert_eq!(CpuTicks::parse(""), None);
    }

    #[test]
    fn pressure_is_the_total_of_some_tasks() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull avg10=0 total=3\n";
        assert_eq!(parse_pressure(text), Some(12_000));
        assert_eq!(parse_pressure(""), None);
    }

    #[test]
    fn the_model_is_found_on_both_architectures() {
        assert_eq!(cpu_model("processor: 0\nmodel name\t: AMD X\n"), "AMD X");
        assert_eq!(cpu_model("CPU part\t: 0xd0c\n"), "ARM part 0xd0c");
        assert_eq!(cpu_model(""), "unknown");
    }

    #[test]
    fn this_machine_has_a_kernel() {
        let machine = machine();
        assert!(
            machine.cpus > 0 && !machine.kernel.is_empty(),
            "{machine:?}"
        );
    }
}
