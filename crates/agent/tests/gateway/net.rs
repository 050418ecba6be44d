//! A network of agents on a virtual clock, without delay or loss.
//!
//! ```text
//! client.inside --> g1 (gateway) --> fixed.example  203.0.113.0/24
//!                                \-> mobile.example 198.51.100.0/24
//!                      192.0.2.0/24 is the site's own
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::Now;
use agent::gateway::{Terms, Translation};
use agent::relay::Relay;
use agent::server::{Input, SessionId};
use agent::server_selection;
use coap::{
    Code, Endpoint, Event, Exchange, Limits, Message, MessageId, MessageType, OptionNumber,
    Options, Response, Token, TransmissionParameters,
};
use dots::lifetime::Lifetime;
use dots::mitigation::{Granted, MitigationReport, MitigationRequest, MitigationStatus, Status};
use dots::target::Target;
use pvd::{DotsServer, ProvisioningDomain, PvdSet};

use super::node::{Node, Plan, Post, gateway_policy, provider_policy};
use crate::client::target;
use crate::world::{self, EPOCH};

/// Sessions of inside clients, which are no part of the network.
const INSIDE: u64 = 1 << 32;

/// What the fixed, and the mobile, network assigned, and what is the site's own.
pub(super) const FIXED: &str = "203.0.113.7/32";
pub(super) const MOBILE: &str = "198.51.100.7/32";
pub(super) const OWN: &str = "192.0.2.7/32";

pub(super) struct Net {
    pub(super) nodes: BTreeMap<String, Node>,
    addresses: BTreeMap<SocketAddr, String>,
    start: Instant,
    elapsed: Duration,
    endpoints: BTreeMap<SessionId, Endpoint>,
    messages: u16,
}

/// A question whose answer may come later.
pub(super) type Question = (SessionId, Exchange);

pub(super) fn terms(name: &str) -> Terms {
    Terms {
        relay: Relay::new(name.parse().unwrap()),
        says_domain: false,
        translation: Translation::default(),
    }
}

/// A network that assigned these prefixes, with a server at this address.
pub(super) fn domain(id: &str, prefixes: &[&str], server: &str) -> ProvisioningDomain {
    ProvisioningDomain {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        dots_servers: vec![DotsServer::over(
            format!("dots.{id}"),
            &[server.parse().unwrap()],
            &[pvd::Transport::Udp],
        )],
        ..ProvisioningDomain::new(id.parse().unwrap())
    }
}

pub(super) const FIXED_SERVER: &str = "192.0.2.101:4646";
pub(super) const MOBILE_SERVER: &str = "192.0.2.102:4646";
/// What the customers of the site's gateway may ask for.
pub(super) const SITE: &[&str] = &[
    "203.0.113.0/24",
    "198.51.100.0/24",
    "192.0.2.0/24",
    "10.0.0.0/8",
    "8.8.8.0/24",
];

/// The PvDs of a site between two providers.
pub(super) fn site() -> PvdSet {
    let mut pvds = PvdSet::default();
    pvds.insert(domain("fixed.example", &["203.0.113.0/24"], FIXED_SERVER));
    pvds.insert(domain(
        "mobile.example",
        &["198.51.100.0/24"],
        MOBILE_SERVER,
    ));
    pvds.insert_independent("192.0.2.0/24".parse().unwrap());
    pvds
}

impl Net {
    pub(super) fn empty() -> Self {
        Self {
            nodes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            start: world::origin(),
            elapsed: Duration::ZERO,
            endpoints: BTreeMap::new(),
            messages: 0,
        }
    }

    /// One gateway between the inside and two providers, all sessions up.
    pub(super) fn new() -> Self {
        Self::with(terms("g1"), server_selection::Policy::default())
    }

    pub(super) fn with(terms: Terms, selection: server_selection::Policy) -> Self {
        let mut net = Self::empty();
        net.add_provider("fixed", FIXED_SERVER, &["g1"]);
        net.add_provider("mobile", MOBILE_SERVER, &["g1"]);
        let customers: &[(&str, &[&str])] = &[("home", SITE), ("branch", SITE)];
        net.add_gateway(terms, (site(), selection), customers, None);
        net.settle();
        net
    }

    pub(super) fn add_provider(&mut self, name: &str, address: &str, customers: &[&str]) {
        let all: &[&str] = &["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"];
        let customers: Vec<(&str, &[&str])> = customers.iter().map(|it| (*it, all)).collect();
        self.add(
            name,
            Some(address),
            Plan::new(provider_policy(), &customers),
        );
    }

