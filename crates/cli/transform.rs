//! The flags that choose samples and rewrite frames, the same for every command that reads
//! profiles.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hotproof_profile::transform::{
    Direction, Group, MergeError, Paths, Transform, TransformError, Window, keep, merge, on_cpu,
    within,
};
use hotproof_profile::{Inline, Profile};
use hotproof_profiler::replay::SampleRows;
use hotproof_report::functions::StartUp;
use hotproof_symbolizer::Detail;
use regex::Regex;

use crate::failure::{Code, Failure};
use crate::input::{self, Addresses, Namer, Wanted};

/// What to look at, and how.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Transformations")]
pub(crate) struct TransformOptions {
    /// Keep samples with a matching frame: function, source file or image
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Option<Regex>,
    /// Drop samples with a matching frame
    #[arg(long, value_name = "REGEX")]
    pub(crate) ignore: Option<Regex>,
    /// Remove matching frames; what they cost stays with their callers
    #[arg(long, value_name = "REGEX")]
    pub(crate) hide: Option<Regex>,
    /// Remove all frames but the matching ones
    #[arg(long, value_name = "REGEX")]
    pub(crate) show: Option<Regex>,
    /// Remove what matching functions call
    #[arg(long, value_name = "REGEX")]
    pub(crate) prune_from: Option<Regex>,
    /// Keep the samples of these threads
    #[arg(long, value_name = "NAME|TID")]
    pub(crate) thread: Option<String>,
    /// Keep the samples of these processes
    #[arg(long, value_name = "NAME|PID")]
    pub(crate) process: Option<String>,
    /// Keep the samples of this time since the first: 1s-10s, 500ms-, 1s+250ms
    #[arg(long, value_name = "FROM-TO", value_parser = window, allow_hyphen_values = true)]
    pub(crate) time: Option<Window>,
    /// Count inlined functions as part of the function they were inlined into
    #[arg(long)]
    pub(crate) no_inline: bool,
    /// Turn stacks around: callers below what they call
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Gather frames
    #[arg(long, value_name = "BY")]
    pub(crate) group: Option<GroupBy>,
    /// Take this weight of the profile; of a recording with --off-cpu also wall and off-cpu
    /// (of all threads) and elapsed (each moment once)
    #[arg(long, value_name = "NAME")]
    pub(crate) weight: Option<String>,
    /// Leave the folders of this machine out of paths
    #[arg(long)]
    pub(crate) strip_paths: bool,
    /// Read the samples of this event of a recording of perf that holds several
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
}

/// What a reader looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Each sample: its time, its CPU, how many there are.
    Samples,
    /// Stacks and their weights alone.
    Stacks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// Below a frame for each thread name
    Thread,
    /// Below a frame for each process name
    Process,
    /// By binary
    Image,
    /// By crate, where there is none by binary
    Crate,
    /// By source file, where there is none by binary
    File,
}

/// A profile on its way: samples chosen, focus known, frames rewritten.
pub(crate) struct Looked {
    /// With the samples that are out of focus.
    pub(crate) profile: Profile,
    /// Which samples are in focus; `None` when all are.
    pub(crate) in_focus: Option<Vec<bool>>,
}

impl Looked {
    /// The samples in focus, and the weight of all of them and the others.
    pub(crate) fn focused(self) -> (Profile, i64) {
        let whole = hotproof_report::tree::whole(&self.profile);
        let profile = match self.in_focus {
            Some(mask) => keep(self.profile, &mask, "focus"),
            None => self.profile,
        };
        (profile, whole)
    }
}

impl TransformOptions {
    /// Reads, merges and transforms profiles.
    pub(crate) fn read(&self, paths: &[PathBuf], look: Look) -> Result<Profile, Failure> {
        self.read_named(paths, look, &mut Namer::default())
    }

    /// As [`TransformOptions::read`], of several that are not added up and named by one.
    pub(crate) fn read_named(
        &self,
        paths: &[PathBuf],
        look: Look,
        namer: &mut Namer,
    ) -> Result<Profile, Failure> {
        self.apply(self.merged(paths, look, namer)?)
    }

