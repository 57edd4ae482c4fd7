//! Starts the target in two steps: a child that is held before its exec, so that events can be
//! opened on it, and its release.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Access, AtFlags, CWD};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal};

use crate::cgroup::TargetGroup;
use crate::error::RecordError;
use crate::machine;
use crate::request::{Environment, Group, Request, Stderr, Stdin, Stdout};
use crate::sys::{self, ChildPlan, Numbers, Step};
use crate::target::poll;

/// Where programs are searched for when the environment has no `PATH`, as in glibc's `execvp`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A child that is watched by ptrace stops at signals before its exec, which is looked for so often.
const SERVICE: Duration = Duration::from_millis(10);

/// A child that waits before its exec. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct HeldChild {
    pid: Pid,
    program: String,
    directory: String,
    release: OwnedFd,
    report: File,
    in_cgroup: bool,
    reap: bool,
}

impl HeldChild {
    /// Forks a child for the request, into a control group when there is one and it is permitted.
    pub(crate) fn fork(
        request: &Request,
        cgroup: Option<&TargetGroup>,
    ) -> Result<HeldChild, RecordError> {
        let system = |what| {
            move |errno: rustix::io::Errno| RecordError::System {
                what,
                source: errno.into(),
            }
        };
        sys::keep_children_waitable().map_err(|source| RecordError::System {
            what: "sigaction",
            source,
        })?;
        let environment = environment(&request.environment);
        let program = find_program(request, &environment)?;
        let redirects = Redirects::open(request)?;
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(system("pipe"));
        let (release_read, release_write) = pipe()?;
        let (report_read, report_write) = pipe()?;
        let mut plan = ChildPlan {
            program: text(program.as_os_str())?,
            arguments: texts(&request.command)?,
            environment: environment
                .iter()
                .map(|(name, value)| assignment(name, value))
                .collect::<Result<_, _>>()?,
            directory: request.directory.as_deref().map(path_text).transpose()?,
            numbers: Numbers {
                redirects: redirects.descriptors(),
                cgroup: cgroup.map(|group| group.directory().as_raw_fd()),
                own_group: request.group == Group::Own,
                release_read: release_read.as_raw_fd(),
                release_write: release_write.as_raw_fd(),
                report_write: report_write.as_raw_fd(),
            },
        };
        let name = program.display().to_string();
        let mut forked = sys::fork_held(&plan);
        if forked.is_err() && plan.numbers.cgroup.is_some() {
            plan.numbers.cgroup = None;
            forked = sys::fork_held(&plan);
        }
        let pid = forked.map_err(|source| RecordError::Spawn {
            program: name.clone(),
            source,
        })?;
        if plan.numbers.own_group {
            // Both sides do this, so that the group exists whichever runs first. The child may
            // have failed already, which its report tells.
            let _ = rustix::process::setpgid(Some(pid), Some(pid));
        }
        Ok(HeldChild {
            pid,
            program: name,
            directory: request
                .directory
                .as_deref()
                .map_or(String::new(), |path| path.display().to_string()),
            release: release_write,
            report: File::from(report_read),
            in_cgroup: plan.numbers.cgroup.is_some(),
            reap: true,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it was born into the control group.
    pub(crate) fn is_in_cgroup(&self) -> bool {
        self.in_cgroup
    }

    /// Its largest resident set so far, which the kernel will carry over to the program; `None`
    /// when it cannot be read.
    pub(crate) fn peak_rss_bytes(&self) -> Option<u64> {
        machine::peak_rss_bytes(self.pid)
    }

    /// Lets it go on, and returns when it has executed the program. Until then, `serve` is called
    /// now and then.
    pub(crate) fn release(mut self, serve: &mut dyn FnMut()) -> Result<Pid, RecordError> {
        // A child that is dead already has no reader; the report tells why.
        let released = rustix::io::write(&self.release, b"x");
        let mut report = [0; 5];
        loop {
            let mut readable = [PollFd::new(&self.report, PollFlags::IN)];
            match poll(&mut readable, SERVICE) {
                Ok(0) => serve(),
                // What is wrong, reading tells.
                Ok(_) | Err(_) => break,
            }
        }
        let got =
            read_report(&mut self.report, &mut report).map_err(|source| RecordError::System {
                what: "reading the child's report",
                source,
            })?;
        if got == report.len() {
            let (step, source) = Step::of_report(report);
            return Err(self.failure(step, source));
        }
        if let Err(errno) = released {
            return Err(self.failure(Step::Prepare, errno.into()));
        }
        self.reap = false;
        Ok(self.pid)
    }

    fn failure(&self, step: Step, source: io::Error) -> RecordError {
        match (step, source.kind()) {
            (Step::Directory, _) => RecordError::Directory {
                path: self.directory.clone(),
                source,
            },
            (Step::Exec, io::ErrorKind::NotFound) => RecordError::NotExecutable {
                path: self.program.clone(),
                reason: "the interpreter or loader that it names does not exist".to_owned(),
            },
            _ => RecordError::Spawn {
                program: self.program.clone(),
                source,
            },
        }
    }
}

impl Drop for HeldChild {
    fn drop(&mut self) {
        if self.reap {
            // It is ours and not reaped, so that the number is its own.
            let _ = rustix::process::kill_process(self.pid, Signal::KILL);
            let _ = sys::reap(self.pid);
        }
    }
}

fn read_report(pipe: &mut File, report: &mut [u8; 5]) -> io::Result<usize> {
    let mut got = 0;
    while got < report.len() {
        match pipe.read(&mut report[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Open files that become the target's standard streams.
#[derive(Debug, Default)]
struct Redirects([Option<OwnedFd>; 3]);

impl Redirects {
    fn open(request: &Request) -> Result<Redirects, RecordError> {
        let null = |what: &str| open_at("/dev/null".as_ref(), what);
        let stdin = match &request.stdin {
            Stdin::Inherit => None,
            Stdin::Null => Some(null("standard input")?),
            Stdin::File(path) => {
                let what = format!("standard input {}", path.display());
                Some(above_standard(&open_with(path, &what, false)?, &what)?)
            }
        };
        let stdout = match &request.stdout {
            Stdout::Inherit => None,
            Stdout::Null => Some(null("standard output")?),
            Stdout::Stderr => Some(above_standard(&io::stderr(), "standard error")?),
            Stdout::File(file) => Some(above_standard(file, "standard output")?),
        };
        let stderr = match &request.stderr {
            Stderr::Inherit => None,
            Stderr::Null => Some(null("standard error")?),
            Stderr::File(file) => Some(above_standard(file, "standard error")?),
        };
        Ok(Redirects([stdin, stdout, stderr]))
    }

    fn descriptors(&self) -> [Option<RawFd>; 3] {
        self.0
            .each_ref()
            .map(|fd| fd.as_ref().map(AsRawFd::as_raw_fd))
    }
}

fn open_at(path: &Path, what: &str) -> Result<OwnedFd, RecordError> {
    above_standard(&open_with(path, what, true)?, what)
}

fn open_with(path: &Path, what: &str, write: bool) -> Result<File, RecordError> {
    let file = File::options().read(true).write(write).open(path);
    file.map_err(|source| RecordError::Redirect {
        what: what.to_owned(),
        source,
    })
}

/// A copy of a descriptor that is none of the standard three, so that no redirect overwrites the
/// source of another.
fn above_standard(fd: &impl AsFd, what: &str) -> Result<OwnedFd, RecordError> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|errno| RecordError::Redirect {
        what: what.to_owned(),
        source: errno.into(),
    })
}

fn environment(wanted: &Environment) -> Vec<(OsString, OsString)> {
    match wanted {
        Environment::Inherit => std::env::vars_os().collect(),
        Environment::Exactly(list) => list.clone(),
    }
}

/// Searches for the program as `execvp` would in the target's directory and environment.
fn find_program(
    request: &Request,
    environment: &[(OsString, OsString)],
) -> Result<PathBuf, RecordError> {
    let Some(name) = request.command.first().filter(|name| !name.is_empty()) else {
        return Err(RecordError::EmptyCommand);
    };
    if let Some(directory) = &request.directory
        && !directory.is_dir()
    {
        let source = match std::fs::metadata(directory) {
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(error) => error,
        };
        return Err(RecordError::Directory {
            path: directory.display().to_string(),
            source,
        });
    }
    let within = |path: &Path| match &request.directory {
        Some(directory) => directory.join(path),
        None => path.to_owned(),
    };
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match check(&within(&path)) {
            Found::Yes => Ok(path),
            Found::No => Err(not_found(name, "its directory".to_owned())),
            Found::Refused(reason) => Err(not_executable(&path, reason)),
        };
    }
    let listed = environment.iter().find(|(key, _)| key == "PATH");
    let search = listed.map_or(OsString::from(DEFAULT_PATH), |(_, value)| value.clone());
    let mut refused = None;
    for folder in std::env::split_paths(&search) {
        let path = if folder.as_os_str().is_empty() {
            Path::new(".").join(name)
        } else {
            folder.join(name)
        };
        match check(&within(&path)) {
            Found::Yes => return Ok(path),
            Found::No => {}
            Found::Refused(reason) => refused = refused.or(Some((path, reason))),
        }
    }
    match refused {
        Some((path, reason)) => Err(not_executable(&path, reason)),
        None => Err(not_found(name, format!("PATH={}", search.display()))),
    }
}

enum Found {
    Yes,
    No,
    Refused(&'static str),
}

fn check(path: &Path) -> Found {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Found::Refused("permission denied on its path")
        }
        Err(_) => Found::No,
        Ok(facts) if facts.is_dir() => Found::Refused("it is a directory"),
        Ok(_) => match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) => Found::Yes,
            Err(_) => Found::Refused("it has no execute permission"),
        },
    }
}

fn not_found(name: &OsStr, searched: String) -> RecordError {
    RecordError::NotFound {
        program: name.display().to_string(),
        searched,
    }
}

fn not_executable(path: &Path, reason: &str) -> RecordError {
    RecordError::NotExecutable {
        path: path.display().to_string(),
        reason: reason.to_owned(),
    }
}

fn text(text: &OsStr) -> Result<CString, RecordError> {
    CString::new(text.as_bytes()).map_err(|_| RecordError::NulByte {
        text: text.to_string_lossy().replace('\0', "\\0"),
    })
}

fn path_text(path: &Path) -> Result<CString, RecordError> {
    text(path.as_os_str())
}

fn texts(list: &[OsString]) -> Result<Vec<CString>, RecordError> {
    list.iter().map(|item| text(item)).collect()
}

fn assignment(name: &OsStr, value: &OsStr) -> Result<CString, RecordError> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'=');
    bytes.extend(value.as_bytes());
    text(&OsString::from_vec(bytes))
}
