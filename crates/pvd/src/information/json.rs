//! I-JSON (RFC 7493): JSON of which all readers understand the same.
//!
//! Where readers of JSON differ, somebody can show one thing to whoever checks an object and another to whoever uses it. So
//! what is twice in an object, or is no text, refuses the whole, also where nobody would look.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

/// How deep objects and lists may lie in each other; the registered keys need four.
pub const MAX_DEPTH: usize = 16;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number. No key that is read here has one, so its value is not kept.
    Number,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

/// Why octets are no I-JSON object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIJson {
    /// RFC 7493 §2.1
    #[error("it is not UTF-8 after {0} octets")]
    NotUtf8(usize),
    /// RFC 8259, which knows no trailing comma, no comment and no half of a surrogate pair.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// RFC 7493 §2.3
    #[error("a key is in one object twice")]
    DuplicateKey,
    /// RFC 7493 §2.1
    #[error("a text has a code point that is no character")]
    NoCharacter,
    /// A limit of this reader.
    #[error("objects and lists lie more than {MAX_DEPTH} deep in each other")]
    TooDeep,
    /// RFC 8801 §4.1
    #[error("it is not one object")]
    NoObject,
}

/// Reads one object with nothing but white space around it.
///
/// # Errors
/// [`NotIJson`]
pub fn read(octets: &[u8]) -> Result<BTreeMap<String, Json>, NotIJson> {
    let text =
        std::str::from_utf8(octets).map_err(|error| NotIJson::NotUtf8(error.valid_up_to()))?;
    let fault = Fault::default();
    let mut reader = Deserializer::from_str(text);
    let level = Level {
        remaining: MAX_DEPTH,
        fault: &fault,
    };
    let value = level.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    match value {
        Ok(Json::Object(keys)) => Ok(keys),
        Ok(_) => Err(NotIJson::NoObject),
        Err(error) => Err(fault
            .0
            .take()
            .unwrap_or_else(|| NotIJson::NotJson(error.to_string()))),
    }
}

/// What is wrong with JSON that is none of its grammar: an error of `serde_json` has only words.
#[derive(Default)]
struct Fault(Cell<Option<NotIJson>>);

impl Fault {
    fn is<E: serde::de::Error>(&self, fault: NotIJson) -> E {
        self.0.set(Some(fault));
        E::custom("not I-JSON")
    }
}

/// The reader of a value at one depth.
#[derive(Clone, Copy)]
struct Level<'a> {
    /// How many objects and lists may begin here.
    remaining: usize,
    fault: &'a Fault,
}

impl Level<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.remaining.checked_sub(1) {
            Some(remaining) => Ok(Self { remaining, ..self }),
            None => Err(self.fault.is(NotIJson::TooDeep)),
        }
    }

    fn text<E: serde::de::Error>(self, text: String) -> Result<String, E> {
        match text.chars().all(is_character) {
            true => Ok(text),
            false => Err(self.fault.is(NotIJson::NoCharacter)),
        }
    }
}

/// Not one of the 66 code points that Unicode keeps free of characters for ever.
fn is_character(character: char) -> bool {
    let code = u32::from(character);
    !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json, E> {
        self.text(text.to_owned()).map(Json::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut keys = BTreeMap::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = object.next_value_seed(inner)?;
            match keys.entry(self.text(key)?) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(_) => return Err(self.fault.is(NotIJson::DuplicateKey)),
            };
        }
        Ok(Json::Object(keys))
    }
}
