//! Discovery on one interface, for one address family, in the order of RFC 8973 §4.
//!
//! ```text
//!              attached, or a certificate has expired
//!                             |
//!   explicit configuration? --+--yes--> Found, and nobody is asked
//!                             v
//!     +------------------- Asking (DHCP, for a while) --no DOTS in it, or silence--+
//!     | agent with addresses     | agent with a name                               |
//!     |                          v                                                 v
//!     |                       Resolving: S-NAPTR of the name, its addresses,  S-NAPTR of the domains, DNS-SD there
//!     v                          | candidates                                      | nothing anywhere
//!   Found <----------------------+                                                 v
//!     | refresh time or TTL over                                               Nothing
//!     +--> from the top, while what was found still serves                         | after a while that suits the failure
//!                                                                                  +--> from the top
//! ```
//! An answer of DHCP that comes late, or anew, begins the rest again: it may name another agent or domain. What is in use
//! gives way to an answer only: where somebody did not answer, what was found meanwhile comes beside it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use pvd::Learned;

use crate::dhcp::exchange::Version;
use crate::dhcp::{Exchange, Ignored, Information};
use crate::dns::{Answer, ApplicationProtocol, Failure, Outcome, Query, Resolution};
use crate::finding::{Agent, Finding};
use crate::peer::{PeerAgent, ReferenceIdentifier};
use crate::settings::{
    Cause, LONGEST_UNAVAILABLE_WAIT, NO_RECORDS_WAIT, Output, PATIENCE, SHORTEST_TTL, Settings,
    UNAVAILABLE_WAIT,
};
use pvd::{DomainName, HostName};

/// The protocols that a session is looked for over, the preferred one first where the network has no opinion.
const PROTOCOLS: [ApplicationProtocol; 2] = [
    ApplicationProtocol::SignalUdp,
    ApplicationProtocol::SignalTcp,
];

/// A place in the DNS to look in.
#[derive(Clone, Debug)]
enum Place {
    NamedByDhcp(HostName),
    HostOfDhcp(HostName),
    Domain(HostName),
    Instances(DomainName),
}

#[derive(Debug)]
enum State {
    /// DHCP has not answered yet.
    Asking { until: Instant },
    /// The DNS is asked.
    Resolving {
        place: Place,
        resolution: Box<Resolution>,
        others: VecDeque<Place>,
        failure: Option<Failure>,
    },
    /// Nothing to do until then, or until DHCP says something.
    Settled { again: Option<Instant> },
}

/// Discovery on one interface, for one address family.
#[derive(Debug)]
pub struct Procedure {
    settings: Settings,
    exchange: Exchange,
    rng: fastrand::Rng,
    information: Option<Information>,
    state: State,
    in_use: Option<Finding>,
    /// How many times in a row somebody did not answer.
    silences: u32,
    outputs: VecDeque<Output>,
}

impl Procedure {
    /// Begins.
    pub fn new(now: Instant, settings: Settings, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let client = settings.link.clone();
        let exchange = Exchange::new(now, settings.version, client, rng.u64(..));
        let mut procedure = Self {
            exchange,
            rng,
            information: None,
            state: State::Asking {
                until: now + PATIENCE,
            },
            in_use: settings.in_use.clone(),
            silences: 0,
            outputs: VecDeque::new(),
            settings,
        };
        procedure.use_configured();
        procedure
    }

    /// Whom names are looked up with, as DHCP says.
    pub fn resolvers(&self) -> &[IpAddr] {
        self.information
            .as_ref()
            .map_or(&[], |information| &information.resolvers)
    }

