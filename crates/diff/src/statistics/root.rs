//! Where a continuous function of one number changes its sign.

/// A function's value at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) at: f64,
    pub(super) value: f64,
}

impl Point {
    /// Zero is not negative.
    pub(super) fn is_negative(self) -> bool {
        self.value < 0.0
    }
}

/// The end that is not negative of a bracket at most `width` wide, inside of the one given: the
/// function is negative at `negative`, not so at `other`, on whichever side that lies.
///
/// The ITP method of Oliveira and Takahashi (ACM Transactions on Mathematical Software 47, 2020)
/// with k1 = 0.2, k2 = 2, n0 = 1: as quick as the secant where the function is smooth, and at most
/// one step slower than bisection wherever it is not.
pub(super) fn sign_change(
    mut negative: Point,
    mut other: Point,
    width: f64,
    value: impl Fn(f64) -> f64,
) -> Point {
    let first = (other.at - negative.at).abs();
    let halvings = (first / width).log2().ceil().max(0.0) as i32;
    for step in 0..=halvings + 1 {
        let span = (other.at - negative.at).abs();
        if span <= width {
            break;
        }
        let radius = width / 2.0 * 2.0_f64.powi(halvings + 1 - step) - span / 2.0;
        let at = next_place(negative, other, radius.max(0.0), 0.2 / first * span * span);
        let point = Point {
            at,
            value: value(at),
        };
        if point.is_negative() {
            negative = point;
        } else {
            other = point;
        }
    }
    other
}

/// The secant's crossing, moved towards the middle by `truncation` and not farther from it than
/// `radius`.
fn next_place(negative: Point, other: Point, radius: f64, truncation: f64) -> f64 {
    let middle = f64::midpoint(negative.at, other.at);
    let slope = other.value - negative.value;
    let secant = (other.value * negative.at - negative.value * other.at) / slope;
    if !secant.is_finite() {
        return middle;
    }
    let inward = (middle - secant).signum();
    let truncated = if truncation <= (middle - secant).abs() {
        secant + inward * truncation
    } else {
        middle
    };
    if (truncated - middle).abs() <= radius {
        truncated
    } else {
        middle - inward * radius
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Smooth functions take a few steps, steps and poles no more than bisection and one.
    #[test]
    fn the_crossing_is_found_in_few_steps() {
        type Function = fn(f64) -> f64;
        let functions: [(&str, Function, f64, u32); 5] = [
            ("line", |x| x - 0.3, 0.3, 8),
            ("parabola", |x| x * x - 0.5, 0.5_f64.sqrt(), 10),
            ("logarithm", |x| (x + 1e-9).ln() + 5.0, (-5.0_f64).exp(), 22),
            ("step", |x| if x < 0.7 { -1.0 } else { 1e9 }, 0.7, 22),
            (
                "infinite",
                |x| if x < 0.7 { -1.0 } else { f64::INFINITY },
                0.7,
                22,
            ),
        ];
        for (name, function, expected, most) in functions {
            // From either side: the mirrored function falls.
            for mirrored in [false, true] {
                let calls = Cell::new(0);
                let value = |x: f64| {
                    calls.set(calls.get() + 1);
                    function(if mirrored { 1.0 - x } else { x })
                };
                let point = |at: f64| Point {
                    at,
                    value: function(if mirrored { 1.0 - at } else { at }),
                };
                let (low, high) = if mirrored {
                    (point(1.0), point(0.0))
                } else {
                    (point(0.0), point(1.0))
                };
                let width = 2.0_f64.powi(-20);
                let found = sign_change(low, high, width, value);
                let expected = if mirrored { 1.0 - expected } else { expected };
                assert!((found.at - expected).abs() <= width, "{name}: {found:?}");
                assert!(!found.is_negative(), "{name}: {found:?}");
                assert!(calls.get() <= most, "{name}: {} calls", calls.get());
            }
        }
    }
}
