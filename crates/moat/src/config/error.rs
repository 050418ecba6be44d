//! What can be wrong with a configuration file, where it is, and what to do about it.
//!
//! A [`Problem`] reads like a compiler's message, so that editors can jump to it:
//! `home.toml:12:14: pvd[1].prefixes[0]: "203.0.113.0/33" is not a prefix: ...; write it like 203.0.113.0/28`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::problem::ProblemKind;
use super::wording::advice;

/// Why a configuration file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file could not be read at all.
    #[error("{}: cannot be read: {source}; {}", file.display(), advice_on_itself(source))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not UTF-8, so it is no TOML.
    #[error("{}: is not UTF-8 text; a configuration is a TOML file", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
    },
    /// The file is longer than any configuration.
    #[error("{}: is longer than {limit} bytes; a configuration is a short TOML file", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file was read, and these things keep a daemon from starting with it. Never empty.
    #[error("{}", Lines(problems))]
    Invalid {
        /// What is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// What to do about a configuration file that cannot be read.
fn advice_on_itself(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check its name, and the folder you are in",
        _ => advice(error),
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It works, and is perhaps not what was meant.
    Warning,
    /// A daemon starts, but something in it cannot work (a certificate has expired, say).
    Error,
    /// A daemon does not start.
    Fatal,
}

/// One thing that is wrong in a configuration file.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The file, as it was named by the caller.
    pub(crate) file: PathBuf,
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Column, counted from 1, in characters.
    pub(crate) column: usize,
    /// The key's path, as `pvd[1].prefixes[0]`; empty where there is none (a syntax error).
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) kind: ProblemKind,
}

impl Problem {
    /// How bad it is.
    pub(crate) fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if self.severity() == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.kind)
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Problem", 6)?;
        object.serialize_field("severity", &self.severity())?;
        object.serialize_field("file", &self.file.to_string_lossy())?;
        object.serialize_field("line", &self.line)?;
        object.serialize_field("column", &self.column)?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("message", &self.kind.to_string())?;
        object.end()
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}
