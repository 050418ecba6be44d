//! Servers that send their clients elsewhere (RFC 9132 §4.6).

use agent::client::{Note, Redirection, SessionReport, State};
use coap::{Code, OptionNumber};
use dots::mitigation::Status;
use dots::redirect::RedirectedSignal;

use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE4, Rig};
use crate::world::seconds;

pub(super) const ALTERNATE: &str = "dots.elsewhere.example";
pub(super) const ALTERNATE4: &str = "192.0.2.99:4646";

pub(super) fn redirect(
    rig: &mut Rig,
    asked: &Asked,
    to: &str,
    addresses: &[&str],
    ttl: Option<u32>,
) {
    let signal = RedirectedSignal {
        alt_server: to.parse().unwrap(),
        alt_server_records: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let options = |options: &mut coap::Options| {
        if let Some(ttl) = ttl {
            options.push_uint(OptionNumber::MAX_AGE, ttl);
        }
    };
    rig.answer(asked, Code::SERVICE_UNAVAILABLE, options, &signal.encode());
    rig.settle();
}

/// A client whose provider's server redirects its first request, for so long.
pub(super) fn redirected(ttl: Option<u32>) -> (Rig, agent::client::RequestId, Asked) {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    let id = rig.mitigate(&[FIXED_HOST], 10_000);
    let put = rig.one(Code::PUT);
    redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], ttl);
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], ALTERNATE4);
    (rig, id, put)
}

pub(super) fn fixed(rig: &Rig) -> SessionReport {
    let mut reports = rig.client.sessions();
    reports.retain(|report| report.association.server == "dots.fixed.example");
    reports.remove(0)
}

pub(super) fn redirections(rig: &Rig) -> Vec<&Redirection> {
    let notes = rig.notes.iter();
    notes
        .filter_map(|note| match note {
            Note::Redirect(_, what) => Some(what),
            _ => None,
        })
        .collect()
}

/// Covers: S-063, X-015, X-016. At once, without DNS, from the same address and interface, to a
/// server that has to prove the name that the redirect gave, for the same PvD.
#[test]
fn a_redirected_request_goes_to_the_alternate_server() {
    let (mut rig, id, put) = redirected(Some(3600));
    assert_eq!(put.resource(), ("fixed.example".to_owned(), 1));
    assert!(rig.resolving.is_empty());
    let opened = rig.opened.last().unwrap();
    assert_eq!(opened.source.as_deref(), Some("203.0.113.1"));
    assert_eq!(opened.interface.as_deref(), Some("fixed"));
    let report = fixed(&rig);
    let names: Vec<_> = report
        .connections
        .iter()
        .map(|each| &each.server_name)
        .collect();
    assert_eq!(names, [ALTERNATE], "the first server is left in peace");
    assert_eq!(report.redirect.unwrap().to, ALTERNATE);
    rig.grant(&put, 10_000);
    assert!(matches!(rig.state(id), State::Accepted(_)));
    let get = rig.one(Code::GET);
    assert_eq!(rig.paths[&get.path], ALTERNATE4);
    // Further requests go there too.
    rig.mitigate(&["203.0.113.9/32"], 600);
    assert_eq!(rig.one(Code::PUT).path, put.path);
    let followed = Redirection::Followed {
        to: ALTERNATE.to_owned(),
    };
    assert_eq!(redirections(&rig), [&followed]);
}

/// Covers: S-063. Also in a notification.
#[test]
fn a_notification_can_redirect_what_is_going_on() {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    let (id, get) = rig.granted(6000, 6000);
    redirect(&mut rig, &get, ALTERNATE, &["192.0.2.99"], Some(3600));
    // The servers share their state: the alternate is asked how it goes, and if it does not
    // know, for the mitigation.
    let get = rig.one(Code::GET);
    assert_eq!(rig.paths[&get.path], ALTERNATE4);
    rig.answer(&get, Code::NOT_FOUND, |_| {}, b"what?");
    rig.advance(seconds(3));
    let put = rig.one(Code::PUT);
    assert_eq!((rig.paths[&put.path].as_str(), put.mid()), (ALTERNATE4, 1));
    assert_eq!(rig.state(id), State::Asking);
}

