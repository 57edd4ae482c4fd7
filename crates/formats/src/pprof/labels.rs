//! The labels of a sample: who ran, how its stack ends, and what the profile knows besides.

use hotproof_profile::{LabelSetId, LabelValue, Profile, StackEnd, ThreadId};

use super::build::Texts;
use super::schema;
use crate::nameless::is_nameless;

pub(super) const PROCESS: &str = "process";
pub(super) const PID: &str = "pid";
pub(super) const THREAD: &str = "thread";
pub(super) const TID: &str = "tid";
pub(super) const STACK_END: &str = "stack_end";

/// How an end is written.
pub(super) fn end_text(end: StackEnd) -> &'static str {
    match end {
        StackEnd::Complete => "complete",
        StackEnd::Truncated => "truncated",
        StackEnd::Failed => "failed",
        StackEnd::Unknown => "unknown",
        StackEnd::Stitched => "stitched",
    }
}

/// The inverse of [`end_text`].
pub(super) fn end_of(text: &str) -> Option<StackEnd> {
    use StackEnd::*;
    [Complete, Truncated, Failed, Unknown, Stitched]
        .into_iter()
        .find(|&end| end_text(end) == text)
}

/// The end that a sample without a label has.
pub(super) fn usual_end(nameless: bool) -> StackEnd {
    if nameless {
        StackEnd::Unknown
    } else {
        StackEnd::Complete
    }
}

pub(super) fn of_sample(
    profile: &Profile,
    thread: ThreadId,
    end: StackEnd,
    set: Option<LabelSetId>,
    texts: &mut Texts,
) -> Vec<schema::Label> {
    let mut labels = Vec::new();
    let nameless = is_nameless(profile, thread);
    if !nameless {
        let thread = &profile.threads[thread];
        let process = &profile.processes[thread.process];
        labels.push(text(PROCESS, &profile.strings[process.name], texts));
        labels.push(number(PID, process.pid.into(), texts));
        labels.push(text(THREAD, &profile.strings[thread.name], texts));
        labels.push(number(TID, thread.tid.into(), texts));
    }
    if end != usual_end(nameless) {
        labels.push(text(STACK_END, end_text(end), texts));
    }
    let set = set.map_or(&[][..], |set| &profile.labels[set]);
    for label in set {
        let key = &profile.strings[label.key];
        labels.push(match label.value {
            LabelValue::Text(value) => text(key, &profile.strings[value], texts),
            LabelValue::Number { value, unit } => schema::Label {
                num_unit: unit.map_or(0, |unit| texts.id(&profile.strings[unit])),
                ..number(key, value, texts)
            },
        });
    }
    labels
}

pub(super) fn text(key: &str, value: &str, texts: &mut Texts) -> schema::Label {
    schema::Label {
        key: texts.id(key),
        str: texts.id(value),
        ..schema::Label::default()
    }
}

fn number(key: &str, num: i64, texts: &mut Texts) -> schema::Label {
    schema::Label {
        key: texts.id(key),
        num,
        ..schema::Label::default()
    }
}
