//! What a server has, or may have, that sends its client elsewhere (RFC 9132 §4.6): it is withdrawn there, too.

use agent::client::State;
use coap::Code;

use super::home::{self, BACKUP};
use super::redirect::{ALTERNATE, ALTERNATE4, fixed, redirect};
use super::rig::{Behaviour, FIXED_HOST, FIXED6, Rig};
use crate::world::seconds;

/// Covers: S-049, S-063. Two servers that share nothing: the first one mitigates on until it is told.
#[test]
fn what_the_first_server_granted_is_withdrawn_there_too() {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    let (id, _) = rig.granted(60_000, 60_000);
    rig.mitigate(&["203.0.113.9/32"], 60_000);
    let put = rig.one(Code::PUT);
    redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(3600));
    for asked in rig.take() {
        assert_eq!(rig.paths[&asked.path], ALTERNATE4);
        match asked.message.code {
            Code::GET => rig.answer(&asked, Code::NOT_FOUND, |_| {}, b"what?"),
            _ => drop(rig.grant_observed(&asked, 60_000)),
        }
    }
    rig.take();
    rig.advance(seconds(3));
    let put = rig.one(Code::PUT);
    assert_eq!((rig.paths[&put.path].as_str(), put.mid()), (ALTERNATE4, 1));
    rig.grant_observed(&put, 60_000);
    rig.withdraw(id);
    let delete = rig.take().remove(0);
    assert_eq!(rig.paths[&delete.path], ALTERNATE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Withdrawing);
    let asked = rig.until_asked(60);
    let delete = asked.iter().find(|it| it.message.code == Code::DELETE);
    let delete = delete.expect("the first server is told");
    assert_eq!(
        (rig.paths[&delete.path].as_str(), delete.mid()),
        (FIXED6, 1)
    );
    rig.answer(delete, Code::DELETED, |_| {}, &[]);
    assert!(matches!(rig.state(id), State::Ended(_)));
    rig.advance(seconds(10));
    let connections = fixed(&rig).connections;
    assert!(
        connections.iter().all(|each| each.server_name == ALTERNATE),
        "{connections:?}"
    );
}

/// Covers: S-049, S-063. The answer was lost, or the withdrawal, when something else was answered with a redirect.
#[test]
fn what_the_first_server_may_have_is_withdrawn_there_too() {
    for is_withdrawn in [false, true] {
        let mut rig = Rig::new();
        rig.set(ALTERNATE4, Behaviour::Up);
        let id = rig.mitigate(&[FIXED_HOST], 60_000);
        assert_eq!(rig.one(Code::PUT).mid(), 1);
        if is_withdrawn {
            rig.withdraw(id);
            assert_eq!(rig.one(Code::DELETE).mid(), 1);
        }
        let other = rig.mitigate(&["203.0.113.9/32"], 60_000);
        let put = rig.one(Code::PUT);
        redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(3600));
        for asked in rig.take() {
            if asked.message.code == Code::PUT {
                assert_eq!(rig.paths[&asked.path], ALTERNATE4);
                rig.grant_observed(&asked, 60_000);
            }
        }
        rig.take();
        if !is_withdrawn {
            rig.withdraw(id);
        }
        let mut told = Vec::new();
        for _ in 0..120 {
            for asked in rig.take() {
                let to = rig.paths.get(&asked.path).cloned();
                if let Some(to) = to.filter(|_| asked.message.code == Code::DELETE) {
                    told.push((to, asked.mid()));
                    rig.answer(&asked, Code::DELETED, |_| {}, &[]);
                }
            }
            rig.advance(seconds(1));
        }
        for server in [FIXED6, ALTERNATE4] {
            assert!(told.contains(&(server.to_owned(), 1)), "{told:?}");
        }
        assert!(matches!(rig.state(id), State::Ended(_)));
        // What was answered with the redirect it does not have.
        rig.withdraw(other);
        for _ in 0..60 {
            for asked in rig.take() {
                assert_eq!(rig.paths[&asked.path], ALTERNATE4);
                rig.answer(&asked, Code::DELETED, |_| {}, &[]);
            }
            rig.advance(seconds(1));
        }
        assert!(matches!(rig.state(other), State::Ended(_)));
    }
}

/// Covers: S-049, S-063, M-029. The alternate one sends it back, and another server of the PvD takes it.
#[test]
fn what_the_first_server_may_have_is_withdrawn_there_when_a_third_one_grants_it() {
    let mut rig = Rig::home(home::with_backup());
    for address in [ALTERNATE4, BACKUP] {
        rig.set(address, Behaviour::Up);
    }
    rig.advance(seconds(0));
    rig.mitigate(&[FIXED_HOST], 60_000);
    assert_eq!(rig.one(Code::PUT).mid(), 1);
    rig.mitigate(&["203.0.113.9/32"], 60_000);
    let put = rig.one(Code::PUT);
    redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(3600));
    for asked in rig.take() {
        assert_eq!(rig.paths[&asked.path], ALTERNATE4);
        match asked.mid() {
            1 => redirect(&mut rig, &asked, "dots.fixed.example", &[], Some(300)),
            _ => rig.grant(&asked, 60_000),
        }
    }
    let asked = rig.take().into_iter();
    let mut asked = asked.filter(|asked| rig.paths[&asked.path] == BACKUP);
    let put = asked.next().expect("the third server is asked");
    rig.grant(&put, 60_000);
    let mut told = Vec::new();
    for _ in 0..120 {
        for asked in rig.take() {
            if let Some(to) = rig.paths.get(&asked.path).cloned()
                && asked.message.code == Code::DELETE
            {
                told.push((to, asked.mid()));
                rig.answer(&asked, Code::DELETED, |_| {}, &[]);
            }
        }
        rig.advance(seconds(1));
    }
    for server in [FIXED6, ALTERNATE4] {
        assert!(told.contains(&(server.to_owned(), 1)), "{told:?}");
    }
}
