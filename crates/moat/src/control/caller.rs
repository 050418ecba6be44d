//! The command line's end of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, Command, Failure};

/// Longest answer, in bytes: a daemon of our own, but no reason to run out of memory.
const MAX_ANSWER_BYTES: u64 = 1 << 30;
/// How long an answer may take for which the daemon waits ten seconds for servers.
const PATIENCE_WITH_SERVERS: Duration = Duration::from_secs(12);
/// How long any other answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody listens there.
    #[error(
        "no moat daemon answers at {}: {error}\n  {}",
        path.display(),
        advice(error)
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The daemon was there and then was not.
    #[error("the moat daemon at {} gave no answer: {error}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The daemon is there and says nothing.
    #[error(
        "the moat daemon at {} gave no answer within {} s; is it stopped?",
        path.display(),
        patience.as_secs()
    )]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The daemon would not do it.
    #[error("{}", .0.reason)]
    Refused(Failure),
}

/// Asks the daemon at `path`.
///
/// # Errors
/// [`CallError`]
pub(crate) fn call(path: &Path, command: &Command) -> Result<serde_json::Value, CallError> {
    let stream = UnixStream::connect(path).map_err(|error| CallError::Unreachable {
        path: path.to_owned(),
        error,
    })?;
    let patience = patience(command);
    let answer = converse(stream, command, patience).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                CallError::Silent { path, patience }
            }
            _ => CallError::NoAnswer { path, error },
        }
    })?;
    match answer {
        Answer::Ok(value) => Ok(value),
        Answer::Error(failure) => Err(CallError::Refused(failure)),
    }
}

fn patience(command: &Command) -> Duration {
    match command {
        Command::Mitigate { .. } | Command::Efficacy { .. } | Command::Withdraw { .. } => {
            PATIENCE_WITH_SERVERS
        }
        Command::Status
        | Command::Explain { .. }
        | Command::Sessions
        | Command::Announce { .. } => PATIENCE,
    }
}

fn converse(mut stream: UnixStream, command: &Command, patience: Duration) -> io::Result<Answer> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut text = serde_json::to_string(command)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_ANSWER_BYTES)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

/// What to do about a socket that cannot be reached.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "the socket is its owner's alone: run this as the user who runs the daemon"
        }
        _ => {
            "start one with `moat client`, `moat server` or `moat gateway` and --config FILE, or name its \
             socket with --control PATH or MOAT_CONTROL"
        }
    }
}
