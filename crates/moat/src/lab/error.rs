//! Why a lab could not run. A check that failed is not an error: it is part of the report.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::enclosure;

/// Why a lab could not run (exit code 2).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no scenario of this name.
    #[error("there is no scenario \"{name}\"; there are: {known}")]
    UnknownScenario {
        /// What was asked for.
        name: String,
        /// The names there are, for a person.
        known: String,
    },
    /// All networks were to be kept.
    #[error("--keep keeps the network of one scenario, not of all")]
    KeepAll,
    /// There is no place to run in.
    #[error(transparent)]
    Enclosure(#[from] enclosure::Error),
    /// The kernel does without IPv6.
    #[error(
        "this machine's kernel runs without IPv6, which every network of the lab has: start it without ipv6.disable=1"
    )]
    NoIpv6,
    /// A system call or file operation failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A scenario uses a node that its network does not have.
    #[error("this network has no node \"{name}\"")]
    NoNode {
        /// Its name.
        name: String,
    },
    /// A program that must succeed did not.
    #[error("{command}: {outcome}{output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        outcome: String,
        /// The end of what it wrote, indented on lines of its own; or empty.
        output: String,
    },
    /// A program's answer is not what was agreed.
    #[error("{command} answered something unexpected ({source}): {answer}")]
    Answer {
        /// The command line, or the name of the process.
        command: String,
        /// What does not fit.
        source: serde_json::Error,
        /// The answer.
        answer: String,
    },
    /// The counters of an edge are not those that were made.
    #[error("an edge has no counter \"{name}\"")]
    NoCounter {
        /// The one that is missing.
        name: &'static str,
    },
    /// A process ended although it should run for the whole of the scenario.
    #[error("{name} ended early ({outcome}); its log {log} ends with:{tail}", log = log.display())]
    EndedEarly {
        /// The process.
        name: String,
        /// How it ended.
        outcome: String,
        /// Where it wrote its log.
        log: PathBuf,
        /// The end of the log, indented.
        tail: String,
    },
    /// Something that the scenario waits for did not happen.
    #[error("{what} did not happen within {} s{logs}", limit.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// The ends of the logs that may tell why, indented; or empty.
        logs: String,
    },
}

impl Error {
    /// For `map_err`: a failed system call with what was being done.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        let what = what.into();
        move |source| Error::Io {
            what,
            source: source.into(),
        }
    }

    /// The same, with the ends of logs that may tell why a program failed.
    pub(crate) fn with_logs(self, logs: &str) -> Self {
        match self {
            Error::Command {
                command,
                outcome,
                output,
            } => Error::Command {
                command,
                outcome,
                output: output + logs,
            },
            other => other,
        }
    }
}
