//! The sessions of a server, by the clients that they belong to.

use std::collections::btree_map::Entry;

use dtls::Peer;

use super::outcome::Outcome;
use super::record::{MitigationKey, Standing};
use super::{Action, Server, SessionId};
use crate::time::Now;

/// The authenticated client of a session.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) customer: Option<String>,
    pub(super) credential: [u8; 32],
}

impl Server {
    /// The sessions that are up, each with its customer if it belongs to one.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, Option<&str>)> {
        self.clients
            .iter()
            .map(|(session, client)| (*session, client.customer.as_deref()))
    }

    pub(super) fn on_established(&mut self, session: SessionId, peer: &Peer) {
        let client = Client {
            customer: self.customers.identify(peer).map(str::to_owned),
            credential: peer.credential.fingerprint(),
        };
        if let Some(customer) = &client.customer {
            let limit = self.policy.max_sessions_of_customer;
            let count = self.sessions_of_customer.get(customer).copied();
            let count = count.unwrap_or_default();
            if count >= limit {
                let customer = customer.clone();
                self.actions.push_back(Action::Close(session));
                self.actions
                    .push_back(Action::Decided(Outcome::TooManySessions {
                        session,
                        customer,
                        limit,
                    }));
                return;
            }
            self.sessions_of_customer
                .insert(customer.clone(), count + 1);
        } else {
            self.actions.push_back(Action::Decided(Outcome::NoCustomer {
                session,
                peer: peer.clone(),
            }));
        }
        if self.attacks.join(client.credential, session) {
            self.actions.push_back(Action::SetMitigating(session, true));
        }
        self.clients.insert(session, client);
    }

    /// RFC 9132 §4.7: the loss of the last session of a client starts what it had preconfigured.
    pub(super) fn on_session_lost(&mut self, now: Now, session: SessionId) {
        self.actions.push_back(Action::Close(session));
        let Some(lost) = self.clients.get(&session).cloned() else {
            return;
        };
        self.forget(session);
        let customer = lost.customer.iter();
        let parked: Vec<MitigationKey> = customer
            .flat_map(|customer| self.mitigations.of_customer(customer))
            .filter(|mitigation| mitigation.record.standing == Standing::Parked)
            .filter(|mitigation| mitigation.record.credential == lost.credential)
            .map(|mitigation| mitigation.record.key.clone())
            .collect();
        if parked.is_empty() || self.attacks.has_session(&lost.credential) {
            return;
        }
        for key in parked {
            self.trigger(now, &key);
        }
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        if let Some(client) = self.clients.remove(&session) {
            self.attacks.leave(&client.credential, session);
            if let Entry::Occupied(mut count) = self
                .sessions_of_customer
                .entry(client.customer.unwrap_or_default())
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        self.observations.forget_session(session);
        self.forget_waiting(session);
    }
}
