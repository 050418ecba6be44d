//! Two endpoints and a network between them that loses, doubles and reorders, on a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coap::{
    Code, Delivery, Endpoint, Event, Limits, Options, Request, Response, Token,
    TransmissionParameters,
};
use fastrand::Rng;

use crate::rig::*;

const CLIENT: usize = 0;
const SERVER: usize = 1;

struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    rng: Rng,
    loss_percent: u8,
    /// Datagrams under way by time of arrival, with a number that keeps equals apart.
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// Payloads the server's application has handled, with how often.
    handled: BTreeMap<Vec<u8>, u32>,
    answers: BTreeMap<Token, Vec<Response>>,
    failed: BTreeSet<Token>,
    observer: Option<Token>,
}

impl Pair {
    fn new(seed: u64, loss_percent: u8) -> Self {
        let end = |seed| Endpoint::new(TransmissionParameters::default(), Limits::default(), seed);
        Self {
            ends: [end(seed), end(!seed)],
            now: origin(),
            rng: Rng::with_seed(seed),
            loss_percent,
            under_way: BTreeMap::new(),
            sent: 0,
            handled: BTreeMap::new(),
            answers: BTreeMap::new(),
            failed: BTreeSet::new(),
            observer: None,
        }
    }

    fn request(&mut self, request: Request) -> Token {
        let token = self.ends[CLIENT]
            .send_request(self.now, request)
            .expect("room");
        self.settle();
        token
    }

    /// A notification, as long as the server knows of an observer.
    fn notify(&mut self, value: u32) {
        if let Some(token) = self.observer {
            self.ends[SERVER]
                .notify(self.now, &token, observed(value))
                .expect("fits");
            self.settle();
        }
    }

    /// Carries out whatever the endpoints want done now.
    fn settle(&mut self) {
        while let Some(event) = self.ends[SERVER].poll_event() {
            match event {
                Event::Request {
                    exchange,
                    token,
                    request,
                } => {
                    *self.handled.entry(request.payload).or_default() += 1;
                    let mut options = Options::new();
                    if request.options.observe() == Some(0) {
                        self.observer = Some(token);
                        options.push_uint(coap::OptionNumber::OBSERVE, 0);
                    }
                    let response = Response {
                        code: Code::CHANGED,
                        options,
                        payload: Vec::new(),
                    };
                    self.ends[SERVER].respond(self.now, exchange, response);
                }
                Event::NotificationRejected { token } => {
                    assert_eq!(self.observer.take(), Some(token));
                }
                other => panic!("the server asked for nothing: {other:?}"),
            }
        }
        while let Some(event) = self.ends[CLIENT].poll_event() {
            match event {
                Event::Response {
                    token, response, ..
                } => {
                    self.answers.entry(token).or_default().push(response);
                }
                Event::Failed { token, .. } => assert!(self.failed.insert(token), "failed twice"),
                other => panic!("the client was asked for nothing: {other:?}"),
            }
        }
        for (from, end) in self.ends.iter_mut().enumerate() {
            while let Some(datagram) = end.poll_transmit() {
                let copies = if self.rng.u8(..100) < 20 { 2 } else { 1 };
                for _ in 0..copies {
                    self.sent += 1;
                    if self.rng.u8(..100) >= self.loss_percent {
                        let arrival = self.now + Duration::from_millis(self.rng.u64(5..200));
                        self.under_way
                            .insert((arrival, self.sent), (1 - from, datagram.clone()));
                    }
                }
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let timers = self.ends.iter().filter_map(Endpoint::poll_timeout);
        timers
            .chain(self.under_way.keys().map(|(arrival, _)| *arrival))
            .min()
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next()
            && next <= end
        {
            assert!(next >= self.now, "time stands still");
            self.now = next;
            if let Some(entry) = self.under_way.first_entry()
                && entry.key().0 <= self.now
            {
                let (to, datagram) = entry.remove();
                self.ends[to].handle_datagram(self.now, &datagram);
            }
            self.ends
                .iter_mut()
                .for_each(|end| end.handle_timeout(self.now));
            self.settle();
        }
        self.now = end;
    }
}

/// Covers: S-037, X-008. Half of all datagrams are lost.
#[test]
fn repeated_requests_are_handled_at_least_once_and_answered_exactly_once() {
    let mut handled_again = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 50);
        let mut tokens = BTreeSet::new();
        for number in 0..5 {
            let request = Request {
                payload: vec![number],
                ..put(Delivery::NonRepeated)
            };
            tokens.insert(pair.request(request));
            pair.run_for(millis(700));
        }
        pair.run_for(seconds(600));
        let answered: BTreeSet<_> = pair.answers.keys().copied().collect();
        assert_eq!(answered, tokens, "seed {seed}");
        assert!(
            pair.answers.values().all(|answers| answers.len() == 1),
            "seed {seed}"
        );
        assert_eq!(pair.handled.len(), 5, "seed {seed}");
        handled_again += pair.handled.values().filter(|times| **times > 1).count();
        assert_eq!(pair.next(), None, "seed {seed}: something is left");
    }
    assert!(
        handled_again > 0,
        "the network was too kind to show anything"
    );
}

/// RFC 7252 §4.5: under one Message ID, a request is handled at most once.
#[test]
fn confirmable_requests_are_answered_or_fail_and_are_never_handled_twice() {
    let mut answered = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 30);
        let token = pair.request(put(Delivery::Confirmable));
        pair.run_for(seconds(60));
        let answers = pair.answers.get(&token).map_or(0, Vec::len);
        let failures = usize::from(pair.failed.contains(&token));
        let handled: u32 = pair.handled.values().sum();
        assert_eq!(answers + failures, 1, "seed {seed}");
        assert!(handled <= 1, "seed {seed}");
        assert!(answers == 0 || handled == 1, "seed {seed}");
        answered += answers;
    }
    assert!(
        answered > 180,
        "{answered} of 200: four copies at 30 % loss do better"
    );
}

/// Covers: S-044. RFC 7641 §3.4, §3.6.
#[test]
fn an_observer_sees_only_newer_states_and_can_leave_by_forgetting() {
    let mut overtaken = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 30);
        let token = pair.request(get(Some(0), Delivery::NonRepeated));
        pair.run_for(seconds(60));
        let mut last = 0;
        for value in 1..=30 {
            pair.notify(value);
            pair.run_for(millis(50));
        }
        pair.run_for(seconds(1));
        for response in &pair.answers.remove(&token).expect("notifications")[1..] {
            let value = response.options.observe().expect("a notification");
            assert!(value > last, "seed {seed}: {value} after {last}");
            last = value;
        }
        overtaken += pair.ends[CLIENT].counters().stale_notifications;

        pair.ends[CLIENT].forget_observation(&token);
        for value in 31..100 {
            pair.notify(value);
            pair.run_for(seconds(3));
        }
        assert_eq!(
            pair.observer, None,
            "seed {seed}: the server still notifies"
        );
        assert_eq!(pair.answers, BTreeMap::new(), "seed {seed}");
    }
    assert!(overtaken > 0, "the network was too kind to show anything");
}
