//! Targets by name: FQDNs and URIs (RFC 9132 §4.4.1.1).

use std::net::IpAddr;

use agent::server::{Input, Outcome, Resolution, ResolutionError, SessionId};
use coap::{Code, Response};
use dots::lifetime::Lifetime;
use dots::mitigation::{MitigationRequest, Status};
use dots::target::Target;

use super::rig::{Ask, HOME, Rig, report, target, text_of};
use crate::world::{cbor, seconds};

pub(super) const PATH: &str = "mitigate/cuid=one/mid=1";
pub(super) const WWW: &str = "www.example";
pub(super) const OWNED: &str = "203.0.113.7";
pub(super) const ALSO_OWNED: &str = "2001:db8:f::7";
const NOT_OWNED: &str = "192.0.2.1";

pub(super) fn named(path: &str, names: &[&str]) -> Ask {
    by(
        path,
        Target {
            fqdns: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..Target::default()
        },
    )
}

fn by(path: &str, target: Target) -> Ask {
    let lifetime = Lifetime::from_number(7200).unwrap();
    let request = MitigationRequest::new(target, lifetime, true, None).unwrap();
    Ask::put(path, request.encode())
}

pub(super) fn found(addresses: &[&str], ttl: u32) -> Result<Resolution, ResolutionError> {
    let addresses: Result<Vec<IpAddr>, _> = addresses.iter().map(|text| text.parse()).collect();
    let addresses = addresses.unwrap();
    Ok(Resolution { addresses, ttl })
}

impl Rig {
    /// A request that is not answered before its names are resolved.
    pub(super) fn ask_and_wait(&mut self, session: SessionId, ask: Ask) {
        let before = self.ignored;
        assert_eq!(self.request(session, ask), None);
        assert!(self.ignored <= before + 1);
    }

    pub(super) fn resolve(
        &mut self,
        name: &str,
        result: Result<Resolution, ResolutionError>,
    ) -> Option<Response> {
        self.asked_names.clear();
        self.input(Input::Resolved(name.parse().unwrap(), result))
    }

    /// `home` has a mitigation of a name that is to be resolved again after `ttl` seconds.
    fn mitigating(addresses: &[&str], ttl: u32) -> Self {
        let mut rig = Self::new();
        rig.ask_and_wait(HOME, named(PATH, &[WWW]));
        let answer = rig.resolve(WWW, found(addresses, ttl)).expect("an answer");
        assert_eq!(answer.code, Code::CREATED, "{}", text_of(&answer));
        rig
    }

    fn protected(&self) -> Vec<Target> {
        self.enforced.values().cloned().collect()
    }
}

/// Covers: S-019, S-021
#[test]
fn a_request_for_a_name_waits_for_its_addresses() {
    let mut rig = Rig::new();
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    assert_eq!(rig.trace, ["resolve"]);
    assert_eq!(rig.asked_names, [WWW]);
    // Others go on meanwhile.
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.99/32"], 60),
        Code::CREATED,
    );
    let answer = rig.resolve(WWW, found(&[OWNED, ALSO_OWNED, OWNED], 60));
    assert_eq!(answer.expect("an answer").code, Code::CREATED);
    let scope = target(&["203.0.113.7/32", "2001:db8:f::7/128"]);
    assert!(rig.protected().contains(&scope));
    // What was asked is what is reported (RFC 9132 §4.4.2).
    let shown = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    assert_eq!(shown.0[0].target.fqdns, [WWW.parse().unwrap()]);
    assert!(shown.0[0].target.prefixes.is_empty());
}

