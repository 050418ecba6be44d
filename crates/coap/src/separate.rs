use std::collections::VecDeque;
use std::time::Instant;

use crate::context::Context;
use crate::identifier::MessageId;
use crate::retransmission::{Due, Retransmission};

/// Confirmable responses that nobody has acknowledged yet (RFC 7252 §5.2.2).
#[derive(Debug, Default)]
pub(crate) struct SeparateResponses {
    in_flight: VecDeque<SeparateResponse>,
}

#[derive(Debug)]
struct SeparateResponse {
    message_id: MessageId,
    datagram: Vec<u8>,
    retransmission: Retransmission,
}

impl SeparateResponses {
    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        now: Instant,
        message_id: MessageId,
        datagram: Vec<u8>,
    ) {
        context.transmit(datagram.clone());
        let fraction = context.identifiers.fraction();
        let retransmission = Retransmission::new(now, &context.parameters, fraction);
        self.in_flight.push_back(SeparateResponse {
            message_id,
            datagram,
            retransmission,
        });
        while self.in_flight.len() > context.limits.separate_responses {
            self.in_flight.pop_front();
            context.counters.undelivered_responses += 1;
        }
    }

    /// Takes an Acknowledgement or Reset; `false` if no response waits for it.
    pub(crate) fn settle(&mut self, message_id: MessageId) -> bool {
        let before = self.in_flight.len();
        self.in_flight
            .retain(|response| response.message_id != message_id);
        self.in_flight.len() < before
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        self.in_flight.retain_mut(|response| {
            if now < response.retransmission.deadline() {
                return true;
            }
            let due = response.retransmission.on_deadline(now);
            match due {
                Due::Transmit => {
                    context.counters.repeated += 1;
                    context.transmit(response.datagram.clone());
                }
                Due::Miss => {}
                Due::GiveUp => context.counters.undelivered_responses += 1,
            }
            due != Due::GiveUp
        });
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.in_flight
            .iter()
            .map(|response| response.retransmission.deadline())
            .min()
    }
}
