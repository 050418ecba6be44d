//! What the client says of its sessions.

use agent::client::{ConnectionReport, Note, SessionReport};
use coap::Code;

use super::home;
use super::rig::{Behaviour, FIXED_HOST, FIXED6, Rig};
use crate::world::seconds;

fn fixed(rig: &Rig) -> SessionReport {
    let sessions = rig.client.sessions();
    let mut sessions = sessions.into_iter();
    let fixed = sessions.find(|it| it.association.pvd.as_str() == "fixed.example");
    fixed.expect("a report of each server")
}

fn connection(rig: &Rig) -> ConnectionReport {
    fixed(rig).connections.remove(0)
}

/// Covers: S-067. Before so many are missing that the session counts as lost.
#[test]
fn heartbeats_without_an_answer_are_told() {
    let mut rig = Rig::new();
    rig.advance(seconds(65));
    assert_eq!(connection(&rig).unanswered_heartbeats, 0);
    rig.set(FIXED6, Behaviour::Saturated);
    rig.advance(seconds(60));
    let told = connection(&rig);
    assert_eq!((told.unanswered_heartbeats, told.trouble), (1, None));
    rig.set(FIXED6, Behaviour::Up);
    rig.advance(seconds(30));
    assert_eq!(connection(&rig).unanswered_heartbeats, 0);
}

/// Covers: G-013. What another session would not mend opens none.
#[test]
fn a_server_that_does_not_let_the_client_ask_is_told() {
    let mut rig = Rig::new();
    let unauthorized = |rig: &Rig| {
        let told = [fixed(rig).trouble, connection(rig).trouble];
        told.iter()
            .flatten()
            .filter(|it| it.contains("4.01"))
            .count()
    };
    rig.set(FIXED6, Behaviour::Unwilling);
    rig.advance(seconds(31));
    assert_eq!(unauthorized(&rig), 2, "of a heartbeat");
    rig.set(FIXED6, Behaviour::Up);
    rig.advance(seconds(30));
    assert_eq!(unauthorized(&rig), 0);
    rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    rig.answer(&put, Code::UNAUTHORIZED, |_| {}, b"who are you?");
    assert_eq!(unauthorized(&rig), 2, "of a request");
    assert_eq!(rig.opened.len(), 2);
    let put = rig.until_asked(10).remove(0);
    rig.grant(&put, 500);
    assert_eq!(unauthorized(&rig), 0);
}

/// Whoever takes a PvD out of the file of a stopped client is told what goes on there.
#[test]
fn what_goes_on_at_a_server_that_is_named_no_more_is_told_at_the_start() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(6000, 6000);
    rig.pvds = home::changed(|set| {
        set.remove(&"fixed.example".parse().unwrap());
    });
    rig.restart();
    let told = |note: &&Note| {
        matches!(note, Note::Absent(of, at, mid)
            if *of == id && at.server == "dots.fixed.example" && mid.0 == get.mid())
    };
    assert_eq!(rig.notes.iter().filter(told).count(), 1);
    rig.restart();
    assert_eq!(
        rig.notes.iter().filter(told).count(),
        2,
        "as long as it goes on"
    );
}
