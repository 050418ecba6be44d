//! A table, of which known keys are taken and unknown ones are noted.

use toml::Spanned;
use toml::de::DeTable;

use super::{Diagnostics, Place, Value};
use crate::config::problem::ProblemKind;

/// A table of the file, of which known keys are taken one by one.
pub(in crate::config) struct Table<'a> {
    place: Place,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(in crate::config) fn root(document: &'a Spanned<DeTable<'a>>) -> Self {
        let place = Place {
            key: String::new(),
            span: 0..0,
        };
        Self::new(place, document.get_ref())
    }

    pub(super) fn new(place: Place, entries: &'a DeTable<'a>) -> Self {
        Self {
            place,
            entries,
            known: Vec::new(),
        }
    }

    pub(in crate::config) fn place(&self) -> &Place {
        &self.place
    }

    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// These keys could be here as well, though they are not.
    pub(in crate::config) fn know(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The value of a key that may be left out.
    pub(in crate::config) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        let place = Place {
            key: self.path(key),
            span: value.span(),
        };
        Some(Value::new(place, value.get_ref()))
    }

    /// The value of a key that must be there; `example` shows what to write.
    pub(in crate::config) fn require(
        &mut self,
        key: &'static str,
        example: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            let place = Place {
                key: self.path(key),
                span: self.place.span.clone(),
            };
            diagnostics.note(&place, ProblemKind::MissingKey { key, example });
        }
        value
    }

    /// Notes the keys that nobody took.
    pub(in crate::config) fn finish(self, diagnostics: &mut Diagnostics<'_>) {
        #[cfg(test)]
        diagnostics.keys.extend(self.known.iter().map(|key| {
            let path = self.path(key);
            let numbers = |part: &str| part.split('[').next().unwrap_or_default().to_owned();
            path.split('.').map(numbers).collect::<Vec<_>>().join(".")
        }));
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let place = Place {
                    key: self.path(&printable(name)),
                    span: key.span(),
                };
                let nearest = self
                    .known
                    .iter()
                    .copied()
                    .find(|known| is_near(name, known));
                diagnostics.note(
                    &place,
                    ProblemKind::UnknownKey {
                        known: self.known.clone(),
                        nearest,
                    },
                );
            }
        }
    }

    fn path(&self, key: &str) -> String {
        if self.place.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place.key)
        }
    }
}

/// A key as a message shows it: a strange one in quotes, a long one cut.
fn printable(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let short: String = key.chars().take(40).collect();
    if !key.is_empty() && key.len() <= 40 && key.chars().all(plain) {
        short
    } else {
        format!("{short:?}")
    }
}

/// Whether `key` is probably a misspelt `known`: at most two letters added, left out or changed.
fn is_near(key: &str, known: &str) -> bool {
    const MOST_EDITS: usize = 2;
    if key.len() > known.len().saturating_add(MOST_EDITS) {
        return false;
    }
    let key = key.replace('-', "_").to_ascii_lowercase();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, a) in key.bytes().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (pair, b) in row.windows(2).zip(known.bytes()) {
            let (diagonal, above) = (
                pair.first().copied().unwrap_or(0),
                pair.last().copied().unwrap_or(0),
            );
            let left = next.last().copied().unwrap_or(0);
            let change = diagonal.saturating_add(usize::from(a != b));
            next.push(
                change
                    .min(above.saturating_add(1))
                    .min(left.saturating_add(1)),
            );
        }
        row = next;
    }
    row.last()
        .is_some_and(|edits| *edits <= MOST_EDITS && *edits < known.len())
}
