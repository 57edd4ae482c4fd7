//! A straight scale with round ticks, for the charts of the page.

/// From values to places on the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    /// The values at both ends.
    pub(super) values: (f64, f64),
    /// Where these are drawn.
    pub(super) places: (f64, f64),
}

impl Axis {
    /// The place of a value; beyond an end, that end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let (from, to) = self.places;
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        from + part * (to - from)
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.values.0..=self.values.1).contains(&value)
    }

    /// Round values, about `wanted` of them, lowest first, and the decimals that tell them apart.
    pub(super) fn ticks(&self, wanted: usize) -> (Vec<f64>, usize) {
        let (low, high) = self.values;
        let rough = (high - low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|round| round * power)
            .find(|&step| step >= rough)
            .unwrap_or(10.0 * power);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        // Adding 0 turns a negative zero into a plain one.
        let ticks = (first..=last).map(|n| n as f64 * step + 0.0).collect();
        (ticks, (-step.log10().floor()).max(0.0) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn ticks_are_round_and_within() {
        let ticks = |low, high| {
            let axis = Axis {
                values: (low, high),
                places: (0.0, 1.0),
            };
            axis.ticks(5)
        };
        assert_eq!(ticks(-23.0, 4.0), (vec![-20.0, -10.0, 0.0], 0));
        assert_eq!(ticks(-0.3, 0.3), (vec![-0.2, 0.0, 0.2], 1));
        let (fine, digits) = ticks(0.0, 0.012);
        assert_eq!((fine.len(), digits), (3, 3));
    }

    #[test]
    fn values_beyond_an_end_are_drawn_at_it() {
        let axis = Axis {
            values: (-1.0, 1.0),
            places: (100.0, 0.0),
        };
        assert_eq!(axis.place(0.0), 50.0);
        assert_eq!([axis.place(-7.0), axis.place(7.0)], [100.0, 0.0]);
        assert!(axis.holds(1.0) && !axis.holds(1.1));
    }
}
