//! Reads what a peer sent: any order, definite or indefinite lengths, within limits.
//!
//! ```text
//! read_message: [tag 271] { container: ..., unknown optional key: skipped, unknown required key: remembered }
//! ```
//! Unknown required keys are gathered so that one refusal names them all (RFC 9132 §6).

use std::collections::BTreeSet;
use std::str::FromStr;

use minicbor::Decoder;
use minicbor::data::{Int, Type};

use crate::error::{DecodeError, InvalidValue, Location, Step};
use crate::key::{Key, is_comprehension_required};
use crate::{CBOR_TAG, limits};

/// What the reader of a map did with one entry.
pub(crate) enum Entry {
    /// It knows the key and has read the value.
    Taken,
    /// It does not know the key and has left the value alone.
    Unknown,
}

pub(crate) struct Reader<'b> {
    decoder: Decoder<'b>,
    at: Location,
    depth: usize,
    not_understood: Vec<Location>,
}

/// Reads a body whose outermost map holds `container`, which is handed to `read`.
pub(crate) fn read_message<T>(
    bytes: &[u8],
    container: Key,
    read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    if bytes.len() > limits::MESSAGE_BYTES {
        return Err(DecodeError::TooLong {
            length: bytes.len(),
        });
    }
    let mut reader = Reader {
        decoder: Decoder::new(bytes),
        at: Location::default(),
        depth: 0,
        not_understood: Vec::new(),
    };
    let message = reader.whole(container, read);
    // A missing attribute may be a consequence of a key that is not understood: that key is the better news.
    if !reader.not_understood.is_empty() {
        return Err(DecodeError::NotUnderstood(reader.not_understood));
    }
    message
}