/// Covers: S-063. Without addresses the name is resolved, and addresses that lead nowhere useful
/// are not gone to.
#[test]
fn a_name_without_usable_addresses_is_resolved() {
    for records in [&[][..], &["127.0.0.1", "224.0.0.1", "::"]] {
        let mut rig = Rig::new();
        rig.set(ALTERNATE4, Behaviour::Up);
        rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        redirect(&mut rig, &put, ALTERNATE, records, Some(3600));
        let (association, name) = rig.resolving.remove(0);
        assert_eq!(
            (association.server.as_str(), name.as_str()),
            ("dots.fixed.example", ALTERNATE)
        );
        assert!(rig.take().is_empty());
        let now = rig.now();
        let found = Ok(vec!["192.0.2.99".parse().unwrap()]);
        rig.client.handle_resolved(now, &association, &name, found);
        rig.settle();
        assert_eq!(rig.paths[&rig.asked[0].path], ALTERNATE4);
        // What comes late or unasked changes nothing.
        let late = Err("no such name".to_owned());
        rig.client.handle_resolved(now, &association, &name, late);
        rig.settle();
        assert_eq!(fixed(&rig).redirect.unwrap().to, ALTERNATE);
    }
}

/// Covers: S-063. Whatever goes wrong with the alternate, the provisioned server is asked again.
#[test]
fn an_alternate_that_cannot_be_reached_is_given_up() {
    for fault in ["refused", "silent", "unknown", "unresolved"] {
        let mut rig = Rig::new();
        let behaviour = if fault == "refused" {
            Behaviour::Refusing
        } else {
            Behaviour::Down
        };
        rig.set(ALTERNATE4, behaviour);
        rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        let records: &[&str] = if fault.starts_with("un") {
            &[]
        } else {
            &["192.0.2.99"]
        };
        redirect(&mut rig, &put, ALTERNATE, records, Some(3600));
        if fault == "unknown" {
            let (association, name) = rig.resolving.remove(0);
            let now = rig.now();
            let unknown = Err("no such name".to_owned());
            rig.client
                .handle_resolved(now, &association, &name, unknown);
            rig.settle();
        }
        rig.advance(seconds(40));
        let again = rig.take().pop().expect(fault);
        assert!(rig.paths[&again.path] == FIXED6, "{fault}");
        let last = redirections(&rig).pop().unwrap();
        assert!(
            matches!(last, Redirection::Left { .. }),
            "{fault}: {last:?}"
        );
        // The same redirect again is not followed: it would go on for ever.
        redirect(&mut rig, &again, ALTERNATE, &["192.0.2.99"], Some(20));
        let last = redirections(&rig).pop().unwrap();
        assert_eq!(
            last,
            &Redirection::Ignored {
                to: ALTERNATE.to_owned()
            }
        );
        rig.advance(seconds(19));
        assert!(rig.take().is_empty(), "{fault}");
        rig.advance(seconds(1));
        assert_eq!(rig.one(Code::PUT).path, again.path);
    }
}

/// Covers: S-064. Not during an attack; then at once.
#[test]
fn when_the_time_is_over_the_provisioned_server_is_used_again() {
    let (mut rig, id, put) = redirected(Some(300));
    rig.grant(&put, 10_000);
    let get = rig.one(Code::GET);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 10_000);
    rig.advance(seconds(1000));
    let is_elsewhere = |rig: &Rig| fixed(rig).connections[0].server_name == ALTERNATE;
    assert!(is_elsewhere(&rig), "an attack is going on");
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    assert_eq!(rig.paths[&delete.path], ALTERNATE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(0));
    assert!(!is_elsewhere(&rig));
    assert_eq!(fixed(&rig).redirect, None);
    // In peace, when the time is over.
    let (mut rig, id, put) = redirected(Some(300));
    rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
    assert!(matches!(rig.state(id), State::Refused { .. }));
    rig.advance(seconds(299));
    assert!(is_elsewhere(&rig));
    rig.advance(seconds(1));
    assert!(!is_elsewhere(&rig));
}

/// Covers: S-064
#[test]
fn a_redirect_without_end_lasts_until_the_next() {
    let (mut rig, _, put) = redirected(Some(u32::MAX));
    rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
    rig.advance(seconds(1_000_000));
    assert_eq!(fixed(&rig).connections[0].server_name, ALTERNATE);
    rig.set("192.0.2.98:4646", Behaviour::Up);
    rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.take().pop().unwrap();
    redirect(&mut rig, &put, "third.example", &["192.0.2.98"], Some(60));
    rig.advance(seconds(1));
    assert_eq!(
        rig.take()
            .pop()
            .map(|put| rig.paths[&put.path].clone())
            .unwrap(),
        "192.0.2.98:4646"
    );
    let names: Vec<_> = fixed(&rig)
        .connections
        .into_iter()
        .map(|each| each.server_name)
        .collect();
    assert_eq!(names, ["third.example"], "one alternate at a time");
}