    pub(super) fn add_gateway(
        &mut self,
        terms: Terms,
        (pvds, selection): (PvdSet, server_selection::Policy),
        customers: &[(&str, &[&str])],
        listens: Option<(&str, &str)>,
    ) {
        let (name, address) = listens.map_or(("g1", None), |(name, at)| (name, Some(at)));
        let mut plan = Plan::new(gateway_policy(&terms), customers);
        plan.outside = Some((pvds, selection, terms));
        self.add(name, address, plan);
    }

    fn add(&mut self, name: &str, address: Option<&str>, plan: Plan) {
        if let Some(address) = address {
            let address = address.parse().unwrap();
            self.addresses.insert(address, name.to_owned());
        }
        let node = Node::new(self.now(), name, plan);
        self.nodes.insert(name.to_owned(), node);
    }

    pub(super) fn now(&self) -> Now {
        Now {
            monotonic: self.start + self.elapsed,
            unix: EPOCH + self.elapsed.as_secs(),
        }
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).expect("a node")
    }

    /// Kills a node and starts it with what it had stored.
    pub(super) fn restart(&mut self, name: &str) {
        let now = self.now();
        self.endpoints.clear();
        self.node(name).start(now);
        self.settle();
    }

    /// The networks of a gateway have changed.
    pub(super) fn set_pvds(&mut self, name: &str, pvds: PvdSet) {
        let now = self.now();
        let outside = self.node(name).outside.as_mut().expect("a gateway");
        outside.client.set_pvds(now, pvds);
        outside.gateway.settle(now, &mut outside.client);
        self.settle();
    }

    /// Everything that can happen at this instant.
    pub(super) fn settle(&mut self) {
        let now = self.now();
        loop {
            let mut did = false;
            let mut posts = Vec::new();
            for node in self.nodes.values_mut() {
                did |= node.carry_out(now);
                let from = node.name().to_owned();
                let is_lost = node.is_cut_off;
                let sent = node.posts.drain(..).filter(|_| !is_lost);
                posts.extend(sent.map(|post| (from.clone(), post)));
            }
            for (from, post) in posts {
                did = true;
                self.deliver(now, &from, post);
            }
            if !did {
                return;
            }
        }
    }

    fn deliver(&mut self, now: Now, from: &str, post: Post) {
        match post {
            Post::Up(remote, path, octets) => {
                let node = self.addresses.get(&remote);
                let node = node.and_then(|name| self.nodes.get_mut(name));
                if let Some(node) = node.filter(|node| !node.is_cut_off) {
                    node.receive(now, (from.to_owned(), path), from, &octets);
                }
            }
            Post::Down((name, path), octets) => {
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.answer(now, path, &octets);
                }
            }
        }
    }

    /// Lets time pass, with every timeout at its instant.
    pub(super) fn advance(&mut self, seconds: u64) {
        let end = self.elapsed + Duration::from_secs(seconds);
        self.settle();
        let mut at_once = 0;
        loop {
            let next = self.nodes.values().filter_map(Node::next_timeout).min();
            let Some(at) = next.filter(|at| *at <= self.start + end) else {
                break;
            };
            let due = at.saturating_duration_since(self.start);
            at_once = if due > self.elapsed { 0 } else { at_once + 1 };
            assert!(at_once < 1000, "a timeout that stays due");
            self.elapsed = self.elapsed.max(due);
            let now = self.now();
            for node in self.nodes.values_mut() {
                node.handle_timeout(now);
            }
            self.settle();
        }
        self.elapsed = end;
    }

    /// Asks a gateway as one of its inside clients, whose session is up from its first request on.
    pub(super) fn send(&mut self, at: &str, client: Inside, ask: Ask) -> Question {
        let session = SessionId(INSIDE + client.number);
        let now = self.now();
        if !self.endpoints.contains_key(&session) {
            let node = self.node(at);
            let input = Input::Established(session, client.peer());
            node.server.handle(now, input);
        }
        self.messages = self.messages.wrapping_add(1);
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code: ask.method,
            message_id: MessageId(self.messages),
            token: Token::new(&self.messages.to_be_bytes()).unwrap(),
            options: ask.options,
            payload: ask.payload,
        };
        let new = || Endpoint::new(TransmissionParameters::default(), Limits::default(), 1);
        let endpoint = self.endpoints.entry(session).or_insert_with(new);
        endpoint.handle_datagram(now.monotonic, &message.encode());
        let Some(Event::Request {
            exchange,
            token,
            request,
        }) = endpoint.poll_event()
        else {
            panic!("not a request that reaches an application");
        };
        let input = Input::Request {
            session,
            exchange,
            token,
            request,
        };
        self.node(at).server.handle(now, input);
        (session, exchange)
    }

    /// The session of an inside client breaks; its next request begins another.
    pub(super) fn lose(&mut self, at: &str, client: Inside) {
        let session = SessionId(INSIDE + client.number);
        let now = self.now();
        if self.endpoints.remove(&session).is_some() {
            let node = self.node(at);
            node.server.handle(now, Input::SessionLost(session));
        }
        self.settle();
    }

    /// The answer to a question, if it has come.
    pub(super) fn answer(&mut self, at: &str, question: Question) -> Option<Response> {
        self.settle();
        self.node(at).answers.remove(&question)
    }

    /// Asks and has an answer at once.
    pub(super) fn ask(&mut self, client: Inside, ask: Ask) -> Response {
        let question = self.send("g1", client, ask);
        self.answer("g1", question).expect("an answer at once")
    }

    /// Asks, and is told this.
    pub(super) fn expect(&mut self, client: Inside, ask: Ask, code: Code) -> Response {
        let response = self.ask(client, ask);
        assert_eq!(response.code, code, "{}", text_of(&response));
        response
    }

    /// How one mitigation stands for its client.
    pub(super) fn status(&mut self, client: Inside, mid: u32) -> MitigationStatus {
        let response = self.expect(client, get(client, mid), Code::CONTENT);
        let report = MitigationReport::decode(&response.payload).unwrap();
        assert_eq!(report.0.len(), 1);
        report.0.into_iter().next().unwrap()
    }

    pub(super) fn status_code(&mut self, client: Inside, mid: u32) -> Status {
        self.status(client, mid).status
    }

    /// What the two providers are to protect, in order.
    pub(super) fn check(&self, fixed: &[&str], mobile: &[&str]) {
        assert_eq!(self.nodes["fixed"].protected(), fixed, "fixed");
        assert_eq!(self.nodes["mobile"].protected(), mobile, "mobile");
    }
}

