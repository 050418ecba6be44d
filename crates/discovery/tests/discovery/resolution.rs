//! Walks through zones, among them those of RFC 8973 §6 and §7.

use std::time::Duration;

use discovery::HostName;
use discovery::dns::resolution::{MOST_CANDIDATES, MOST_QUERIES};
use discovery::dns::{
    ApplicationProtocol, ApplicationService, Failure, Outcome, RecordKind, Resolution,
};
use proptest::prelude::*;

use crate::support::Zones;

const SIGNAL: [ApplicationProtocol; 2] = [
    ApplicationProtocol::SignalUdp,
    ApplicationProtocol::SignalTcp,
];
const ALL: [ApplicationProtocol; 3] = [SIGNAL[0], SIGNAL[1], ApplicationProtocol::DataTcp];

/// The outcome, and how many questions it took.
fn walk(zones: &Zones, mut resolution: Resolution) -> (Outcome, usize) {
    let mut asked = 0;
    while let Some(query) = resolution.poll_query() {
        asked += 1;
        assert_eq!(resolution.outcome(), None);
        resolution.handle_answer(&query, zones.answer(&query));
    }
    (resolution.outcome().unwrap(), asked)
}

fn of_domain(
    name: &str,
    service: ApplicationService,
    protocols: &[ApplicationProtocol],
) -> Resolution {
    Resolution::of_domain(
        name.parse().unwrap(),
        service,
        protocols,
        RecordKind::Aaaa,
        1,
    )
}

fn instances(name: &str) -> Resolution {
    let domain = name.parse().unwrap();
    let service = ApplicationService::Dots;
    Resolution::of_instances(&domain, service, &SIGNAL, RecordKind::Aaaa, 1)
}

/// Candidates as `udp 2001:db8::1 5000 example.net`.
fn lines(outcome: &Outcome) -> Vec<String> {
    let Outcome::Found { candidates, .. } = outcome else {
        return Vec::new();
    };
    candidates
        .iter()
        .map(|found| {
            let (protocol, address) = (found.protocol.tag(), found.address);
            format!("{protocol} {address} {} {}", found.port, found.reference)
        })
        .collect()
}

/// Covers: Y-010, Y-011, Y-015
#[test]
fn the_dots_example_of_the_specification_comes_out_as_its_table() {
    let mut zones = Zones::new(300);
    zones
        .naptr("example.net 300 10 \"\" DOTS:data.tcp data.example.net")
        .naptr("example.net 100 10 \"\" DOTS:signal.udp signal.example.net")
        .naptr("example.net 200 10 \"\" DOTS:signal.tcp signal.example.net")
        .naptr("signal.example.net 100 10 \"s\" DOTS:signal.udp _dots-signal._udp.example.net")
        .naptr("signal.example.net 200 10 \"s\" DOTS:signal.tcp _dots-signal._tcp.example.net")
        .naptr("data.example.net 100 10 \"s\" DOTS:data.tcp _dots-data._tcp.example.net")
        .naptr("data.example.net 200 10 \"a\" DOTS:data.tcp b.example.net")
        .srv("_dots-signal._udp.example.net 0 0 5000 a.example.net")
        .srv("_dots-signal._tcp.example.net 0 0 5001 a.example.net")
        .srv("_dots-data._tcp.example.net 0 0 5002 a.example.net")
        .address("a.example.net", "2001:db8::1")
        .address("b.example.net", "2001:db8::2");
    let walk_of = |protocols| {
        walk(
            &zones,
            of_domain("example.net", ApplicationService::Dots, protocols),
        )
    };
    let (outcome, asked) = walk_of(&ALL);
    let expected = [
        "signal.udp 2001:db8::1 5000 example.net",
        "signal.tcp 2001:db8::1 5001 example.net",
        "data.tcp 2001:db8::1 5002 example.net",
        "data.tcp 2001:db8::2 443 example.net",
    ];
    assert_eq!(lines(&outcome), expected);
    // Nothing is asked twice.
    assert_eq!(asked, 8);
    assert_eq!(lines(&walk_of(&SIGNAL).0), expected[..2]);
}

