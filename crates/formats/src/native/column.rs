//! Columns: neighbours that differ little become small numbers, repeated values become runs.

use super::schema::Runs;

/// Each value as its difference from the one before it, the first from 0.
///
/// Differences wrap around, so that every pair of 64-bit values has one.
pub(super) fn to_deltas(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut last = 0i64;
    values
        .map(|value| {
            let delta = value.wrapping_sub(last);
            last = value;
            delta
        })
        .collect()
}

/// The inverse of [`to_deltas`].
pub(super) fn from_deltas(deltas: &[i64]) -> impl Iterator<Item = i64> + '_ {
    deltas.iter().scan(0i64, |last, &delta| {
        *last = last.wrapping_add(delta);
        Some(*last)
    })
}

/// Neighbours of equal value as one value and a length.
pub(super) fn to_runs(values: impl Iterator<Item = i64>) -> Runs {
    let mut runs = Runs::default();
    for value in values {
        match (runs.value.last(), runs.length.last_mut()) {
            (Some(&last), Some(length)) if last == value => *length += 1,
            _ => {
                runs.value.push(value);
                runs.length.push(1);
            }
        }
    }
    runs
}

/// The inverse of [`to_runs`]: exactly `count` values, or `None`, so that a small run table can
/// never demand more memory than the plain column beside it.
pub(super) fn from_runs(runs: &Runs, count: usize) -> Option<Vec<i64>> {
    let total = runs
        .length
        .iter()
        .try_fold(0u64, |sum, &length| sum.checked_add(length))?;
    if runs.value.len() != runs.length.len() || total != count as u64 {
        return None;
    }
    let mut values = Vec::with_capacity(count);
    for (&value, &length) in runs.value.iter().zip(&runs.length) {
        // `length` is at most `count`, which is a `usize`.
        values.extend(std::iter::repeat_n(value, length as usize));
    }
    Some(values)
}

/// An optional id as a number: 0 for none, else one more than the id.
pub(super) fn from_option(id: Option<u32>) -> i64 {
    id.map_or(0, |id| i64::from(id) + 1)
}

/// The inverse of [`from_option`]; the outer `None` for a number that stands for no id.
pub(super) fn to_option(number: i64) -> Option<Option<u32>> {
    match number {
        0 => Some(None),
        _ => u32::try_from(number.checked_sub(1)?).ok().map(Some),
    }
}
