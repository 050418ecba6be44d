//! Servers that are away, and have something that they are to hear more of.

use agent::client::{Action, Change, End, RequestId, RequestRecord, Snapshot, State};
use coap::Code;
use dots::identifiers::Mid;
use pvd::PvdSet;

use super::home::{self, alter, changed};
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE_HOST, Rig};
use crate::world::{BYE, seconds};

/// The fixed network's servers are not known: it has not been discovered yet, or is away.
fn undiscovered() -> PvdSet {
    changed(|set| alter(set, "fixed.example", |domain| domain.dots_servers.clear()))
}

fn find(rig: &mut Rig) {
    rig.network(home::pvds(&[pvd::Transport::Udp]));
}

fn lose(rig: &mut Rig) {
    rig.network(undiscovered());
}

fn asked(rig: &mut Rig) -> Vec<(Code, u32)> {
    let asked = rig.take().into_iter();
    let said = asked.filter(|asked| asked.message.code != Code::GET);
    said.map(|asked| (asked.message.code, asked.mid()))
        .collect()
}

/// The server has granted it and is not heard of any more.
fn cut_off(rig: &mut Rig) -> RequestId {
    let (id, get) = rig.granted(6000, 6000);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.inject(get.path, &[BYE]);
    rig.settle();
    id
}

fn connect(rig: &mut Rig) {
    rig.set(FIXED6, Behaviour::Up);
    find(rig);
    for _ in 0..120 {
        if !rig.asked.is_empty() {
            break;
        }
        rig.advance(seconds(1));
    }
}

/// Covers: S-049, M-005, M-028. The withdrawal goes on when the network is found.
#[test]
fn a_withdrawal_at_a_server_that_is_not_discovered_yet_survives_a_restart() {
    let mut rig = Rig::new();
    let id = cut_off(&mut rig);
    rig.withdraw(id);
    rig.pvds = undiscovered();
    for _ in 0..2 {
        rig.restart();
        assert_eq!(rig.requests.len(), 1, "nothing is forgotten");
    }
    connect(&mut rig);
    let delete = rig.one(Code::DELETE);
    assert_eq!(delete.mid(), 1);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert!(rig.requests.is_empty());
}

/// Covers: M-005, M-028. It is not asked under another mid for what it has.
#[test]
fn what_a_server_has_is_asked_for_as_before_when_it_is_found_after_a_restart() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(6000, 6000);
    rig.pvds = undiscovered();
    rig.restart();
    assert_eq!(rig.parts(id).len(), 0);
    find(&mut rig);
    rig.advance(seconds(1));
    assert_eq!(asked(&mut rig), [(Code::PUT, 1)]);
    assert_eq!(rig.parts(id).len(), 1);
}

/// Covers: S-049, M-028
#[test]
fn what_is_withdrawn_while_its_server_is_away_is_withdrawn_there_later() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(6000, 6000);
    rig.pvds = undiscovered();
    rig.restart();
    rig.withdraw(id);
    assert!(rig.requests.values().all(|record| record.withdrawing));
    rig.restart();
    find(&mut rig);
    rig.advance(seconds(1));
    let delete = rig.take().pop().unwrap();
    assert_eq!((delete.message.code, delete.mid()), (Code::DELETE, 1));
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    assert!(rig.requests.is_empty());
}

/// Covers: M-005, M-028. What was withdrawn because a network went says nothing of what is wanted.
#[test]
fn what_is_wanted_is_asked_each_time_that_its_network_is_back() {
    let mut rig = Rig::new();
    let id = cut_off(&mut rig);
    lose(&mut rig);
    rig.advance(seconds(60));
    rig.pvds = undiscovered();
    rig.restart();
    connect(&mut rig);
    let (mut deleted, mut put) = (false, None);
    for asked in rig.take() {
        match asked.message.code {
            Code::DELETE => {
                deleted = true;
                rig.answer(&asked, Code::DELETED, |_| {}, &[]);
            }
            Code::PUT => put = Some(asked),
            _ => {}
        }
    }
    assert!(deleted);
    rig.answer(&put.unwrap(), Code::UNAUTHORIZED, |_| {}, &[]);
    for away in [0, 60, 0] {
        lose(&mut rig);
        rig.advance(seconds(1));
        rig.take();
        rig.advance(seconds(away));
        connect(&mut rig);
        let asked = rig.take();
        let put = asked.iter().find(|it| it.message.code == Code::PUT);
        rig.answer(put.unwrap(), Code::UNAUTHORIZED, |_| {}, &[]);
    }
    let last = rig.parts(id).pop().unwrap();
    assert!(matches!(last.state, State::Postponed { .. }));
}

/// Covers: S-049, M-028. It goes without a word, and is back before the server has let it expire.
#[test]
fn a_server_that_went_without_a_session_is_told_when_it_is_back() {
    let mut rig = Rig::new();
    cut_off(&mut rig);
    lose(&mut rig);
    rig.advance(seconds(40));
    assert_eq!(rig.requests.len(), 1);
    connect(&mut rig);
    let mut said = asked(&mut rig);
    said.sort_by_key(|(_, mid)| *mid);
    let codes: Vec<Code> = said.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Code::DELETE, Code::PUT], "{said:?}");
    assert_eq!(said[0].1, 1);
}

