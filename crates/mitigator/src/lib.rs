//! Enforcement of accepted mitigations, behind one trait.
//!
//! The server resolves the scope of a mitigation to a [`Filter`] and hands batches of
//! [`FilterChange`]s to a [`Mitigator`]. [`nftables::Nftables`] drops the attack on this machine.
//! Calls block until the kernel has taken the change, so that a caller that may not block gives the
//! mitigator a thread of its own.

mod filter;
pub mod nftables;

use std::collections::BTreeMap;

pub use filter::{Filter, FilterId, FilterIdError};
pub use nftables::MitigatorError;

/// One change of what is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterChange {
    /// Enforce this filter from now on, in place of any with the same identifier. What the one
    /// before has counted and learnt is kept.
    Enforce(Filter),
    /// Enforce it no more. A filter that is not there is no error.
    Withdraw(FilterId),
}

/// What [`Mitigator::reconcile`] found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Wanted filters that were not in force.
    pub added: Vec<FilterId>,
    /// Filters in force that nobody wants.
    pub removed: Vec<FilterId>,
    /// Wanted filters that were in force; what they have counted and learnt is kept.
    pub kept: Vec<FilterId>,
}

/// What a filter has dropped since it was enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets, network header included.
    pub bytes: u64,
}

/// A back end that enforces mitigations.
pub trait Mitigator: Send {
    /// Makes all changes, in order, at one instant, or none of them.
    ///
    /// # Errors
    /// When the changes could not be made. The next call starts from what was in force before.
    fn apply(&mut self, changes: &[FilterChange]) -> Result<(), MitigatorError>;

    /// Makes what is enforced equal to `wanted`, whatever it was before. To be called at start with
    /// what the store holds; it may be called at any time to repair what others have changed. Of
    /// two filters with one identifier the last counts.
    ///
    /// # Errors
    /// When that was not possible; what was enforced before still is.
    fn reconcile(&mut self, wanted: &[Filter]) -> Result<Reconciled, MitigatorError>;

    /// What each filter has dropped.
    ///
    /// # Errors
    /// When the counters could not be read.
    fn counters(&mut self) -> Result<BTreeMap<FilterId, Dropped>, MitigatorError>;
}
