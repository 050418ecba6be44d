//! The multihoming decision (RFC 9284 §5): each choice of its policy, and a million random networks
//! beside a reference that knows nothing of prefixes but single addresses.

mod networks;
mod policies;
mod reference;

use std::collections::BTreeSet;

use agent::server_selection::{AssociationId, SessionStates};

/// The servers with an established session, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Established(pub(crate) BTreeSet<String>);

impl SessionStates for Established {
    fn is_established(&self, association: &AssociationId) -> bool {
        self.0.contains(&association.server)
    }
}
