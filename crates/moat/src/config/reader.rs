//! Reads a TOML document key by key, and notes every problem with its place instead of stopping at the first.
//!
//! A reader takes the keys it knows out of a [`Table`]; what is left at [`Table::finish`] is unknown and refused.
//! Whatever yields `None` has been noted in [`Diagnostics`] already.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::problem::ProblemKind;

/// Most entries that a list of the file may have.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// Where something was written: its key and its bytes in the text.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The problems found so far in one file.
pub(super) struct Diagnostics<'a> {
    file: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
    problems: Vec<(usize, Problem)>,
    /// Every key that some table can have, without the numbers of list entries: `pvd.dots.name`.
    #[cfg(test)]
    pub(super) keys: BTreeSet<String>,
}

impl<'a> Diagnostics<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self {
            file,
            text,
            line_starts: std::iter::once(0).chain(line_starts).collect(),
            problems: Vec::new(),
            #[cfg(test)]
            keys: BTreeSet::new(),
        }
    }

    /// Parses the text; every syntax error is noted, and then there is no table.
    pub(super) fn parse(&mut self) -> Option<Spanned<DeTable<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut lines = BTreeSet::new();
        for error in &errors {
            let message = error.message().lines().next().unwrap_or_default();
            let place = Place {
                key: String::new(),
                span: error.span().unwrap_or_default(),
            };
            // The parser finds the rest of a broken line wrong as well, which helps nobody.
            if lines.insert(self.line(&place)) {
                self.note(&place, ProblemKind::Syntax(message.to_owned()));
            }
        }
        errors.is_empty().then_some(table)
    }

    pub(super) fn note(&mut self, place: &Place, kind: ProblemKind) {
        let (line, column) = self.position(place.span.start);
        let problem = Problem {
            file: self.file.to_owned(),
            line,
            column,
            key: place.key.clone(),
            kind,
        };
        self.problems.push((place.span.start, problem));
    }

    /// Line (from 1) and column (from 1, in characters) of a byte.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index));
        let before = self.text.get(start.copied().unwrap_or(0)..offset);
        let column = before.unwrap_or_default().chars().count();
        (line, column.saturating_add(1))
    }

    pub(super) fn line(&self, place: &Place) -> usize {
        self.position(place.span.start).0
    }

    /// All problems, in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(offset, _)| *offset);
        self.problems
            .into_iter()
            .map(|(_, problem)| problem)
            .collect()
    }
}

/// A table of the file, of which known keys are taken one by one.
pub(super) struct Table<'a> {
    place: Place,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn root(document: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            place: Place {
                key: String::new(),
                span: 0..0,
            },
            entries: document.get_ref(),
            known: Vec::new(),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// These keys could be here as well, though they are not.
    pub(super) fn know(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The value of a key that may be left out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        Some(Value {
            place: Place {
                key: self.path(key),
                span: value.span(),
            },
            value: value.get_ref(),
        })
    }

    /// The value of a key that must be there; `example` shows what to write.
    pub(super) fn require(
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
    pub(super) fn finish(self, diagnostics: &mut Diagnostics<'_>) {
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

/// A value of the file.
pub(super) struct Value<'a> {
    place: Place,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// A string that `parse` understands.
    pub(super) fn parse<T>(
        self,
        wanted: &'static str,
        diagnostics: &mut Diagnostics<'_>,
        parse: impl FnOnce(&str) -> Result<T, ProblemKind>,
    ) -> Option<Located<T>> {
        let Some(text) = self.value.as_str() else {
            return self.wrong_type(wanted, diagnostics);
        };
        match parse(text) {
            Ok(value) => Some(Located {
                value,
                place: self.place,
            }),
            Err(kind) => {
                diagnostics.note(&self.place, kind);
                None
            }
        }
    }

    /// A whole number for which `accept` holds; `wanted` says which those are.
    pub(super) fn integer(
        self,
        accept: impl FnOnce(i64) -> bool,
        wanted: impl FnOnce() -> String,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<i64> {
        let Some(integer) = self.value.as_integer() else {
            return self.wrong_type("a whole number, without quotes", diagnostics);
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if let Some(number) = number.filter(|number| accept(*number)) {
            return Some(number);
        }
        let value = integer.to_string();
        diagnostics.note(
            &self.place,
            ProblemKind::OutOfRange {
                value,
                wanted: wanted(),
            },
        );
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(self, diagnostics: &mut Diagnostics<'_>) -> Option<bool> {
        match self.value.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_type("true or false, without quotes", diagnostics),
        }
    }

    /// A whole number in `range`, in `unit`.
    pub(super) fn number(
        self,
        range: RangeInclusive<u32>,
        unit: &str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<u32> {
        let bounds = i64::from(*range.start())..=i64::from(*range.end());
        let wanted = || format!("{} to {}{unit}", range.start(), range.end());
        self.integer(|number| bounds.contains(&number), wanted, diagnostics)
            .and_then(|number| u32::try_from(number).ok())
    }

    /// The entries of a list; `wanted` shows one.
    pub(super) fn list(
        self,
        wanted: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Value<'a>> {
        let Some(list) = self.value.as_array() else {
            self.wrong_type::<()>(wanted, diagnostics);
            return Vec::new();
        };
        if list.len() > MAX_ENTRIES {
            diagnostics.note(
                &self.place,
                ProblemKind::TooManyEntries { limit: MAX_ENTRIES },
            );
            return Vec::new();
        }
        let entry = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Value {
            place: Place {
                key: format!("{}[{index}]", self.place.key),
                span: item.span(),
            },
            value: item.get_ref(),
        };
        list.iter().enumerate().map(entry).collect()
    }

    /// Like [`Value::list`], and an empty one is a problem; `one` names an entry.
    pub(super) fn filled_list(
        self,
        wanted: &'static str,
        one: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Value<'a>> {
        if self.value.as_array().is_some_and(|list| list.is_empty()) {
            diagnostics.note(&self.place, ProblemKind::EmptyList { wanted: one });
        }
        self.list(wanted, diagnostics)
    }

    /// A table; `wanted` shows its header.
    pub(super) fn table(
        self,
        wanted: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Table<'a>> {
        match self.value.as_table() {
            Some(entries) => Some(Table {
                place: self.place,
                entries,
                known: Vec::new(),
            }),
            None => self.wrong_type(wanted, diagnostics),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn note(&self, kind: ProblemKind, diagnostics: &mut Diagnostics<'_>) {
        diagnostics.note(&self.place, kind);
    }

    fn wrong_type<T>(&self, wanted: &'static str, diagnostics: &mut Diagnostics<'_>) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        diagnostics.note(&self.place, ProblemKind::WrongType { found, wanted });
        None
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