    /// Whether something was found, or everything was tried.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled { .. })
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Procedure::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.settings.configured.is_empty() {
            return None;
        }
        let own = match self.state {
            State::Asking { until } => Some(until),
            State::Resolving { .. } => None,
            State::Settled { again } => again,
        };
        own.into_iter().chain(self.exchange.poll_timeout()).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.settings.configured.is_empty() {
            return;
        }
        let message = self.exchange.poll_transmit(now);
        self.outputs.extend(message.map(Output::Transmit));
        match self.state {
            State::Asking { until } if until <= now => self.plan(now),
            State::Settled { again: Some(again) } if again <= now => self.plan(now),
            _ => {}
        }
    }

    /// Begins again, for a reason that no timer knows (RFC 8973 §4).
    pub fn restart(&mut self, now: Instant, cause: Cause) {
        self.exchange.restart(now);
        self.silences = 0;
        self.state = State::Asking {
            until: now + PATIENCE,
        };
        if cause == Cause::Attached {
            self.information = None;
            if self.in_use.take().is_some() {
                self.outputs.push_back(Output::Nothing);
            }
        }
        self.use_configured();
    }

    /// Takes what came to the port of DHCP clients.
    ///
    /// # Errors
    /// [`Ignored`], for what is no answer.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Ignored> {
        let information = self.exchange.handle_datagram(now, datagram)?;
        self.information = Some(information);
        self.silences = 0;
        self.plan(now);
        Ok(())
    }

    /// Takes the answer to an [`Output::Ask`]. Nobody may wait for it any more.
    pub fn handle_answer(&mut self, now: Instant, query: &Query, answer: Result<Answer, Failure>) {
        if let State::Resolving { resolution, .. } = &mut self.state {
            resolution.handle_answer(query, answer);
            self.go_on(now);
        }
    }

    fn use_configured(&mut self) {
        if !self.settings.configured.is_empty() {
            let agents = self.settings.configured.clone();
            let finding = self.finding(Learned::Configuration, agents, None);
            self.settle(finding, None);
        }
    }

    /// Decides by what is known now where to look.
    fn plan(&mut self, now: Instant) {
        let by_dhcp = match self.settings.version {
            Version::V6 => Learned::Dhcpv6,
            Version::V4(_) => Learned::Dhcpv4,
        };
        let mut places = VecDeque::new();
        match self.peer() {
            Some(PeerAgent::Addressed { name, addresses }) => {
                let reference = ReferenceIdentifier::Name(name);
                let agent = Agent::at(&reference, &addresses, &self.settings.interface);
                return self.take_from_dhcp(by_dhcp, vec![agent]);
            }
            Some(PeerAgent::Anonymous(addresses)) => {
                let agent = |address: IpAddr| {
                    let reference = ReferenceIdentifier::Address(address);
                    Agent::at(&reference, &[address], &self.settings.interface)
                };
                let agents = addresses.into_iter().map(agent).collect();
                return self.take_from_dhcp(by_dhcp, agents);
            }
            Some(PeerAgent::Named(name)) => {
                places.push_back(Place::NamedByDhcp(name.clone()));
                places.push_back(Place::HostOfDhcp(name));
            }
            None => {}
        }
        let domains = self.domains();
        let hosts = domains.iter().cloned().filter_map(|domain| {
            let host = HostName::try_from(domain).ok()?;
            self.settings.trusted.accept(&host).then_some(host)
        });
        places.extend(hosts.map(Place::Domain));
        places.extend(domains.into_iter().map(Place::Instances));
        self.look_in(now, places, None);
    }

    /// The agent that DHCP named, if it may be used. On a list of names there are no addresses.
    fn peer(&mut self) -> Option<PeerAgent> {
        let peer = self.information.as_ref()?.peer.clone()?;
        let trusted = &self.settings.trusted;
        let refused = match &peer {
            PeerAgent::Addressed { name, .. } | PeerAgent::Named(name) => {
                (!trusted.accept(name)).then(|| ReferenceIdentifier::Name(name.clone()))
            }
            PeerAgent::Anonymous(addresses) => addresses
                .first()
                .filter(|_| !trusted.is_empty())
                .map(|address| ReferenceIdentifier::Address(*address)),
        };
        match refused {
            Some(refused) => {
                self.outputs.push_back(Output::Refused(refused));
                None
            }
            None => Some(peer),
        }
    }

    fn domains(&self) -> Vec<DomainName> {
        let learned = self.information.as_ref().map(|known| &known.domains);
        match learned.filter(|domains| !domains.is_empty()) {
            Some(domains) => domains.clone(),
            None => self.settings.domain.clone().into_iter().collect(),
        }
    }

    fn look_in(&mut self, now: Instant, mut places: VecDeque<Place>, failure: Option<Failure>) {
        let Some(place) = places.pop_front() else {
            return self.give_up(now, failure);
        };
        self.state = State::Resolving {
            resolution: Box::new(self.resolution(&place)),
            place,
            others: places,
            failure,
        };
        self.go_on(now);
    }

    fn resolution(&mut self, place: &Place) -> Resolution {
        let service = self.settings.service;
        let addresses = self.settings.family().address_records();
        let seed = self.rng.u64(..);
        match place {
            Place::NamedByDhcp(name) | Place::Domain(name) => {
                Resolution::of_domain(name.clone(), service, &PROTOCOLS, addresses, seed)
            }
            Place::HostOfDhcp(name) => {
                Resolution::of_host(name, service, &PROTOCOLS, addresses, seed)
            }
            Place::Instances(domain) => {
                Resolution::of_instances(domain, service, &PROTOCOLS, addresses, seed)
            }
        }
    }

    /// Asks the next question, or takes what the walk came to.
    fn go_on(&mut self, now: Instant) {
        let State::Resolving {
            place,
            resolution,
            others,
            failure,
        } = &mut self.state
        else {
            return;
        };
        if let Some(query) = resolution.poll_query() {
            return self.outputs.push_back(Output::Ask(query));
        }
        let Some(outcome) = resolution.outcome() else {
            return;
        };
        let how = match (&place, self.settings.version) {
            (Place::NamedByDhcp(_) | Place::HostOfDhcp(_), Version::V6) => Learned::Dhcpv6,
            (Place::NamedByDhcp(_) | Place::HostOfDhcp(_), Version::V4(_)) => Learned::Dhcpv4,
            (Place::Domain(_), _) => Learned::ServiceResolution,
            (Place::Instances(_), _) => Learned::DnsSd,
        };
        let (others, failure) = (std::mem::take(others), *failure);
        let (candidates, ttl, is_partial) = match outcome {
            Outcome::Found {
                candidates,
                ttl,
                is_partial,
            } => (candidates, ttl, is_partial),
            Outcome::Nothing(other) => {
                let failure = Some(Failure::worse(failure, other));
                return self.look_in(now, others, failure);
            }
        };
        let mut agents = Agent::of_candidates(&candidates, &self.settings.interface);
        let trusted = &self.settings.trusted;
        agents.retain(|agent| {
            let believed = match &agent.reference {
                ReferenceIdentifier::Name(name) => trusted.accept(name),
                ReferenceIdentifier::Address(_) => trusted.is_empty(),
            };
            if !believed {
                let refused = Output::Refused(agent.reference.clone());
                self.outputs.push_back(refused);
            }
            believed
        });
        let failure = match is_partial {
            true => Some(Failure::Unavailable),
            false => failure,
        };
        if agents.is_empty() {
            let failure = Some(Failure::worse(failure, Failure::NoRecords(Some(ttl))));
            return self.look_in(now, others, failure);
        }
        let wait = ttl.max(SHORTEST_TTL);
        let again = now
            + match failure {
                Some(Failure::Unavailable) => wait.min(self.unavailable_wait()),
                _ => {
                    self.silences = 0;
                    wait
                }
            };
        let finding = self.finding(how, agents, Some(again));
        let finding = match &self.in_use {
            Some(before) if self.is_silence(failure) => finding.beside(before),
            _ => finding,
        };
        self.settle(finding, Some(again));
    }

    fn take_from_dhcp(&mut self, how: Learned, agents: Vec<Agent>) {
        self.silences = 0;
        let finding = self.finding(how, agents, self.exchange.poll_timeout());
        self.settle(finding, None);
    }

    fn finding(&self, how: Learned, agents: Vec<Agent>, expires: Option<Instant>) -> Finding {
        Finding {
            interface: self.settings.interface.clone(),
            family: self.settings.family(),
            how,
            agents,
            expires,
        }
    }

    fn settle(&mut self, finding: Finding, again: Option<Instant>) {
        self.state = State::Settled { again };
        self.in_use = Some(finding.clone());
        self.outputs.push_back(Output::Found(finding));
    }

    fn unavailable_wait(&mut self) -> Duration {
        let doubled = UNAVAILABLE_WAIT.saturating_mul(1 << self.silences.min(16));
        self.silences = self.silences.saturating_add(1);
        // By chance up to half as long again, so that not everybody asks at once when the resolver is back.
        let wait = doubled.min(LONGEST_UNAVAILABLE_WAIT);
        wait.mul_f64(1.0 + self.rng.f64() / 2.0)
    }

    /// Whether somebody did not answer who may have named what is in use, on a way with this failure at worst. An attack can
    /// bring that about, so it is no reason to part.
    fn is_silence(&self, failure: Option<Failure>) -> bool {
        let is_dhcp_silent = self.information.is_none();
        match failure {
            Some(Failure::Unavailable) => true,
            // Nobody said where to look.
            None if self.domains().is_empty() => is_dhcp_silent,
            None | Some(Failure::NoRecords(_)) => {
                let how = self.in_use.as_ref().map(|finding| finding.how);
                is_dhcp_silent && matches!(how, Some(Learned::Dhcpv6 | Learned::Dhcpv4))
            }
        }
    }

    /// What was found before serves on if nobody answered.
    fn give_up(&mut self, now: Instant, failure: Option<Failure>) {
        let (shortest, longest) = NO_RECORDS_WAIT;
        let wait = match failure {
            Some(Failure::Unavailable) => self.unavailable_wait(),
            Some(Failure::NoRecords(ttl)) => ttl.unwrap_or(shortest).clamp(shortest, longest),
            None => longest,
        };
        self.state = State::Settled {
            again: Some(now + wait),
        };
        if self.in_use.is_none() || !self.is_silence(failure) {
            self.in_use = None;
            // Their own servers were not asked for (RFC 8973 §8.2 makes the domain the identifier), and that may be why.
            let domains = self.domains().into_iter();
            let left_out = domains.filter_map(|domain| HostName::try_from(domain).ok());
            let left_out = left_out.filter(|domain| !self.settings.trusted.accept(domain));
            let left_out = left_out.map(|name| Output::Refused(ReferenceIdentifier::Name(name)));
            self.outputs.extend(left_out);
            self.outputs.push_back(Output::Nothing);
        }
    }
}