impl Reader<'_> {
    fn whole<T>(
        &mut self,
        container: Key,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.peek()? == Type::Tag {
            self.tag(CBOR_TAG, "a DOTS message")?;
        }
        let mut message = None;
        self.map(|reader, key| {
            if key != container {
                return Ok(Entry::Unknown);
            }
            // Locations start inside the container.
            reader.at.pop();
            message = Some(read(reader)?);
            Ok(Entry::Taken)
        })?;
        let count = self
            .decoder
            .input()
            .len()
            .saturating_sub(self.decoder.position());
        if count > 0 {
            return Err(DecodeError::TrailingBytes { count });
        }
        message.ok_or_else(|| self.missing(container))
    }

    /// Reads the tag that makes the next value `what`.
    pub(crate) fn tag(&mut self, tag: u64, what: &'static str) -> Result<(), DecodeError> {
        self.expect(what, |kind| kind == Type::Tag)?;
        let found = self
            .decoder
            .tag()
            .map_err(|error| broken(&self.at, &error))?;
        if found.as_u64() == tag {
            Ok(())
        } else {
            Err(self.wrong_type(what, "another tag"))
        }
    }

    /// Reads a map and says how many entries it has; `entry` is called for each key, in the order of the
    /// sender.
    pub(crate) fn map(
        &mut self,
        mut entry: impl FnMut(&mut Self, Key) -> Result<Entry, DecodeError>,
    ) -> Result<usize, DecodeError> {
        self.expect("a map", |kind| matches!(kind, Type::Map | Type::MapIndef))?;
        let length = self
            .decoder
            .map()
            .map_err(|error| broken(&self.at, &error))?;
        let mut seen = BTreeSet::new();
        self.items(length, limits::MAP_ENTRIES, |reader, _| {
            let key = reader.key()?;
            reader.at.push(Step::Key(key));
            if !seen.insert(key) {
                return Err(DecodeError::Duplicate {
                    at: reader.at.clone(),
                });
            }
            if let Entry::Unknown = entry(reader, key)? {
                if is_comprehension_required(key)
                    && reader.not_understood.len() < limits::NAMED_KEYS
                {
                    reader.not_understood.push(reader.at.clone());
                }
                reader.skip()?;
            }
            reader.at.pop();
            Ok(())
        })?;
        Ok(seen.len())
    }

    /// Reads a list of at least one and at most `limit` entries.
    pub(crate) fn list<T>(
        &mut self,
        limit: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.expect("a list", |kind| {
            matches!(kind, Type::Array | Type::ArrayIndef)
        })?;
        let length = self
            .decoder
            .array()
            .map_err(|error| broken(&self.at, &error))?;
        let mut entries = Vec::new();
        self.items(length, limit, |reader, index| {
            reader.at.push(Step::Index(index));
            entries.push(entry(reader)?);
            reader.at.pop();
            Ok(())
        })?;
        if entries.is_empty() {
            return Err(self.empty());
        }
        Ok(entries)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.expect("a boolean", |kind| kind == Type::Bool)?;
        self.decoder
            .bool()
            .map_err(|error| broken(&self.at, &error))
    }

    pub(crate) fn unsigned8(&mut self) -> Result<u8, DecodeError> {
        let value = self.unsigned64()?;
        u8::try_from(value).map_err(|_| self.out_of_range(u8::MAX))
    }

    pub(crate) fn unsigned16(&mut self) -> Result<u16, DecodeError> {
        let value = self.unsigned64()?;
        u16::try_from(value).map_err(|_| self.out_of_range(u16::MAX))
    }

    pub(crate) fn unsigned32(&mut self) -> Result<u32, DecodeError> {
        let value = self.unsigned64()?;
        u32::try_from(value).map_err(|_| self.out_of_range(u32::MAX))
    }

    pub(crate) fn unsigned64(&mut self) -> Result<u64, DecodeError> {
        self.expect("an unsigned number", is_unsigned)?;
        self.decoder.u64().map_err(|error| broken(&self.at, &error))
    }

    /// A number that `parse` accepts. What no `i64` holds is outside every attribute's range, as is `i64::MAX`.
    pub(crate) fn signed_as<T, E: Into<InvalidValue>>(
        &mut self,
        parse: impl FnOnce(i64) -> Result<T, E>,
    ) -> Result<T, DecodeError> {
        self.expect("a number", |kind| is_unsigned(kind) || is_negative(kind))?;
        let number: Int = self
            .decoder
            .int()
            .map_err(|error| broken(&self.at, &error))?;
        parse(i64::try_from(number).unwrap_or(i64::MAX)).map_err(|reason| self.invalid(reason))
    }

    /// A text that is a `T`.
    pub(crate) fn text<T: FromStr<Err: Into<InvalidValue>>>(&mut self) -> Result<T, DecodeError> {
        self.expect("text", |kind| {
            matches!(kind, Type::String | Type::StringIndef)
        })?;
        let mut text = String::new();
        let chunks = self
            .decoder
            .str_iter()
            .map_err(|error| broken(&self.at, &error))?;
        for chunk in chunks {
            let chunk = chunk.map_err(|error| broken(&self.at, &error))?;
            if text.len() + chunk.len() > limits::TEXT_BYTES {
                return Err(DecodeError::TextTooLong {
                    at: self.at.clone(),
                });
            }
            text.push_str(chunk);
        }
        text.parse().map_err(|reason| self.invalid(reason))
    }

    /// Passes over a value, of which only the form is checked.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        match self.peek()? {
            Type::Array | Type::ArrayIndef => {
                let length = self
                    .decoder
                    .array()
                    .map_err(|error| broken(&self.at, &error))?;
                self.items(length, usize::MAX, |reader, _| reader.skip())
            }
            Type::Map | Type::MapIndef => {
                let length = self
                    .decoder
                    .map()
                    .map_err(|error| broken(&self.at, &error))?;
                self.items(length, usize::MAX, |reader, _| {
                    reader.skip()?;
                    reader.skip()
                })
            }
            Type::Tag => {
                self.decoder
                    .tag()
                    .map_err(|error| broken(&self.at, &error))?;
                self.items(Some(1), 1, |reader, _| reader.skip())
            }
            Type::Break | Type::Unknown(_) => Err(DecodeError::Malformed {
                at: self.at.clone(),
            }),
            // What is left holds no other value.
            _ => self
                .decoder
                .skip()
                .map_err(|error| broken(&self.at, &error)),
        }
    }

    /// Reads the items of a container whose head has been read.
    fn items(
        &mut self,
        length: Option<u64>,
        limit: usize,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.depth == limits::NESTING {
            return Err(DecodeError::TooDeep {
                at: self.at.clone(),
            });
        }
        self.depth += 1;
        let mut index = 0;
        loop {
            match length {
                Some(length) if index as u64 == length => break,
                Some(_) => {}
                None if self.peek()? == Type::Break => {
                    self.decoder.set_position(self.decoder.position() + 1);
                    break;
                }
                None => {}
            }
            if index == limit {
                return Err(DecodeError::TooMany {
                    at: self.at.clone(),
                    limit,
                });
            }
            item(self, index)?;
            index += 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn key(&mut self) -> Result<Key, DecodeError> {
        self.expect("an unsigned number as key", is_unsigned)?;
        self.unsigned32().map(Key)
    }

    fn peek(&self) -> Result<Type, DecodeError> {
        self.decoder
            .datatype()
            .map_err(|error| broken(&self.at, &error))
    }

    fn expect(
        &self,
        expected: &'static str,
        accept: impl FnOnce(Type) -> bool,
    ) -> Result<(), DecodeError> {
        let kind = self.peek()?;
        match kind {
            kind if accept(kind) => Ok(()),
            Type::Unknown(_) => Err(DecodeError::Malformed {
                at: self.at.clone(),
            }),
            kind => Err(self.wrong_type(expected, type_name(kind))),
        }
    }

    pub(crate) fn at(&self) -> Location {
        self.at.clone()
    }

    pub(crate) fn empty(&self) -> DecodeError {
        DecodeError::Empty {
            at: self.at.clone(),
        }
    }

    pub(crate) fn missing(&self, key: Key) -> DecodeError {
        DecodeError::Missing {
            at: self.at.clone(),
            key,
        }
    }

    pub(crate) fn invalid(&self, reason: impl Into<InvalidValue>) -> DecodeError {
        DecodeError::Invalid {
            at: self.at.clone(),
            reason: reason.into(),
        }
    }

    fn out_of_range(&self, limit: impl Into<u64>) -> DecodeError {
        DecodeError::OutOfRange {
            at: self.at.clone(),
            limit: limit.into(),
        }
    }

    fn wrong_type(&self, expected: &'static str, found: &'static str) -> DecodeError {
        DecodeError::WrongType {
            at: self.at.clone(),
            expected,
            found,
        }
    }
}

fn broken(at: &Location, error: &minicbor::decode::Error) -> DecodeError {
    let at = at.clone();
    if error.is_end_of_input() {
        DecodeError::Truncated { at }
    } else {
        DecodeError::Malformed { at }
    }
}

fn is_unsigned(kind: Type) -> bool {
    matches!(kind, Type::U8 | Type::U16 | Type::U32 | Type::U64)
}

fn is_negative(kind: Type) -> bool {
    matches!(
        kind,
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int
    )
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "a boolean",
        Type::Null | Type::Undefined | Type::Simple => "a simple value",
        Type::F16 | Type::F32 | Type::F64 => "a floating-point number",
        Type::Bytes | Type::BytesIndef => "bytes",
        Type::String | Type::StringIndef => "text",
        Type::Array | Type::ArrayIndef => "a list",
        Type::Map | Type::MapIndef => "a map",
        Type::Tag => "a tag",
        Type::Break => "the end of the container",
        kind if is_negative(kind) => "a negative number",
        _ => "an unsigned number",
    }
}
