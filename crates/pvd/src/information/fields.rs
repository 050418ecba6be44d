//! Takes typed values out of a dictionary by the rows of the registry, and notes what counts for nothing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::json::Json;
use super::registry::{self, Dictionary};

/// Of how much that was ignored a reader is told; who writes thousands of unknown keys need not be quoted.
pub const MAX_IGNORED: usize = 64;
/// How much of a strange key is quoted, in characters.
const MAX_QUOTED: usize = 64;

/// A value that is not what its key stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {fault}")]
pub struct Unreadable {
    /// Where, as in `proxies[2].alpn`.
    pub place: String,
    /// What it is not.
    pub fault: &'static str,
}

impl Unreadable {
    pub(super) fn new(place: &str, fault: &'static str) -> Self {
        let place = place.to_owned();
        Self { place, fault }
    }
}

/// What was passed over, in words.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    notes: Vec<String>,
    others: usize,
}

impl Ignored {
    fn note(&mut self, note: String) {
        match self.notes.len() < MAX_IGNORED {
            true => self.notes.push(note),
            false => self.others += 1,
        }
    }

    /// The value, or nothing and a note.
    pub(super) fn unless<T>(&mut self, read: Result<T, Unreadable>) -> Option<T> {
        read.map_err(|unreadable| self.note(unreadable.to_string()))
            .ok()
    }

    /// The elements that could be read, each on its own.
    pub(super) fn each<T>(
        &mut self,
        list: Json,
        place: &str,
        mut read: impl FnMut(Json, &str, &mut Self) -> Result<T, Unreadable>,
    ) -> Vec<T> {
        let elements = self.unless(elements(list, place)).unwrap_or_default();
        let read = elements.into_iter().filter_map(|(place, value)| {
            let element = read(value, &place, self);
            self.unless(element)
        });
        read.collect()
    }

    pub(super) fn into_notes(mut self) -> Vec<String> {
        if self.others > 0 {
            self.notes.push(format!("and {} more", self.others));
        }
        self.notes
    }
}

/// The known keys of one dictionary that are not taken yet.
pub(super) struct Fields {
    place: String,
    keys: BTreeMap<String, Json>,
}

impl Fields {
    /// Opens a dictionary; keys without a row in the registry go.
    pub(super) fn open(
        dictionary: Dictionary,
        place: &str,
        value: Json,
        ignored: &mut Ignored,
    ) -> Result<Self, Unreadable> {
        let Json::Object(mut keys) = value else {
            return Err(Unreadable::new(place, "is no object"));
        };
        let place = place.to_owned();
        keys.retain(|key, _| {
            let is_known = registry::find(dictionary, key).is_some();
            if !is_known {
                // A key may have octets that a terminal obeys.
                let shown: String = key.chars().take(MAX_QUOTED).collect();
                let key = within(&place, &shown.escape_debug().to_string());
                ignored.note(format!("{key} is no key that is known"));
            }
            is_known
        });
        Ok(Self { place, keys })
    }

    /// Opens a dictionary that means something else with a key that is not known.
    pub(super) fn open_known(
        dictionary: Dictionary,
        place: &str,
        value: Json,
    ) -> Result<Self, Unreadable> {
        let mut unknown = Ignored::default();
        let fields = Self::open(dictionary, place, value, &mut unknown)?;
        match unknown.notes.is_empty() {
            true => Ok(fields),
            false => Err(Unreadable::new(place, "has a key that is not known")),
        }
    }

    /// The value of a key that must be there.
    pub(super) fn mandatory<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Json, &str) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let missing = Unreadable::new(&within(&self.place, key), "is missing");
        self.optional(key, read)?.ok_or(missing)
    }

    /// The value of a key.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Json, &str) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        let value = self.keys.remove(key);
        value
            .map(|value| read(value, &within(&self.place, key)))
            .transpose()
    }

    /// The elements of a list that could be read.
    pub(super) fn each<T>(
        &mut self,
        key: &str,
        ignored: &mut Ignored,
        read: impl FnMut(Json, &str, &mut Ignored) -> Result<T, Unreadable>,
    ) -> Vec<T> {
        let list = self.keys.remove(key);
        list.map(|list| ignored.each(list, &within(&self.place, key), read))
            .unwrap_or_default()
    }

    /// Whether the key is there and not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }
}

fn within(place: &str, key: &str) -> String {
    match place {
        "" => key.to_owned(),
        place => format!("{place}.{key}"),
    }
}

fn elements(value: Json, place: &str) -> Result<Vec<(String, Json)>, Unreadable> {
    let Json::List(values) = value else {
        return Err(Unreadable::new(place, "is no list"));
    };
    let placed = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| (format!("{place}[{index}]"), value));
    Ok(placed.collect())
}

/// Reads a list of which every element must be right.
pub(super) fn list<T>(
    read: impl Fn(Json, &str) -> Result<T, Unreadable>,
) -> impl Fn(Json, &str) -> Result<Vec<T>, Unreadable> {
    move |value, place| {
        let elements = elements(value, place)?.into_iter();
        elements.map(|(place, value)| read(value, &place)).collect()
    }
}

/// Reads a text in which a value of the type is written.
pub(super) fn written<T: FromStr>(
    fault: &'static str,
) -> impl Fn(Json, &str) -> Result<T, Unreadable> {
    move |value, place| {
        let text = text(value, place)?;
        text.parse().map_err(|_| Unreadable::new(place, fault))
    }
}

/// Reads a text of at least one character.
pub(super) fn text(value: Json, place: &str) -> Result<String, Unreadable> {
    match value {
        Json::Text(text) if !text.is_empty() => Ok(text),
        Json::Text(_) => Err(Unreadable::new(place, "is empty")),
        _ => Err(Unreadable::new(place, "is no text")),
    }
}

/// Reads a text of characters that a terminal only shows: people see it.
pub(super) fn shown(value: Json, place: &str) -> Result<String, Unreadable> {
    /// Those that turn the direction of writing around (Unicode Bidirectional Algorithm).
    const TURNS: [RangeInclusive<char>; 3] = [
        '\u{200e}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
    ];
    let is_obeyed = |it: char| it.is_control() || TURNS.iter().any(|range| range.contains(&it));
    let text = text(value, place)?;
    match text.contains(is_obeyed) {
        true => Err(Unreadable::new(place, "has control characters")),
        false => Ok(text),
    }
}

/// Reads `true` or `false`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "like the readers of other types"
)]
pub(super) fn boolean(value: Json, place: &str) -> Result<bool, Unreadable> {
    match value {
        Json::Boolean(value) => Ok(value),
        _ => Err(Unreadable::new(place, "is neither true nor false")),
    }
}
