//! What servers refuse or end although it is wanted: it is asked for again, ever more rarely
//! (RFC 9132 §4.4.1.3, §4.4.2, §9).

use std::collections::BTreeSet;

use agent::client::{End, Note, Pause, RequestId, Setback, State, Waiting};
use coap::{Code, OptionNumber};
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictScope, Status};

use super::home::BACKUP;
use super::moving::{at, backup, without};
use super::replies::Asked;
use super::rig::{FIXED_HOST, FIXED6, Rig};
use crate::world::seconds;

fn refused(code: Code, diagnostic: &str) -> Setback {
    let diagnostic = diagnostic.to_owned();
    Setback::Refused { code, diagnostic }
}

/// What the one server said last of a request that waits.
fn setback(rig: &Rig, id: RequestId) -> Setback {
    match rig.state(id) {
        State::Postponed { after, .. } => after,
        other => panic!("{other:?}"),
    }
}

/// How many seconds pass until it is asked for again, and that request.
fn wait_for_put(rig: &mut Rig) -> (u64, Asked) {
    let before = rig.elapsed;
    let put = rig.until_asked(400).remove(0);
    assert_eq!(put.message.code, Code::PUT);
    ((rig.elapsed - before).as_secs(), put)
}

/// Covers: S-023, S-041. Status 5, 6 or 7 of what was not withdrawn here.
#[test]
fn what_the_server_ends_is_asked_for_again_while_it_is_wanted() {
    for status in [
        Status::DotsClientWithdrawnMitigation,
        Status::AttackMitigationTerminated,
        Status::AttackMitigationWithdrawn,
    ] {
        let mut rig = Rig::new();
        let (id, get) = rig.granted(6000, 6000);
        rig.status(&get, Some(1), status, 0);
        assert_eq!(setback(&rig, id), Setback::Ended(status));
        assert!(rig.client.is_settled(id), "the server has answered");
        assert_eq!(rig.requests.len(), 1, "it is still wanted");
        let noted = |note: &Note| matches!(note, Note::Request(of, .., State::Postponed { .. }) if *of == id);
        assert!(rig.notes.iter().any(noted));
        let (pause, put) = wait_for_put(&mut rig);
        assert!((3..=4).contains(&pause), "{pause}");
        assert_eq!(put.mid(), get.mid());
        rig.grant_observed(&put, 5990);
        assert!(matches!(rig.state(id), State::Accepted(_)));
        // The observation from before is forgotten: what still comes is rejected (RFC 7641 §3.6).
        rig.status(&get, Some(2), status, 0);
        assert_eq!(rig.resets, 1);
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

/// Never more often than every 3 s, and no more rarely than every 5 minutes.
#[test]
fn a_server_that_grants_and_ends_is_asked_ever_more_rarely() {
    let mut rig = Rig::new();
    let (_, mut get) = rig.granted(60_000, 60_000);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        rig.status(&get, Some(1), Status::AttackMitigationTerminated, 0);
        let (pause, put) = wait_for_put(&mut rig);
        pauses.push(pause);
        get = rig.grant_observed(&put, 50_000);
    }
    let mut shortest: u64 = 3;
    for pause in &pauses {
        let longest = shortest + shortest.div_ceil(3) + 1;
        assert!((shortest..=longest).contains(pause), "{pauses:?}");
        shortest = (shortest * 2).min(225);
    }
    assert!(pauses.iter().all(|pause| *pause <= 300), "{pauses:?}");
    let long: BTreeSet<u64> = pauses.iter().skip(7).copied().collect();
    assert!(long.len() > 1, "no two clients in step: {pauses:?}");
    // What has stood for long is not held against the server.
    rig.advance(seconds(301));
    rig.status(&get, Some(1), Status::AttackMitigationTerminated, 0);
    assert!(wait_for_put(&mut rig).0 <= 4);
}

/// Covers: S-023. Both count whole seconds: there is nothing left to ask for.
#[test]
fn what_the_server_ends_with_the_wish_is_over() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    rig.advance(seconds(599));
    rig.status(&get, Some(1), Status::AttackMitigationTerminated, 0);
    assert_eq!(rig.state(id), State::Ended(End::Expired));
    assert!(rig.requests.is_empty());
    rig.advance(seconds(600));
    assert!(rig.take().is_empty());
}

