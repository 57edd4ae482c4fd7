//! Time on the CPU, off it, or both, of recordings that hold time off the CPU.
//!
//! Such a recording has rows of two kinds: samples, which stand for time on the CPU, and rows of
//! the weights [`BLOCKED`] and [`PREEMPTED`], which do not. A view of it has one weight and the rows
//! that have some of it, so that numbers of samples, completeness and coverage are those of what is
//! shown.

use super::select::retain;
use crate::profile::Profile;
use crate::rows::{BLOCKED, ELAPSED, PREEMPTED, Unit, Weight};

/// The weight that is all time off the CPU: [`BLOCKED`] and [`PREEMPTED`] together.
pub const OFF_CPU: &str = "off-cpu";
/// The weight that is all time, on the CPU and off it.
pub const WALL: &str = "wall";

/// Whether the recording holds time off the CPU.
pub fn holds_off_cpu(profile: &Profile) -> bool {
    [BLOCKED, PREEMPTED]
        .iter()
        .all(|name| column(profile, name).is_some())
}

fn column(profile: &Profile, name: &str) -> Option<usize> {
    profile
        .weights
        .iter()
        .position(|row| row.name == name && row.unit == Unit::Nanoseconds)
}

/// The profile without time off the CPU, as a recording without it would be, but for a note that
/// says how much there was; one that holds none is unchanged.
#[must_use]
pub fn on_cpu(mut profile: Profile) -> Profile {
    if !holds_off_cpu(&profile) {
        return profile;
    }
    let off: Vec<usize> = [BLOCKED, PREEMPTED]
        .iter()
        .filter_map(|name| column(&profile, name))
        .collect();
    let note = told(&profile, &off);
    let rows = 0..profile.samples.len();
    let mask: Vec<bool> = rows
        .map(|row| off.iter().all(|&k| profile.samples.weights[k][row] == 0))
        .collect();
    retain(&mut profile, &mask);
    for name in [BLOCKED, PREEMPTED, ELAPSED] {
        if let Some(k) = column(&profile, name) {
            profile.weights.remove(k);
            profile.samples.weights.remove(k);
        }
    }
    profile.meta.notes.push(note);
    profile
}

/// Says what `columns`, time blocked and time preempted, come to.
fn told(profile: &Profile, columns: &[usize]) -> String {
    let seconds = |&k: &usize| profile.total_weight(k) as f64 / 1e9;
    let parts: Vec<String> = columns
        .iter()
        .map(|k| format!("{:.3} s {}", seconds(k), profile.weights[*k].name))
        .collect();
    format!(
        "Over all threads, time off the CPU was {}: --weight off-cpu or wall shows it.",
        parts.join(" and ")
    )
}

/// The view of a recording with time off the CPU that has one weight or a sum of weights; the
/// profile itself when it has none of that name.
pub(super) fn with_weight(mut profile: Profile, name: &str) -> Result<Profile, Box<Profile>> {
    let names: &[&str] = match name {
        WALL => &["cpu", BLOCKED, PREEMPTED],
        OFF_CPU => &[BLOCKED, PREEMPTED],
        BLOCKED | PREEMPTED | ELAPSED => &[name],
        // The samples and their event, with what was counted of it.
        _ if profile.weights.iter().any(|row| row.name == name) => {
            let mut profile = on_cpu(profile);
            let k = profile.weights.iter().position(|row| row.name == name);
            if let Some(k) = k {
                profile.weights = vec![profile.weights.swap_remove(k)];
                profile.samples.weights = vec![profile.samples.weights.swap_remove(k)];
            }
            return Ok(profile);
        }
        _ => return Err(Box::new(profile)),
    };
    let columns: Option<Vec<usize>> = names.iter().map(|name| column(&profile, name)).collect();
    let Some(columns) = columns else {
        return Err(Box::new(profile));
    };
    let sum = |row: usize| {
        columns
            .iter()
            .map(|&k| profile.samples.weights[k][row])
            .sum()
    };
    let sums: Vec<i64> = (0..profile.samples.len()).map(sum).collect();
    let mask: Vec<bool> = sums.iter().map(|&sum| sum != 0).collect();
    profile.weights = vec![Weight {
        name: name.to_owned(),
        unit: Unit::Nanoseconds,
    }];
    profile.samples.weights = vec![sums];
    retain(&mut profile, &mask);
    // What was counted is CPU time, of which this is no part.
    profile.meta.cpu_time_ns = None;
    profile.meta.notes.push(explained(name).to_owned());
    Ok(profile)
}