/// Covers: M-028. By then the server has it no more.
#[test]
fn what_a_server_that_stays_away_lets_expire_is_forgotten() {
    let mut rig = Rig::new();
    let id = cut_off(&mut rig);
    rig.withdraw(id);
    rig.pvds = undiscovered();
    rig.restart();
    assert_eq!(rig.requests.len(), 1);
    rig.elapsed += seconds(6000);
    rig.restart();
    assert!(rig.requests.is_empty());
}

/// Covers: S-049, M-028. It is seen again, and forgotten like any other.
#[test]
fn what_is_withdrawn_later_is_seen_though_its_request_was_forgotten() {
    let mut rig = Rig::new();
    let id = cut_off(&mut rig);
    rig.withdraw(id);
    rig.pvds = undiscovered();
    rig.restart();
    let finish = |rig: &mut Rig| {
        for _ in 0..40 {
            let other = rig.mitigate(&[MOBILE_HOST], 600);
            let put = rig.take().pop().unwrap();
            rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
            rig.client.withdraw(rig.now(), other).ok();
            rig.settle();
        }
        rig.take();
    };
    finish(&mut rig);
    assert!(rig.client.request(id).is_none());
    connect(&mut rig);
    assert_eq!(rig.parts(id).len(), 1);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    finish(&mut rig);
    assert!(rig.client.request(id).is_none());
    assert!(rig.requests.is_empty());
}

/// Covers: M-005, M-028. Over a restart, too, it waits for the network that has gone.
#[test]
fn what_one_network_refuses_is_still_asked_of_the_one_that_is_away() {
    let only = |id: &'static str| {
        let others = ["fixed.example", "mobile.example"].into_iter();
        let others = others.filter(move |other| *other != id);
        changed(|set| {
            for other in others {
                alter(set, other, |domain| domain.dots_servers.clear());
            }
        })
    };
    let mut rig = Rig::home(only("fixed.example"));
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 6000);
    let put = rig.one(Code::PUT);
    rig.grant_observed(&put, 6000);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.inject(put.path, &[BYE]);
    rig.settle();
    rig.network(only(""));
    rig.restart();
    let (now, pvds) = (rig.now(), only("mobile.example"));
    rig.client.set_pvds(now, pvds);
    rig.settle();
    let refused = rig.until_asked(10).remove(0);
    rig.answer(&refused, Code::FORBIDDEN, |_| {}, b"no");
    assert!(rig.wanted.contains_key(&id), "the next start knows it");
    connect(&mut rig);
    let mut said = asked(&mut rig);
    said.sort_by_key(|(_, mid)| *mid);
    let codes: Vec<Code> = said.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Code::DELETE, Code::PUT], "{said:?}");
    assert_eq!(rig.parts(id).len(), 3);
}

/// Covers: M-028, X-013. However many a gateway may have, all are kept; and where there are more, those go first that end soonest.
#[test]
fn as_many_parts_as_a_client_may_have_are_kept_for_servers_that_are_away() {
    let mut rig = Rig::new();
    rig.granted(6000, 6000);
    let one = rig.requests.values().next().unwrap().clone();
    let stored = |number: u32| RequestRecord {
        id: RequestId(number.into()),
        mid: Mid(number),
        wanted_until_unix: one
            .wanted_until_unix
            .map(|at| at + 10_000 - u64::from(number)),
        ..one.clone()
    };
    for (max_requests, kept) in [(10_000, 10_000), (10, 4096)] {
        let snapshot = Snapshot {
            requests: (1..=10_000).map(stored).collect(),
            ..Snapshot::default()
        };
        let mut client = Rig::client_of(rig.now(), undiscovered(), snapshot, max_requests);
        let mut forgotten = Vec::new();
        while let Some(action) = client.poll_action() {
            if let Action::Persist(Change::DeleteRequest(id, ..)) = action {
                forgotten.push(id.0);
            }
        }
        let expected: Vec<u64> = (kept + 1..=10_000).rev().collect();
        assert!(forgotten == expected, "{}", forgotten.len());
    }
}

/// A network that names ever new servers: the oldest are forgotten, and begin above what was
/// used there.
#[test]
fn of_servers_that_are_named_no_more_the_last_are_remembered() {
    let mut rig = Rig::new();
    for number in 0..400 {
        rig.pvds = changed(|set| {
            alter(set, "fixed.example", |domain| {
                domain.dots_servers[0].name = format!("dots{number}.fixed.example");
            });
        });
        let (now, pvds) = (rig.now(), rig.pvds.clone());
        rig.client.set_pvds(now, pvds);
        rig.settle();
        let id = rig.mitigate(&[FIXED_HOST], 600);
        for put in rig.take() {
            rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
        }
        rig.client.withdraw(rig.now(), id).ok();
        rig.advance(seconds(60));
    }
    assert!(rig.associations.len() <= 300, "{}", rig.associations.len());
    let last = rig
        .associations
        .keys()
        .any(|id| id.server == "dots399.fixed.example");
    assert!(last);
}
