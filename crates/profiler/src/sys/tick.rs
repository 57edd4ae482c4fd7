//! A timer that interrupts this thread's wait for other threads.
//!
//! Neither `waitid` nor `wait4` takes a time limit, and stops of seized threads cannot be polled
//! for, so that only a signal ends the wait.

use std::io;
use std::time::Duration;

/// A timer of this thread. It stops when it is dropped; the signal that it used keeps a handler
/// that does nothing, because one may still be on its way.
#[derive(Debug)]
pub(crate) struct Tick {
    timer: libc::timer_t,
}

extern "C" fn nothing(_signal: libc::c_int) {}

impl Tick {
    /// A timer that does not run yet. It takes the highest real-time signal whose action is the
    /// default one, or that an earlier timer took.
    pub(crate) fn new() -> io::Result<Tick> {
        let signal = take_signal()?;
        // SAFETY: all fields are numbers and addresses, for which zero is a value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: the call takes nothing and cannot fail.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = std::ptr::null_mut();
        // SAFETY: both pointers are to values that live through the call.
        let result = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Tick { timer })
    }

    /// Interrupts this thread after `delay` and, in case that came too early for the wait it was
    /// meant for, again and again.
    pub(crate) fn arm(&self, delay: Duration) -> io::Result<()> {
        // A delay of zero would disarm the timer.
        let time = timespec(delay.max(Duration::from_micros(1)));
        let setting = libc::itimerspec {
            it_interval: timespec(delay.max(Duration::from_millis(1))),
            it_value: time,
        };
        // SAFETY: the timer is ours, and the setting lives through the call.
        let result = unsafe { libc::timer_settime(self.timer, 0, &setting, std::ptr::null_mut()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        // SAFETY: the timer is ours and is not used afterwards.
        unsafe { libc::timer_delete(self.timer) };
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn take_signal() -> io::Result<libc::c_int> {
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev() {
        // SAFETY: all fields are numbers, for which zero is a value: no flags, so that system calls
        // are interrupted, and an empty mask.
        let (mut now, mut wanted): (libc::sigaction, libc::sigaction) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        wanted.sa_sigaction = nothing as *const () as libc::sighandler_t;
        // SAFETY: both structures live through the calls, and the handler does nothing.
        unsafe {
            if libc::sigaction(signal, std::ptr::null(), &mut now) != 0 {
                return Err(io::Error::last_os_error());
            }
            if now.sa_sigaction == wanted.sa_sigaction {
                return Ok(signal);
            }
            if now.sa_sigaction == libc::SIG_DFL {
                return match libc::sigaction(signal, &wanted, std::ptr::null_mut()) {
                    0 => Ok(signal),
                    _ => Err(io::Error::last_os_error()),
                };
            }
        }
    }
    Err(io::Error::other("every real-time signal has a handler"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wait that nothing else would end is ended, and the second timer shares the first's signal.
    #[test]
    fn a_wait_is_interrupted() {
        let tick = Tick::new().unwrap();
        assert_eq!(take_signal().unwrap(), take_signal().unwrap());
        tick.arm(Duration::from_millis(1)).unwrap();
        // SAFETY: the call takes nothing, and a handled signal ends it.
        assert_eq!(unsafe { libc::pause() }, -1);
        assert_eq!(
            io::Error::last_os_error().kind(),
            io::ErrorKind::Interrupted
        );
    }
}
