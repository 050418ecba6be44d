//! Discovery on one interface and family: what comes first, what is asked again, and when.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use discovery::dhcp::exchange::Version;
use discovery::dns::{ApplicationService, Failure};
use discovery::settings::{NO_RECORDS_WAIT, PATIENCE};
use discovery::{
    Agent, Cause, Finding, Interface, Output, Procedure, ReferenceIdentifier, Settings,
    TrustedNames,
};
use pvd::{Endpoint, Learned, Transport};

use crate::support::{Zones, client, octets, reply, wire};

/// A network with a DHCPv6 server that gives `options`, or is silent, and resolvers that know `zones`, or are silent.
pub(crate) struct Network {
    options: Option<Vec<(u16, Vec<u8>)>>,
    pub(crate) zones: Option<Zones>,
    /// Names that nobody answers for.
    pub(crate) lost: Vec<String>,
    procedure: Procedure,
    now: Instant,
    questions: Vec<String>,
    events: Vec<Output>,
}

pub(crate) fn settings() -> Settings {
    Settings {
        interface: Interface {
            name: "fixed0".parse().unwrap(),
            index: NonZeroU32::new(7).unwrap(),
        },
        link: client(),
        version: Version::V6,
        service: ApplicationService::Dots,
        configured: vec![],
        trusted: TrustedNames::default(),
        domain: None,
        in_use: None,
    }
}

impl Network {
    pub(crate) fn new(
        options: Option<Vec<(u16, Vec<u8>)>>,
        zones: Option<Zones>,
        settings: Settings,
    ) -> Self {
        let now = Instant::now();
        Self {
            options,
            zones,
            lost: vec![],
            procedure: Procedure::new(now, settings, 8973),
            now,
            questions: vec![],
            events: vec![],
        }
    }