fn explained(name: &str) -> &'static str {
    match name {
        WALL => "Times are those of threads, on the CPU and off it, added up over all threads.",
        BLOCKED => "Times are those in which threads waited for something, over all threads.",
        ELAPSED => {
            "Times are those of the whole run, each moment once: threads that ran at once share it, \
             and what none ran in belongs to the one that ran next."
        }
        PREEMPTED => "Times are those in which threads could run and waited for a CPU.",
        _ => "Times are those in which threads were off the CPU, over all threads.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::Transform;
    use crate::{Process, Sample, StackEnd, Thread};

    /// Three samples of 10 ns, a wait of 70, and 5 without a CPU.
    fn recording() -> Profile {
        let mut profile = Profile::default();
        let weight = |name: &str, unit| Weight {
            name: name.to_owned(),
            unit,
        };
        profile.weights = vec![
            weight("samples", Unit::Count),
            weight("cpu", Unit::Nanoseconds),
            weight(BLOCKED, Unit::Nanoseconds),
            weight(PREEMPTED, Unit::Nanoseconds),
            weight(ELAPSED, Unit::Nanoseconds),
        ];
        profile.samples.weights = vec![Vec::new(); 5];
        profile.meta.cpu_time_ns = Some(30);
        let name = profile.strings.intern("x");
        let process = profile.processes.push(Process {
            pid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let thread = profile.threads.push(Thread {
            process,
            tid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let on = [1, 10, 0, 0, 9];
        for weights in [on, [0, 0, 70, 0, 60], on, [0, 0, 0, 5, 0], on] {
            profile.samples.push(&Sample {
                thread,
                time_ns: 0,
                stack: None,
                weights: &weights,
                cpu: None,
                end: StackEnd::Complete,
                labels: None,
            });
        }
        profile
    }

    /// Each view has the sum that its name says and the rows that have a part in it; what was
    /// counted of CPU time stays with time on the CPU alone.
    #[test]
    fn each_view_has_its_rows_and_its_sum() {
        let cases = [
            ("cpu", 30, 3, Some(30)),
            ("samples", 3, 3, Some(30)),
            (BLOCKED, 70, 1, None),
            (PREEMPTED, 5, 1, None),
            (OFF_CPU, 75, 2, None),
            (WALL, 105, 5, None),
            (ELAPSED, 87, 4, None),
        ];
        for (name, sum, rows, counted_ns) in cases {
            let transform = Transform {
                weight: Some(name),
                ..Transform::default()
            };
            let view = transform.apply(recording()).unwrap();
            assert_eq!(
                (view.total_weight(0), view.samples.len()),
                (sum, rows),
                "{name}"
            );
            assert_eq!(view.meta.cpu_time_ns, counted_ns, "{name}");
            assert_eq!(view.weights[0].name, name);
        }
        let on = on_cpu(recording());
        assert_eq!(
            (on.samples.len(), on.weights.len(), on.sample_count()),
            (3, 2, 3)
        );
        assert_eq!(recording().sample_count(), 3);
        let transform = Transform {
            weight: Some("sleep"),
            ..Transform::default()
        };
        let refused = transform.apply(recording()).unwrap_err().to_string();
        assert!(
            refused.contains("off-cpu") && refused.contains("wall"),
            "{refused}"
        );
    }
}
