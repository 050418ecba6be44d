use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::context::Context;
use crate::identifier::{Exchange, MessageId, Token};
use crate::parameters::after;

/// The requests received lately, with the reply each got (RFC 7252 §4.5).
///
/// A request is known by Message ID and token together: duplicates share both, and a peer that is
/// early to use a Message ID again does not lose a request over it.
#[derive(Debug, Default)]
pub(crate) struct Deduplication {
    received: BTreeMap<Exchange, Received>,
    by_message: BTreeMap<(MessageId, Token), Exchange>,
    acknowledgements_due: BTreeSet<(Instant, Exchange)>,
    next_exchange: u64,
    cached_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message_id: MessageId,
    pub(crate) token: Token,
    pub(crate) progress: Progress,
    expires: Instant,
}

#[derive(Debug)]
pub(crate) enum Progress {
    /// Confirmable; neither acknowledged nor answered.
    Pending { acknowledge_at: Instant },
    /// Confirmable; acknowledged, so that the response has to be separate.
    Promised,
    /// Non-confirmable, not answered.
    Unacknowledged,
    /// Done. A duplicate gets this datagram; nothing, if it is empty.
    Answered { reply: Vec<u8> },
}

impl Deduplication {
    pub(crate) fn get(&self, exchange: Exchange) -> Option<&Received> {
        self.received.get(&exchange)
    }

    /// The request that one with these identifiers is a duplicate of.
    pub(crate) fn original(&self, now: Instant, id: MessageId, token: Token) -> Option<&Received> {
        let exchange = self.by_message.get(&(id, token))?;
        self.received
            .get(exchange)
            .filter(|received| now < received.expires)
    }

    /// Remembers a new request.
    pub(crate) fn admit(
        &mut self,
        context: &Context,
        now: Instant,
        (message_id, token): (MessageId, Token),
        confirmable: bool,
    ) -> Exchange {
        self.make_room(context, now);
        let exchange = Exchange(self.next_exchange);
        self.next_exchange += 1;
        let (lifetime, progress) = if confirmable {
            let acknowledge_at = after(now, context.parameters.acknowledgement_delay);
            self.acknowledgements_due.insert((acknowledge_at, exchange));
            (
                context.parameters.exchange_lifetime(),
                Progress::Pending { acknowledge_at },
            )
        } else {
            (context.parameters.non_lifetime(), Progress::Unacknowledged)
        };
        let received = Received {
            message_id,
            token,
            progress,
            expires: after(now, lifetime),
        };
        self.received.insert(exchange, received);
        if let Some(expired) = self.by_message.insert((message_id, token), exchange) {
            self.forget(expired);
        }
        exchange
    }

    /// Drops what is expired, and the oldest if that leaves no room.
    fn make_room(&mut self, context: &Context, now: Instant) {
        while let Some((oldest, received)) = self.received.first_key_value() {
            let full = self.received.len() >= context.limits.deduplication_entries;
            if !full && now < received.expires {
                break;
            }
            self.forget(*oldest);
        }
    }

    /// Forgets a request. A duplicate of it is processed anew, as RFC 7252 §4.5 allows for
    /// idempotent methods.
    fn forget(&mut self, exchange: Exchange) {
        let Some(received) = self.received.remove(&exchange) else {
            return;
        };
        let key = (received.message_id, received.token);
        if self.by_message.get(&key) == Some(&exchange) {
            self.by_message.remove(&key);
        }
        match received.progress {
            Progress::Pending { acknowledge_at } => {
                self.acknowledgements_due
                    .remove(&(acknowledge_at, exchange));
            }
            Progress::Answered { reply } => self.cached_bytes -= reply.len(),
            Progress::Promised | Progress::Unacknowledged => {}
        }
    }

    /// Ends an exchange, with what its duplicates get.
    pub(crate) fn finish(&mut self, context: &Context, exchange: Exchange, reply: Vec<u8>) {
        let Some(received) = self.received.get_mut(&exchange) else {
            return;
        };
        if let Progress::Pending { acknowledge_at } = received.progress {
            self.acknowledgements_due
                .remove(&(acknowledge_at, exchange));
        }
        self.cached_bytes += reply.len();
        received.progress = Progress::Answered { reply };
        while self.cached_bytes > context.limits.response_cache_bytes {
            let cached = self.received.iter().find(|(_, received)| {
                matches!(&received.progress, Progress::Answered { reply } if !reply.is_empty())
            });
            let Some(oldest) = cached.map(|(exchange, _)| *exchange) else {
                break;
            };
            self.forget(oldest);
        }
    }

    /// The next request whose acknowledgement cannot wait for the response any longer, from now on
    /// promised one.
    pub(crate) fn promise_due(&mut self, now: Instant) -> Option<MessageId> {
        let (due, exchange) = self.acknowledgements_due.first().copied()?;
        if now < due {
            return None;
        }
        self.acknowledgements_due.pop_first();
        let received = self.received.get_mut(&exchange)?;
        received.progress = Progress::Promised;
        Some(received.message_id)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.acknowledgements_due.first().map(|(due, _)| *due)
    }
}
