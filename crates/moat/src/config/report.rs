//! What `moat config check` tells.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::error::{Problem, Severity};

/// What [`super::check`] found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The file, as it was named by the caller.
    pub(crate) file: PathBuf,
    /// Whose file it is; `None` when that could not be told.
    pub(crate) daemon: Option<super::Daemon>,
    /// Everything that is wrong, in the order of the file.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// Whether there is nothing worse than a warning.
    pub(crate) fn is_ok(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.severity() == Severity::Warning)
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Report", 4)?;
        object.serialize_field("file", &self.file.to_string_lossy())?;
        object.serialize_field("daemon", &self.daemon)?;
        object.serialize_field("ok", &self.is_ok())?;
        object.serialize_field("problems", &self.problems)?;
        object.end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let warnings = self
            .problems
            .iter()
            .filter(|problem| problem.severity() == Severity::Warning)
            .count();
        let errors = self.problems.len().saturating_sub(warnings);
        let daemon = self.daemon.map_or("configuration", super::Daemon::name);
        write!(f, "{}: {daemon}: ", self.file.display())?;
        match (errors, warnings) {
            (0, 0) => f.write_str("ok"),
            (0, _) => write!(f, "ok, {}", Count(warnings, "warning")),
            (_, 0) => write!(f, "{}", Count(errors, "error")),
            _ => write!(
                f,
                "{}, {}",
                Count(errors, "error"),
                Count(warnings, "warning")
            ),
        }
    }
}

struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{}",
            self.0,
            self.1,
            if self.0 == 1 { "" } else { "s" }
        )
    }
}