/// Covers: S-019, X-012. Nobody gets protection for what a name of his own points to elsewhere.
#[test]
fn an_address_that_the_customer_does_not_own_fails_the_request() {
    for addresses in [
        &[NOT_OWNED][..],
        &[OWNED, NOT_OWNED],
        &["127.0.0.1"],
        &[OWNED, "ff02::1"],
        &["198.51.100.7"],
        &["::ffff:203.0.113.7"],
    ] {
        let mut rig = Rig::new();
        rig.ask_and_wait(HOME, named(PATH, &[WWW]));
        let answer = rig.resolve(WWW, found(addresses, 60)).expect("an answer");
        assert_eq!(answer.code, Code::BAD_REQUEST);
        assert!(text_of(&answer).contains(WWW));
        // What else the resolver knows is for the log: it may know names that the customer does not.
        for address in addresses {
            assert!(!text_of(&answer).contains(address), "{}", text_of(&answer));
        }
        let mut without = Rig::new();
        without.ask_and_wait(HOME, named(PATH, &[WWW]));
        let nothing = without.resolve(WWW, Err(ResolutionError::NoAddress));
        assert_eq!(text_of(&nothing.expect("an answer")), text_of(&answer));
        assert!(rig.outcomes.iter().any(|outcome| matches!(
            outcome,
            Outcome::AddressNotOwned { key, .. } if key.customer == "home"
        )));
        assert!(rig.stored.is_empty());
        // Nothing is left to resolve.
        rig.advance(seconds(4000));
        assert!(rig.asked_names.is_empty());
    }
}

/// Covers: S-019. A name that cannot be resolved is nobody else's trouble.
#[test]
fn an_unresolvable_name_fails_only_its_own_request() {
    for (error, code) in [
        (ResolutionError::NoAddress, Code::BAD_REQUEST),
        (ResolutionError::NoResolver, Code::BAD_REQUEST),
        (
            ResolutionError::Unavailable("SERVFAIL".to_owned()),
            Code::SERVICE_UNAVAILABLE,
        ),
    ] {
        let mut rig = Rig::new();
        rig.ask_and_wait(HOME, named(PATH, &["bad.example", "good.example"]));
        let other = "mitigate/cuid=one/mid=2";
        rig.ask_and_wait(HOME, named(other, &["good.example"]));
        let answer = rig.resolve("bad.example", Err(error)).expect("an answer");
        assert_eq!(answer.code, code);
        assert_eq!(
            answer.options.max_age().is_some(),
            code == Code::SERVICE_UNAVAILABLE
        );
        let answer = rig.resolve("good.example", found(&[OWNED], 60));
        assert_eq!(answer.expect("an answer").code, Code::CREATED);
        assert_eq!(rig.mids(), [2]);
    }
}

/// Covers: S-019
#[test]
fn a_resolver_that_does_not_answer_costs_five_seconds() {
    let mut rig = Rig::new();
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    rig.advance(seconds(4));
    assert!(rig.outcomes.is_empty());
    rig.advance(seconds(1));
    assert!(matches!(
        rig.outcomes.last(),
        Some(Outcome::Refused {
            code: Code::SERVICE_UNAVAILABLE,
            ..
        })
    ));
    // A late answer is for nobody, and the next request asks again.
    assert_eq!(rig.resolve(WWW, found(&[OWNED], 60)), None);
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    assert_eq!(rig.asked_names, [WWW]);
}

/// Covers: S-019. One answer of the resolver serves all that wait for the name.
#[test]
fn a_name_is_asked_for_once_however_many_wait_for_it() {
    let mut rig = Rig::new();
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    rig.establish(SessionId(3), "home", 3);
    let other = "mitigate/cuid=three/mid=1";
    rig.ask_and_wait(SessionId(3), named(other, &[WWW]));
    assert_eq!(rig.asked_names, [WWW]);
    let first = rig.resolve(WWW, found(&[OWNED], 60));
    assert_eq!(first.map(|first| first.code), Some(Code::CREATED));
    assert_eq!(rig.late.len(), 1);
    assert_eq!(rig.late[0].code, Code::CREATED);
    rig.late.clear();
    // As long as it is fresh, it is not asked for at all.
    let third = "mitigate/cuid=one/mid=3";
    rig.expect(HOME, named(third, &[WWW]), Code::CREATED);
    assert!(rig.asked_names.is_empty());
    assert_eq!(rig.stored.len(), 2, "the third took the place of the first");
}

