//! A server whose customers are `home` and `branch`, a store and a mitigator that do what they
//! are told, and rules that hold after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use agent::Now;
use agent::server::{
    Action, Change, ClientKey, ClientResources, Customer, Customers, Enforcement, Input,
    MitigationKey, MitigationRecord, Outcome, Policy, Server, SessionId, Snapshot,
};
use coap::{
    Code, Endpoint, Event, Limits, Message, MessageId, MessageType, Response, Token,
    TransmissionParameters,
};
use dots::mitigation::{Granted, MitigationReport, Refusal};
use dots::target::Target;

pub(crate) use super::ask::{Ask, body, parked_body, target};
use crate::world::{self, EPOCH};

pub(crate) const HOME: SessionId = SessionId(1);
pub(crate) const BRANCH: SessionId = SessionId(2);

/// The server under test and what it acts on.
pub(crate) struct Rig {
    pub(crate) server: Server,
    start: Instant,
    elapsed: Duration,
    /// How far the wall clock is off.
    pub(crate) wall_offset: i64,
    policy: Policy,
    pub(crate) stored: BTreeMap<MitigationKey, MitigationRecord>,
    pub(crate) resources: BTreeMap<ClientKey, ClientResources>,
    pub(crate) enforced: BTreeMap<MitigationKey, Target>,
    /// The names that a resolver is asked for, since the last look.
    pub(crate) asked_names: Vec<String>,
    /// Requests that were left unanswered.
    pub(crate) ignored: usize,
    /// The further answers to one input: those to requests that had to wait.
    pub(crate) late: Vec<Response>,
    pub(crate) notified: Vec<(SessionId, Token, Response)>,
    pub(crate) closed: Vec<SessionId>,
    /// Which sessions were last told that their client is, or is not, under attack.
    pub(crate) mitigating: BTreeMap<SessionId, bool>,
    pub(crate) outcomes: Vec<Outcome>,
    /// The names of all actions since the last request, in order.
    pub(crate) trace: Vec<&'static str>,
    messages: u16,
}

/// The customers of the server under test. `branch` owns a part of what `home` owns.
pub(crate) fn customers() -> Customers {
    let customer = |name: &str, prefixes: &[&str]| Customer {
        name: name.to_owned(),
        psk_identity: None,
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        max_mitigations: 4,
        redirect: None,
        cdids: Vec::new(),
        is_gateway: false,
    };
    [
        customer("home", &["203.0.113.0/24", "2001:db8:f::/48"]),
        customer("Branch", &["203.0.113.128/25", "198.51.100.0/24"]),
    ]
    .into_iter()
    .collect()
}

pub(crate) fn policy() -> Policy {
    Policy {
        max_lifetime: NonZeroU32::new(7200).unwrap(),
        max_mitigations: 7,
        terminating: Duration::ZERO,
        max_observations: 3,
        max_observations_of_customer: 5,
        ..Policy::default()
    }
}

