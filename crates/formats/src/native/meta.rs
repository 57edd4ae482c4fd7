//! The facts about the whole recording, to their message and back.

use hotproof_profile::{Claims, Counter, Exit, Foreign, Host, Lost, Meta};

use super::schema;

pub(super) fn to_message(meta: &Meta, foreign: Option<&Foreign>) -> schema::Meta {
    schema::Meta {
        command: meta.command.clone(),
        started_unix_ns: meta.started_unix_ns,
        duration_ns: meta.duration_ns,
        clock: meta.clock.clone(),
        event: meta.event.clone(),
        period: meta.period,
        rate_hz: meta.rate_hz,
        rung: meta.rung.clone(),
        unwinder: meta.unwinder.clone(),
        cpu_time_ns: meta.cpu_time_ns,
        recorder_cpu_ns: meta.recorder_cpu_ns,
        exit_code: meta.exit.and_then(|exit| match exit {
            Exit::Code(code) => Some(code),
            Exit::Signal(_) => None,
        }),
        exit_signal: meta.exit.and_then(|exit| match exit {
            Exit::Code(_) => None,
            Exit::Signal(signal) => Some(signal),
        }),
        lost_samples: meta.lost.samples,
        lost_records: meta.lost.records,
        throttled: meta.lost.throttled,
        host_arch: meta.host.arch.clone(),
        host_kernel: meta.host.kernel.clone(),
        host_cpu_model: meta.host.cpu_model.clone(),
        host_cpus: meta.host.cpus,
        notes: meta.notes.clone(),
        foreign: foreign.map(foreign_to_message),
        counters: meta.counters.iter().map(counter_to_message).collect(),
    }
}

fn counter_to_message(counter: &Counter) -> schema::Counter {
    schema::Counter {
        name: counter.name.clone(),
        unit: schema::Unit::from(counter.unit).into(),
        value: counter.value,
        counted: counter.counted,
    }
}

/// `None` for a unit that this version does not know, or a share of the run that is none.
fn counter_from_message(message: schema::Counter) -> Option<Counter> {
    let unit = schema::Unit::try_from(message.unit).ok()?;
    (0.0..=1.0).contains(&message.counted).then(|| Counter {
        name: message.name,
        unit: unit.into(),
        value: message.value,
        counted: message.counted,
    })
}

fn foreign_to_message(foreign: &Foreign) -> schema::Foreign {
    let number = |claims: &Claims| {
        let flags = [claims.functions, claims.files, claims.lines, claims.inlines];
        (0..)
            .zip(flags)
            .map(|(bit, flag)| u32::from(flag) << bit)
            .sum()
    };
    schema::Foreign {
        doc_url: foreign.doc_url.clone(),
        default_weight: foreign.default_weight.clone(),
        drop_frames: foreign.drop_frames.clone(),
        keep_frames: foreign.keep_frames.clone(),
        period_unit: foreign.period_unit.clone(),
        weight_units: foreign.weight_units.clone(),
        image_claims: foreign.images.iter().map(number).collect(),
    }
}

/// Bits of later versions say nothing to this one.
pub(super) fn foreign_from_message(message: schema::Foreign) -> Foreign {
    let claims = |number: &u32| {
        let [functions, files, lines, inlines] = [0, 1, 2, 3].map(|bit| number >> bit & 1 == 1);
        Claims {
            functions,
            files,
            lines,
            inlines,
        }
    };
    Foreign {
        doc_url: message.doc_url,
        default_weight: message.default_weight,
        drop_frames: message.drop_frames,
        keep_frames: message.keep_frames,
        period_unit: message.period_unit,
        weight_units: message.weight_units,
        images: message.image_claims.iter().map(claims).collect(),
    }
}

/// `None` when the target both exited and was killed, or when a counter makes no sense.
pub(super) fn from_message(message: schema::Meta) -> Option<Meta> {
    let exit = match (message.exit_code, message.exit_signal) {
        (None, None) => None,
        (Some(code), None) => Some(Exit::Code(code)),
        (None, Some(signal)) => Some(Exit::Signal(signal)),
        (Some(_), Some(_)) => return None,
    };
    let counters = message.counters.into_iter().map(counter_from_message);
    Some(Meta {
        counters: counters.collect::<Option<_>>()?,
        command: message.command,
        started_unix_ns: message.started_unix_ns,
        duration_ns: message.duration_ns,
        clock: message.clock,
        event: message.event,
        period: message.period,
        rate_hz: message.rate_hz,
        rung: message.rung,
        unwinder: message.unwinder,
        cpu_time_ns: message.cpu_time_ns,
        recorder_cpu_ns: message.recorder_cpu_ns,
        exit,
        lost: Lost {
            samples: message.lost_samples,
            records: message.lost_records,
            throttled: message.throttled,
        },
        host: Host {
            arch: message.host_arch,
            kernel: message.host_kernel,
            cpu_model: message.host_cpu_model,
            cpus: message.host_cpus,
        },
        notes: message.notes,
    })
}
