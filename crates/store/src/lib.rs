//! Durable state of the agents, behind one trait.
//!
//! An agent decides, hands a batch of [`Change`]s to a [`Store`], and keeps its promise back until
//! the batch is durable (persist before you promise). [`SqliteStore`] keeps the state in one file;
//! [`MemoryStore`] holds the same state for simulations. At start an agent takes up what
//! [`Store::load_server`] or [`Store::load_client`] gives back.

mod error;
mod memory;
mod record;
mod sqlite;

pub use error::StoreError;
pub use memory::MemoryStore;
pub use record::{
    ClientRequestKey, ClientRequestRecord, ClientSnapshot, CuidBinding, Expiry, MitigationKey,
    MitigationRecord, ServerSnapshot,
};
pub use sqlite::SqliteStore;

use dots::identifiers::Mid;

/// One change of durable state. A put replaces what is there under the same key; a delete of what
/// is not there does nothing, so that a batch can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Server: a mitigation was accepted or has changed.
    PutMitigation(MitigationRecord),
    /// Server: a mitigation has ended.
    DeleteMitigation(MitigationKey),
    /// Server: a 'cuid' belongs to a credential from now on. The store does not judge whether it
    /// may: the server refuses a collision before (RFC 9132 §4.4.1.3).
    BindCuid(CuidBinding),
    /// Client: every 'mid' below `next` counts as used on this association (RFC 9132 §4.4.1.1).
    ReserveMids {
        /// Names the mid space: PvD and server.
        association: String,
        /// The lowest 'mid' that is still free.
        next: Mid,
    },
    /// Client: a request was made or has changed.
    PutClientRequest(ClientRequestRecord),
    /// Client: a request needs no more following.
    DeleteClientRequest(ClientRequestKey),
}

/// Durable state of one agent.
pub trait Store: Send {
    /// What a server must take up again after a restart.
    ///
    /// # Errors
    /// When the state cannot be read or does not decode.
    fn load_server(&mut self) -> Result<ServerSnapshot, StoreError>;

    /// What a client must take up again after a restart.
    ///
    /// # Errors
    /// When the state cannot be read or does not decode.
    fn load_client(&mut self) -> Result<ClientSnapshot, StoreError>;

    /// Makes all changes, in order, or none of them. They survive a crash of the process and of the
    /// machine once this has returned; the price is one fsync for the batch, whatever its length.
    ///
    /// # Errors
    /// When the changes could not be written; nothing of the batch is in force then.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}
