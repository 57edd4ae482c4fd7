//! The line that `/proc` has of a process or a thread: `/proc/PID/stat` (proc(5)).

/// One such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStat(String);

impl TaskStat {
    /// That of a process; `None` when there is none of this number.
    pub fn of_process(pid: u32) -> Option<TaskStat> {
        Self::read(&format!("/proc/{pid}/stat"))
    }

    /// That of a thread.
    pub(crate) fn of_thread(pid: u32, tid: u32) -> Option<TaskStat> {
        Self::read(&format!("/proc/{pid}/task/{tid}/stat"))
    }

    fn read(path: &str) -> Option<TaskStat> {
        // A name need not be UTF-8, and nothing else is anything but ASCII.
        let bytes = std::fs::read(path).ok()?;
        Some(TaskStat(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Its state in one letter; `None` when the line is cut.
    pub fn state(&self) -> Option<char> {
        self.word(3)?.chars().next()
    }

    /// Whether it runs or could run.
    pub(crate) fn is_ready(&self) -> bool {
        self.state() == Some('R')
    }

    /// Whether it has ended, and waits for its parent at most.
    pub fn has_ended(&self) -> bool {
        self.state().is_none_or(|state| matches!(state, 'Z' | 'X'))
    }

    /// A number by its place in proc(5), which counts from 1; `None` when there is none there.
    pub fn number(&self, place: usize) -> Option<u64> {
        self.word(place)?.parse().ok()
    }

    /// The second word is a name in brackets, which may hold anything, brackets too.
    fn word(&self, place: usize) -> Option<&str> {
        let (_, behind_name) = self.0.rsplit_once(')')?;
        let mut words = behind_name.split_ascii_whitespace();
        words.nth(place.checked_sub(3)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_mistaken_for_fields() {
        let line = "12 (a) R (b) c)) S 34 12 12 0 -1 4194560 100 0 0 0 7 9 0 0 20 0 1 0 5555";
        let stat = TaskStat(line.to_owned());
        assert_eq!(stat.state(), Some('S'));
        assert_eq!(
            [4, 14, 15, 22].map(|place| stat.number(place)),
            [34, 7, 9, 5555].map(Some)
        );
        assert_eq!([0, 2, 3, 99].map(|place| stat.number(place)), [None; 4]);
        assert!(!stat.has_ended() && !stat.is_ready());
        assert!(TaskStat("12 (x) Z 1".to_owned()).has_ended());
        assert!(TaskStat("12 (x) R 1".to_owned()).is_ready());
        assert!(
            TaskStat(String::new()).has_ended(),
            "nothing is known of it"
        );
    }

    #[test]
    fn this_process_is_found_and_no_other_of_its_number() {
        let own = std::process::id();
        let stat = TaskStat::of_process(own).unwrap();
        assert_eq!(
            stat.number(4),
            Some(u64::from(std::os::unix::process::parent_id()))
        );
        assert!(TaskStat::of_thread(own, own).is_some());
        assert_eq!(TaskStat::of_process(u32::MAX), None);
    }
}