    /// As [`TransformOptions::read`], with all weights where none was asked for: those of time off
    /// the CPU, too.
    pub(crate) fn read_all_weights(
        &self,
        paths: &[PathBuf],
        look: Look,
    ) -> Result<Profile, Failure> {
        let merged = self.merged(paths, look, &mut Namer::default())?;
        self.with(|transform| transform.apply(merged).map_err(|error| refused(&error)))
    }

    /// The profile as a whole where a weight was asked for, and else that of time on the CPU.
    fn by_default(&self, profile: Profile) -> Profile {
        match self.weight {
            Some(_) => profile,
            None => on_cpu(profile),
        }
    }

    /// As [`TransformOptions::read`], but samples out of focus stay, so that shares of the whole
    /// can be told.
    pub(crate) fn look(&self, paths: &[PathBuf]) -> Result<Looked, Failure> {
        let merged = self.merged(paths, Look::Samples, &mut Namer::default())?;
        let merged = self.by_default(merged);
        self.with(|transform| {
            let selected = transform.select(merged).map_err(|error| refused(&error))?;
            Ok(Looked {
                in_focus: transform.in_focus(&selected),
                profile: transform.rewrite(selected),
            })
        })
    }

    /// Rewritten frames no longer show what only starts the program.
    pub(crate) fn start_up(&self) -> StartUp {
        if self.group.is_some() || self.reverse || self.show.is_some() {
            StartUp::Show
        } else {
            StartUp::Fold
        }
    }

    fn apply(&self, profile: Profile) -> Result<Profile, Failure> {
        let profile = self.by_default(profile);
        self.with(|transform| transform.apply(profile).map_err(|error| refused(&error)))
    }

    /// Transforms a profile that is no file, or is one of several that are not added up.
    pub(crate) fn one(&self, profile: Profile) -> Result<Profile, Failure> {
        self.apply(self.windowed(profile)?)
    }

    /// One file, not transformed yet.
    pub(crate) fn file(&self, path: &Path) -> Result<Profile, Failure> {
        input::profile(path, &self.wanted(Look::Samples), &mut Namer::default())
    }

    fn wanted(&self, look: Look) -> Wanted<'_> {
        Wanted {
            event: self.event.as_deref(),
            rows: match look {
                Look::Stacks if !self.chooses_samples() => SampleRows::Summed,
                _ => SampleRows::Each,
            },
            addresses: match look {
                Look::Stacks if !self.looks_at_frames() => Addresses::OfNames,
                _ => Addresses::Each,
            },
            // Files and lines are matched and gathered by, and inlined functions matched.
            detail: match look {
                Look::Stacks if self.no_inline && !self.looks_at_frames() => Detail::Names,
                _ => Detail::Full,
            },
        }
    }

    fn windowed(&self, profile: Profile) -> Result<Profile, Failure> {
        match self.time {
            Some(window) => within(profile, window).map_err(|error| refused(&error)),
            None => Ok(profile),
        }
    }

    /// Time is cut per recording, for each has its own first sample.
    fn merged(&self, paths: &[PathBuf], look: Look, namer: &mut Namer) -> Result<Profile, Failure> {
        let wanted = self.wanted(look);
        let mut profiles = Vec::with_capacity(paths.len());
        for path in paths {
            profiles.push(self.windowed(input::profile(path, &wanted, namer)?)?);
        }
        merge(profiles).map_err(|error| unlike(&error, paths))
    }

    /// Frames are chosen or changed by what is known of them besides their names.
    fn looks_at_frames(&self) -> bool {
        let rewrites = self.hide.is_some() || self.show.is_some() || self.prune_from.is_some();
        let matches = self.focus.is_some() || self.ignore.is_some();
        rewrites || matches || self.group.is_some()
    }

    /// Samples that are left out are counted, and some are chosen by their time.
    fn chooses_samples(&self) -> bool {
        let by_frame = self.focus.is_some() || self.ignore.is_some();
        let by_task = self.thread.is_some() || self.process.is_some();
        by_frame || by_task || self.time.is_some()
    }

    fn with<T>(&self, work: impl FnOnce(&Transform<'_>) -> T) -> T {
        let matcher = |pattern: &Option<Regex>| {
            let pattern = pattern.clone();
            pattern.map(|pattern| move |name: &str| pattern.is_match(name))
        };
        let focus = matcher(&self.focus);
        let ignore = matcher(&self.ignore);
        let hide = matcher(&self.hide);
        let show = matcher(&self.show);
        let prune_from = matcher(&self.prune_from);
        fn predicate(pattern: Option<&impl Fn(&str) -> bool>) -> Option<&dyn Fn(&str) -> bool> {
            pattern.map(|pattern| pattern as &dyn Fn(&str) -> bool)
        }
        work(&Transform {
            weight: self.weight.as_deref(),
            window: None,
            process: self.process.as_deref(),
            thread: self.thread.as_deref(),
            ignore: predicate(ignore.as_ref()),
            focus: predicate(focus.as_ref()),
            hide: predicate(hide.as_ref()),
            show: predicate(show.as_ref()),
            prune_from: predicate(prune_from.as_ref()),
            inline: self.inline(),
            group: self.group.map(Group::from),
            direction: if self.reverse {
                Direction::Reversed
            } else {
                Direction::FromRoot
            },
            paths: if self.strip_paths {
                Paths::Strip
            } else {
                Paths::Keep
            },
        })
    }

    fn inline(&self) -> Inline {
        if self.no_inline {
            Inline::Physical
        } else {
            Inline::Expand
        }
    }
}

