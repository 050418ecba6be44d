//! Writes definite lengths and ascending keys, which is what every deployed decoder understands.

use std::convert::Infallible;

use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode::Error;

use super::DECIMAL_FRACTION;
use crate::key::Key;

/// A map that is being written. Attributes must come in ascending order of their keys.
pub(crate) struct MapWriter {
    entries: u64,
    body: Encoder<Vec<u8>>,
    last: Option<Key>,
}

/// Writing to a `Vec` cannot fail.
fn written(result: Result<&mut Encoder<Vec<u8>>, Error<Infallible>>) {
    debug_assert!(result.ok().is_some());
}

impl MapWriter {
    pub(crate) fn new() -> Self {
        Self {
            entries: 0,
            body: Encoder::new(Vec::new()),
            last: None,
        }
    }

    fn key(&mut self, key: Key) -> &mut Encoder<Vec<u8>> {
        debug_assert!(self.last < Some(key), "key {key} out of order");
        self.last = Some(key);
        self.entries += 1;
        written(self.body.u32(key.0));
        &mut self.body
    }

    pub(crate) fn unsigned(&mut self, key: Key, value: impl Into<u64>) {
        written(self.key(key).u64(value.into()));
    }

    pub(crate) fn optional_unsigned(&mut self, key: Key, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.unsigned(key, value);
        }
    }

    pub(crate) fn signed(&mut self, key: Key, value: i64) {
        written(self.key(key).i64(value));
    }

    pub(crate) fn boolean(&mut self, key: Key, value: bool) {
        written(self.key(key).bool(value));
    }

    /// A decimal fraction with two digits (RFC 8949 §3.4.4).
    pub(crate) fn decimal(&mut self, key: Key, hundredths: i64) {
        let body = self.key(key);
        written(body.tag(Tag::new(DECIMAL_FRACTION)));
        written(body.array(2));
        written(body.i8(-2));
        written(body.i64(hundredths));
    }

    pub(crate) fn text(&mut self, key: Key, value: &str) {
        written(self.key(key).str(value));
    }

    pub(crate) fn map(&mut self, key: Key, value: Self) {
        self.key(key).writer_mut().extend(value.finish());
    }

    /// A list, left out when it is empty (RFC 9132 §4.4.1.1).
    fn list<T>(
        &mut self,
        key: Key,
        values: &[T],
        mut write: impl FnMut(&mut Encoder<Vec<u8>>, &T),
    ) {
        if values.is_empty() {
            return;
        }
        let body = self.key(key);
        written(body.array(values.len() as u64));
        for value in values {
            write(body, value);
        }
    }

    pub(crate) fn texts<T: ToString>(&mut self, key: Key, values: &[T]) {
        self.list(key, values, |body, value| {
            written(body.str(&value.to_string()));
        });
    }

    pub(crate) fn numbers<T: Copy + Into<u64>>(&mut self, key: Key, values: &[T]) {
        self.list(key, values, |body, value| {
            written(body.u64((*value).into()));
        });
    }

    pub(crate) fn maps<T>(&mut self, key: Key, values: &[T], write: impl Fn(&T, &mut Self)) {
        self.list(key, values, |body, value| {
            let mut map = Self::new();
            write(value, &mut map);
            body.writer_mut().extend(map.finish());
        });
    }

    /// A list of maps that are written already.
    pub(crate) fn finished_maps(&mut self, key: Key, maps: &[Vec<u8>]) {
        self.list(key, maps, |body, map| body.writer_mut().extend(map));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut whole = Encoder::new(Vec::new());
        written(whole.map(self.entries));
        let mut bytes = whole.into_writer();
        bytes.extend(self.body.into_writer());
        bytes
    }
}
