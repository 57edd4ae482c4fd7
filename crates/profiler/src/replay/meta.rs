//! The facts about the whole recording, and what a reader has to know.

use std::io::Read;

use hotproof_profile::{Host, Id, Lost, Meta, Profile};

use super::Counted;
use super::attr::{Attr, sample_type};
use super::header::Header;
use super::observe::Observer;

/// The facts that the profile carries.
pub(super) fn meta(
    header: &Header,
    attr: &Attr,
    observer: &Observer<'_>,
    counted: &Counted,
) -> Meta {
    let features = &header.features;
    let (first_ns, last_ns) = observer.span_ns.unwrap_or((0, 0));
    let started_unix_ns = features
        .clocks_ns
        .and_then(|(wall, clock)| wall.checked_add(first_ns)?.checked_sub(clock));
    Meta {
        command: features.command.clone(),
        started_unix_ns,
        duration_ns: last_ns - first_ns,
        clock: "perf".to_owned(),
        event: attr.title(),
        period: attr.period(),
        rate_hz: attr.rate_hz(),
        rung: format!("perf record, {}", attr.scope()),
        unwinder: unwinder(attr),
        lost: Lost {
            // perf of later versions tells the same drops in both ways.
            samples: counted.lost_records.max(counted.lost_samples),
            records: counted.undecodable,
            throttled: counted.throttled,
        },
        host: Host {
            arch: features.arch.clone(),
            kernel: kernel(header, observer),
            cpu_model: features.cpu_model.clone(),
            cpus: features.cpus,
        },
        notes: notes(header, attr, counted, unmapped_note(&observer.profile)),
        ..Meta::default()
    }
}

fn unwinder(attr: &Attr) -> String {
    if attr.copies_stack() {
        let kib = f64::from(attr.stack_user_bytes) / 1024.0;
        format!("registers and {kib:.1} KiB of stack, unwound by CFI")
    } else if attr.has(sample_type::CALLCHAIN) {
        "frame pointers, by the kernel".to_owned()
    } else {
        "none: addresses only".to_owned()
    }
}

/// The kernel's release, marked when addresses in it mean something else by now: its symbols move
/// with each boot.
fn kernel(header: &Header, observer: &Observer<'_>) -> String {
    let release = header.features.os_release.clone();
    let same = observer.kernel_start.as_ref().is_none_or(|(symbol, at)| {
        let now = running_address(symbol);
        now.is_none_or(|now| now == 0 || now == *at)
    });
    if same {
        release
    } else {
        format!("{release} of another boot")
    }
}

/// Where a symbol at the start of the running kernel lies; `None` when the list does not say so in
/// its first lines.
fn running_address(symbol: &str) -> Option<u64> {
    let mut head = Vec::new();
    let list = std::fs::File::open("/proc/kallsyms").ok()?;
    list.take(1 << 14).read_to_end(&mut head).ok()?;
    let text = String::from_utf8_lossy(&head);
    let line = text.lines().find(|line| {
        let name = line.split_whitespace().nth(2);
        name == Some(symbol)
    })?;
    u64::from_str_radix(line.split_whitespace().next()?, 16).ok()
}

/// How many samples have addresses that lie nowhere. They are one location, `[unknown]`.
fn unmapped_note(profile: &Profile) -> Option<String> {
    // Parents come first.
    let mut astray: Vec<bool> = Vec::with_capacity(profile.stacks.len());
    for (_, row) in profile.stacks.iter() {
        let here = profile.locations[row.location].image.is_none();
        astray.push(here || row.parent.is_some_and(|parent| astray[parent.index()]));
    }
    let counts = profile.samples.weights.first()?;
    let (mut all, mut some, mut leaves) = (0, 0, 0);
    for (&count, stack) in counts.iter().zip(&profile.samples.stack) {
        all += count;
        let Some(stack) = *stack else { continue };
        let leaf = profile.stacks[stack].location;
        some += if astray[stack.index()] { count } else { 0 };
        leaves += if profile.locations[leaf].image.is_none() {
            count
        } else {
            0
        };
    }
    let percent = |part: i64| 100.0 * part as f64 / all as f64;
    (some > 0).then(|| {
        format!(
            "{:.1} % of samples have addresses in no known mapping, shown as [unknown] ({:.1} % as \
             the leaf): code without frame pointers leads the kernel's walk astray, and code made at \
             run time has no file.",
            percent(some),
            percent(leaves),
        )
    })
}

fn notes(header: &Header, attr: &Attr, counted: &Counted, unmapped: Option<String>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |count: u64, text: String| {
        if count > 0 {
            notes.push(text);
        }
    };
    if let Some(at) = counted.broken_at {
        note(
            1,
            format!("The recording is broken at byte {at}; what follows is missing."),
        );
    }
    let missing = counted.missing_bytes;
    let text = if header.data.end == u64::MAX {
        "The recording ends within a record: the recorder did not finish it.".to_owned()
    } else {
        format!("The recording is cut: {missing} bytes of records are missing.")
    };
    note(missing, text);
    for (event, &samples) in &counted.other_events {
        let read = attr.title();
        note(
            samples,
            format!("{samples} samples of {event} were left out; those of {read} were read."),
        );
    }
    let lost = counted.lost_records.max(counted.lost_samples);
    note(
        lost,
        format!("The kernel dropped {lost} records because perf did not read them in time."),
    );
    let undecodable = counted.undecodable;
    note(
        undecodable,
        format!("{undecodable} records could not be decoded."),
    );
    let unknown: u64 = counted.unknown.values().sum();
    let kinds: Vec<String> = counted.unknown.keys().map(u32::to_string).collect();
    let kinds = kinds.join(", ");
    note(
        unknown,
        format!("{unknown} records of unknown kinds were left out ({kinds})."),
    );
    let cut = counted.cut_chains;
    note(
        cut,
        format!(
            "{cut} callchains are as long as the kernel walks: their outermost frames are missing."
        ),
    );
    let late = counted.late;
    note(
        late,
        format!("{late} records came too late to be put in order of time."),
    );
    notes.extend(unmapped);
    notes
}