/// Covers: S-049. Neither its wish nor its withdrawal waits for the pause.
#[test]
fn what_waits_after_a_setback_can_be_withdrawn_and_expires() {
    for is_withdrawn in [true, false] {
        let mut rig = Rig::new();
        let (id, mut get) = rig.granted(60, 60);
        for _ in 0..3 {
            rig.status(&get, Some(1), Status::AttackMitigationWithdrawn, 0);
            let put = wait_for_put(&mut rig).1;
            get = rig.grant_observed(&put, 50);
        }
        rig.status(&get, Some(1), Status::AttackMitigationWithdrawn, 0);
        if is_withdrawn {
            rig.withdraw(id);
        } else {
            rig.advance(seconds(60) - rig.elapsed);
        }
        let delete = rig.take().pop().unwrap();
        assert_eq!(delete.message.code, Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        let end = match is_withdrawn {
            true => End::Withdrawn,
            false => End::Expired,
        };
        assert_eq!(rig.state(id), State::Ended(end));
    }
}

/// Covers: S-008. Who may ask and how the server fares changes; the request does not.
#[test]
fn a_refusal_that_may_pass_is_shown_and_asked_again() {
    for code in [
        Code::UNAUTHORIZED,
        Code::REQUEST_ENTITY_INCOMPLETE,
        Code::INTERNAL_SERVER_ERROR,
        Code::BAD_GATEWAY,
        Code::GATEWAY_TIMEOUT,
    ] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        let mut put = rig.one(Code::PUT);
        for pause in [3..=4, 6..=8, 12..=16] {
            rig.answer(&put, code, |_| {}, b"not now\x1b");
            assert_eq!(setback(&rig, id), refused(code, "not now"));
            let (waited, again) = wait_for_put(&mut rig);
            assert!(pause.contains(&waited), "{code}: {waited}");
            put = again;
        }
        rig.grant(&put, 5000);
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

/// Covers: S-047. A pause that the server asks for counts, up to five minutes.
#[test]
fn a_refusal_that_names_a_time_is_respected() {
    for (code, max_age, pause) in [
        (Code::INTERNAL_SERVER_ERROR, Some(40), 40),
        (Code::TOO_MANY_REQUESTS, None, 60),
        (Code::TOO_MANY_REQUESTS, Some(4_000_000), 300),
    ] {
        let mut rig = Rig::new();
        rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        let later = |options: &mut coap::Options| {
            if let Some(seconds) = max_age {
                options.push_uint(OptionNumber::MAX_AGE, seconds);
            }
        };
        rig.answer(&put, code, later, b"later");
        assert_eq!(wait_for_put(&mut rig).0, pause);
    }
}

/// Covers: S-008, S-022. What was granted stays in force until it expires, whatever is said to
/// prolonging it.
#[test]
fn a_refresh_that_is_refused_is_asked_for_again() {
    for code in [Code::FORBIDDEN, Code::BAD_REQUEST, Code::HOP_LIMIT_REACHED] {
        let mut rig = Rig::new();
        let (id, _) = rig.granted(6000, 400);
        rig.advance(seconds(200));
        let put = rig.one(Code::PUT);
        rig.answer(&put, code, |_| {}, b"no more");
        assert!(matches!(rig.state(id), State::Accepted(_)));
        let waiting = rig.parts(id).remove(0).waiting;
        let Some(Waiting::Paused { reason, .. }) = waiting else {
            panic!("{waiting:?}");
        };
        let diagnostic = "no more".to_owned();
        assert_eq!(reason, Pause::Refused { code, diagnostic });
        let mut asked = 0;
        while matches!(rig.state(id), State::Accepted(_)) {
            let put = wait_for_put(&mut rig).1;
            rig.answer(&put, code, |_| {}, b"no more");
            asked += 1;
        }
        assert!((4..10).contains(&asked), "{asked}");
        assert_eq!(setback(&rig, id), refused(code, "no more"));
        let put = wait_for_put(&mut rig).1;
        rig.grant(&put, 5000);
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

/// A client that was started again does not know what the server thinks of its requests.
#[test]
fn what_was_asked_before_a_restart_is_not_ended_by_a_refusal() {
    for was_granted in [true, false] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        if was_granted {
            rig.grant(&put, 6000);
        }
        rig.take();
        rig.restart();
        let put = rig.one(Code::PUT);
        rig.answer(&put, Code::FORBIDDEN, |_| {}, b"whose?");
        assert_eq!(setback(&rig, id), refused(Code::FORBIDDEN, "whose?"));
        assert_eq!(rig.requests.len(), 1);
        let put = wait_for_put(&mut rig).1;
        rig.grant(&put, 5000);
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

fn conflict(retry_timer: Option<u32>, mid: Option<u32>) -> ConflictInformation {
    ConflictInformation {
        cause: Some(ConflictCause::OverlappingTargets),
        retry_timer,
        scope: mid.map(|mid| ConflictScope {
            mid: Some(dots::identifiers::Mid(mid)),
            ..ConflictScope::default()
        }),
        ..ConflictInformation::default()
    }
}

/// Covers: S-030. What a newer request of one's own protects is that one's.
#[test]
fn only_a_newer_request_of_this_client_ends_an_older_one() {
    for is_own in [true, false] {
        let mut rig = Rig::new();
        let (older, _) = rig.granted(6000, 400);
        rig.advance(seconds(199));
        rig.mitigate(&["203.0.113.0/29"], 6000);
        rig.take();
        rig.advance(seconds(1));
        let mut puts = rig.take();
        puts.retain(|asked| asked.mid() == 1);
        let newer = if is_own { 2 } else { 99 };
        rig.conflict(&puts[0], conflict(None, Some(newer)));
        match rig.state(older) {
            State::Refused { code, .. } => assert!(is_own && code == Code::CONFLICT),
            other => assert!(
                !is_own && matches!(other, State::Accepted(_)),
                "it was granted until it expires: {other:?}"
            ),
        }
    }
}

/// Covers: S-035. A server may name any number of seconds.
#[test]
fn a_retry_timer_is_believed_for_a_day() {
    for (timer, days) in [(86_400, 1), (u32::MAX, 1)] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 1_000_000);
        let put = rig.one(Code::PUT);
        rig.conflict(&put, conflict(Some(timer), None));
        let retry = rig.now().monotonic + seconds(days * 86_400);
        assert_eq!(rig.state(id), State::Deactivated { retry });
    }
}

/// How a server puts a request off for at least a minute.
type PutOff = fn(&mut Rig, &Asked);
const PUT_OFF: [PutOff; 3] = [
    |rig, put| rig.conflict(put, conflict(Some(3600), None)),
    |rig, put| rig.answer(put, Code::SERVICE_UNAVAILABLE, |_| {}, b"busy"),
    |rig, put| rig.answer(put, Code::TOO_MANY_REQUESTS, |_| {}, b"slowly"),
];

/// Covers: M-029, S-035, S-049. No server is asked sooner than it said, and the network is protected.
#[test]
fn meanwhile_another_server_of_the_same_pvd_is_asked() {
    for put_off in PUT_OFF {
        let mut rig = without(&[]);
        rig.advance(seconds(0));
        let id = rig.mitigate(&[FIXED_HOST], 60_000);
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], FIXED6);
        put_off(&mut rig, &put);
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], BACKUP);
        assert_eq!(at(&rig, id, "dots.fixed.example").moved_to, Some(backup()));
        rig.grant(&put, 60_000);
        assert!(rig.client.is_settled(id));
        let first = at(&rig, id, "dots.fixed.example").state;
        assert_eq!(first, State::Withdrawing, "it may keep it for later");
    }
}

