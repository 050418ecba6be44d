//! The table of sessions: who has one, how many there may be, when each is woken (RFC 9132 §11).

use std::net::SocketAddr;
use std::time::Instant;

use agent::server::{
    Flow, Input, SessionId, SessionLimits, SessionOutput, Sessions, TooManySessions,
};
use agent::session::{Event, SessionParameters};
use dtls::CloseReason;

use crate::world::{self, BYE, ClearSession, HANDSHAKE, WELCOME, seconds};

const LIMITS: SessionLimits = SessionLimits {
    sessions: 5,
    sessions_per_source: 3,
    handshakes: 2,
};

fn sessions() -> (Instant, Sessions<ClearSession>) {
    let parameters = SessionParameters::default();
    (
        world::origin(),
        Sessions::new(parameters, LIMITS, (1, 4), 7),
    )
}

fn insert(
    sessions: &mut Sessions<ClearSession>,
    now: Instant,
    remote: &str,
) -> Result<SessionId, TooManySessions> {
    let flow = Flow {
        remote: remote.parse().unwrap(),
        local: None,
    };
    sessions.insert(now, flow, ClearSession::new(now, world::peer("home", 1)))
}

/// Adds a session and finishes its handshake.
fn establish(sessions: &mut Sessions<ClearSession>, now: Instant, remote: &str) -> SessionId {
    let id = insert(sessions, now, remote).unwrap();
    sessions.handle_datagram(now, id, &[WELCOME]);
    assert!(sessions.is_established(id));
    id
}

fn events(sessions: &mut Sessions<ClearSession>) -> Vec<(SessionId, Event)> {
    std::iter::from_fn(|| sessions.poll_output())
        .filter_map(|output| match output {
            SessionOutput::Event(id, event) => Some((id, event)),
            SessionOutput::Transmit(..) => None,
        })
        .collect()
}

///
#[test]
fn handshakes_sessions_of_a_source_and_all_sessions_are_limited() {
    let (now, mut table) = sessions();
    let first = insert(&mut table, now, "192.0.2.1:1").unwrap();
    insert(&mut table, now, "192.0.2.2:1").unwrap();
    let refused = insert(&mut table, now, "192.0.2.3:1").unwrap_err();
    assert_eq!(refused.limit, 2, "handshakes");
    table.handle_datagram(now, first, &[WELCOME]);
    establish(&mut table, now, "192.0.2.1:2");
    establish(&mut table, now, "192.0.2.1:3");
    let refused = insert(&mut table, now, "192.0.2.1:4").unwrap_err();
    assert_eq!(
        (refused.limit, refused.source_address.to_string()),
        (3, "192.0.2.1".to_owned())
    );
    establish(&mut table, now, "192.0.2.9:1");
    let refused = insert(&mut table, now, "192.0.2.8:1").unwrap_err();
    assert_eq!(refused.limit, 5, "sessions");
    assert_eq!(table.len(), 5);
    // One that ends makes room; a handshake that was given up, too.
    table.close(now, first);
    establish(&mut table, now, "192.0.2.1:5");
    table.handle_timeout(now + HANDSHAKE);
    assert_eq!(table.len(), 4);
    insert(&mut table, now, "192.0.2.8:1").unwrap();
}

/// A peer that starts anew from the same address has lost its old session; nothing that waits for
/// the loss of a session begins by that.
#[test]
fn a_new_session_of_the_same_address_takes_the_place_of_the_old_in_order() {
    let (now, mut table) = sessions();
    let old = establish(&mut table, now, "192.0.2.1:1");
    events(&mut table);
    let new = insert(&mut table, now, "192.0.2.1:1").unwrap();
    assert_ne!(old, new);
    let mut told = events(&mut table);
    let (id, event) = told.remove(0);
    assert!(matches!(event, Event::Closed(CloseReason::Local)));
    assert!(matches!(Input::from_event(id, event), Some(Input::SessionClosed(of)) if of == old));
    assert!(told.is_empty());
    assert_eq!(table.of_remote("192.0.2.1:1".parse().unwrap()), Some(new));
    assert_eq!(table.len(), 1);
    // What is still on its way for the old one does nothing.
    table.handle_datagram(now, old, &[BYE]);
    table.close(now, old);
    assert_eq!((table.len(), events(&mut table).len()), (1, 0));
}

#[test]
fn a_session_that_is_over_is_gone_with_its_timers() {
    let (now, mut table) = sessions();
    let id = establish(&mut table, now, "192.0.2.1:1");
    assert!(table.poll_timeout().is_some());
    table.handle_datagram(now, id, &[BYE]);
    assert!(table.is_empty());
    assert_eq!(table.poll_timeout(), None);
    let remote: SocketAddr = "192.0.2.1:1".parse().unwrap();
    assert_eq!(table.of_remote(remote), None);
    let told = events(&mut table);
    let last = &told.last().unwrap().1;
    assert!(matches!(last, Event::Closed(CloseReason::PeerClosed)));
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
