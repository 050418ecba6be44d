//! The part of CBOR that DOTS uses: maps with integer keys, lists, numbers, decimal fractions, text and booleans.

mod reader;
mod writer;

pub(crate) use reader::{Entry, Reader, read_message};
pub(crate) use writer::MapWriter;

/// CBOR tag of a decimal fraction: an exponent and a mantissa (RFC 8949 §3.4.4).
pub(crate) const DECIMAL_FRACTION: u64 = 4;
