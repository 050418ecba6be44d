//! What can go wrong with durable state. Every message names the file and says what to do about it.

use std::io;
use std::path::PathBuf;

use agent::client::RequestId;
use dots::DecodeError;
use dots::mitigation::RequestError;

/// Why state could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory of the file could not be made.
    #[error("cannot create the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be created or made private.
    #[error("cannot create the state file {}: {source}", path.display())]
    Create {
        /// The state file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the file.
    #[error(
        "{} is in use by another moat: stop that one, or give this one another state file",
        path.display()
    )]
    InUse {
        /// The state file.
        path: PathBuf,
    },
    /// Somebody has removed or replaced the file while it was in use.
    #[error(
        "{} was removed or replaced while it was in use: put it back if you can, and start again",
        path.display()
    )]
    Replaced {
        /// The state file.
        path: PathBuf,
    },
    /// The file is no database at all.
    #[error(
        "{} is not a moat state file: give another path, or move the file away",
        path.display()
    )]
    NotADatabase {
        /// The state file.
        path: PathBuf,
    },
    /// The file is a database of some other program.
    #[error(
        "{} belongs to another program (application id {application_id:#010x}): give another path \
         for the state file",
        path.display()
    )]
    Foreign {
        /// The state file.
        path: PathBuf,
        /// SQLite's application id in its header.
        application_id: i32,
    },
    /// A newer moat wrote the file.
    #[error(
        "{} has format {found}, and this moat knows formats up to {supported}: run the newer moat \
         that wrote it",
        path.display()
    )]
    NewerFormat {
        /// The state file.
        path: PathBuf,
        /// The format it has.
        found: i32,
        /// The newest format that this version reads.
        supported: i32,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged ({detail}): restore it from a backup, or move it away to start empty and \
         ask again for what was in force",
        path.display()
    )]
    Corrupt {
        /// The state file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// A stored request does not decode.
    #[error(
        "{} holds a {column} in table {table} that does not decode ({source}): restore the file \
         from a backup",
        path.display()
    )]
    Request {
        /// The state file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Where the decoding failed.
        source: DecodeError,
    },
    /// A stored value is outside its range.
    #[error(
        "{} holds an impossible {column} in table {table}: restore the file from a backup",
        path.display()
    )]
    Value {
        /// The state file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The target of a request cannot be encoded.
    #[error("cannot keep request {id} in {}: {source}", path.display())]
    Target {
        /// The state file.
        path: PathBuf,
        /// The request.
        id: RequestId,
        /// What is wrong with its target.
        source: RequestError,
    },
    /// The disk is full.
    #[error("no space left to write {}: nothing of the last batch is kept", path.display())]
    DiskFull {
        /// The state file.
        path: PathBuf,
    },
    /// Anything else that SQLite reports.
    #[error("cannot {action} {}: {source}", path.display())]
    Sqlite {
        /// The state file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}
