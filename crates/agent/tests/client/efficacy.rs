//! What the client tells of the attack, and how it asks (RFC 9132 §4.4.2, §4.4.3).

use agent::client::{Refusal, RequestId, State};
use coap::{Code, OptionNumber};
use dots::mitigation::{AttackStatus, Status};

use super::rig::{FIXED_HOST, MOBILE_HOST, Rig};
use crate::world::seconds;

fn tell(rig: &mut Rig, id: RequestId, status: AttackStatus) -> Result<(), Refusal> {
    let told = rig.client.report_efficacy(rig.now(), id, status);
    rig.settle();
    told
}

/// Covers: S-047. All that was asked, unchanged but for the lifetime, with an empty If-Match.
#[test]
fn an_efficacy_update_repeats_the_request_on_condition_that_it_exists() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 600);
    let asked = rig.take();
    for put in &asked {
        rig.grant(put, 600);
    }
    let gets = rig.take();
    for get in &gets {
        rig.status(get, Some(1), Status::AttackMitigationInProgress, 600);
    }
    rig.advance(seconds(100));
    tell(&mut rig, id, AttackStatus::UnderAttack).unwrap();
    let updates = rig.take();
    assert_eq!(updates.len(), 2, "every server that mitigates is told");
    for (update, put) in updates.iter().zip(&asked) {
        let if_match: Vec<_> = update
            .message
            .options
            .get_all(OptionNumber::IF_MATCH)
            .collect();
        assert_eq!(if_match, [&[] as &[u8]]);
        assert_eq!(update.resource(), put.resource());
        let (told, first) = (update.body(), put.body());
        assert_eq!(told.attack_status, Some(AttackStatus::UnderAttack));
        assert_eq!(told.target, first.target);
        assert_eq!(told.lifetime.to_number(), 500);
    }
    rig.grant(&updates[0], 500);
    rig.advance(seconds(9));
    let repeated = rig.take();
    assert!(!repeated.is_empty(), "until it is answered");
    assert!(repeated.iter().all(|copy| copy.path == updates[1].path));
    assert!(
        repeated
            .iter()
            .all(|copy| copy.message.token == updates[1].message.token)
    );
    rig.grant(&updates[1], 500);
    rig.advance(seconds(9));
    assert!(rig.take().is_empty());
    // What the server says afterwards still arrives: the observation was not given up.
    rig.status(&gets[0], Some(9), Status::AttackStopped, 400);
    assert_eq!(
        rig.parts(id)[0].state,
        State::Accepted(Status::AttackStopped)
    );
}

/// Covers: S-047, S-048. A server that does not know the request says nothing.
#[test]
fn an_update_without_an_answer_is_given_up_and_harms_nothing() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(6000, 6000);
    rig.status(&get, Some(1), Status::AttackMitigationInProgress, 6000);
    tell(&mut rig, id, AttackStatus::UnderAttack).unwrap();
    rig.advance(seconds(30));
    let copies = rig.take().len();
    assert!((5..=120).contains(&copies), "{copies}");
    rig.advance(seconds(600));
    assert!(rig.take().is_empty());
    assert!(matches!(rig.state(id), State::Accepted(_)));
    assert_eq!(rig.opened.len(), 2, "nor is the session replaced for it");
}

/// Covers: S-047
#[test]
fn a_refused_update_is_not_repeated_and_the_mitigation_goes_on() {
    for code in [Code::BAD_REQUEST, Code::SERVICE_UNAVAILABLE] {
        let mut rig = Rig::new();
        let (id, _) = rig.granted(6000, 6000);
        tell(&mut rig, id, AttackStatus::UnderAttack).unwrap();
        let update = rig.one(Code::PUT);
        rig.answer(&update, code, |_| {}, b"no");
        rig.advance(seconds(60));
        assert!(
            rig.take()
                .iter()
                .all(|asked| asked.message.code == Code::GET)
        );
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

/// Covers: S-046. That the attack seems over here withdraws nothing: the server has the last word.
#[test]
fn the_clients_own_view_ends_nothing() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(6000, 6000);
    tell(&mut rig, id, AttackStatus::AttackSuccessfullyMitigated).unwrap();
    let update = rig.one(Code::PUT);
    rig.grant(&update, 6000);
    rig.status(&get, Some(2), Status::AttackStopped, 6000);
    rig.advance(seconds(600));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code != Code::DELETE)
    );
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
}

/// Covers: S-047
#[test]
fn there_is_no_efficacy_without_a_mitigation() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    rig.take();
    let told = tell(&mut rig, id, AttackStatus::UnderAttack);
    assert_eq!(told, Err(Refusal::NoSuchMitigation(id)));
    assert!(rig.take().is_empty());
}

/// Covers: S-040. What does not change is not asked for during an attack.
#[test]
fn a_status_is_asked_for_without_what_the_client_knows() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(600, 600);
    assert_eq!(get.queries(), ["c=n"]);
}

/// Covers: S-040. A server without the filter is asked without it, then and ever after.
#[test]
fn a_server_that_refuses_the_query_is_asked_without_it() {
    for code in [Code::BAD_REQUEST, Code::BAD_OPTION] {
        let mut rig = Rig::new();
        let (id, get) = rig.granted(600, 600);
        rig.answer(&get, code, |_| {}, b"what is c?");
        let get = rig.one(Code::GET);
        assert_eq!(
            (get.queries().len(), get.message.options.observe()),
            (0, Some(0))
        );
        rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 590);
        let mitigated = State::Accepted(Status::AttackSuccessfullyMitigated);
        assert_eq!(rig.state(id), mitigated);
        rig.mitigate(&["203.0.113.9/32"], 600);
        let put = rig.one(Code::PUT);
        rig.grant(&put, 600);
        assert!(rig.one(Code::GET).queries().is_empty());
    }
}

/// Covers: S-047. A refresh that is under way puts it off and does not take its place.
#[test]
fn what_is_told_during_a_refresh_is_told_after_it() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(1000, 400);
    rig.advance(seconds(200));
    let put = rig.one(Code::PUT);
    assert_eq!(put.body().attack_status, None);
    tell(&mut rig, id, AttackStatus::UnderAttack).unwrap();
    assert!(rig.take().is_empty());
    rig.grant(&put, 800);
    let update = rig.one(Code::PUT);
    assert_eq!(update.body().attack_status, Some(AttackStatus::UnderAttack));
}
