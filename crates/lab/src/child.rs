//! Child processes that are no measurement: git and builds. Each gets a process group of its own,
//! so that it can be ended with everything that it started, and a Ctrl-C at the terminal does not
//! cut off the cleaning up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The longest pause between two looks at a child.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// How long a child may take to end itself before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Where the output of a child goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Standard output and standard error apart.
    Apart,
    /// Both into `stdout`, in the order written.
    Together,
}

/// What a child left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended; `None` when the stop flag ended it.
    pub(crate) status: Option<ExitStatus>,
    /// Its standard output.
    pub(crate) stdout: File,
    /// Its standard error; empty with [`Streams::Together`].
    pub(crate) stderr: File,
}

impl Finished {
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs a command to its end, or until `stop` is set; its standard input is empty.
pub(crate) fn run(
    command: &mut Command,
    streams: Streams,
    stop: &AtomicBool,
) -> io::Result<Finished> {
    let stdout = tempfile::tempfile()?;
    let stderr = tempfile::tempfile()?;
    let errors_to = match streams {
        Streams::Apart => &stderr,
        Streams::Together => &stdout,
    };
    if stop.load(Ordering::Relaxed) {
        return Ok(Finished {
            status: None,
            stdout,
            stderr,
        });
    }
    hotproof_profiler::keep_children_waitable()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(errors_to.try_clone()?)
        .process_group(0)
        .spawn()?;
    let status = wait(&mut child, stop)?;
    Ok(Finished {
        status,
        stdout,
        stderr,
    })
}

/// Waits for the child; `None` when the flag was set and its group was ended.
fn wait(child: &mut Child, stop: &AtomicBool) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if stop.load(Ordering::Relaxed) {
            end_group(child)?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks the child's group to end, and kills what is left of it after a while.
fn end_group(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_child(child);
    // The group is gone when all of it has ended, which is what is wanted.
    let _ = kill_process_group(group, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process_group(group, Signal::KILL);
    child.wait()?;
    Ok(())
}

/// All of a file that a child wrote.
pub(crate) fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most so many bytes of a tail are read.
const TAIL_BYTES: u64 = 16 * 1024;

/// The last `lines` lines of a file, each indented by two columns, without control characters.
pub(crate) fn tail(file: &mut File, lines: usize) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let mut read = read;
    // A tail that cannot be read leaves an error message without one; the error itself is told.
    let bytes = read().unwrap_or_default();
    tail_of(&String::from_utf8_lossy(&bytes), lines)
}

fn tail_of(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().map(str::trim_end).collect();
    let start = all.len().saturating_sub(lines);
    let clean = |line: &&str| -> String {
        let visible = line.chars().filter(|&c| c == '\t' || !c.is_control());
        format!("  {}", visible.collect::<String>())
    };
    let kept: Vec<String> = all[start..].iter().map(clean).collect();
    kept.join("\n")
}

/// How a process ended, in words.
pub(crate) fn describe(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        None => "an interruption".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown state".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_tail_is_the_last_lines_without_control_characters() {
        assert_eq!(tail_of("a\nb\x1b[1m!\r\nc\n", 2), "  b[1m!\n  c");
        assert_eq!(tail_of("", 3), "");
    }

    #[test]
    fn both_streams_come_back() {
        let stop = AtomicBool::new(false);
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let mut finished = run(&mut command, Streams::Apart, &stop).unwrap();
        assert_eq!(describe(finished.status), "exit status 3");
        assert_eq!(read_all(&mut finished.stdout).unwrap(), b"out\n");
        assert_eq!(tail(&mut finished.stderr, 5), "  err");
    }

    #[test]
    fn the_stop_flag_ends_the_whole_group() {
        let stop = Arc::new(AtomicBool::new(false));
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & echo $! > \"$0\"; wait"]);
        command.arg(&pid_file);
        let setter = {
            let (stop, pid_file) = (Arc::clone(&stop), pid_file.clone());
            std::thread::spawn(move || {
                while std::fs::read_to_string(&pid_file)
                    .unwrap_or_default()
                    .is_empty()
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                stop.store(true, Ordering::Relaxed);
            })
        };
        let finished = run(&mut command, Streams::Together, &stop).unwrap();
        setter.join().unwrap();
        assert!(finished.status.is_none());
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        assert!(
            state.as_ref().map_or(true, |text| text.contains(") Z ")),
            "the grandchild still runs: {state:?}"
        );
    }
}