/// Covers: S-019, S-023
#[test]
fn a_name_in_use_is_resolved_again_at_its_ttl() {
    for (ttl, seconds_until) in [(0, 30), (60, 60), (86_400, 3600)] {
        let mut rig = Rig::mitigating(&[OWNED], ttl);
        rig.advance(seconds(seconds_until - 1));
        assert!(rig.asked_names.is_empty(), "ttl {ttl}");
        rig.advance(seconds(1));
        assert_eq!(rig.asked_names, [WWW], "ttl {ttl}");
        rig.trace.clear();
        rig.resolve(WWW, found(&[OWNED], ttl));
        assert!(rig.trace.is_empty(), "nothing has moved");
        // Once nobody uses it, it is left alone.
        rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
        rig.asked_names.clear();
        rig.advance(seconds(8000));
        assert!(rig.asked_names.is_empty(), "ttl {ttl}");
    }
}

/// Covers: S-019
#[test]
fn what_is_in_force_follows_the_name() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&["203.0.113.8", ALSO_OWNED], 60));
    assert_eq!(rig.trace, ["persist", "enforce", "decided"]);
    let scope = target(&["203.0.113.8/32", "2001:db8:f::7/128"]);
    assert_eq!(rig.protected(), [scope]);
    // It is where it is now that other requests meet it.
    rig.expect(
        HOME,
        Ask::mitigate(0, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(0, &["203.0.113.8/32"], 60),
        Code::BAD_REQUEST,
    );
    let lower = Ask::put(
        "mitigate/cuid=one/mid=0",
        super::rig::body(&["203.0.113.8/32"], 60),
    );
    rig.expect(HOME, Ask::delete("mitigate/cuid=one/mid=0"), Code::DELETED);
    rig.expect(HOME, lower, Code::CONFLICT);
}

/// Covers: S-019, X-012. At each resolution, not only at the first.
#[test]
fn a_name_that_moves_to_a_stranger_does_not_take_protection_there() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&[NOT_OWNED, "203.0.113.8"], 60));
    assert_eq!(rig.protected(), [target(&["203.0.113.8/32"])]);
    let not_owned: IpAddr = NOT_OWNED.parse().unwrap();
    assert!(rig.outcomes.iter().any(|outcome| matches!(
        outcome,
        Outcome::AddressNotOwned { address, .. } if *address == not_owned
    )));
    // Not even when nothing else is left.
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&[NOT_OWNED], 60));
    assert_eq!(rig.protected(), [Target::default()]);
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&[OWNED], 60));
    assert_eq!(rig.protected(), [target(&["203.0.113.7/32"])]);
}

/// Covers: S-019
#[test]
fn while_a_name_cannot_be_resolved_what_it_stood_for_stays_in_force() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.advance(seconds(60));
    rig.resolve(WWW, Err(ResolutionError::NoAddress));
    assert_eq!(rig.protected(), [target(&["203.0.113.7/32"])]);
    let last = rig.outcomes.last().expect("an outcome");
    assert!(matches!(last, Outcome::NotResolved { .. }));
    // The line counts among those of the customer.
    assert_eq!(last.customer(), Some("home"));
    // It is tried again, also when the resolver took longer than anybody waits.
    rig.advance(seconds(30));
    assert_eq!(rig.asked_names, [WWW]);
    rig.advance(seconds(6));
    let late = "no name server answered in time".to_owned();
    rig.resolve(WWW, Err(ResolutionError::Unavailable(late)));
    rig.advance(seconds(30));
    assert_eq!(rig.asked_names, [WWW]);
}

/// Covers: S-019
#[test]
fn a_restart_keeps_the_addresses_and_resolves_them_again() {
    let mut rig = Rig::mitigating(&[OWNED], 3600);
    rig.restart();
    assert_eq!(rig.protected(), [target(&["203.0.113.7/32"])]);
    rig.advance(seconds(30));
    assert_eq!(rig.asked_names, [WWW]);
    rig.resolve(WWW, found(&["203.0.113.8"], 3600));
    assert_eq!(rig.protected(), [target(&["203.0.113.8/32"])]);
}

/// Covers: S-026. A refresh asks nobody.
#[test]
fn a_refresh_needs_no_resolver() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.expect(HOME, named(PATH, &[WWW]), Code::CHANGED);
    assert!(rig.asked_names.is_empty());
}