/// Covers: S-064. Others stay with the provisioned server.
#[test]
fn a_redirect_of_ttl_0_holds_for_the_one_request() {
    let (mut rig, id, put) = redirected(Some(0));
    rig.grant(&put, 10_000);
    let get = rig.one(Code::GET);
    assert_eq!(rig.paths[&get.path], ALTERNATE4);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 10_000);
    rig.mitigate(&["203.0.113.9/32"], 600);
    let other = rig.one(Code::PUT);
    assert_eq!(rig.paths[&other.path], FIXED6);
    rig.grant(&other, 600);
    rig.take();
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    assert_eq!(rig.paths[&delete.path], ALTERNATE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(0));
    assert!(!rig.paths.values().any(|remote| remote == ALTERNATE4));
}

/// Nothing but a 5.03 that can be read is a redirect.
#[test]
fn what_is_no_redirect_redirects_nobody() {
    let signal = RedirectedSignal {
        alt_server: ALTERNATE.parse().unwrap(),
        alt_server_records: vec!["192.0.2.99".parse().unwrap()],
    };
    for (code, body) in [
        (Code::SERVICE_UNAVAILABLE, vec![0xff]),
        (Code::CONTENT, signal.encode()),
        (Code::INTERNAL_SERVER_ERROR, signal.encode()),
    ] {
        let mut rig = Rig::new();
        rig.mitigate(&[FIXED_HOST], 600);
        let put = rig.one(Code::PUT);
        rig.answer(&put, code, |_| {}, &body);
        rig.advance(seconds(100));
        assert!(redirections(&rig).is_empty());
        let known = [FIXED6, FIXED4, MOBILE4];
        assert!(
            rig.opened
                .iter()
                .all(|each| known.contains(&each.remote.as_str()))
        );
    }
}

/// A client with two requests that its provider's server redirects, each for itself.
fn two_redirected() -> (Rig, Vec<Asked>) {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    rig.mitigate(&[FIXED_HOST], 10_000);
    rig.mitigate(&["203.0.113.9/32"], 10_000);
    for put in rig.take() {
        redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(0));
    }
    let puts = rig.take();
    (rig, puts)
}

/// Covers: S-064, S-038. A redirect for one request holds for each that gets it.
#[test]
fn two_requests_redirected_each_for_itself_both_go_there() {
    let (mut rig, puts) = two_redirected();
    let mids: Vec<u32> = puts.iter().map(Asked::mid).collect();
    assert_eq!(mids, [1, 2]);
    for put in &puts {
        assert_eq!(rig.paths[&put.path], ALTERNATE4);
        rig.grant(put, 10_000);
    }
    assert_eq!(redirections(&rig).len(), 1);
}

/// Covers: S-064, S-067. The redirect comes while a second session is being set up.
#[test]
fn after_a_redirect_the_provisioned_server_is_connected_to_again() {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    rig.mitigate(&[FIXED_HOST], 10_000);
    let put = rig.one(Code::PUT);
    // Unanswered for so long that another session is tried, whose handshake goes nowhere.
    rig.set(FIXED6, Behaviour::Saturated);
    rig.set(FIXED4, Behaviour::Saturated);
    rig.advance(seconds(11));
    rig.take();
    assert!(fixed(&rig).connections.len() > 1);
    redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(20));
    let put = rig.one(Code::PUT);
    rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
    rig.set(FIXED6, Behaviour::Up);
    rig.set(FIXED4, Behaviour::Up);
    rig.advance(seconds(120));
    let connections = fixed(&rig).connections;
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].server_name, "dots.fixed.example");
    assert!(connections[0].since.is_some(), "{connections:?}");
}

/// Covers: S-029, S-064. What one request was redirected for has ended nothing at the first server.
#[test]
fn a_newer_request_at_another_server_replaces_nothing_at_the_first() {
    let mut rig = Rig::new();
    rig.set(ALTERNATE4, Behaviour::Up);
    let (older, _) = rig.granted(6000, 6000);
    rig.mitigate(&["203.0.113.0/28"], 6000);
    let put = rig.one(Code::PUT);
    redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(0));
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], ALTERNATE4);
    rig.grant(&put, 6000);
    assert!(matches!(rig.state(older), State::Accepted(_)));
}
