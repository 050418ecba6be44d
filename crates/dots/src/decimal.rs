//! Decimal numbers as they stand in paths, prefixes and URIs.

use std::str::FromStr;

/// Digits only, no sign, no leading zero: one number has one spelling, so one resource has one path.
pub(crate) fn parse<T: FromStr>(text: &str) -> Option<T> {
    let canonical = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}
