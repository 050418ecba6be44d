//! The problems of a file, each with its place.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::Place;
use crate::config::error::Problem;
use crate::config::problem::ProblemKind;

/// The problems found so far in one file.
pub(in crate::config) struct Diagnostics<'a> {
    file: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
    problems: Vec<(usize, Problem)>,
    /// Whether the machine is looked at as well, and not the text alone.
    with_machine: bool,
    /// Every key that some table can have, without the numbers of list entries: `pvd.dots.name`.
    #[cfg(test)]
    pub(in crate::config) keys: BTreeSet<String>,
}

impl<'a> Diagnostics<'a> {
    pub(in crate::config) fn new(file: &'a Path, text: &'a str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self {
            file,
            text,
            line_starts: std::iter::once(0).chain(line_starts).collect(),
            problems: Vec::new(),
            with_machine: false,
            #[cfg(test)]
            keys: BTreeSet::new(),
        }
    }

    /// The same, and what the text says is to be held against the machine.
    pub(in crate::config) fn and_machine(self) -> Self {
        Self {
            with_machine: true,
            ..self
        }
    }

    pub(in crate::config) fn is_with_machine(&self) -> bool {
        self.with_machine
    }

    /// Parses the text; every syntax error is noted, and then there is no table.
    pub(in crate::config) fn parse(&mut self) -> Option<Spanned<DeTable<'a>>> {
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

    pub(in crate::config) fn note(&mut self, place: &Place, kind: ProblemKind) {
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

    pub(in crate::config) fn line(&self, place: &Place) -> usize {
        self.position(place.span.start).0
    }

    /// All problems, in the order of the file.
    pub(in crate::config) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(offset, _)| *offset);
        self.problems
            .into_iter()
            .map(|(_, problem)| problem)
            .collect()
    }
}
