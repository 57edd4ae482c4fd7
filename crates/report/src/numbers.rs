//! Figures as people read them: thousands separators, units that fit the size, no false digits.

/// A count with a comma after every three digits: `1,204`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 sample`, `1,204 samples`.
pub fn counted(value: u64, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(value))
}

/// A share of a whole, given as a fraction of 1, in per cent with one decimal; what is there but
/// would show as zero is `<0.1 %`, what is not all but would show as all is `>99.9 %`.
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    if value > 0.0 && value < 0.05 {
        "<0.1 %".to_owned()
    } else if (99.95..100.0).contains(&value) {
        ">99.9 %".to_owned()
    } else {
        format!("{value:.1} %")
    }
}

/// A figure with `digits` decimals; what rounds to zero has no minus sign.
pub fn fixed(value: f64, digits: usize) -> String {
    format!("{:.digits$}", no_minus_zero(value, digits))
}

/// As [`fixed`], with a plus sign before what is above zero.
pub fn signed(value: f64, digits: usize) -> String {
    with_sign(fixed(value, digits))
}

/// A value that rounds to zero at `digits` decimals without its minus sign.
fn no_minus_zero(value: f64, digits: usize) -> f64 {
    let half = 0.5 * 10f64.powi(-(digits as i32));
    if value.abs() < half { 0.0 } else { value }
}

/// The unit that a time is shown in. Figures of one column share a unit, so that they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Nanoseconds with two decimals, for what was timed over many repetitions.
    FineNanoseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl TimeUnit {
    /// The largest unit in which `time_ns` is at least 1.
    pub fn of(time_ns: f64) -> Self {
        match time_ns.abs() {
            t if t < 1e3 => TimeUnit::Nanoseconds,
            t if t < 1e6 => TimeUnit::Microseconds,
            t if t < 1e9 => TimeUnit::Milliseconds,
            _ => TimeUnit::Seconds,
        }
    }

    /// As [`TimeUnit::of`], for times that are known better than to a nanosecond.
    pub fn fine(time_ns: f64) -> Self {
        match TimeUnit::of(time_ns) {
            TimeUnit::Nanoseconds => TimeUnit::FineNanoseconds,
            unit => unit,
        }
    }

    fn scale(self) -> (f64, &'static str) {
        match self {
            TimeUnit::FineNanoseconds | TimeUnit::Nanoseconds => (1.0, "ns"),
            TimeUnit::Microseconds => (1e3, "us"),
            TimeUnit::Milliseconds => (1e6, "ms"),
            TimeUnit::Seconds => (1e9, "s"),
        }
    }

    /// A time in this unit, two decimals (none for nanoseconds): `31.20 ms`; what is there but
    /// would show as zero is `<0.01 ms`.
    pub fn show(self, time_ns: f64) -> String {
        let (scale, name) = self.scale();
        if self != TimeUnit::Nanoseconds && time_ns > 0.0 && time_ns < 0.005 * scale {
            return format!("<0.01 {name}");
        }
        format!("{} {name}", self.bare(time_ns))
    }

    /// As [`TimeUnit::show`] without the unit, for figures beside one that has it.
    pub fn bare(self, time_ns: f64) -> String {
        let digits = if self == TimeUnit::Nanoseconds { 0 } else { 2 };
        fixed(time_ns / self.scale().0, digits)
    }

    /// A difference in this unit with its sign: `-6.10 ms`, `+0.20 ms`, `0.00 ms`.
    pub fn show_signed(self, time_ns: f64) -> String {
        with_sign(format!("{} {}", self.bare(time_ns), self.scale().1))
    }
}

/// A time in the unit that fits it: `31.20 ms`, `10.03 s`.
pub fn time(time_ns: f64) -> String {
    TimeUnit::of(time_ns).show(time_ns)
}

/// The unit that an amount of memory is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteUnit {
    /// Bytes.
    Bytes,
    /// 1,024 bytes.
    Kibibytes,
    /// 1,024 KiB.
    Mebibytes,
    /// 1,024 MiB.
    Gibibytes,
}