impl From<GroupBy> for Group {
    fn from(by: GroupBy) -> Group {
        match by {
            GroupBy::Thread => Group::Thread,
            GroupBy::Process => Group::Process,
            GroupBy::Image => Group::Image,
            GroupBy::Crate => Group::Crate,
            GroupBy::File => Group::File,
        }
    }
}

fn refused(error: &TransformError) -> Failure {
    Failure::new(Code::Usage, error.to_string())
}

/// The same refusal with the names of the files instead of their numbers.
fn unlike(error: &MergeError, paths: &[PathBuf]) -> Failure {
    match error {
        MergeError::Unlike {
            before,
            number,
            what,
            first,
            other,
        } => {
            let [one, two] = [before - 1, number - 1].map(|index| paths[index].display());
            let text = format!(
                "{one} and {two} do not add up: the {what} is {first} in one and {other} in the other"
            );
            Failure::new(Code::Usage, text).remedy(
                "merge only recordings that were made with the same settings on the same machine",
            )
        }
        MergeError::Nothing | MergeError::Invalid(_) => {
            Failure::new(Code::Usage, error.to_string())
        }
    }
}

/// `FROM-TO`, either of which may be missing, or `FROM+LENGTH`.
fn window(text: &str) -> Result<Window, String> {
    let side = |text: &str, absent: u64| match text.trim() {
        "" => Ok(absent),
        text => nanoseconds(text),
    };
    let window = if let Some((from, length)) = text.split_once('+') {
        let from_ns = side(from, 0)?;
        let to_ns = from_ns.saturating_add(nanoseconds(length.trim())?);
        Window { from_ns, to_ns }
    } else {
        let (from, to) = text.split_once('-').ok_or("not a stretch like 1s-10s")?;
        Window {
            from_ns: side(from, 0)?,
            to_ns: side(to, u64::MAX)?,
        }
    };
    if window.from_ns < window.to_ns {
        Ok(window)
    } else {
        Err("it ends before it begins".into())
    }
}

/// A time with its unit; seconds without one.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let found = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1e9));
    let value: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("`{text}` is not a time like 1.5s or 250ms"))?;
    if value.is_finite() && value >= 0.0 {
        // Times past the range of 64 bits saturate, and lie behind every sample.
        Ok((value * factor).round() as u64)
    } else {
        Err(format!("`{text}` is not a time like 1.5s or 250ms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time() {
        let read = |text| window(text).map(|window| (window.from_ns, window.to_ns));
        assert_eq!(read("1s-10s"), Ok((1_000_000_000, 10_000_000_000)));
        assert_eq!(read("250ms+250ms"), Ok((250_000_000, 500_000_000)));
        assert_eq!(read("-2"), Ok((0, 2_000_000_000)));
        assert_eq!(read("3us-"), Ok((3000, u64::MAX)));
        for wrong in ["", "5s", "2s-1s", "a-b", "1s-1s", "nan-", "inf-"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
