//! Requests of ours and the observations they register.
//!
//! ```text
//! Confirmable   --CON-->  Confirming --ACK--> Acknowledged --response--> closed, or Observing
//! NonRepeated   --NON-->  Repeating  ----------------------response--> closed, or Observing
//! NonOnce       --NON-->  Waiting    ----------------------response--> closed, or Observing
//! ```
//! A response is taken in each phase, whatever its message type: peers in the field answer CON with
//! NON and never acknowledge. RST, or time running out, closes the token as well.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::identifier::{MessageId, Token};
use crate::message::{Message, MessageType};
use crate::observation::Interest;
use crate::open_request::{OpenRequest, Phase};
use crate::parameters::after;
use crate::request::{Delivery, Event, FailureCause, Request, Response, SendError};
use crate::retransmission::{Due, Retransmission};
use crate::round_trip::RoundTrip;

#[derive(Debug, Default)]
pub(crate) struct Client {
    open: BTreeMap<Token, OpenRequest>,
    /// Tokens whose late responses need no Reset.
    closed: VecDeque<Token>,
    last_non_confirmable: Option<Instant>,
    round_trip: RoundTrip,
}

/// How the message layer answers a Confirmable response, and whether a Non-confirmable one is
/// rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Reject,
}

impl Client {
    pub(crate) fn round_trip_estimate(&self) -> Option<Duration> {
        self.round_trip.estimate()
    }

    pub(crate) fn is_open(&self, token: &Token) -> bool {
        self.open.contains_key(token)
    }

    pub(crate) fn knows(&self, token: &Token) -> bool {
        self.is_open(token) || self.closed.contains(token)
    }

