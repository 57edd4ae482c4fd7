//! The facts about the whole recording, and what a reader has to know.

use std::io::Read;

use hotproof_profile::{Host, Lost, Meta};

use super::Counted;
use super::attr::{Attr, sample_type};
use super::header::Header;
use super::observe::Observer;

/// The facts that the profile carries.
pub(super) fn meta(header: &Header, attr: &Attr, observer: &Observer, counted: &Counted) -> Meta {
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
        notes: notes(header, attr, counted),
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
fn kernel(header: &Header, observer: &Observer) -> String {
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

fn notes(header: &Header, attr: &Attr, counted: &Counted) -> Vec<String> {
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
    if attr.copies_stack() && !matches!(header.features.arch.as_str(), "" | std::env::consts::ARCH)
    {
        let arch = &header.features.arch;
        note(
            1,
            format!("Stacks were not unwound: they are of {arch}, another architecture."),
        );
    }
    notes
}
