use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::frame::Frame;
use crate::identifier::Token;
use crate::observation::Interest;
use crate::parameters::after;
use crate::request::{Delivery, Event, FailureCause, Request, Response, SendError};
use crate::round_trip::RoundTrip;

/// Requests of ours over a stream: sent once, answered once, and notified as long as they observe.
#[derive(Debug, Default)]
pub(super) struct Client {
    open: BTreeMap<Token, Open>,
    /// Tokens that a late response may still have.
    closed: VecDeque<Token>,
    round_trip: RoundTrip,
}

#[derive(Debug)]
struct Open {
    interest: Interest,
    /// Set while the server has us on its list of observers.
    observing: bool,
    sent: Instant,
    /// When to stop waiting for a response; never, for one that would be sent again and again.
    expires: Option<Instant>,
}

impl Client {
    pub(super) fn round_trip_estimate(&self) -> Option<Duration> {
        self.round_trip.estimate()
    }

    pub(super) fn is_open(&self, token: &Token) -> bool {
        self.open.contains_key(token)
    }

    pub(super) fn knows(&self, token: &Token) -> bool {
        self.is_open(token) || self.closed.contains(token)
    }

    pub(super) fn check_limits(
        &self,
        context: &Context,
        token: &Token,
        request: &Request,
    ) -> Result<(), SendError> {
        let others = || self.open.iter().filter(|(other, _)| *other != token);
        let outstanding = others().filter(|(_, open)| !open.observing).count();
        let registered = others()
            .filter(|(_, open)| open.interest == Interest::Register)
            .count();
        let interest = Interest::of(request.options.observe());
        context.limits.admit(outstanding, registered, interest)
    }

    pub(super) fn on_sent(
        &mut self,
        context: &Context,
        now: Instant,
        token: Token,
        interest: Interest,
        delivery: Delivery,
    ) {
        let lifetime = match delivery {
            Delivery::Confirmable => Some(context.parameters.exchange_lifetime()),
            Delivery::NonRepeated => None,
            Delivery::NonOnce => Some(context.parameters.non_lifetime()),
        };
        let open = Open {
            interest,
            observing: false,
            sent: now,
            expires: lifetime.map(|lifetime| after(now, lifetime)),
        };
        self.closed.retain(|closed| *closed != token);
        self.open.insert(token, open);
    }

    /// Stops waiting. Whether the server may have us on a list of observers.
    pub(super) fn close(&mut self, context: &Context, token: &Token) -> bool {
        let Some(open) = self.open.remove(token) else {
            return false;
        };
        self.closed.push_back(*token);
        while self.closed.len() > context.limits.closed_tokens {
            self.closed.pop_front();
        }
        open.interest == Interest::Register
    }

    /// The connection is over, and nothing is heard of any request again.
    pub(super) fn forget_all(&mut self) {
        self.open.clear();
    }

    pub(super) fn on_response(&mut self, context: &mut Context, now: Instant, frame: Frame) {
        let token = frame.token;
        let Some(open) = self.open.get_mut(&token) else {
            if self.closed.contains(&token) {
                context.counters.late_responses += 1;
            } else {
                context.counters.unmatched_responses += 1;
            }
            return;
        };
        if let Some(option) = context.unrecognised_critical(&frame.options) {
            context.counters.unknown_critical_option += 1;
            let cause = FailureCause::CriticalOption(option);
            return self.fail(context, token, cause);
        }
        // The stream keeps order: the value does not matter (RFC 8323 §7.1).
        let observe = frame.code.is_success() && frame.options.observe().is_some();
        let round_trip = (!open.observing).then(|| now.saturating_duration_since(open.sent));
        match (open.interest, observe) {
            (Interest::Register, true) => {
                open.observing = true;
                open.expires = None;
            }
            // Sent before the server took us off its list.
            (Interest::Deregister, true) => {
                context.counters.stale_notifications += 1;
                return;
            }
            _ => {
                self.close(context, &token);
            }
        }
        if let Some(sample) = round_trip {
            self.round_trip.sample(sample);
        }
        let response = Response {
            code: frame.code,
            options: frame.options,
            payload: frame.payload,
        };
        context.emit(Event::Response {
            token,
            response,
            round_trip,
        });
    }

    fn fail(&mut self, context: &mut Context, token: Token, cause: FailureCause) {
        self.close(context, &token);
        context.emit(Event::Failed { token, cause });
    }

    pub(super) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        while let Some((expires, token)) = self.first_due()
            && expires <= now
        {
            self.fail(context, token, FailureCause::TimedOut);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.first_due().map(|(expires, _)| expires)
    }

    fn first_due(&self) -> Option<(Instant, Token)> {
        let due = self.open.iter();
        due.filter_map(|(token, open)| Some((open.expires?, *token)))
            .min()
    }
}