/// An inside client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    pub(super) customer: &'static str,
    pub(super) number: u64,
}

impl Inside {
    /// What it proves itself with.
    pub(super) fn peer(self) -> dtls::Peer {
        let mut peer = world::peer(self.customer, 0);
        if let dtls::Credential::Certificate { spki_sha256, .. } = &mut peer.credential {
            spki_sha256[..8].copy_from_slice(&self.number.to_be_bytes());
        }
        peer
    }
}

pub(super) const HOME: Inside = Inside {
    customer: "home",
    number: 1,
};
pub(super) const BRANCH: Inside = Inside {
    customer: "branch",
    number: 2,
};

/// A request of an inside client.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Code,
    pub(super) options: Options,
    pub(super) payload: Vec<u8>,
}

impl Ask {
    pub(super) fn new(method: Code, client: Inside, mid: u32) -> Self {
        let mut options = Options::default();
        let cuid = format!("cuid=client-{}", client.number);
        let mid = format!("mid={mid}");
        for segment in [".well-known", "dots", "mitigate", &cuid, &mid] {
            options.push(OptionNumber::URI_PATH, segment.as_bytes());
        }
        Self {
            method,
            options,
            payload: Vec::new(),
        }
    }

    pub(super) fn body(mut self, request: &MitigationRequest) -> Self {
        self.payload = request.encode();
        self
    }

    pub(super) fn hops(mut self, hops: u8) -> Self {
        self.options.push(OptionNumber::HOP_LIMIT, &[hops]);
        self
    }
}

pub(super) fn request(target: Target, lifetime: u32, trigger: bool) -> MitigationRequest {
    let lifetime = Lifetime::from_number(lifetime.into()).unwrap();
    MitigationRequest::new(target, lifetime, trigger, None).unwrap()
}

pub(super) fn put(client: Inside, mid: u32, prefixes: &[&str]) -> Ask {
    put_for(client, mid, prefixes, 3600)
}

pub(super) fn put_for(client: Inside, mid: u32, prefixes: &[&str], lifetime: u32) -> Ask {
    let request = request(target(prefixes), lifetime, true);
    Ask::new(Code::PUT, client, mid).body(&request)
}

pub(super) fn get(client: Inside, mid: u32) -> Ask {
    Ask::new(Code::GET, client, mid)
}

pub(super) fn delete(client: Inside, mid: u32) -> Ask {
    Ask::new(Code::DELETE, client, mid)
}

pub(super) fn granted(response: &Response) -> Granted {
    Granted::decode(&response.payload).expect("a grant")
}

pub(super) fn text_of(response: &Response) -> &str {
    std::str::from_utf8(&response.payload).unwrap_or("CBOR")
}
