//! Requests that a gateway makes of its servers on behalf of its own clients (RFC 8811 §2.2.3).
//!
//! The gateway says which request it means: nothing is looked up by its target, and the same target
//! may be asked for again, under a higher number, in place of what was asked before.

use std::time::Duration;

use dots::lifetime::Lifetime;
use dots::target::Target;

use super::part;
use super::wanted::Wanted;
use super::{Client, Connector, Refusal, RequestId};
use crate::relay::Relayed;
use crate::server_selection::Attack;
use crate::time::Now;

/// A wish that ends so much later than the one before is worth a message.
const WORTH_ASKING: Duration = Duration::from_secs(2);

/// A relayed request that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayedRequest {
    /// Its number.
    pub id: RequestId,
    /// What is to be protected.
    pub target: Target,
    /// False: it waits for the loss of the session.
    pub trigger_mitigation: bool,
    /// How it is relayed.
    pub relayed: Relayed,
}

impl<C: Connector> Client<C> {
    /// As [`Client::mitigate`], but always with a request of its own, which waits for its network where nobody
    /// can be asked now.
    ///
    /// # Errors
    /// [`Refusal`], when too much was asked already, or what is asked finds no room in a message.
    pub fn relay(
        &mut self,
        now: Now,
        attack: &Attack,
        (lifetime, trigger_mitigation): (Lifetime, bool),
        relayed: Relayed,
    ) -> Result<RequestId, Refusal> {
        let selection = self.explain(attack);
        let until = part::until(now, lifetime);
        let wanted = Wanted {
            selection,
            relayed,
            ..Wanted::new(attack.clone(), trigger_mitigation, until)
        };
        self.ask(now, wanted)
    }

    /// Wants a request for at least this long from now.
    pub fn prolong(&mut self, now: Now, id: RequestId, lifetime: Lifetime) {
        let until = part::until(now, lifetime);
        let Some(wanted) = self.requests.get(id) else {
            return;
        };
        let is_later = match (wanted.until, until) {
            (Some(before), Some(until)) => before + WORTH_ASKING < until,
            (before, None) => before.is_some(),
            (None, Some(_)) => false,
        };
        if !is_later || wanted.is_withdrawn {
            return;
        }
        if let Some(wanted) = self.requests.get_mut(id) {
            wanted.until = until;
        }
        self.change_parts(id, |part| {
            if part.is_going() {
                part.prolong(now, until);
            }
        });
        self.settle(now);
    }

    /// What goes on, as a gateway recognises it after a restart.
    pub fn relayed_requests(&self, now: Now) -> Vec<RelayedRequest> {
        let all = self.requests.ids();
        let all = all.filter_map(|id| Some((id, self.requests.get(id)?)));
        let going = all.filter(|(_, wanted)| wanted.is_going(now));
        going
            .map(|(id, wanted)| RelayedRequest {
                id,
                target: wanted.attack.target.clone(),
                trigger_mitigation: wanted.trigger_mitigation,
                relayed: wanted.relayed.clone(),
            })
            .collect()
    }

    pub(super) fn relayed_as(&self, id: RequestId) -> Relayed {
        let wanted = self.requests.get(id);
        wanted.map_or_else(Relayed::default, |wanted| wanted.relayed.clone())
    }
}
