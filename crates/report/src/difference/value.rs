//! The difference as a value.

use hotproof_profile::{Code, Profile, Unit, at_least_none};

use super::join::Join;
use crate::census::Measure;

/// What the figures of both profiles are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    /// Nothing: both are figures of one run, as recorded.
    #[default]
    Run,
    /// Head's whole becomes base's whole: only shares differ.
    Total,
    /// Both become figures of one second of wall time.
    Second,
}

/// One figure of both profiles, in the unit of the difference's weight, after normalizing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Of base.
    pub base: f64,
    /// Of head.
    pub head: f64,
}

impl Figures {
    /// Head minus base: what became cheaper is negative.
    pub fn change(self) -> f64 {
        self.head - self.base
    }
}

/// In which profile a function was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// In both.
    Both,
    /// In head alone.
    Added,
    /// In base alone.
    Removed,
}

/// One function.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name without hashes, suffixes and type arguments.
    pub name: String,
    /// What joins it: place and name.
    pub key: String,
    /// Declared file, else image, as head has it, else base; `None` when neither is known.
    pub place: Option<String>,
    /// Declared line, where the file is known.
    pub line: Option<u32>,
    /// Where it was seen.
    pub presence: Presence,
    /// In the function alone.
    pub self_weight: Figures,
    /// In the function and what it calls; recursion counts once.
    pub total: Figures,
    /// Samples that have it on the stack, never normalized.
    pub samples: [u64; 2],
}

impl Row {
    /// Change of the self weight.
    pub fn self_change(&self) -> f64 {
        self.self_weight.change()
    }

    /// Change of the total.
    pub fn total_change(&self) -> f64 {
        self.total.change()
    }
}

/// What differs between two profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What the weight is called in base.
    pub weight: String,
    /// Its unit.
    pub unit: Unit,
    /// What the figures were brought to.
    pub normalize: Normalize,
    /// What each recorded weight was multiplied by.
    pub factors: Figures,
    /// All samples together.
    pub whole: Figures,
    /// How many samples.
    pub samples: [u64; 2],
    /// All functions that were seen in either, in the order of name and place.
    pub rows: Vec<Row>,
    /// Functions of which one profile alone says the file (the other's format has none, or its
    /// program no debug information), so that nothing but their names joins them.
    pub joined_by_name: usize,
}

/// Why two profiles have no difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// There is nothing to weigh.
    #[error("{side} has no weighted sample, so there is nothing to compare; record a longer run")]
    Empty {
        /// `base` or `head`.
        side: &'static str,
    },
    /// The figures do not mean the same.
    #[error(
        "base and head cannot be compared: the {what} is {base} in base and {head} in head; {remedy}"
    )]
    Unlike {
        /// What differs.
        what: &'static str,
        /// That of base.
        base: String,
        /// That of head.
        head: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is no wall time to divide by.
    #[error(
        "{side} does not say how long it took, so nothing can be told per second; use --normalize total"
    )]
    NoDuration {
        /// `base` or `head`.
        side: &'static str,
    },
}

pub(super) const SIDES: [&str; 2] = ["base", "head"];

/// The factors that bring the weights of both to one measure.
pub(super) fn factors(
    profiles: [&Profile; 2],
    measures: [Measure; 2],
    normalize: Normalize,
) -> Result<Figures, DiffError> {
    let wholes = [0, 1].map(|side| profiles[side].total_weight(measures[side].weight));
    for (side, &whole) in wholes.iter().enumerate() {
        if whole <= 0 {
            return Err(DiffError::Empty { side: SIDES[side] });
        }
    }
    let durations = profiles.map(|profile| profile.meta.duration_ns);
    match normalize {
        Normalize::Run => Ok(Figures {
            base: 1.0,
            head: 1.0,
        }),
        Normalize::Total => Ok(Figures {
            base: 1.0,
            head: wholes[0] as f64 / wholes[1] as f64,
        }),
        Normalize::Second => match durations.iter().position(|&duration_ns| duration_ns == 0) {
            Some(side) => Err(DiffError::NoDuration { side: SIDES[side] }),
            None => Ok(Figures {
                base: 1e9 / durations[0] as f64,
                head: 1e9 / durations[1] as f64,
            }),
        },
    }
}

/// What has to be known beside the figures, a sentence each: when only one of two profiles says what
/// was sampled, as folded stacks do not, and when they are of unlike machines.
pub fn doubts(profiles: [&Profile; 2]) -> Vec<String> {
    unknown_event(profiles)
        .into_iter()
        .chain(unlike_machines(profiles))
        .collect()
}

fn unknown_event(profiles: [&Profile; 2]) -> Option<String> {
    let (silent, other, event) = match profiles.map(|profile| profile.meta.event.as_str()) {
        ["", ""] => return None,
        ["", event] => (SIDES[0], SIDES[1], event),
        [event, ""] => (SIDES[1], SIDES[0], event),
        _ => return None,
    };
    Some(format!(
        "{silent} does not say what was sampled, {other} is of {event}: whether the figures mean the same is for you to know"
    ))
}

fn unlike_machines(profiles: [&Profile; 2]) -> Option<String> {
    let facts = profiles.map(|profile| {
        let host = &profile.meta.host;
        let cpus = (host.cpus > 0).then(|| host.cpus.to_string());
        [
            ("CPU", host.cpu_model.clone()),
            ("number of CPUs", cpus.unwrap_or_default()),
            ("architecture", host.arch.clone()),
            ("kernel", host.kernel.clone()),
        ]
    });
    let [base, head] = &facts;
    let both = base.iter().zip(head);
    let unlike =
        both.filter(|((_, base), (_, head))| !base.is_empty() && !head.is_empty() && base != head);
    let unlike: Vec<String> = unlike
        .map(|((what, base), (_, head))| format!("{what}: {base} and {head}"))
        .collect();
    (!unlike.is_empty()).then(|| {
        format!(
            "base and head were recorded on unlike machines ({})",
            unlike.join("; ")
        )
    })
}

