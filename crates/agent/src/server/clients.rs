//! The sessions of a server, by the clients that they belong to.

use std::collections::BTreeSet;
use std::time::Instant;

use dtls::Peer;

use super::outcome::Outcome;
use super::{Action, Server, SessionId};
use crate::time::Now;

/// The authenticated client of a session.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) customer: Option<String>,
    pub(super) credential: [u8; 32],
    since: Instant,
}

impl Server {
    /// The sessions that are up, each with its customer if it belongs to one.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, Option<&str>)> {
        self.clients
            .iter()
            .map(|(session, client)| (*session, client.customer.as_deref()))
    }

    pub(super) fn on_established(&mut self, now: Now, session: SessionId, peer: &Peer) {
        let client = Client {
            customer: self.customers.identify(peer).map(str::to_owned),
            credential: peer.credential.fingerprint(),
            since: now.monotonic,
        };
        self.absences.end(&client.credential);
        if self.attacks.join(client.credential, session) {
            self.act(Action::SetMitigating(session, true));
        }
        match &client.customer {
            Some(customer) => {
                self.make_room(now, customer);
                let sessions = self.sessions_of_customer.entry(customer.clone());
                sessions.or_default().insert((client.since, session));
            }
            None => self.act(Action::Decided(Outcome::NoCustomer {
                session,
                peer: peer.clone(),
            })),
        }
        self.clients.insert(session, client);
    }

    /// Closes the oldest session of a customer that has as many as it may: a client that starts
    /// again and again leaves sessions behind that nobody uses, and must not lock itself out.
    fn make_room(&mut self, now: Now, customer: &str) {
        let limit = self.policy.max_sessions_of_customer;
        let sessions = self.sessions_of_customer.get(customer);
        let is_full = |sessions: &&BTreeSet<_>| sessions.len() >= limit;
        let oldest = sessions.filter(is_full).and_then(BTreeSet::first);
        let Some((_, session)) = oldest.copied() else {
            return;
        };
        self.act(Action::Close(session));
        self.act(Action::Decided(Outcome::TooManySessions {
            session,
            customer: customer.to_owned(),
            limit,
        }));
        self.on_session_broken(now, session);
    }

    /// RFC 9132 §4.7: the loss of the last session of a client starts what it had preconfigured.
    pub(super) fn on_session_lost(&mut self, now: Now, session: SessionId) {
        self.act(Action::Close(session));
        if let Some(lost) = self.forget(session)
            && let Some(customer) = lost.customer
            && !self.attacks.has_session(&lost.credential)
        {
            self.start_parked(now, &customer, &lost.credential);
        }
    }

    /// The session is gone; its client may come back with another one.
    pub(super) fn on_session_broken(&mut self, now: Now, session: SessionId) {
        if let Some(away) = self.forget(session)
            && let Some(customer) = away.customer
        {
            self.await_return(now, &customer, away.credential);
        }
    }

    /// A session is over. Returns its client.
    pub(super) fn forget(&mut self, session: SessionId) -> Option<Client> {
        let client = self.clients.remove(&session);
        if let Some(client) = &client {
            self.attacks.leave(&client.credential, session);
            if let Some(customer) = &client.customer
                && let Some(sessions) = self.sessions_of_customer.get_mut(customer)
            {
                sessions.remove(&(client.since, session));
                if sessions.is_empty() {
                    self.sessions_of_customer.remove(customer);
                }
            }
        }
        self.observations.forget_session(session);
        self.forget_waiting(session);
        self.held.forget(session);
        client
    }
}