/// Covers: Y-010, Y-018
#[test]
fn the_call_home_example_of_the_specification_comes_out_as_its_table() {
    let mut zones = Zones::new(300);
    zones
        .naptr("example.net 100 10 \"\" DOTS-CALL-HOME:signal.udp signal.example.net")
        .naptr("example.net 200 10 \"\" DOTS-CALL-HOME:signal.tcp signal.example.net")
        .naptr("signal.example.net 100 10 \"s\" DOTS-CALL-HOME:signal.udp _dots-call-home._udp.example.net")
        .naptr("signal.example.net 200 10 \"s\" DOTS-CALL-HOME:signal.tcp _dots-call-home._tcp.example.net")
        .naptr("signal.example.net 300 10 \"a\" DOTS-CALL-HOME:signal.tcp b.example.net")
        .srv("_dots-call-home._udp.example.net 0 0 6000 b.example.net")
        .srv("_dots-call-home._tcp.example.net 0 0 6001 b.example.net")
        .address("b.example.net", "2001:db8::2");
    let walk_for = |service| walk(&zones, of_domain("example.net", service, &SIGNAL)).0;
    let expected = [
        "signal.udp 2001:db8::2 6000 example.net",
        "signal.tcp 2001:db8::2 6001 example.net",
    ];
    assert_eq!(lines(&walk_for(ApplicationService::DotsCallHome)), expected);
    assert_eq!(lines(&walk_for(ApplicationService::Dots)), [""; 0]);
}

/// Covers: Y-011
#[test]
fn addresses_alone_have_the_default_port_and_preference_breaks_ties() {
    let mut zones = Zones::new(300);
    zones
        .naptr("example.net 1 20 \"A\" dots:signal.tcp a.example.net")
        .naptr("example.net 1 10 \"a\" DOTS:signal.udp:signal.tcp b.example.net")
        .naptr("example.net 0 99 \"a\" DOTS:signal.tcp c.example.net")
        .address("a.example.net", "2001:db8::a")
        .address("b.example.net", "2001:db8::b")
        .address("c.example.net", "2001:db8::c");
    let (outcome, _) = walk(
        &zones,
        of_domain("example.net", ApplicationService::Dots, &SIGNAL),
    );
    let expected = [
        "signal.tcp 2001:db8::c 4646 example.net",
        "signal.udp 2001:db8::b 4646 example.net",
        "signal.tcp 2001:db8::b 4646 example.net",
        "signal.tcp 2001:db8::a 4646 example.net",
    ];
    assert_eq!(lines(&outcome), expected);
}

/// Covers: Y-013
#[test]
fn instances_are_found_with_the_host_as_reference_if_it_is_in_the_domain() {
    let udp = "_dots-signal._udp.example.net";
    let mut zones = Zones::new(300);
    for instance in ["a", "b", "c", "d"] {
        zones.ptr(udp, &format!("{instance}.{udp}"));
    }
    // What is no instance of the service is not asked about.
    zones.ptr(udp, "x._printer._tcp.example.net");
    zones
        .srv("a._dots-signal._udp.example.net 9 0 4646 a.example.net")
        .srv("b._dots-signal._udp.example.net 1 0 4647 b.example.net")
        .srv("c._dots-signal._udp.example.net 0 0 4646 dots.elsewhere.example")
        .srv("d._dots-signal._udp.example.net 0 0 4646 .")
        .address("a.example.net", "2001:db8::a")
        .address("b.example.net", "2001:db8::b")
        .address("dots.elsewhere.example", "2001:db8::c");
    let (outcome, _) = walk(&zones, instances("example.net"));
    let expected = [
        "signal.udp 2001:db8::b 4647 b.example.net",
        "signal.udp 2001:db8::a 4646 a.example.net",
    ];
    assert_eq!(lines(&outcome), expected);
}