/// Covers: X-013, S-035. Each is asked when it said, and neither in between.
#[test]
fn servers_that_all_put_it_off_are_asked_in_turn() {
    for put_off in PUT_OFF {
        let mut rig = without(&[]);
        rig.advance(seconds(0));
        rig.mitigate(&[FIXED_HOST], 600_000);
        let mut asked_at: Vec<(String, u64)> = Vec::new();
        for _ in 0..20_000 {
            for put in rig.take() {
                assert_eq!(put.message.code, Code::PUT);
                asked_at.push((rig.paths[&put.path].clone(), put.at.as_secs()));
                put_off(&mut rig, &put);
            }
            rig.advance(seconds(1));
        }
        for address in [FIXED6, BACKUP] {
            let there = asked_at.iter().filter(|(at, _)| at == address);
            // The answer comes so late that there may be copies.
            let mut at: Vec<u64> = there.map(|(_, at)| *at).collect();
            at.dedup();
            assert!(at.len() >= 5, "{address}: {at:?}");
            assert!(at.windows(2).all(|two| two[1] - two[0] >= 60), "{at:?}");
        }
    }
}

/// What is put off for seconds only stays where it is.
#[test]
fn a_short_pause_sends_nothing_elsewhere() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    let soon = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 9);
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, soon, b"busy");
    let put = wait_for_put(&mut rig).1;
    assert_eq!(rig.paths[&put.path], FIXED6);
    assert_eq!(rig.parts(id).len(), 1);
}
