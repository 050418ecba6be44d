//! Durable state of the agents: what `agent` asks to have persisted, in one SQLite file.
//!
//! An agent decides, hands a batch of changes to its store, and keeps its promise back until the
//! batch is durable (persist before you promise). At start it takes up what `load` gives back.
//!
//! A put replaces what is there under the same key; a delete of what is not there does nothing, so
//! that a batch can be repeated.

mod error;
mod sqlite;

use agent::{client, server};

pub use error::StoreError;
pub use sqlite::{APPLICATION_ID, SqliteStore};

/// Durable state of a server.
pub trait ServerStore: Send {
    /// What a server must take up again after a restart.
    ///
    /// # Errors
    /// When the state cannot be read or does not decode.
    fn load(&mut self) -> Result<server::Snapshot, StoreError>;

    /// Makes all changes, in order, or none of them. They survive a crash of the process and of the
    /// machine once this has returned; the price is one fsync for the batch, whatever its length.
    ///
    /// # Errors
    /// When the changes could not be written; nothing of the batch is in force then.
    fn commit(&mut self, changes: &[server::Change]) -> Result<(), StoreError>;
}

/// The wall clock at a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Seconds since 1970.
    pub unix: u64,
    /// By how many seconds it was set forward, or back, since the commit before. What is wanted is wanted for
    /// as long as before, so that its end moves along.
    pub jumped: i64,
}

/// Durable state of a client.
pub trait ClientStore: Send {
    /// What a client must take up again after a restart.
    ///
    /// # Errors
    /// When the state cannot be read or does not decode.
    fn load(&mut self) -> Result<client::Snapshot, StoreError>;

    /// What the wall clock showed at the last commit, in seconds since 1970; `None` before the first.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn last_written(&mut self) -> Result<Option<u64>, StoreError>;

    /// As [`ServerStore::commit`], and notes the time, also of a batch without changes. Ends of what was stored
    /// before are moved first; those in `changes` are by the clock as it is.
    ///
    /// # Errors
    /// When the changes could not be written, or a target names nothing or too much
    /// ([`StoreError::Target`]); nothing of the batch is in force then.
    fn commit(&mut self, clock: WallClock, changes: &[client::Change]) -> Result<(), StoreError>;
}
