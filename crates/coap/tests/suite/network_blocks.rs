//! Block-wise transfers between two endpoints, over a network that loses, doubles and reorders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coap::{
    Code, Delivery, Endpoint, Event, FailureCause, Limits, OptionNumber, Request, Response, Token,
    TransmissionParameters,
};
use fastrand::Rng;

use crate::rig::*;

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// A server that keeps one resource: PUT replaces it, GET observes it, and both give it.
struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    rng: Rng,
    loss_percent: u8,
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    resource: Vec<u8>,
    observers: BTreeSet<Token>,
    answers: BTreeMap<Token, Vec<Response>>,
    failures: Vec<FailureCause>,
}

impl Pair {
    fn new(seed: u64, loss_percent: u8) -> Self {
        let limits = Limits {
            max_message_size: 200,
            ..Limits::default()
        };
        let end = |seed| Endpoint::new(TransmissionParameters::default(), limits, seed);
        Self {
            ends: [end(seed), end(!seed)],
            now: origin(),
            rng: Rng::with_seed(seed),
            loss_percent,
            under_way: BTreeMap::new(),
            sent: 0,
            resource: body(700),
            observers: BTreeSet::new(),
            answers: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    fn request(&mut self, request: Request) -> Token {
        let sent = self.ends[CLIENT].send_request(self.now, request);
        self.settle();
        sent.expect("room")
    }

    fn content(&self) -> Response {
        Response {
            payload: self.resource.clone(),
            ..response(Code::CONTENT)
        }
    }

    fn change(&mut self, resource: Vec<u8>, value: u32) {
        self.resource = resource;
        for token in self.observers.clone() {
            let mut notification = self.content();
            let observe = OptionNumber::OBSERVE;
            notification.options.push_uint(observe, value);
            let sent = self.ends[SERVER].notify(self.now, &token, notification);
            sent.expect("notifications in blocks");
        }
        self.settle();
    }

    fn serve(&mut self, token: Token, request: &Request) -> Response {
        if request.method == Code::PUT {
            self.resource.clone_from(&request.payload);
        }
        let mut answer = self.content();
        if request.options.observe() == Some(0) {
            self.observers.insert(token);
            answer.options.push_uint(OptionNumber::OBSERVE, 1);
        }
        answer
    }

    fn settle(&mut self) {
        while let Some(event) = self.ends[SERVER].poll_event() {
            if let Event::Request {
                exchange,
                token,
                request,
            } = event
            {
                let answer = self.serve(token, &request);
                self.ends[SERVER].respond(self.now, exchange, answer);
            }
        }
        while let Some(event) = self.ends[CLIENT].poll_event() {
            match event {
                Event::Response {
                    token, response, ..
                } => self.answers.entry(token).or_default().push(response),
                Event::Failed { cause, .. } => self.failures.push(cause),
                other => panic!("the client was asked for nothing: {other:?}"),
            }
        }
        for (from, end) in self.ends.iter_mut().enumerate() {
            while let Some(datagram) = end.poll_transmit() {
                assert!(datagram.len() <= 200);
                let copies = if self.rng.u8(..100) < 20 { 2 } else { 1 };
                for _ in 0..copies {
                    self.sent += 1;
                    if self.rng.u8(..100) >= self.loss_percent {
                        let arrival = self.now + Duration::from_millis(self.rng.u64(5..200));
                        let datagram = (1 - from, datagram.clone());
                        self.under_way.insert((arrival, self.sent), datagram);
                    }
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self.ends.iter().filter_map(Endpoint::poll_timeout);
            let arrivals = self.under_way.keys().map(|(arrival, _)| *arrival);
            let Some(next) = timers.chain(arrivals).min().filter(|next| *next <= end) else {
                break;
            };
            assert!(next >= self.now, "time stands still");
            self.now = next;
            if let Some(entry) = self.under_way.first_entry()
                && entry.key().0 <= self.now
            {
                let (to, datagram) = entry.remove();
                self.ends[to].handle_datagram(self.now, &datagram);
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }
}

/// Covers: B-002, B-003, B-004. Blocks both ways in one exchange, a third of all datagrams lost.
#[test]
fn bodies_arrive_whole_both_ways() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 30);
        let new: Vec<u8> = std::iter::repeat_with(|| pair.rng.u8(..))
            .take(900)
            .collect();
        let put = pair.request(Request {
            payload: new.clone(),
            ..put(Delivery::NonRepeated)
        });
        pair.run_for(seconds(2000));
        assert_eq!(pair.resource, new, "seed {seed}");
        let answers = pair.answers.remove(&put).expect("an answer");
        assert_eq!(answers.len(), 1, "seed {seed}");
        assert_eq!(answers[0].payload, new, "seed {seed}");

        let got = pair.request(get(None, Delivery::NonRepeated));
        pair.run_for(seconds(2000));
        assert_eq!(pair.answers[&got][0].payload, new, "seed {seed}");
        assert_eq!(pair.failures, [], "seed {seed}");
        let left = pair.ends.iter().find_map(Endpoint::poll_timeout);
        assert_eq!(left, None, "seed {seed}: something is left");
    }
}

#[test]
fn confirmable_transfers_arrive_or_fail() {
    let mut answered = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 10);
        let new = body(900);
        let token = pair.request(Request {
            payload: new.clone(),
            ..put(Delivery::Confirmable)
        });
        pair.run_for(seconds(2000));
        if let Some(answers) = pair.answers.get(&token) {
            assert_eq!(answers.len() + pair.failures.len(), 1, "seed {seed}");
            assert_eq!((&pair.resource, &answers[0].payload), (&new, &new));
            answered += 1;
        } else {
            assert_eq!(pair.failures.len(), 1, "seed {seed}");
        }
    }
    assert!(answered > 190, "{answered} of 200");
}

/// Covers: B-003. A resource that changes while it is fetched: each body is one that was there, and
/// once it rests, the last one arrives.
#[test]
fn notified_bodies_are_never_mixed_and_the_last_one_arrives() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed, 0);
        let token = pair.request(get(Some(0), Delivery::NonRepeated));
        pair.run_for(seconds(10));
        for value in 2..20 {
            pair.change(vec![u8::try_from(value).expect("small"); 600], value);
            let pause = pair.rng.u64(1..3000);
            pair.run_for(millis(pause));
        }
        pair.run_for(seconds(300));
        assert_eq!(pair.failures, [], "seed {seed}");
        let answers = &pair.answers[&token];
        for answer in &answers[1..] {
            let first = answer.payload[0];
            assert_eq!(answer.payload, vec![first; 600], "seed {seed}");
        }
        let last = answers.last().expect("notifications");
        assert_eq!(last.payload, pair.resource, "seed {seed}");
    }
}
