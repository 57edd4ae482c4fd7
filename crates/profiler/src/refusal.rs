//! Why perf events are refused, in words that help.

use rustix::io::Errno;

use crate::recording::Refusal;

/// What was read of the machine when an event did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What the kernel answered.
    pub(crate) errno: Errno,
    /// `/proc/sys/kernel/perf_event_paranoid`; `None` when it could not be read.
    pub(crate) paranoid: Option<i64>,
    /// Effective user.
    pub(crate) uid: u32,
    /// Mode of seccomp from `/proc/self/status`: 0 is none, 2 is a filter, as in containers.
    pub(crate) seccomp: Option<u32>,
}

impl Facts {
    /// Reads what can be read here.
    pub(crate) fn read(errno: Errno) -> Facts {
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let seccomp = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        Facts {
            errno,
            paranoid: paranoid.ok().and_then(|text| text.trim().parse().ok()),
            uid: rustix::process::geteuid().as_raw(),
            seccomp: seccomp.and_then(|mode| mode.trim().parse().ok()),
        }
    }

    /// What it means and what to do about it.
    pub(crate) fn refusal(&self) -> Refusal {
        let cause = self.cause();
        Refusal {
            what: cause.what().to_owned(),
            read: self.values(),
            remedy: cause.remedy().to_owned(),
        }
    }

    fn values(&self) -> String {
        let paranoid = match self.paranoid {
            Some(level) => level.to_string(),
            None => "unreadable".to_owned(),
        };
        let seccomp = match self.seccomp {
            Some(mode) => mode.to_string(),
            None => "unreadable".to_owned(),
        };
        format!(
            "perf_event_open: {}; perf_event_paranoid {paranoid}; user id {}; seccomp mode {seccomp}",
            errno_name(self.errno),
            self.uid
        )
    }

