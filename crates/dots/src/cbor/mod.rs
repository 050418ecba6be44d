//! The part of CBOR that DOTS uses: maps with integer keys, lists, numbers, text and booleans.

mod reader;
mod writer;

pub(crate) use reader::{Entry, Reader, read_message};
pub(crate) use writer::MapWriter;