/// The weights to compare, if they mean the same.
pub(super) fn measures(
    profiles: [&Profile; 2],
    normalize: Normalize,
) -> Result<[Measure; 2], DiffError> {
    let mut found = Vec::with_capacity(2);
    for (side, profile) in SIDES.into_iter().zip(profiles) {
        found.push(Measure::of(profile).ok_or(DiffError::Empty { side })?);
    }
    let [base, head] = [found[0], found[1]];
    let event = |profile: &Profile| format!("`{}`", profile.meta.event);
    let events = match unknown_event(profiles) {
        None => profiles.map(event),
        Some(_) => [String::new(), String::new()],
    };
    let pace = profiles.map(
        |profile| match (profile.meta.period, profile.meta.rate_hz) {
            (Some(period), _) => format!("one sample in {period}"),
            (None, Some(rate)) => format!("{rate} Hz"),
            (None, None) => "unknown".to_owned(),
        },
    );
    let units = [base, head].map(|measure| format!("{:?}", measure.unit));
    // Weights in time already account for the pace, and so do shares.
    let timed = base.unit == Unit::Nanoseconds || normalize == Normalize::Total;
    let facts = [
        ("event", events, "record both with the same event"),
        (
            "unit of the weight",
            units,
            "choose a weight that both have with --weight",
        ),
        (
            "period or rate",
            pace,
            "record both at one rate, or use --normalize total",
        ),
    ];
    for (index, (what, [base, head], remedy)) in facts.into_iter().enumerate() {
        if base != head && !(index == 2 && timed) {
            return Err(DiffError::Unlike {
                what,
                base,
                head,
                remedy,
            });
        }
    }
    Ok([base, head])
}

/// Whether two profiles have a difference.
///
/// # Errors
/// As [`difference`].
pub fn check(base: &Profile, head: &Profile, normalize: Normalize) -> Result<(), DiffError> {
    let profiles = [base, head];
    let measures = measures(profiles, normalize)?;
    factors(profiles, measures, normalize).map(drop)
}

/// Compares two profiles, base first.
///
/// # Errors
/// When either has no weight, when events, units or rates differ, and when a wall time is needed
/// that a profile does not tell.
pub fn difference(
    base: &Profile,
    head: &Profile,
    normalize: Normalize,
) -> Result<Difference, DiffError> {
    let profiles = [base, head];
    let measures = measures(profiles, normalize)?;
    let factors = factors(profiles, measures, normalize)?;
    let join = Join::of(profiles);
    let sides = [0, 1].map(|side| Tally::of(&join, side, profiles[side], measures[side]));
    let figures = |of: &dyn Fn(&Tally) -> i64| Figures {
        base: of(&sides[0]) as f64 * factors.base,
        head: of(&sides[1]) as f64 * factors.head,
    };
    let mut rows = Vec::new();
    for (index, key) in join.keys.iter().enumerate() {
        let samples = [0, 1].map(|side: usize| at_least_none(sides[side].samples[index]));
        let presence = match [0, 1].map(|side: usize| sides[side].seen[index]) {
            [false, false] => continue,
            [true, false] => Presence::Removed,
            [false, true] => Presence::Added,
            [true, true] => Presence::Both,
        };
        let line = |side: usize| match join.code[side][index]? {
            Code::Function(id) => profiles[side].functions[id].line,
            Code::Unnamed(_) | Code::Unmapped => None,
        };
        rows.push(Row {
            name: key.name.to_string(),
            key: format!("{}::{}", key.place, key.name),
            place: (!key.place.is_empty()).then(|| key.place.to_string()),
            line: line(1).or_else(|| line(0)),
            presence,
            self_weight: figures(&|tally| tally.self_weight[index]),
            total: figures(&|tally| tally.total[index]),
            samples,
        });
    }
    Ok(Difference {
        weight: base.weights[measures[0].weight].name.clone(),
        unit: measures[0].unit,
        normalize,
        factors,
        whole: figures(&|tally| tally.whole),
        samples: profiles.map(Profile::sample_count),
        rows,
        joined_by_name: join.by_name,
    })
}

/// The weights of one profile by row.
struct Tally {
    self_weight: Vec<i64>,
    total: Vec<i64>,
    samples: Vec<i64>,
    seen: Vec<bool>,
    whole: i64,
}

impl Tally {
    fn of(join: &Join<'_>, side: usize, profile: &Profile, measure: Measure) -> Self {
        let rows = join.keys.len();
        let mut tally = Tally {
            self_weight: vec![0; rows],
            total: vec![0; rows],
            samples: vec![0; rows],
            seen: vec![false; rows],
            whole: profile.total_weight(measure.weight),
        };
        let mut last_seen = vec![usize::MAX; rows];
        let stacks = profile.stack_weights(measure.weight);
        for (turn, entry) in stacks.iter().enumerate() {
            for (depth, row) in join.path(side, profile, entry.stack).enumerate() {
                if depth == 0 {
                    tally.self_weight[row] += entry.weight;
                }
                if last_seen[row] != turn {
                    last_seen[row] = turn;
                    tally.total[row] += entry.weight;
                    tally.samples[row] += entry.samples;
                    tally.seen[row] |= entry.is_seen();
                }
            }
        }
        tally
    }
}