impl Rig {
    /// Two sessions are up: one of `home`, one of `branch`.
    pub(crate) fn new() -> Self {
        Self::with(policy())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let mut rig = Self {
            server: Server::new(
                Now {
                    monotonic: world::origin(),
                    unix: EPOCH,
                },
                customers(),
                policy.clone(),
                Snapshot::default(),
            ),
            start: world::origin(),
            elapsed: Duration::ZERO,
            wall_offset: 0,
            policy,
            stored: BTreeMap::new(),
            resources: BTreeMap::new(),
            enforced: BTreeMap::new(),
            asked_names: Vec::new(),
            ignored: 0,
            late: Vec::new(),
            notified: Vec::new(),
            closed: Vec::new(),
            mitigating: BTreeMap::new(),
            outcomes: Vec::new(),
            trace: Vec::new(),
            messages: 0,
        };
        rig.establish(HOME, "home", 1);
        rig.establish(BRANCH, "branch", 2);
        rig
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.start + self.elapsed,
            unix: (EPOCH + self.elapsed.as_secs())
                .checked_add_signed(self.wall_offset)
                .unwrap(),
        }
    }

    pub(crate) fn establish(&mut self, session: SessionId, name: &str, key: u8) {
        self.input(Input::Established(session, world::peer(name, key)));
    }

    /// The server process dies and starts with what is stored; no session survives.
    pub(crate) fn restart(&mut self) {
        self.restart_with(customers());
    }

    /// The same, with other customers.
    pub(crate) fn restart_with(&mut self, customers: Customers) {
        let snapshot = Snapshot {
            mitigations: self.stored.values().cloned().collect(),
            resources: self.resources.clone(),
        };
        self.server = Server::new(self.now(), customers, self.policy.clone(), snapshot);
        let scopes = self.server.enforced_scopes();
        self.enforced = scopes
            .map(|(enforcement, target)| (enforcement.key, target))
            .collect();
        self.take_actions();
    }

    /// Lets time pass, with every timeout at its instant.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while let Some(at) = self
            .server
            .poll_timeout()
            .filter(|at| *at <= self.start + end)
        {
            let due = at.saturating_duration_since(self.start);
            self.elapsed = self.elapsed.max(due);
            self.input(Input::Timeout);
            let next = self.server.poll_timeout();
            assert!(
                next.is_none_or(|next| next > at),
                "a timeout that stays due"
            );
        }
        self.elapsed = end;
    }

    pub(crate) fn input(&mut self, input: Input) -> Option<Response> {
        self.trace.clear();
        self.server.handle(self.now(), input);
        self.take_actions()
    }

    /// Sends a request the way a session delivers it.
    pub(crate) fn request(&mut self, session: SessionId, request: Ask) -> Option<Response> {
        self.messages += 1;
        let mut endpoint = Endpoint::new(TransmissionParameters::default(), Limits::default(), 1);
        let token = request.token.unwrap_or(self.messages.into());
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code: request.method,
            message_id: MessageId(self.messages),
            token: Token::new(&token.to_be_bytes()).unwrap(),
            options: request.options,
            payload: request.payload,
        };
        endpoint.handle_datagram(self.now().monotonic, &message.encode());
        let Some(Event::Request {
            exchange,
            token,
            request,
        }) = endpoint.poll_event()
        else {
            panic!("not a request that reaches an application");
        };
        let answer = self.input(Input::Request {
            session,
            exchange,
            token,
            request,
        });
        assert!(self.late.is_empty(), "two answers to one request");
        answer
    }

    /// A request that has to be answered.
    pub(crate) fn ask(&mut self, session: SessionId, request: Ask) -> Response {
        self.request(session, request).expect("an answer")
    }

    /// A request that has to be answered with this code.
    pub(crate) fn expect(&mut self, session: SessionId, request: Ask, code: Code) -> Response {
        let response = self.ask(session, request);
        assert_eq!(response.code, code, "{}", text_of(&response));
        response
    }

    /// The mitigator reports that it enforces all that it was told.
    pub(crate) fn enforce(&mut self) {
        self.input(Input::Enforced(self.enforcements()));
    }

    /// What is in force.
    pub(crate) fn enforcements(&self) -> Vec<Enforcement> {
        let records = self.stored.values();
        records.filter_map(MitigationRecord::enforcement).collect()
    }

    /// The mitigator reports that for each mitigation in force it has dropped so much.
    pub(crate) fn dropped(&mut self, packets: u64, bytes: u64) {
        let those = self.enforcements().into_iter();
        let dropped = those.map(|each| (each, (packets, bytes))).collect();
        self.input(Input::Dropped(dropped));
    }

    pub(crate) fn mids(&self) -> Vec<u32> {
        self.stored.keys().map(|key| key.mid.0).collect()
    }

    /// Carries out what the server wants; hands back the response, if there was one.
    fn take_actions(&mut self) -> Option<Response> {
        let mut response = None;
        while let Some(action) = self.server.poll_action() {
            self.trace.push(match &action {
                Action::Persist(_) => "persist",
                Action::Respond(..) => "respond",
                Action::Ignore(..) => "ignore",
                Action::Notify(..) => "notify",
                Action::Resolve { .. } => "resolve",
                Action::Enforce(..) => "enforce",
                Action::Withdraw(_) => "withdraw",
                Action::SetMitigating(..) => "set-mitigating",
                Action::Close(_) => "close",
                Action::Decided(_) => "decided",
            });
            match action {
                Action::Persist(Change::Put(record)) => {
                    self.stored.insert(record.key.clone(), record);
                }
                Action::Persist(Change::Delete(key)) => {
                    self.stored.remove(&key);
                }
                Action::Respond(_, _, answer) => {
                    check(&answer);
                    if matches!(answer.code, Code::CREATED | Code::CHANGED) {
                        // Persist before you promise.
                        let mid = granted(&answer).mid;
                        assert!(
                            self.mids().contains(&mid.0),
                            "{mid} is promised, not stored"
                        );
                    }
                    match response {
                        None => response = Some(answer),
                        Some(_) => self.late.push(answer),
                    }
                }
                Action::Ignore(..) => self.ignored += 1,
                Action::Persist(Change::PutResources(client, resources)) => {
                    self.resources.insert(client, resources);
                }
                Action::Resolve { name, .. } => self.asked_names.push(name.to_string()),
                Action::Notify(session, token, notification) => {
                    check(&notification);
                    assert!(notification.payload.len() <= policy().max_notification);
                    self.notified.push((session, token, notification));
                }
                Action::Enforce(Enforcement { key, .. }, target) => {
                    assert!(self.stored.contains_key(&key), "enforced, but not stored");
                    self.enforced.insert(key, target);
                }
                Action::Withdraw(Enforcement { key, .. }) => {
                    let is_promised = self
                        .stored
                        .get(&key)
                        .is_some_and(|record| record.standing.is_in_force());
                    assert!(!is_promised, "in force, but not enforced");
                    self.enforced.remove(&key);
                }
                Action::SetMitigating(session, is_mitigating) => {
                    self.mitigating.insert(session, is_mitigating);
                }
                Action::Close(session) => self.closed.push(session),
                Action::Decided(outcome) => self.outcomes.push(outcome),
            }
        }
        let due: BTreeSet<_> = self
            .stored
            .values()
            .filter(|record| record.standing.is_in_force())
            .map(|record| &record.key)
            .collect();
        assert_eq!(self.enforced.keys().collect::<BTreeSet<_>>(), due);
        response
    }
}

/// RFC 9132 §3: a body of a success is DOTS CBOR, an error says why in words unless it is CBOR.
fn check(response: &Response) {
    let format = response.options.content_format();
    if response.code.is_success() {
        assert_eq!(format.is_some(), !response.payload.is_empty());
    } else if format.is_none() {
        assert!(text_of(response).len() > 10, "no diagnostic: {response:?}");
    }
    assert!(format.is_none_or(|format| format == dots::CONTENT_FORMAT));
    assert!(response.payload.len() <= policy().max_body, "too large");
}

pub(crate) fn text_of(response: &Response) -> &str {
    std::str::from_utf8(&response.payload).unwrap_or("CBOR")
}

pub(crate) fn granted(response: &Response) -> Granted {
    Granted::decode(&response.payload).expect("a grant")
}

pub(crate) fn refusal(response: &Response) -> Refusal {
    Refusal::decode(&response.payload).expect("a refusal")
}

pub(crate) fn report(response: &Response) -> MitigationReport {
    MitigationReport::decode(&response.payload).expect("a report")
}
