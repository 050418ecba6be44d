//! Who wants to be told about which mitigations (RFC 7641, RFC 9132 §4.4.2.1).

use std::collections::{BTreeMap, BTreeSet};

use coap::Token;
use dots::identifiers::Mid;

use super::SessionId;
use super::mitigation::Identity;

/// Observe sequence numbers have 24 bits (RFC 7641 §3.4).
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// What identifies an observer at a server (RFC 7641 §4.1).
pub(super) type ObserverId = (SessionId, Token);

/// What an observer looks at.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// Whose mitigations: never those of another client, whoever takes the `cuid` later.
    pub(super) client: Identity,
    /// One mitigation; `None`: all of the client.
    pub(super) mid: Option<Mid>,
    sequence: u32,
}

impl Observation {
    /// The next value of the Observe option.
    pub(super) fn advance(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK;
        self.sequence
    }
}

/// All observations of a server.
#[derive(Debug, Default)]
pub(super) struct Observations {
    by_observer: BTreeMap<ObserverId, Observation>,
    by_client: BTreeMap<Identity, BTreeSet<ObserverId>>,
}

impl Observations {
    /// Registers an observer, or renews it. `None` when the session has `limit` already: the
    /// request is then answered like a plain GET (RFC 7641 §4.1).
    pub(super) fn register(
        &mut self,
        observer: ObserverId,
        (client, mid): (&Identity, Option<Mid>),
        limit: usize,
    ) -> Option<u32> {
        let sequence = match self.deregister(observer) {
            Some(known) => known.sequence,
            None if self.of_session(observer.0).count() >= limit => return None,
            None => 0,
        };
        let mut observation = Observation {
            client: client.clone(),
            mid,
            sequence,
        };
        let sequence = observation.advance();
        self.by_observer.insert(observer, observation);
        self.by_client
            .entry(client.clone())
            .or_default()
            .insert(observer);
        Some(sequence)
    }

    pub(super) fn deregister(&mut self, observer: ObserverId) -> Option<Observation> {
        let gone = self.by_observer.remove(&observer)?;
        if let Some(observers) = self.by_client.get_mut(&gone.client) {
            observers.remove(&observer);
            if observers.is_empty() {
                self.by_client.remove(&gone.client);
            }
        }
        Some(gone)
    }

    /// Forgets all that a session that is over observed.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        let observers: Vec<ObserverId> = self.of_session(session).collect();
        for observer in observers {
            self.deregister(observer);
        }
    }

    pub(super) fn get_mut(&mut self, observer: ObserverId) -> Option<&mut Observation> {
        self.by_observer.get_mut(&observer)
    }

    /// Every observer.
    pub(super) fn all(&self) -> Vec<ObserverId> {
        self.by_observer.keys().copied().collect()
    }

    /// Who observes this mitigation of this client.
    pub(super) fn of(&self, client: &Identity, mid: Mid) -> Vec<ObserverId> {
        let observers = self.by_client.get(client).into_iter().flatten().copied();
        observers
            .filter(|observer| {
                self.by_observer
                    .get(observer)
                    .is_some_and(|observation| observation.mid.is_none_or(|only| only == mid))
            })
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_observer.is_empty()
    }

    fn of_session(&self, session: SessionId) -> impl Iterator<Item = ObserverId> + '_ {
        self.by_observer
            .range((session, Token::EMPTY)..)
            .take_while(move |((of, _), _)| *of == session)
            .map(|(observer, _)| *observer)
    }
}