/// Covers: S-029. The same name is the same target, whatever it stands for.
#[test]
fn requests_for_one_name_overlap_even_while_it_has_no_address() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&[NOT_OWNED], 60));
    let both = "mitigate/cuid=one/mid=5";
    let uri: Target = Target {
        uris: vec!["https://www.example/".parse().unwrap()],
        prefixes: vec!["203.0.113.99/32".parse().unwrap()],
        ..Target::default()
    };
    rig.advance(seconds(60));
    rig.ask_and_wait(HOME, by(both, uri));
    rig.resolve(WWW, found(&[OWNED], 60));
    assert_eq!(rig.mids(), [5]);
}

/// Covers: S-021
#[test]
fn a_uri_gives_prefix_protocol_and_port() {
    let cases = [
        ("https://203.0.113.7/shop", Some(443), &[6][..]),
        ("https://203.0.113.7:8443/", Some(8443), &[6]),
        ("coaps://203.0.113.7", Some(5684), &[17]),
        ("sip://203.0.113.7", Some(5060), &[6, 17]),
        ("gopher://203.0.113.7", None, &[]),
        ("gopher://203.0.113.7:70", Some(70), &[]),
    ];
    for (uri, port, protocols) in cases {
        let mut rig = Rig::new();
        let asked = Target {
            uris: vec![uri.parse().unwrap()],
            ..Target::default()
        };
        rig.expect(HOME, by(PATH, asked), Code::CREATED);
        let scope = rig.protected().remove(0);
        assert_eq!(scope.prefixes, ["203.0.113.7/32".parse().unwrap()], "{uri}");
        let ports: Vec<u16> = scope
            .port_ranges
            .iter()
            .map(|range| range.lower())
            .collect();
        assert_eq!(ports, Vec::from_iter(port), "{uri}");
        let numbers: Vec<u8> = scope.protocols.iter().map(|each| each.0).collect();
        assert_eq!(numbers, protocols, "{uri}");
    }
}

/// Covers: S-049. What was withdrawn before it was decided does not come into force after it.
#[test]
fn a_request_that_is_withdrawn_while_it_waits_is_not_answered() {
    let mut rig = Rig::new();
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert_eq!(rig.ignored, 1);
    assert_eq!(rig.resolve(WWW, found(&[OWNED], 60)), None);
    assert!(rig.stored.is_empty());
}

/// Covers: S-034, X-010
#[test]
fn of_two_credentials_that_wait_under_one_cuid_the_second_collides() {
    let mut rig = Rig::new();
    rig.establish(SessionId(3), "home", 3);
    rig.ask_and_wait(HOME, named(PATH, &[WWW]));
    rig.ask_and_wait(SessionId(3), named(PATH, &[WWW]));
    let first = rig.resolve(WWW, found(&[OWNED], 60)).expect("an answer");
    let codes = (first.code, rig.late[0].code);
    assert_eq!(codes, (Code::CREATED, Code::CONFLICT));
    rig.late.clear();
    rig.expect(HOME, Ask::get(PATH), Code::CONTENT);
    // The bytes of a name are not a way around the checks of a body.
    let odd = cbor::scope(&[
        (11, cbor::texts(&["www.example", "1.2.3.4"])),
        (14, cbor::uint(60)),
    ]);
    rig.expect(
        HOME,
        Ask::put("mitigate/cuid=one/mid=9", odd),
        Code::BAD_REQUEST,
    );
}

/// Covers: S-019, S-043. Nothing is mitigated, whatever the mitigator says of no addresses.
#[test]
fn a_name_that_moves_to_addresses_of_others_is_not_reported_as_mitigated() {
    let mut rig = Rig::mitigating(&[OWNED], 60);
    rig.enforce();
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&[NOT_OWNED], 3600));
    let status =
        |rig: &mut Rig| report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT)).0[0].status;
    for _ in 0..100 {
        rig.enforce();
        rig.dropped(0, 0);
        assert_eq!(status(&mut rig), Status::AttackExceededCapability);
        rig.advance(seconds(5));
    }
    rig.advance(seconds(3600));
    rig.resolve(WWW, found(&[OWNED], 60));
    assert_eq!(status(&mut rig), Status::AttackMitigationInProgress);
    rig.enforce();
    assert_eq!(status(&mut rig), Status::AttackSuccessfullyMitigated);
}
