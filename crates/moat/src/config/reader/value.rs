//! A value, read as what its key wants.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use super::{Diagnostics, Located, Place, Table};
use crate::config::problem::ProblemKind;

/// Most entries that a list of the file may have.
const MAX_ENTRIES: usize = 100_000;

/// A value of the file.
pub(in crate::config) struct Value<'a> {
    place: Place,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    pub(super) fn new(place: Place, value: &'a DeValue<'a>) -> Self {
        Self { place, value }
    }

    /// A string that `parse` understands.
    pub(in crate::config) fn parse<T>(
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

    /// One of a few words, each of which means a value; `wanted` names them all.
    pub(in crate::config) fn choice<T, const N: usize>(
        self,
        wanted: &'static str,
        choices: [(&'static str, T); N],
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Located<T>> {
        self.parse(wanted, diagnostics, |text| {
            let mut choices = choices.into_iter();
            let chosen = choices.find(|(word, _)| *word == text);
            chosen.map(|(_, value)| value).ok_or_else(|| {
                let text = text.to_owned();
                ProblemKind::UnknownChoice { text, wanted }
            })
        })
    }

    /// A whole number for which `accept` holds; `wanted` says which those are.
    pub(in crate::config) fn integer(
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
    pub(in crate::config) fn boolean(self, diagnostics: &mut Diagnostics<'_>) -> Option<bool> {
        match self.value.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_type("true or false, without quotes", diagnostics),
        }
    }

    /// A whole number in `range`, in `unit`.
    pub(in crate::config) fn number(
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
    pub(in crate::config) fn list(
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
    pub(in crate::config) fn filled_list(
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

    pub(in crate::config) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// A table; `wanted` shows its header.
    pub(in crate::config) fn table(
        self,
        wanted: &'static str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Table<'a>> {
        match self.value.as_table() {
            Some(entries) => Some(Table::new(self.place, entries)),
            None => self.wrong_type(wanted, diagnostics),
        }
    }

    pub(in crate::config) fn place(&self) -> &Place {
        &self.place
    }

    pub(in crate::config) fn note(&self, kind: ProblemKind, diagnostics: &mut Diagnostics<'_>) {
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