    /// Lets time pass, and says what was found or lost meanwhile.
    pub(crate) fn run(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        loop {
            while let Some(output) = self.procedure.poll_output() {
                self.carry_out(output);
            }
            match self.procedure.poll_timeout().filter(|at| *at <= end) {
                Some(at) => {
                    assert!(at >= self.now, "the past is asked for again");
                    self.now = at;
                    self.procedure.handle_timeout(at);
                }
                None => break,
            }
        }
        self.now = end;
        std::mem::take(&mut self.events)
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit(message) => {
                if let Some(options) = &self.options {
                    let answer = reply(message[1..4].try_into().unwrap(), options);
                    self.procedure.handle_datagram(self.now, &answer).unwrap();
                }
            }
            Output::Ask(query) => {
                self.questions
                    .push(format!("{} {:?}", query.name, query.kind));
                let answer = match &self.zones {
                    Some(_) if self.lost.contains(&query.name.to_string()) => {
                        Err(Failure::Unavailable)
                    }
                    Some(zones) => zones.answer(&query),
                    None => Err(Failure::Unavailable),
                };
                self.procedure.handle_answer(self.now, &query, answer);
            }
            event => self.events.push(event),
        }
    }

    /// The one thing that is found at the start.
    pub(crate) fn finding(&mut self) -> Finding {
        match self.run(Duration::from_secs(30)).as_slice() {
            [Output::Found(finding)] => finding.clone(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn endpoints(finding: &Finding) -> Vec<(String, Vec<(Transport, SocketAddr)>)> {
    let of_agent = |agent: &Agent| {
        let endpoints = agent.endpoints.iter();
        let endpoints = endpoints.map(|endpoint| (endpoint.transport, endpoint.address));
        (agent.reference.to_string(), endpoints.collect())
    };
    finding.agents.iter().map(of_agent).collect()
}

/// One name server for everything: S-NAPTR, DNS-SD and addresses.
pub(crate) fn zones() -> Zones {
    let mut zones = Zones::new(300);
    zones
        .naptr("fixed.example 1 1 \"a\" DOTS:signal.tcp naptr.fixed.example")
        .ptr(
            "_dots-signal._udp.fixed.example",
            "one._dots-signal._udp.fixed.example",
        )
        .srv("one._dots-signal._udp.fixed.example 0 0 4646 sd.fixed.example")
        .address("naptr.fixed.example", "2001:db8::a")
        .address("sd.fixed.example", "2001:db8::5d")
        .address("dots.fixed.example", "2001:db8::d");
    zones
}

pub(crate) fn domain() -> (u16, Vec<u8>) {
    (24, wire("fixed.example"))
}

pub(crate) fn ri(name: &str) -> (u16, Vec<u8>) {
    (141, wire(name))
}

pub(crate) fn at(addresses: &[&str]) -> (u16, Vec<u8>) {
    (142, octets(addresses))
}

/// Covers: Y-001, Y-009
#[test]
fn explicit_configuration_comes_first_and_nobody_is_asked() {
    let mut settings = settings();
    settings.configured = vec![Agent {
        reference: ReferenceIdentifier::Name("dots.example.net".parse().unwrap()),
        endpoints: vec![Endpoint {
            transport: Transport::Udp,
            address: "[2001:db8::1]:4646".parse().unwrap(),
        }],
    }];
    let configured = settings.configured.clone();
    let options = vec![domain(), ri("dots.fixed.example")];
    let mut network = Network::new(Some(options), Some(zones()), settings);
    let finding = network.finding();
    assert_eq!(finding.how, Learned::Configuration);
    assert_eq!(finding.agents, configured);
    assert_eq!(network.procedure.poll_timeout(), None);
    assert_eq!(network.questions, [""; 0]);
}

/// Covers: Y-001, Y-008, Y-017
#[test]
fn dhcp_comes_next_and_its_name_is_not_resolved_beside_addresses() {
    let options = vec![
        domain(),
        ri("dots.fixed.example"),
        at(&["2001:db8::1", "fe80::1"]),
    ];
    let mut network = Network::new(Some(options), Some(zones()), settings());
    let finding = network.finding();
    assert_eq!(finding.how, Learned::Dhcpv6);
    assert_eq!(finding.interface, settings().interface);
    let both = |address: &str| {
        let address = address.parse().unwrap();
        [(Transport::Udp, address), (Transport::Tcp, address)]
    };
    let expected = [both("[2001:db8::1]:4646"), both("[fe80::1%7]:4646")].concat();
    assert_eq!(
        endpoints(&finding),
        [("dots.fixed.example".to_owned(), expected)]
    );
    assert_eq!(network.questions, [""; 0]);
}

/// Covers: Y-007, Y-008
#[test]
fn addresses_alone_are_their_own_identifiers() {
    let options = vec![at(&["2001:db8::1", "2001:db8::2"])];
    let mut network = Network::new(Some(options), None, settings());
    let names: Vec<String> = endpoints(&network.finding())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["2001:db8::1", "2001:db8::2"]);
}

/// Covers: Y-001, Y-007, Y-015
#[test]
fn a_name_alone_is_resolved_and_stays_the_identifier() {
    let mut network = Network::new(
        Some(vec![domain(), ri("dots.fixed.example")]),
        Some(zones()),
        settings(),
    );
    let finding = network.finding();
    assert_eq!(finding.how, Learned::Dhcpv6);
    let address = "[2001:db8::d]:4646".parse().unwrap();
    let both = vec![(Transport::Udp, address), (Transport::Tcp, address)];
    let expected = [("dots.fixed.example".to_owned(), both)];
    assert_eq!(endpoints(&finding), expected);

    // What the name has in S-NAPTR comes before its addresses.
    let mut zones = zones();
    zones.naptr("dots.fixed.example 1 1 \"a\" DOTS:signal.tcp naptr.fixed.example");
    let options = vec![domain(), ri("dots.fixed.example")];
    let mut network = Network::new(Some(options), Some(zones), settings());
    let address = "[2001:db8::a]:4646".parse().unwrap();
    let tcp = vec![(Transport::Tcp, address)];
    let expected = [("dots.fixed.example".to_owned(), tcp)];
    assert_eq!(endpoints(&network.finding()), expected);
}

/// Covers: Y-001, Y-015
#[test]
fn then_comes_service_resolution_and_dns_sd_last() {
    let mut network = Network::new(Some(vec![domain()]), Some(zones()), settings());
    let finding = network.finding();
    assert_eq!(finding.how, Learned::ServiceResolution);
    assert_eq!(endpoints(&finding)[0].0, "fixed.example");

    let mut zones = Zones::new(300);
    zones
        .ptr(
            "_dots-signal._udp.fixed.example",
            "one._dots-signal._udp.fixed.example",
        )
        .srv("one._dots-signal._udp.fixed.example 0 0 4647 sd.fixed.example")
        .address("sd.fixed.example", "2001:db8::5d");
    let mut network = Network::new(Some(vec![domain()]), Some(zones), settings());
    let finding = network.finding();
    assert_eq!(finding.how, Learned::DnsSd);
    let udp = (Transport::Udp, "[2001:db8::5d]:4647".parse().unwrap());
    let expected = [("sd.fixed.example".to_owned(), vec![udp])];
    assert_eq!(endpoints(&finding), expected);
}

/// Covers: Y-001
#[test]
fn without_dhcp_the_configured_domain_is_looked_in_after_a_while() {
    let mut settings = settings();
    settings.domain = Some("fixed.example".parse().unwrap());
    let mut network = Network::new(None, Some(zones()), settings);
    assert_eq!(network.run(PATIENCE - Duration::from_secs(1)), []);
    assert_eq!(network.finding().how, Learned::ServiceResolution);

    // A server that comes up later is heard all the same, and preferred.
    network.options = Some(vec![ri("dots.fixed.example"), at(&["2001:db8::1"])]);
    let events = network.run(Duration::from_secs(60));
    let [Output::Found(finding)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(finding.how, Learned::Dhcpv6);
}

/// Covers: Y-016
#[test]
fn names_that_are_not_on_the_list_are_refused() {
    let mut settings = settings();
    settings.trusted = TrustedNames::new(vec!["*.fixed.example".parse().unwrap()]);
    let refused = |name: &str| Output::Refused(ReferenceIdentifier::Name(name.parse().unwrap()));

    let evil = vec![domain(), ri("dots.evil.example"), at(&["2001:db8::666"])];
    let mut network = Network::new(Some(evil), Some(zones()), settings.clone());
    let events = network.run(Duration::from_secs(30));
    let [first, Output::Found(finding)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(first, &refused("dots.evil.example"));
    // The domain itself is not below itself; its instances are.
    assert_eq!(finding.how, Learned::DnsSd);

    // Where nothing is found, a domain that was left out is named.
    let nothing = Some(Zones::new(300));
    let mut network = Network::new(Some(vec![domain()]), nothing, settings.clone());
    let events = network.run(Duration::from_secs(30));
    assert_eq!(events, [refused("fixed.example"), Output::Nothing]);

    let anonymous = Some(vec![at(&["2001:db8::666"])]);
    let mut network = Network::new(anonymous, Some(zones()), settings);
    let address = ReferenceIdentifier::Address("2001:db8::666".parse().unwrap());
    let events = network.run(Duration::from_secs(30));
    assert_eq!(events, [Output::Refused(address), Output::Nothing]);
}

/// Covers: Y-003
#[test]
fn it_is_all_done_again_when_something_expires() {
    let options = vec![
        at(&["2001:db8::1"]),
        ri("dots.example"),
        (32, 3600_u32.to_be_bytes().to_vec()),
    ];
    let mut network = Network::new(Some(options), Some(zones()), settings());
    assert!(network.finding().expires.is_some());
    network.options = Some(vec![at(&["2001:db8::2"]), ri("dots.example")]);
    let events = network.run(Duration::from_secs(3600));
    let [Output::Found(finding)] = events.as_slice() else {
        panic!("{events:?}");
    };
    let address = finding.agents[0].endpoints[0].address;
    assert_eq!(address, "[2001:db8::2]:4646".parse().unwrap());

    let mut network = Network::new(Some(vec![domain()]), Some(zones()), settings());
    network.finding();
    network.questions.clear();
    assert_eq!(network.run(Duration::from_secs(269)), []);
    let events = network.run(Duration::from_secs(2));
    assert!(matches!(events.as_slice(), [Output::Found(_)]));
    assert_eq!(network.questions.len(), 2);
}

/// Covers: Y-003
#[test]
fn a_new_network_and_an_agent_that_is_of_no_use_any_more_begin_it_again() {
    let options = vec![at(&["2001:db8::1"]), ri("dots.example")];
    let mut network = Network::new(Some(options), None, settings());
    network.finding();
    network.procedure.restart(network.now, Cause::AgentUnusable);
    assert!(matches!(
        network.run(Duration::from_secs(5)).as_slice(),
        [Output::Found(_)]
    ));
    network.options = None;
    network.procedure.restart(network.now, Cause::Attached);
    let events = network.run(Duration::from_secs(30));
    assert_eq!(events, [Output::Nothing, Output::Nothing]);
    assert!(network.procedure.resolvers().is_empty());
}

/// Covers: Y-012
#[test]
fn failed_lookups_wait_as_suits_the_failure() {
    // There is no such name: as long as its zone says, within limits.
    let mut network = Network::new(Some(vec![domain()]), Some(Zones::new(10)), settings());
    assert_eq!(network.run(Duration::from_secs(2)), [Output::Nothing]);
    let asked = network.questions.len();
    assert_eq!(network.run(NO_RECORDS_WAIT.0 - Duration::from_secs(3)), []);
    assert_eq!(network.questions.len(), asked);
    network.run(Duration::from_secs(5));
    assert_eq!(network.questions.len(), 2 * asked);

    // Nobody answers: soon, and then ever more rarely.
    let mut network = Network::new(Some(vec![domain()]), None, settings());
    network.run(Duration::from_secs(3600));
    let rounds = network.questions.len() / asked;
    assert!((8..=12).contains(&rounds), "{rounds} rounds in an hour");
}
