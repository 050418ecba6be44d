//! Who stops the traffic behind a server: a mitigator, or servers upstream.

use agent::server::{Change, MitigationKey, Outcome};
use dots::mitigation::AttackStatus;
use tokio::sync::mpsc;

use super::Error;
use super::message::Scope;
use super::scopes::Scopes;

/// What a gateway's client is told once it is durable.
#[derive(Debug)]
pub(crate) struct Committed {
    /// In order.
    pub(crate) changes: Vec<Change>,
    /// What clients say of the success of their mitigations.
    pub(crate) told: Vec<(MitigationKey, AttackStatus)>,
}

/// Who stops the traffic.
#[derive(Debug)]
pub(crate) enum Behind {
    /// A filter of this machine.
    Mitigator(Scopes),
    /// Servers upstream, which a gateway's client asks. When it is behind, the authority waits.
    Upstream(mpsc::Sender<Committed>),
}

impl Behind {
    /// What was decided, and is durable now.
    ///
    /// # Errors
    /// [`Error::Broken`]: nobody listens any more, so nothing may be promised.
    pub(super) fn tell(
        &self,
        changes: Vec<Change>,
        scopes: Vec<Scope>,
        outcomes: &[Outcome],
    ) -> Result<(), Error> {
        match self {
            Self::Mitigator(filter) => {
                if !scopes.is_empty() && filter.tell(scopes).is_err() {
                    return Err(Error::Broken("the thread that keeps the filter has ended"));
                }
            }
            Self::Upstream(client) => {
                let told = outcomes.iter().filter_map(|outcome| match outcome {
                    Outcome::Efficacy { key, attack_status } => Some((key.clone(), *attack_status)),
                    _ => None,
                });
                let told: Vec<_> = told.collect();
                let is_news = !changes.is_empty() || !told.is_empty();
                if is_news && client.blocking_send(Committed { changes, told }).is_err() {
                    return Err(Error::Broken("the client that asks upstream has ended"));
                }
            }
        }
        Ok(())
    }
}
