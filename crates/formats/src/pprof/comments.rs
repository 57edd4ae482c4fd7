//! What a reader has to know and the format has no field for: as comments, and back.

use hotproof_profile::{Lost, Meta, Profile, StackEnd};

/// The comments of a profile: those that it came with, or our own.
pub(super) fn of(profile: &Profile) -> Vec<String> {
    let meta = &profile.meta;
    if profile.foreign.is_some() {
        return meta.notes.clone();
    }
    let ends = &profile.samples.end;
    let count = |end| ends.iter().filter(|&&other| other == end).count();
    let mut comments = vec![
        format!("command: {}", meta.command.join(" ")),
        format!("event: {}", meta.event),
        format!("rung: {}", meta.rung),
        format!("unwinder: {}", meta.unwinder),
        lost(meta),
        format!(
            "stacks: {} samples, {} truncated, {} failed, {} of unknown end",
            ends.len(),
            count(StackEnd::Truncated),
            count(StackEnd::Failed),
            count(StackEnd::Unknown)
        ),
    ];
    comments.extend(meta.notes.iter().map(|note| format!("note: {note}")));
    comments
}

const NOT_KNOWN: &str = "lost: not known";

/// A profile that does not say how it was recorded cannot say either that nothing was lost.
fn lost(meta: &Meta) -> String {
    let Lost {
        samples,
        records,
        throttled,
    } = meta.lost;
    if meta.rung.is_empty() && meta.lost == Lost::default() {
        return NOT_KNOWN.to_owned();
    }
    format!("lost: {samples} samples, {records} other records; throttled {throttled} times")
}

/// Reads comments of ours back into `meta`; `false`, and nothing is changed, when they are not
/// ours.
pub(super) fn restore(comments: &[&str], meta: &mut Meta) -> bool {
    let restored = parse(comments, meta);
    let is_ours = restored.is_some();
    if let Some(restored) = restored {
        *meta = restored;
    }
    is_ours
}

fn parse(comments: &[&str], meta: &Meta) -> Option<Meta> {
    let [command, event, rung, unwinder, lost, stacks, notes @ ..] = comments else {
        return None;
    };
    stacks.strip_prefix("stacks: ")?;
    let command = command.strip_prefix("command: ")?;
    let notes = notes.iter().map(|note| note.strip_prefix("note: "));
    let notes: Option<Vec<&str>> = notes.collect();
    Some(Meta {
        command: Some(command.to_owned())
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect(),
        event: event.strip_prefix("event: ")?.to_owned(),
        rung: rung.strip_prefix("rung: ")?.to_owned(),
        unwinder: unwinder.strip_prefix("unwinder: ")?.to_owned(),
        lost: parse_lost(lost)?,
        notes: notes?.into_iter().map(str::to_owned).collect(),
        ..meta.clone()
    })
}

fn parse_lost(text: &str) -> Option<Lost> {
    if text == NOT_KNOWN {
        return Some(Lost::default());
    }
    let (samples, rest) = text.strip_prefix("lost: ")?.split_once(" samples, ")?;
    let (records, rest) = rest.split_once(" other records; throttled ")?;
    Some(Lost {
        samples: samples.parse().ok()?,
        records: records.parse().ok()?,
        throttled: rest.strip_suffix(" times")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folded stacks say nothing of losses; written as pprof they claimed that there were none.
    #[test]
    fn what_is_not_known_to_be_lost_is_no_nothing() {
        let recorded = |rung: &str, samples| Meta {
            rung: rung.to_owned(),
            lost: Lost {
                samples,
                ..Lost::default()
            },
            ..Meta::default()
        };
        let cases = [
            (recorded("", 0), NOT_KNOWN),
            (recorded("user", 0), "lost: 0 samples, 0 other"),
            (recorded("", 3), "lost: 3 samples, 0 other"),
        ];
        for (meta, says) in cases {
            let text = lost(&meta);
            assert!(text.starts_with(says), "{text}");
            assert_eq!(parse_lost(&text), Some(meta.lost));
        }
    }
}
