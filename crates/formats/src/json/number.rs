//! JSON numbers, exact where they are whole.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Real(f64),
}

/// A number in smaller units, as a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scaled {
    pub(crate) value: i64,
    /// Whether more than float noise was rounded away.
    pub(crate) rounded: bool,
}

impl Number {
    /// The number times `factor`; `None` when it does not fit in 64 bits.
    pub(crate) fn scaled(self, factor: u32) -> Option<Scaled> {
        match self {
            Number::Whole(number) => Some(Scaled {
                value: number.checked_mul(factor.into())?,
                rounded: false,
            }),
            Number::Real(number) => {
                let product = number * f64::from(factor);
                let near = product.round();
                // 2^63 as a float; not a number is not below it either.
                let fits = near.abs() < 9.223_372_036_854_776e18;
                fits.then(|| Scaled {
                    value: near as i64,
                    rounded: (product - near).abs() > 1e-3,
                })
            }
        }
    }

    /// The number as an index or an id; `None` when it is none.
    pub(crate) fn index(self) -> Option<u64> {
        match self {
            Number::Whole(number) => u64::try_from(number).ok(),
            Number::Real(_) => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => write!(f, "{number}"),
            Number::Real(number) => write!(f, "{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        let whole = i64::try_from(number).map(Number::Whole);
        Ok(whole.unwrap_or(Number::Real(number as f64)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
        let whole = number.fract() == 0.0 && number.abs() < 9.007_199_254_740_992e15;
        Ok(if whole {
            Number::Whole(number as i64)
        } else {
            Number::Real(number)
        })
    }
}
