//! The table of sessions: who has one, how many there may be, when each is woken (RFC 9132 §11).

use std::net::SocketAddr;
use std::time::Instant;

use agent::server::{
    Flow, Input, SessionId, SessionLimits, SessionOutput, Sessions, TooManySessions,
};
use agent::session::{Event, Output, SessionParameters};
use dtls::CloseReason;

use crate::world::{self, BYE, ClearSession, DATA, HANDSHAKE, WELCOME, seconds};

const LIMITS: SessionLimits = SessionLimits {
    sessions: 6,
    sessions_per_source: 3,
    handshakes: 3,
    handshakes_per_source: 2,
};

/// The message that the handshakes of these tests begin with.
const OPENING: &[u8] = b"hello";

fn sessions() -> (Instant, Sessions<ClearSession>) {
    let parameters = SessionParameters::default();
    (
        world::origin(),
        Sessions::new(parameters, LIMITS, (1, 4), 7),
    )
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// To the only address of the server.
fn flow(remote: &str) -> Flow {
    Flow {
        remote: address(remote),
        local: None,
    }
}

fn insert(
    sessions: &mut Sessions<ClearSession>,
    now: Instant,
    remote: &str,
) -> Result<SessionId, TooManySessions> {
    let secured = ClearSession::new(now, world::peer("home", 1));
    sessions.insert(now, flow(remote), secured, OPENING)
}

/// Adds a session and finishes its handshake.
fn establish(sessions: &mut Sessions<ClearSession>, now: Instant, remote: &str) -> SessionId {
    let id = insert(sessions, now, remote).unwrap();
    sessions.handle_datagram(now, flow(remote), &[WELCOME]);
    assert!(sessions.is_established(id));
    id
}

fn events(sessions: &mut Sessions<ClearSession>) -> Vec<(SessionId, Event)> {
    std::iter::from_fn(|| sessions.poll_output())
        .filter_map(
            |SessionOutput {
                 session, output, ..
             }| match output {
                Output::Event(event) => Some((session, event)),
                Output::Transmit(_) => None,
            },
        )
        .collect()
}

///
#[test]
fn the_sessions_of_a_source_and_all_sessions_are_limited() {
    let (now, mut table) = sessions();
    let first = establish(&mut table, now, "192.0.2.1:1");
    establish(&mut table, now, "192.0.2.1:2");
    establish(&mut table, now, "192.0.2.1:3");
    let refused = insert(&mut table, now, "192.0.2.1:4").unwrap_err();
    assert_eq!(
        (refused.limit, refused.source_address.to_string()),
        (3, "192.0.2.1".to_owned())
    );
    establish(&mut table, now, "192.0.2.7:1");
    establish(&mut table, now, "192.0.2.8:1");
    insert(&mut table, now, "192.0.2.9:1").unwrap();
    let refused = insert(&mut table, now, "192.0.2.10:1").unwrap_err();
    assert_eq!(refused.limit, 6, "sessions");
    assert_eq!(table.len(), 6);
    // One that ends makes room; a handshake that was given up, too.
    table.close(now, first);
    establish(&mut table, now, "192.0.2.1:5");
    table.handle_timeout(now + HANDSHAKE);
    assert_eq!(table.len(), 5);
    establish(&mut table, now, "192.0.2.10:1");
}

/// What is refused has cost nobody a session.
#[test]
fn a_refused_newcomer_takes_nothing_away() {
    let (now, mut table) = sessions();
    for port in 1..=3 {
        establish(&mut table, now, &format!("192.0.2.1:{port}"));
    }
    events(&mut table);
    insert(&mut table, now, "192.0.2.1:1").unwrap_err();
    assert_eq!((table.len(), events(&mut table).len()), (3, 0));
}

/// A host has all addresses of its /64, and an IPv4 address only one.
#[test]
fn a_source_is_an_ipv4_address_or_an_ipv6_prefix_of_64_bits() {
    for (first, same, other) in [
        (
            "[2001:db8::1]:1",
            "[2001:db8::ffff:0:0:2]:1",
            "[2001:db8:0:1::1]:1",
        ),
        ("[2001:db8::1]:1", "[2001:db8::1]:2", "192.0.2.1:1"),
        (
            "192.0.2.1:1",
            "[::ffff:192.0.2.1]:2",
            "[::ffff:192.0.2.2]:1",
        ),
    ] {
        let (now, mut table) = sessions();
        insert(&mut table, now, first).unwrap();
        insert(&mut table, now, same).unwrap();
        insert(&mut table, now, other).unwrap();
        assert_eq!(table.len(), 3);
        // One that is done is no handshake any more.
        table.handle_datagram(now, flow(same), &[WELCOME]);
        events(&mut table);
        let from_port = |port| SocketAddr::new(address(first).ip(), port).to_string();
        insert(&mut table, now, &from_port(3)).unwrap();
        assert!(
            events(&mut table).is_empty(),
            "both handshakes of {first} go on"
        );
        table.handle_datagram(now, flow(first), &[WELCOME]);
        let refused = insert(&mut table, now, &from_port(4)).unwrap_err();
        assert_eq!(refused.limit, 3, "sessions of {first}");
    }
}

/// Whoever shares an address with somebody who only opens connections gets through.
#[test]
fn of_too_many_handshakes_of_a_source_its_oldest_gives_way() {
    let (now, mut table) = sessions();
    let other = insert(&mut table, now, "192.0.2.9:1").unwrap();
    let silent = insert(&mut table, now, "192.0.2.1:1").unwrap();
    insert(&mut table, now, "192.0.2.1:2").unwrap();
    events(&mut table);
    let client = insert(&mut table, now, "192.0.2.1:3").unwrap();
    let told = events(&mut table);
    assert!(
        matches!(told.as_slice(), [(id, Event::Closed(CloseReason::Superseded))] if *id == silent),
        "{told:?}"
    );
    table.handle_datagram(now, flow("192.0.2.1:3"), &[WELCOME]);
    assert!(table.is_established(client) && !table.is_established(other));
    // Who came later, and somebody else, are where they were.
    assert_eq!(table.len(), 3);
}

///
#[test]
fn of_too_many_handshakes_the_oldest_gives_way() {
    let (now, mut table) = sessions();
    let established = establish(&mut table, now, "192.0.2.1:1");
    let oldest = insert(&mut table, now, "192.0.2.2:1").unwrap();
    insert(&mut table, now, "192.0.2.3:1").unwrap();
    insert(&mut table, now, "192.0.2.4:1").unwrap();
    events(&mut table);
    insert(&mut table, now, "192.0.2.5:1").unwrap();
    let told = events(&mut table);
    assert!(
        matches!(told.as_slice(), [(id, Event::Closed(CloseReason::Superseded))] if *id == oldest)
    );
    assert!(table.is_established(established));
    assert!(!table.handle_datagram(now, flow("192.0.2.2:1"), &[WELCOME]));
    assert_eq!(table.len(), 4);
}

/// A replayed ClientHello gets no further than the handshake.
#[test]
fn a_newcomer_takes_the_place_of_a_session_only_when_it_is_established() {
    let (now, mut table) = sessions();
    let remote = "192.0.2.1:1";
    let old = establish(&mut table, now, remote);
    events(&mut table);
    insert(&mut table, now, remote).unwrap();
    assert!(table.is_established(old) && events(&mut table).is_empty());
    table.handle_timeout(now + HANDSHAKE);
    assert!(table.is_established(old), "the newcomer alone timed out");
    assert_eq!(table.len(), 1);
    events(&mut table);

    let now = now + HANDSHAKE;
    let new = insert(&mut table, now, remote).unwrap();
    table.handle_datagram(now, flow(remote), &[WELCOME]);
    let mut told = events(&mut table);
    assert_eq!(told.len(), 2);
    assert!(matches!(&told[1], (id, Event::Established(_)) if *id == new));
    // Its client is not here any more, unless it is the newcomer, of which is told next.
    let (id, event) = told.remove(0);
    assert!(matches!(event, Event::Closed(CloseReason::Superseded)));
    assert!(matches!(Input::from_event(id, event), Some(Input::SessionBroken(of)) if of == old));
    assert_eq!(table.len(), 1);
    // What is still on its way for the old one does nothing.
    table.close(now, old);
    assert_eq!((table.len(), events(&mut table).len()), (1, 0));
    assert!(table.handle_datagram(now, flow(remote), &[BYE]));
    assert!(table.is_empty() && !table.handle_datagram(now, flow(remote), &[BYE]));
}

///
#[test]
fn the_peer_of_a_session_is_heard_while_a_newcomer_is_at_its_address() {
    let (now, mut table) = sessions();
    let remote = "192.0.2.1:1";
    let old = establish(&mut table, now, remote);
    let first = insert(&mut table, now, remote).unwrap();
    let second = insert(&mut table, now, remote).unwrap();
    let told = events(&mut table);
    assert!(matches!(told.last(), Some((id, Event::Closed(_))) if *id == first));
    assert_eq!(table.len(), 2);
    table.handle_datagram(now, flow(remote), &[BYE]);
    let told: Vec<_> = events(&mut table).into_iter().map(|(id, _)| id).collect();
    assert_eq!(told, [old, second], "both heard it");
}

/// Over TCP each has a connection of its own, whatever port its peer comes from.
#[test]
fn what_leaves_says_of_which_session_it_is() {
    let (now, mut table) = sessions();
    let remote = "192.0.2.1:1";
    let old = establish(&mut table, now, remote);
    let new = insert(&mut table, now, remote).unwrap();
    while table.poll_output().is_some() {}
    // The established one says farewell.
    for (id, outputs) in [(new, 1), (old, 2)] {
        table.close(now, id);
        let said = std::iter::from_fn(|| table.poll_output());
        let said: Vec<_> = said
            .map(|output| (output.session, output.flow.remote))
            .collect();
        assert_eq!(said, vec![(id, address(remote)); outputs]);
    }
}

/// A message that is repeated because its answer was late begins no second handshake.
#[test]
fn the_opening_of_a_handshake_is_known_until_it_is_done() {
    let (now, mut table) = sessions();
    let remote = "192.0.2.1:1";
    assert!(table.is_new_opening(flow(remote), OPENING));
    insert(&mut table, now, remote).unwrap();
    assert!(!table.is_new_opening(flow(remote), OPENING));
    assert!(table.is_new_opening(flow(remote), b"another"));
    assert!(table.is_new_opening(flow("192.0.2.1:2"), OPENING));
    table.handle_datagram(now, flow(remote), &[WELCOME]);
    assert!(table.is_new_opening(flow(remote), OPENING));
}

#[test]
fn a_session_that_is_over_is_gone_with_its_timers() {
    let (now, mut table) = sessions();
    establish(&mut table, now, "192.0.2.1:1");
    assert!(table.poll_timeout().is_some());
    table.handle_datagram(now, flow("192.0.2.1:1"), &[BYE]);
    assert!(table.is_empty());
    assert_eq!(table.poll_timeout(), None);
    assert!(!table.handle_datagram(now, flow("192.0.2.1:1"), &[BYE]));
    let told = events(&mut table);
    let last = &told.last().unwrap().1;
    assert!(matches!(last, Event::Closed(CloseReason::PeerClosed)));
}

/// What a session saw is not forgotten with it.
#[test]
fn messages_that_are_no_coap_are_counted() {
    let (now, mut table) = sessions();
    for remote in ["192.0.2.1:1", "192.0.2.2:1"] {
        establish(&mut table, now, remote);
        table.handle_datagram(now, flow(remote), &[DATA, 0xff]);
    }
    table.handle_datagram(now, flow("192.0.2.1:1"), &[DATA, 0x40, 1]);
    assert_eq!(table.message_faults().malformed, 3);
    table.handle_datagram(now, flow("192.0.2.1:1"), &[BYE]);
    assert_eq!((table.len(), table.message_faults().malformed), (1, 3));
}

/// Covers: S-069, S-070. Each is woken for itself; a peer that is silent is lost, after 15
/// heartbeats of 30 s and the wait for the last.
#[test]
fn each_session_is_timed_for_itself() {
    let (now, mut table) = sessions();
    let silent = establish(&mut table, now, "192.0.2.1:1");
    let later = now + seconds(100);
    let other = establish(&mut table, later, "192.0.2.2:1");
    events(&mut table);
    let mut lost = Vec::new();
    while let Some(at) = table.poll_timeout().filter(|at| *at <= now + seconds(580)) {
        table.handle_timeout(at);
        assert!(table.poll_timeout().is_some_and(|next| next > at));
        for (id, event) in events(&mut table) {
            assert!(matches!(event, Event::PeerSilent));
            assert!(matches!(
                Input::from_event(id, event),
                Some(Input::SessionLost(_))
            ));
            lost.push((id, at - now));
        }
    }
    assert_eq!(lost, [(silent, seconds(480)), (other, seconds(580))]);
}

/// Several tables give out identifiers side by side.
#[test]
fn the_identifiers_of_one_shard_are_no_others() {
    let (now, mut table) = sessions();
    let ids: Vec<_> = (1..=3)
        .map(|port| establish(&mut table, now, &format!("192.0.2.1:{port}")).0)
        .collect();
    assert_eq!(ids, [1, 5, 9]);
}

/// A NAT takes one of its ports for two peers that speak to two addresses of the server.
#[test]
fn peers_behind_one_port_that_speak_to_different_addresses_do_not_end_each_others_sessions() {
    let (now, mut table) = sessions();
    let flows = ["198.51.100.1", "198.51.100.2"].map(|local| Flow {
        remote: address("192.0.2.1:1"),
        local: local.parse().ok(),
    });
    for flow in flows {
        let secured = ClearSession::new(now, world::peer("home", 1));
        table.insert(now, flow, secured, OPENING).unwrap();
    }
    for flow in flows {
        assert!(!table.is_new_opening(flow, OPENING));
        assert!(table.handle_datagram(now, flow, &[WELCOME]));
    }
    let ended = events(&mut table)
        .iter()
        .filter(|(_, event)| matches!(event, Event::Closed(_)))
        .count();
    assert_eq!((table.len(), ended), (2, 0));
}
