//! `decimal64` with two fraction digits (RFC 7950 §9.3; as tag 4 in RFC 9132 §6, Table 5).

use std::fmt;

use serde::{Serialize, Serializer};

use crate::cbor::{DECIMAL_FRACTION, Reader};
use crate::error::{DecodeError, InvalidValue};

/// Above everything that a sender may write: what the reader makes of numbers that no `i64` holds.
const TOO_LARGE: i64 = i64::MAX;

/// A number of hundredths, such as `1.50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

impl Decimal {
    /// The number that is `hundredths` / 100.
    pub const fn from_hundredths(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// A hundred times the number.
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// The exponent has to be -2. Deployed agents write 1.5 with -1, and a whole number may as well come
    /// with 0: neither loses anything.
    fn from_fraction(exponent: i64, mantissa: i64) -> Option<Self> {
        let scale = match exponent {
            -2 => 1,
            -1 => 10,
            0 => 100,
            _ => return None,
        };
        mantissa.checked_mul(scale).map(Self)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.tag(DECIMAL_FRACTION, "a decimal fraction")?;
        let parts = reader.list(2, |reader| {
            reader.signed_as(|number| match number {
                TOO_LARGE => Err(InvalidValue::Decimal),
                number => Ok(number),
            })
        })?;
        let number = match parts.as_slice() {
            [exponent, mantissa] => Self::from_fraction(*exponent, *mantissa),
            _ => None,
        };
        number.ok_or_else(|| reader.invalid(InvalidValue::Decimal))
    }
}

/// Always with two fraction digits.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Text, as RFC 7951 §6.1 has it.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_with_two_fraction_digits() {
        for (hundredths, text) in [
            (150, "1.50"),
            (5, "0.05"),
            (-5, "-0.05"),
            (-200, "-2.00"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(Decimal::from_hundredths(hundredths).to_string(), text);
        }
    }
}