    fn cause(&self) -> Cause {
        let filtered = self.seccomp == Some(2);
        match self.errno {
            Errno::NOSYS if filtered => Cause::Filter,
            Errno::NOSYS => Cause::NoSupport,
            // A vanilla kernel lets every user sample the user's own code at 2 and below.
            Errno::ACCESS | Errno::PERM if self.paranoid.is_some_and(|level| level > 2) => {
                if self.uid == 0 {
                    Cause::Filter
                } else {
                    Cause::Paranoid
                }
            }
            Errno::ACCESS | Errno::PERM if filtered || self.uid == 0 => Cause::Filter,
            Errno::ACCESS | Errno::PERM => Cause::Denied,
            Errno::NOENT | Errno::OPNOTSUPP | Errno::NODEV => Cause::NoEvent,
            Errno::MFILE | Errno::NFILE => Cause::TooManyFiles,
            _ => Cause::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Paranoid,
    Filter,
    Denied,
    NoSupport,
    NoEvent,
    TooManyFiles,
    Other,
}

impl Cause {
    fn what(self) -> &'static str {
        match self {
            Cause::Paranoid => "the kernel denies perf events to ordinary users",
            Cause::Filter => "a sandbox denies perf events",
            Cause::Denied => "perf events on the target are denied",
            Cause::NoSupport => "this kernel has no perf events",
            Cause::NoEvent => "this machine has no such event",
            Cause::TooManyFiles => "too many files are open to watch every CPU",
            Cause::Other => "perf events do not open",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Cause::Paranoid => {
                "run `sudo sysctl kernel.perf_event_paranoid=2`, or run as root or with CAP_PERFMON"
            }
            Cause::Filter => {
                "allow the system call perf_event_open in the container's seccomp profile \
                 (Docker: `--cap-add PERFMON`, or `--security-opt seccomp=unconfined`)"
            }
            Cause::Denied => {
                "run the target as the same user, and not a set-user-id program, or run as root \
                 or with CAP_PERFMON"
            }
            Cause::NoSupport => "use a kernel that is built with CONFIG_PERF_EVENTS",
            Cause::NoEvent => {
                "name another event: virtual machines mostly have no cycles and instructions, while \
                 every kernel with CONFIG_PERF_EVENTS has cpu-clock"
            }
            Cause::TooManyFiles => "raise the limit with `ulimit -n 4096`",
            Cause::Other => "report the values read as an issue of hotproof",
        }
    }
}

/// Why an event that is no CPU time cannot be sampled.
pub(crate) fn of_event(name: &str, refusal: Option<Refusal>) -> Refusal {
    match refusal {
        Some(refusal) => Refusal {
            what: format!("{name} cannot be sampled: {}", refusal.what),
            remedy: format!("{}; or sample CPU time, without -e and -c", refusal.remedy),
            ..refusal
        },
        None => Refusal {
            what: format!("{name} cannot be sampled by ptrace"),
            read: "ptrace stops threads by their CPU time".to_owned(),
            remedy: "leave out -e and -c, or use perf events".to_owned(),
        },
    }
}

/// Why not everything that runs may be watched.
pub(crate) fn of_everything(refusal: Refusal) -> Refusal {
    Refusal {
        what: format!("the whole system may not be watched: {}", refusal.what),
        remedy:
            "run as root or with CAP_PERFMON, or run `sudo sysctl kernel.perf_event_paranoid=0`, \
                 outside of containers that filter perf_event_open; or record a command, or -p PID"
                .to_owned(),
        ..refusal
    }
}

/// Why time off the CPU cannot be recorded.
pub(crate) fn of_off_cpu(refusal: Option<Refusal>) -> Refusal {
    match refusal {
        Some(refusal) => Refusal {
            what: format!("time off the CPU cannot be recorded: {}", refusal.what),
            remedy: format!("{}; or record without --off-cpu", refusal.remedy),
            ..refusal
        },
        None => Refusal {
            what: "time off the CPU cannot be recorded by ptrace".to_owned(),
            read: "the kernel tells of switches by perf events alone".to_owned(),
            remedy: "leave out --off-cpu, or use perf events".to_owned(),
        },
    }
}

/// Why threads cannot be stopped either, behind why perf events were refused.
pub(crate) fn of_stops(error: &std::io::Error, before: Option<Refusal>) -> Refusal {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let scope = scope.map_or("absent".to_owned(), |text| text.trim().to_owned());
    let answer = match Errno::from_io_error(error) {
        Some(errno) => errno_name(errno),
        None => error.to_string(),
    };
    let read = format!("ptrace: {answer}; yama/ptrace_scope {scope}");
    let what = "ptrace may not watch it either";
    match before {
        Some(refusal) => Refusal {
            what: format!("{}, and {what}", refusal.what),
            read: format!("{}; {read}", refusal.read),
            remedy: refusal.remedy,
        },
        None => Refusal {
            what: "ptrace may not watch it".to_owned(),
            read,
            remedy: "watch a process of your own, or one that hotproof starts itself; run as root \
                     or with CAP_SYS_PTRACE; allow the system call ptrace in the container's \
                     seccomp profile"
                .to_owned(),
        },
    }
}

fn errno_name(errno: Errno) -> String {
    let name = match errno {
        Errno::ACCESS => "EACCES",
        Errno::PERM => "EPERM",
        Errno::NOSYS => "ENOSYS",
        Errno::NOENT => "ENOENT",
        Errno::OPNOTSUPP => "EOPNOTSUPP",
        Errno::NODEV => "ENODEV",
        Errno::MFILE => "EMFILE",
        Errno::NFILE => "ENFILE",
        Errno::INVAL => "EINVAL",
        Errno::NOMEM => "ENOMEM",
        Errno::SRCH => "ESRCH",
        other => return format!("errno {}", other.raw_os_error()),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each way of being refused that is found in the field gets its own remedy, and the values
    /// that were read are all told.
    #[test]
    fn each_refusal_names_its_cause_and_remedy() {
        let cases = [
            // Debian's and Ubuntu's patched kernels.
            (Errno::ACCESS, Some(3), 1000, Some(0), Cause::Paranoid),
            (Errno::ACCESS, Some(4), 1000, Some(0), Cause::Paranoid),
            // Containers: Docker's filter answers EPERM, others ENOSYS.
            (Errno::PERM, Some(2), 0, Some(2), Cause::Filter),
            (Errno::NOSYS, Some(1), 0, Some(2), Cause::Filter),
            (Errno::PERM, Some(2), 1000, Some(2), Cause::Filter),
            // Somebody else's process.
            (Errno::ACCESS, Some(2), 1000, Some(0), Cause::Denied),
            (Errno::NOSYS, None, 0, Some(0), Cause::NoSupport),
            (Errno::NOENT, Some(2), 0, None, Cause::NoEvent),
            (Errno::MFILE, Some(2), 0, Some(0), Cause::TooManyFiles),
            (Errno::NOMEM, Some(2), 0, Some(0), Cause::Other),
        ];
        for (errno, paranoid, uid, seccomp, cause) in cases {
            let facts = Facts {
                errno,
                paranoid,
                uid,
                seccomp,
            };
            assert_eq!(facts.cause(), cause, "{facts:?}");
            let refusal = facts.refusal();
            assert_eq!(refusal.remedy, cause.remedy());
            assert!(refusal.read.contains(&errno_name(errno)), "{refusal}");
            assert!(refusal.read.contains(&uid.to_string()), "{refusal}");
            let level = paranoid.map_or("unreadable".to_owned(), |level| level.to_string());
            assert!(refusal.read.contains(&level), "{refusal}");
        }
    }
}