/// Covers: Y-005. RFC 8973 §5 has it of DHCP; whoever writes the DNS is trusted no further.
#[test]
fn addresses_that_no_agent_of_a_network_has_are_dropped() {
    let mut zones = Zones::new(300);
    zones.naptr("example.net 1 1 \"a\" DOTS:signal.udp a.example.net");
    for address in ["::1", "::", "ff02::1", "::ffff:192.0.2.1", "2001:db8::a"] {
        zones.address("a.example.net", address);
    }
    let resolution = of_domain("example.net", ApplicationService::Dots, &SIGNAL);
    let (outcome, _) = walk(&zones, resolution);
    let expected = ["signal.udp 2001:db8::a 4646 example.net"];
    assert_eq!(lines(&outcome), expected);
}

#[test]
fn loops_and_endless_branches_end() {
    let mut zones = Zones::new(300);
    for number in 0..40 {
        for other in 0..40 {
            zones.naptr(&format!(
                "n{number}.example {other} 0 \"\" DOTS:signal.udp:signal.tcp n{other}.example"
            ));
        }
    }
    let walk_of = |zones| {
        walk(
            zones,
            of_domain("n0.example", ApplicationService::Dots, &SIGNAL),
        )
    };
    let (outcome, asked) = walk_of(&zones);
    assert!(matches!(outcome, Outcome::Nothing(Failure::NoRecords(_))));
    assert!(asked <= MOST_QUERIES, "{asked} questions");

    let mut zones = Zones::new(9);
    zones.naptr("n0.example 0 0 \"a\" DOTS:signal.udp host.example");
    for last in 0..100 {
        zones.address("host.example", &format!("2001:db8::{last:x}"));
    }
    assert_eq!(lines(&walk_of(&zones).0).len(), MOST_CANDIDATES);
}

/// Covers: Y-003, Y-012
#[test]
fn an_outcome_holds_as_long_as_the_shortest_of_its_records() {
    let mut zones = Zones::new(300);
    zones
        .naptr("example.net 1 1 \"a\" DOTS:signal.udp a.example.net")
        .address("a.example.net", "2001:db8::a");
    let mut resolution = of_domain("example.net", ApplicationService::Dots, &SIGNAL);
    let query = resolution.poll_query().unwrap();
    resolution.handle_answer(&query, zones.answer(&query));
    let query = resolution.poll_query().unwrap();
    assert_eq!(query.kind, RecordKind::Aaaa);
    zones.ttl = Duration::from_secs(20);
    resolution.handle_answer(&query, zones.answer(&query));
    assert_eq!(resolution.poll_query(), None);
    let Some(Outcome::Found { ttl, .. }) = resolution.outcome() else {
        panic!("nothing found");
    };
    assert_eq!(ttl, Duration::from_secs(20));

    let mut silent = of_domain("example.net", ApplicationService::Dots, &SIGNAL);
    let query = silent.poll_query().unwrap();
    silent.handle_answer(&query, Err(Failure::Unavailable));
    assert_eq!(
        silent.outcome(),
        Some(Outcome::Nothing(Failure::Unavailable))
    );
}

proptest! {
    /// Whatever a zone says, a walk ends, and nobody but the name that it began with is a reference (RFC 8973 §8.2).
    #[test]
    fn any_zone_is_walked_to_an_end(lines in prop::collection::vec(
        (0_u8..6, 0_u16..3, prop::sample::select(vec!["", "s", "a"]), 0_u8..6), 0..40,
    )) {
        let mut zones = Zones::new(60);
        for (from, order, flag, to) in lines {
            zones.naptr(&format!("n{from}.example {order} 0 \"{flag}\" DOTS:signal.udp n{to}.example"));
            zones.srv(&format!("n{from}.example {order} 7 4646 n{to}.example"));
            zones.address(&format!("n{to}.example"), "2001:db8::1");
        }
        let (outcome, asked) = walk(&zones, of_domain("n0.example", ApplicationService::Dots, &SIGNAL));
        prop_assert!(asked <= MOST_QUERIES);
        if let Outcome::Found { candidates, .. } = outcome {
            let start: HostName = "n0.example".parse().unwrap();
            prop_assert!(!candidates.is_empty() && candidates.len() <= MOST_CANDIDATES);
            prop_assert!(candidates.iter().all(|found| found.reference == start));
        }
    }
}
