//! What the disk of a client does not take.

use serde::{Deserialize, Serialize};

/// Why a restart would not know what goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotStoredView {
    /// What the store said last.
    pub(crate) reason: String,
    /// For how long already.
    pub(crate) seconds: u64,
    /// Changes that wait for the disk.
    pub(crate) changes: usize,
    /// Changes that there was no room for.
    pub(crate) dropped: usize,
}