    /// Sends a request, whatever the limits of [`check_limits`](Self::check_limits).
    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        request: Request,
    ) -> Result<(), SendError> {
        if !request.method.is_request() {
            return Err(SendError::NotAMethod(request.method));
        }
        let interest = Interest::of(request.options.observe());
        let message_type = match request.delivery {
            Delivery::Confirmable => MessageType::Confirmable,
            Delivery::NonRepeated | Delivery::NonOnce => MessageType::NonConfirmable,
        };
        let message_id = context.identifiers.message_id();
        let Request {
            method: code,
            options,
            payload,
            ..
        } = request;
        let datagram = context.encode(&Message {
            message_type,
            code,
            message_id,
            token,
            options,
            payload,
        })?;
        context.transmit(datagram.clone());

        let phase = match request.delivery {
            Delivery::Confirmable => {
                let fraction = context.identifiers.fraction();
                Phase::Confirming(Retransmission::new(now, &context.parameters, fraction))
            }
            Delivery::NonRepeated => {
                let interval = self.round_trip.first_interval(&context.parameters);
                Phase::Repeating {
                    next: after(now, interval),
                    interval,
                }
            }
            Delivery::NonOnce => Phase::Waiting {
                expires: after(now, context.parameters.non_lifetime()),
            },
        };
        if message_type == MessageType::NonConfirmable {
            self.last_non_confirmable = Some(now);
        }
        let freshest = self.open.get(&token).and_then(|open| open.freshest);
        let message_ids = VecDeque::from([message_id]);
        let open = OpenRequest {
            phase,
            interest,
            datagram,
            message_ids,
            first_sent: now,
            copies: 1,
            freshest,
        };
        self.closed.retain(|closed| *closed != token);
        self.open.insert(token, open);
        Ok(())
    }

    /// Whether the application may send another request.
    pub(crate) fn check_limits(
        &self,
        context: &Context,
        token: &Token,
        request: &Request,
    ) -> Result<(), SendError> {
        let others = || self.open.iter().filter(|(other, _)| *other != token);
        let outstanding = others()
            .filter(|(_, open)| !matches!(open.phase, Phase::Observing))
            .count();
        let registered = others()
            .filter(|(_, open)| open.interest == Interest::Register)
            .count();
        let interest = Interest::of(request.options.observe());
        context.limits.admit(outstanding, registered, interest)
    }

    pub(crate) fn cancel(&mut self, context: &Context, token: &Token) {
        if self.open.remove(token).is_some() {
            self.remember_closed(context, *token);
        }
    }

    /// Forgets without remembering, so that what still comes with this token is rejected.
    pub(crate) fn forget(&mut self, token: &Token) {
        self.open.remove(token);
    }

    /// Takes an empty Acknowledgement; `false` if no request waits for it.
    pub(crate) fn on_acknowledgement(
        &mut self,
        context: &Context,
        now: Instant,
        message_id: MessageId,
    ) -> bool {
        let waiting = self
            .open
            .values_mut()
            .find(|open| open.message_ids.contains(&message_id));
        let Some(open) = waiting.filter(|open| matches!(open.phase, Phase::Confirming(_))) else {
            return false;
        };
        if let Some(sample) = open.sample(now) {
            self.round_trip.sample(sample);
        }
        open.phase = Phase::Acknowledged {
            expires: after(now, context.parameters.exchange_lifetime()),
        };
        true
    }

    /// Takes a Reset; `false` if it rejects no request.
    pub(crate) fn on_reset(&mut self, context: &mut Context, message_id: MessageId) -> bool {
        let rejected = self
            .open
            .iter()
            .find(|(_, open)| open.message_ids.contains(&message_id));
        let Some(token) = rejected.map(|(token, _)| *token) else {
            return false;
        };
        self.fail(context, token, FailureCause::Reset);
        true
    }

    pub(crate) fn on_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        message: Message,
    ) -> Verdict {
        let token = message.token;
        let observe = message
            .options
            .observe()
            .filter(|_| message.code.is_success());
        let Some(open) = self.open.get_mut(&token) else {
            return self.on_unmatched(context, &message);
        };
        // RFC 7252 §5.3.2: a piggybacked response matches by Message ID as well.
        if message.message_type == MessageType::Acknowledgement
            && !open.message_ids.contains(&message.message_id)
        {
            context.counters.unmatched_acknowledgements += 1;
            return Verdict::Accept;
        }
        if let Some(option) = context.unrecognised_critical(&message.options) {
            context.counters.unknown_critical_option += 1;
            self.fail(context, token, FailureCause::CriticalOption(option));
            return Verdict::Reject;
        }
        // While an observation is renewed, this may be a notification that crossed the request.
        let renewing = open.freshest.is_some() && observe.is_some();
        let round_trip = open.sample(now).filter(|_| !renewing);
        let since_first = open.since_first(now).filter(|_| !renewing);
        match (open.interest, observe) {
            (Interest::Register, Some(value)) => {
                if !open.admit_notification(value, now) {
                    context.counters.stale_notifications += 1;
                    return Verdict::Accept;
                }
            }
            // Sent before the server took us off its list: RFC 7641 §4.1 has no Observe in the
            // answer to this.
            (Interest::Deregister, Some(_)) => {
                context.counters.stale_notifications += 1;
                return Verdict::Accept;
            }
            _ => open.freshest = None,
        }

        if open.freshest.is_some() {
            open.settle();
        } else {
            self.open.remove(&token);
            self.remember_closed(context, token);
        }
        self.on_answered(context, now, round_trip, since_first);
        let response = Response {
            code: message.code,
            options: message.options,
            payload: message.payload,
        };
        context.emit(Event::Response {
            token,
            response,
            round_trip,
        });
        Verdict::Accept
    }

    /// The path is as fast as it was with this answer, for all requests that wait: what they have
    /// not heard was lost.
    fn on_answered(
        &mut self,
        context: &Context,
        now: Instant,
        sample: Option<Duration>,
        since_first: Option<Duration>,
    ) {
        match (sample, since_first) {
            (Some(sample), _) => self.round_trip.sample(sample),
            (None, Some(since_first)) => self.round_trip.bound(since_first),
            (None, None) => return,
        }
        let wait = self.round_trip.first_interval(&context.parameters);
        for open in self.open.values_mut() {
            open.hasten(now, wait);
        }
    }

    /// A notification nobody waits for is rejected, so that the server drops us from its list (RFC
    /// 7641 §3.6); a second answer to what is settled is not, for the server did nothing wrong.
    fn on_unmatched(&self, context: &mut Context, message: &Message) -> Verdict {
        if message.options.observe().is_none() && self.closed.contains(&message.token) {
            context.counters.late_responses += 1;
            return Verdict::Accept;
        }
        context.counters.unmatched_responses += 1;
        Verdict::Reject
    }

    fn fail(&mut self, context: &mut Context, token: Token, cause: FailureCause) {
        self.open.remove(&token);
        context.emit(Event::Failed { token, cause });
    }

    fn remember_closed(&mut self, context: &Context, token: Token) {
        self.closed.push_back(token);
        while self.closed.len() > context.limits.closed_tokens {
            self.closed.pop_front();
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        while let Some((deadline, _, token)) = self.first_due(context)
            && deadline <= now
        {
            self.on_deadline(context, now, token);
        }
    }

    pub(crate) fn next_timeout(&self, context: &Context) -> Option<Instant> {
        self.first_due(context).map(|(deadline, ..)| deadline)
    }

    /// The next request to act on. Of repetitions that the pace holds back, the one due longest
    /// goes first.
    fn first_due(&self, context: &Context) -> Option<(Instant, Instant, Token)> {
        let pace = self
            .last_non_confirmable
            .map(|last| after(last, self.round_trip.pace(&context.parameters)));
        let due = self.open.iter().filter_map(|(token, open)| {
            let own = open.deadline()?;
            let held = pace.filter(|_| matches!(open.phase, Phase::Repeating { .. }));
            Some((held.map_or(own, |pace| own.max(pace)), own, *token))
        });
        due.min()
    }

    fn on_deadline(&mut self, context: &mut Context, now: Instant, token: Token) {
        let Some(open) = self.open.get_mut(&token) else {
            return;
        };
        match &mut open.phase {
            Phase::Confirming(retransmission) => match retransmission.on_deadline(now) {
                Due::Transmit => {
                    open.copies = open.copies.saturating_add(1);
                    context.counters.repeated += 1;
                    context.transmit(open.datagram.clone());
                }
                Due::Miss => {}
                Due::GiveUp => self.fail(context, token, FailureCause::TimedOut),
            },
            Phase::Repeating { next, interval } => {
                if context
                    .parameters
                    .non_max_repeats
                    .is_some_and(|repeats| open.copies > repeats)
                {
                    self.fail(context, token, FailureCause::TimedOut);
                    return;
                }
                *interval = self
                    .round_trip
                    .next_interval(*interval, &context.parameters);
                *next = after(now, *interval);
                self.last_non_confirmable = Some(now);
                context.counters.repeated += 1;
                // A fresh Message ID: a receiver that deduplicates drops a copy with the old one
                // without an answer.
                let copy = open.next_copy(context.identifiers.message_id());
                context.transmit(copy);
            }
            Phase::Acknowledged { .. } | Phase::Waiting { .. } => {
                self.fail(context, token, FailureCause::TimedOut);
            }
            Phase::Observing => {}
        }
    }
}
