//! What `hotproof record` says at its end: the file, how far it can be trusted, what to type next.

use hotproof_profile::Profile;

use crate::names::clean;
use crate::numbers::{bytes, count, counted, percent, time};
use crate::prose::{flow, paragraph, styled_paragraph};
use crate::quality::Quality;
use crate::style::{CAUTION, FAINT, STRONG, paint};

/// What the summary is made of, beside the profile itself.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// What was recorded, symbolized.
    pub profile: &'a Profile,
    /// The file that it was written to, as the user typed it.
    pub file: &'a str,
    /// Size of that file.
    pub file_bytes: u64,
    /// Columns of the terminal.
    pub width: usize,
}

/// The summary after a recording.
pub fn summary(facts: &RecordFacts<'_>) -> String {
    let quality = Quality::of(facts.profile);
    let mut out = figures(facts, &quality);
    out.push_str(&flow_at(2, &circumstances(facts.profile), facts.width));
    for warning in quality.warnings() {
        out.push_str(&styled_paragraph(
            "  warning",
            CAUTION,
            11,
            &warning,
            facts.width,
        ));
    }
    for note in &facts.profile.meta.notes {
        out.push_str(&paragraph("  note", 12, note, facts.width));
    }
    out.push_str(&next(facts));
    out
}

/// The line that begins with the file.
fn figures(facts: &RecordFacts<'_>, quality: &Quality) -> String {
    let file = clean(facts.file);
    let share = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), percent);
    let segments = [
        file.clone(),
        bytes(facts.file_bytes as f64),
        counted(quality.samples, "sample"),
        format!("coverage {}", share(quality.coverage)),
        format!("lost {}", count(quality.lost_samples)),
        format!("complete stacks {}", share(quality.complete)),
        format!("named frames {}", share(quality.symbolized)),
    ];
    let text = flow(&segments, 2, facts.width);
    paint(STRONG, &file) + &text[file.len()..]
}

/// How it was recorded and what that cost.
fn circumstances(profile: &Profile) -> Vec<String> {
    let meta = &profile.meta;
    let mut segments = Vec::new();
    if !meta.event.is_empty() {
        segments.push(format!("event {}", clean(&meta.event)));
    }
    if let Some(rate) = meta.rate_hz {
        segments.push(rate_reached(profile, rate));
    }
    if !meta.rung.is_empty() {
        segments.push(clean(&meta.rung));
    }
    if !meta.unwinder.is_empty() {
        segments.push(clean(&meta.unwinder));
    }
    if let Some(used) = meta.recorder_cpu_ns.filter(|_| meta.duration_ns > 0) {
        segments.push(recorder_cost(used, meta.duration_ns));
    }
    segments
}

/// Samples for each second of CPU time, against what was asked for.
fn rate_reached(profile: &Profile, asked: u64) -> String {
    match profile.meta.cpu_time_ns.filter(|&ns| ns > 0) {
        Some(cpu) => {
            let reached = profile.sample_count() as f64 * 1e9 / cpu as f64;
            format!("{} of {} Hz", count(reached.round() as u64), count(asked))
        }
        None => format!("{} Hz", count(asked)),
    }
}

/// A share of a CPU, or plain time where the run was too short for a share to say anything.
fn recorder_cost(used_ns: u64, duration_ns: u64) -> String {
    if duration_ns < 100_000_000 {
        return format!("recorder used {} of CPU", time(used_ns as f64));
    }
    let share = used_ns as f64 / duration_ns as f64;
    format!("recorder used {} of a CPU", percent(share))
}

fn flow_at(indent: usize, segments: &[String], width: usize) -> String {
    if segments.is_empty() {
        return String::new();
    }
    " ".repeat(indent) + &flow(segments, indent, width.saturating_sub(indent))
}

fn next(facts: &RecordFacts<'_>) -> String {
    let file = shell_word(facts.file);
    let commands = [
        format!("hotproof report {file}"),
        format!("hotproof export {file} -o flame.svg"),
    ];
    let label = paint(FAINT, "next");
    if facts.profile.samples.is_empty() {
        let cure = "no samples: record a longer run, or more often (-F 9973)";
        return styled_paragraph("next", CAUTION, 6, cure, facts.width);
    }
    // A command is never broken over lines, so that it can be copied.
    format!("{label}  {}\n      {}\n", commands[0], commands[1])
}

/// A word as a shell reads it back.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A command as one would type it. What was attached to (`pid 7`) was never typed.
pub fn shell_words(command: &[String]) -> String {
    let typed = |word: &String| match word.strip_prefix("pid ") {
        Some(_) => word.clone(),
        None if command.len() == 1 && word == "whole system" => word.clone(),
        None => shell_word(word),
    };
    command.iter().map(typed).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_can_be_pasted_into_a_shell() {
        assert_eq!(shell_word("profile.hotproof"), "profile.hotproof");
        assert_eq!(shell_word("my file"), "'my file'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    /// Words keep their quotes, and what was attached to gets none.
    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        let shown = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            shell_words(&words)
        };
        assert_eq!(shown(&["sh", "-c", "seq 3 | wc"]), "sh -c 'seq 3 | wc'");
        assert_eq!(shown(&["pid 7", "pid 8"]), "pid 7 pid 8");
        assert_eq!(shown(&["whole system"]), "whole system");
    }
}
