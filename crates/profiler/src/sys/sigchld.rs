//! Children that can be waited for, also where SIGCHLD came ignored.

use std::io;

/// Makes sure that the children of this process can be waited for.
///
/// Daemons and some CI runners ignore `SIGCHLD`, and what they start inherits that. The kernel then
/// reaps each child as it ends, `waitid` finds none, and its exit status and usage are lost
/// (`wait(2)`, "NOTES"). So where the signal is ignored, or has its default action with
/// `SA_NOCLDWAIT`, it gets the plain default action, which does nothing else. That holds for the whole process and stays so: other
/// threads may be waiting for children of their own. A handler is left alone. Programs that are
/// started afterwards inherit the default action, and can wait for their children as well.
///
/// [`crate::Recorder`] does this before each run; call it before starting other children.
///
/// # Errors
/// When the action of the signal cannot be read or set, which no kernel is known to refuse.
pub fn keep_children_waitable() -> io::Result<()> {
    // SAFETY: all fields of `sigaction` are numbers, for which zero is a value: no flags, an empty
    // mask and the default action.
    let (mut now, default): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: both structures live through the calls, and the default action runs no code of ours.
    unsafe {
        if libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut now) != 0 {
            return Err(io::Error::last_os_error());
        }
        let ignored = now.sa_sigaction == libc::SIG_IGN;
        let unattended =
            now.sa_sigaction == libc::SIG_DFL && now.sa_flags & libc::SA_NOCLDWAIT != 0;
        if (ignored || unattended)
            && libc::sigaction(libc::SIGCHLD, &default, std::ptr::null_mut()) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
