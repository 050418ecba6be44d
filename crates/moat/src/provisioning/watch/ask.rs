//! The other end of the local API: asks `moat pvd watch`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::{Question, Taken};
use super::args::ReadOneArgs;
use super::view::{DomainView, ShelvedView};

/// Longest line, in bytes: 32 PvDs on each interface, with objects of 64 KiB.
const MAX_LINE_BYTES: u64 = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens there.
    #[error(
        "nobody watches PvDs at {}: {error}\n  start `moat pvd watch --interface NAME`, or name its socket with --control PATH or MOAT_PVD_CONTROL",
        path.display()
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It was there, and then was not.
    #[error("{} gave no answer: {error}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// It does not do it.
    #[error("{0}")]
    Refused(String),
    /// It does not know the PvD.
    #[error("there is no PvD {0} here; `moat pvd list` shows those there are")]
    Unknown(String),
    /// It knows more than one.
    #[error("{pvd} is on several interfaces: {}; choose with --interface", interfaces.join(", "))]
    Ambiguous {
        /// The name.
        pvd: String,
        /// Where it is.
        interfaces: Vec<String>,
    },
    /// Nothing signed is known of it.
    #[error("nothing that is signed is known of {0}")]
    NotSigned(String),
    /// It has no additional information.
    #[error("{pvd} has no additional information that may be used: {state}")]
    NoInformation {
        /// The PvD.
        pvd: String,
        /// How it stands.
        state: String,
    },
}

#[derive(Deserialize)]
struct Answer<T> {
    ok: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok(Taken),
    Error { reason: String },
}

/// Has something changed.
///
/// # Errors
/// [`AskError`]
pub(crate) fn change(path: &Path, question: &Question) -> Result<Taken, AskError> {
    let no_answer = |error| AskError::NoAnswer {
        path: path.to_owned(),
        error,
    };
    let mut lines = ask(path, question, Some(PATIENCE))?;
    let line = lines.next_line().map_err(no_answer)?;
    let line = line.ok_or_else(|| no_answer(io::ErrorKind::UnexpectedEof.into()))?;
    match serde_json::from_str(&line).map_err(|error| no_answer(error.into()))? {
        Outcome::Ok(taken) => Ok(taken),
        Outcome::Error { reason } => Err(AskError::Refused(reason)),
    }
}

/// All PvDs.
///
/// # Errors
/// [`AskError`]
pub(crate) fn list(path: &Path) -> Result<Vec<DomainView>, AskError> {
    answer(path, &Question::List)
}

/// Signed objects that are there, whether their PvDs are attached or not.
///
/// # Errors
/// [`AskError`]
pub(crate) fn shelf(path: &Path) -> Result<Vec<ShelvedView>, AskError> {
    answer(path, &Question::Shelf)
}

/// The compact JWS in which the additional information of a PvD came.
///
/// # Errors
/// [`AskError`]
pub(crate) fn signed(args: &ReadOneArgs) -> Result<String, AskError> {
    let question = Question::Signed {
        pvd: name(args),
        interface: args.interface.as_ref().map(ToString::to_string),
    };
    let signed: Option<String> = answer(&args.read.control, &question)?;
    signed.ok_or_else(|| AskError::NotSigned(args.pvd.clone()))
}

/// The answer in one line.
fn answer<T: DeserializeOwned>(path: &Path, question: &Question) -> Result<T, AskError> {
    let mut lines = ask(path, question, Some(PATIENCE))?;
    let no_answer = |error| AskError::NoAnswer {
        path: path.to_owned(),
        error,
    };
    let line = lines.next_line().map_err(no_answer)?;
    let line = line.ok_or_else(|| no_answer(io::ErrorKind::UnexpectedEof.into()))?;
    let answer: Answer<T> = serde_json::from_str(&line).map_err(|error| no_answer(error.into()))?;
    Ok(answer.ok)
}

/// As the daemon calls it.
fn name(args: &ReadOneArgs) -> String {
    args.pvd.trim_end_matches('.').to_ascii_lowercase()
}

/// The PvD that is meant.
///
/// # Errors
/// [`AskError`]
pub(crate) fn one(args: &ReadOneArgs) -> Result<DomainView, AskError> {
    let name = name(args);
    let mut found = list(&args.read.control)?;
    found.retain(|view| {
        let interface = args.interface.as_ref().map(pvd::InterfaceName::as_str);
        view.name() == name && interface.is_none_or(|interface| interface == view.interface)
    });
    let interfaces: Vec<_> = found.iter().map(|view| view.interface.clone()).collect();
    match found.pop() {
        None => Err(AskError::Unknown(args.pvd.clone())),
        Some(_) if interfaces.len() > 1 => Err(AskError::Ambiguous {
            pvd: args.pvd.clone(),
            interfaces,
        }),
        Some(view) => Ok(view),
    }
}

/// The additional information of a PvD.
///
/// # Errors
/// [`AskError`]
pub(crate) fn object(args: &ReadOneArgs) -> Result<serde_json::Value, AskError> {
    let view = one(args)?;
    let state = view.information.state;
    view.information
        .object
        .ok_or_else(|| AskError::NoInformation {
            pvd: args.pvd.clone(),
            state,
        })
}

/// Passes on each line of the feed, until the daemon ends.
///
/// # Errors
/// [`AskError`]
pub(crate) fn follow(path: &Path, mut pass: impl FnMut(&str)) -> Result<(), AskError> {
    let mut lines = ask(path, &Question::Watch, None)?;
    let no_answer = |error| AskError::NoAnswer {
        path: path.to_owned(),
        error,
    };
    while let Some(line) = lines.next_line().map_err(no_answer)? {
        pass(&line);
    }
    Err(no_answer(io::ErrorKind::UnexpectedEof.into()))
}

/// What the daemon says, line by line.
struct Lines(BufReader<UnixStream>);

impl Lines {
    fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = (&mut self.0).take(MAX_LINE_BYTES).read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }
}

fn ask(path: &Path, question: &Question, patience: Option<Duration>) -> Result<Lines, AskError> {
    let unreachable = |error| AskError::Unreachable {
        path: path.to_owned(),
        error,
    };
    let mut stream = UnixStream::connect(path).map_err(unreachable)?;
    let mut begin = || -> io::Result<()> {
        stream.set_read_timeout(patience)?;
        let text = serde_json::to_string(question)?;
        stream.write_all(format!("{text}\n").as_bytes())
    };
    begin().map_err(unreachable)?;
    Ok(Lines(BufReader::new(stream)))
}
