//! Who wants to be told about which mitigations (RFC 7641, RFC 9132 §4.4.2.1).

use std::collections::BTreeMap;

use coap::Token;
use dots::identifiers::{Cuid, Mid};

use super::SessionId;

/// Observe sequence numbers have 24 bits (RFC 7641 §3.4).
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// What an observer looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) customer: String,
    pub(super) cuid: Cuid,
    /// One mitigation; `None`: all of the client.
    pub(super) mid: Option<Mid>,
    sequence: u32,
}

/// All observations of a server.
#[derive(Debug, Default)]
pub(super) struct Observations {
    by_token: BTreeMap<(SessionId, Token), Observation>,
}

impl Observations {
    /// Registers an observer, or renews it. `None` when the session has `limit` already: the
    /// request is then answered like a plain GET (RFC 7641 §4.1).
    pub(super) fn register(
        &mut self,
        (session, token): (SessionId, Token),
        (customer, cuid, mid): (&str, &Cuid, Option<Mid>),
        limit: usize,
    ) -> Option<u32> {
        let known = self.by_token.contains_key(&(session, token));
        if !known && self.of_session(session).count() >= limit {
            return None;
        }
        let observation = Observation {
            customer: customer.to_owned(),
            cuid: cuid.clone(),
            mid,
            sequence: 0,
        };
        let entry = self.by_token.entry((session, token)).or_insert(observation);
        entry.mid = mid;
        entry.cuid = cuid.clone();
        Some(entry.advance())
    }

    pub(super) fn deregister(&mut self, session: SessionId, token: Token) {
        self.by_token.remove(&(session, token));
    }

    /// Forgets all that a lost session observed.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        let tokens: Vec<Token> = self.of_session(session).collect();
        for token in tokens {
            self.by_token.remove(&(session, token));
        }
    }

    /// Every observer, with a way to take its next sequence number.
    pub(super) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (SessionId, Token, &mut Observation)> {
        self.by_token
            .iter_mut()
            .map(|((session, token), observation)| (*session, *token, observation))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    fn of_session(&self, session: SessionId) -> impl Iterator<Item = Token> + '_ {
        self.by_token
            .range((session, Token::EMPTY)..)
            .take_while(move |((of, _), _)| *of == session)
            .map(|((_, token), _)| *token)
    }
}

impl Observation {
    /// The next value of the Observe option.
    pub(super) fn advance(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK;
        self.sequence
    }

    pub(super) fn covers(&self, customer: &str, cuid: &Cuid, mid: Mid) -> bool {
        self.customer == customer && self.cuid == *cuid && self.mid.is_none_or(|only| only == mid)
    }
}
