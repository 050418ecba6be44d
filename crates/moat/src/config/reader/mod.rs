//! Reads a TOML document key by key, and notes every problem with its place instead of stopping at the first.
//!
//! A reader takes the keys it knows out of a [`Table`]; what is left at [`Table::finish`] is unknown and refused.
//! Whatever yields `None` has been noted in [`Diagnostics`] already.

mod diagnostics;
mod table;
mod value;

use std::ops::Range;

pub(super) use self::diagnostics::Diagnostics;
pub(super) use self::table::Table;
pub(super) use self::value::Value;

/// Where something was written: its key and its bytes in the text.
#[derive(Debug, Clone)]
pub(in crate::config) struct Place {
    pub(in crate::config) key: String,
    pub(in crate::config) span: Range<usize>,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(in crate::config) struct Located<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) place: Place,
}