impl ByteUnit {
    /// The largest unit in which `bytes` is at least 1.
    pub fn of(bytes: f64) -> Self {
        match bytes.abs() {
            b if b < 1024.0 => ByteUnit::Bytes,
            b if b < 1024.0 * 1024.0 => ByteUnit::Kibibytes,
            b if b < 1024.0 * 1024.0 * 1024.0 => ByteUnit::Mebibytes,
            _ => ByteUnit::Gibibytes,
        }
    }

    /// The same for amounts whose difference is shown beside them: below 10 MiB a tenth of a MiB is so
    /// much that they would not add up.
    pub fn of_differences(largest: f64) -> Self {
        match ByteUnit::of(largest) {
            ByteUnit::Mebibytes if largest.abs() < 10.0 * 1024.0 * 1024.0 => ByteUnit::Kibibytes,
            unit => unit,
        }
    }

    /// An amount in this unit: `41.2 MiB`, `412 KiB`.
    pub fn show(self, bytes: f64) -> String {
        let (scale, name, digits) = match self {
            ByteUnit::Bytes => (1.0, "B", 0),
            ByteUnit::Kibibytes => (1024.0, "KiB", 0),
            ByteUnit::Mebibytes => (1024.0 * 1024.0, "MiB", 1),
            ByteUnit::Gibibytes => (1024.0 * 1024.0 * 1024.0, "GiB", 1),
        };
        let value = no_minus_zero(bytes / scale, digits);
        format!("{value:.digits$} {name}")
    }

    /// A difference in this unit with its sign.
    pub fn show_signed(self, bytes: f64) -> String {
        with_sign(self.show(bytes))
    }
}

/// An amount of memory in the unit that fits it.
pub fn bytes(bytes: f64) -> String {
    ByteUnit::of(bytes).show(bytes)
}

/// Puts a plus sign before a positive figure that a formatter wrote.
pub fn with_sign(figure: String) -> String {
    let zero = !figure.contains(|c: char| ('1'..='9').contains(&c));
    if zero || figure.starts_with('-') {
        figure
    } else {
        format!("+{figure}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ];
        for (value, text) in cases {
            assert_eq!(count(value), text);
        }
        assert_eq!(counted(1, "sample"), "1 sample");
        assert_eq!(counted(1204, "sample"), "1,204 samples");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn shares_do_not_round_to_nothing_or_to_all() {
        let cases = [
            (0.0, "0.0 %"),
            (0.0001, "<0.1 %"),
            (0.247, "24.7 %"),
            (0.9999, ">99.9 %"),
            (1.0, "100.0 %"),
        ];
        for (value, text) in cases {
            assert_eq!(percent(value), text);
        }
    }

    #[test]
    fn units_follow_the_size() {
        let cases = [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (1.5e3, "1.50 us"),
            (126.31e6, "126.31 ms"),
            (10.03e9, "10.03 s"),
        ];
        for (value, text) in cases {
            assert_eq!(time(value), text);
        }
        assert_eq!(bytes(412.0 * 1024.0), "412 KiB");
        assert_eq!(bytes(43_200_000.0), "41.2 MiB");
    }

    #[test]
    fn differences_have_a_sign_and_zero_has_none() {
        let unit = TimeUnit::Milliseconds;
        assert_eq!(unit.show_signed(-6.1e6), "-6.10 ms");
        assert_eq!(unit.show_signed(2e5), "+0.20 ms");
        assert_eq!(unit.show_signed(-100.0), "0.00 ms");
        assert_eq!(unit.show(100.0), "<0.01 ms");
        assert_eq!(unit.show(0.0), "0.00 ms");
        assert_eq!(ByteUnit::Mebibytes.show_signed(0.0), "0.0 MiB");
        let mib = 1024.0 * 1024.0;
        let unit = ByteUnit::of_differences(1.35 * mib);
        assert_eq!(
            (unit.show(1.35 * mib), unit.show_signed(-0.05 * mib)),
            ("1382 KiB".into(), "-51 KiB".into())
        );
        assert_eq!(ByteUnit::of_differences(10.0 * mib), ByteUnit::Mebibytes);
        assert_eq!(ByteUnit::of_differences(10.0), ByteUnit::Bytes);
    }
}
