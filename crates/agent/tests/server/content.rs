//! The part of the status that a client wants: `c` in the Uri-Query (RFC 9132 §4.4.2, Table 2).

use coap::{Code, OptionNumber};
use dots::mitigation::{MitigationStatus, Status};

use super::rig::{Ask, HOME, Rig, report};
use crate::world::seconds;

const PATH: &str = "mitigate/cuid=one/mid=1";

fn mitigating() -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 600),
        Code::CREATED,
    );
    rig.enforce();
    rig.dropped(10, 1000);
    rig
}

fn get(query: &str) -> Ask {
    Ask::get(PATH).option(OptionNumber::URI_QUERY, query.as_bytes())
}

fn shows_configuration(status: &MitigationStatus) -> bool {
    !status.target.prefixes.is_empty()
}

fn shows_progress(status: &MitigationStatus) -> bool {
    status.counters.bytes.is_some() && status.mitigation_start.is_some()
}

/// Covers: S-040, S-041
#[test]
fn a_client_gets_the_part_that_it_asks_for() {
    for (query, configuration, progress) in [
        ("c=c", true, false),
        ("c=n", false, true),
        ("c=a", true, true),
        ("x=y", true, true),
    ] {
        let mut rig = mitigating();
        let found = report(&rig.expect(HOME, get(query), Code::CONTENT));
        let status = &found.0[0];
        assert_eq!(shows_configuration(status), configuration, "{query}");
        assert_eq!(shows_progress(status), progress, "{query}");
        assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
        assert_eq!(status.lifetime.to_number(), 600);
    }
}

/// Covers: S-040, S-044
#[test]
fn an_observer_is_told_the_part_that_it_asked_for() {
    for (query, configuration, progress) in [("c=c", true, false), ("c=n", false, true)] {
        let mut rig = mitigating();
        let answer = rig.expect(HOME, get(query).observe(0).token(7), Code::CONTENT);
        assert!(answer.options.observe().is_some());
        rig.advance(seconds(20));
        let (_, _, told) = rig.notified.pop().expect("a notification");
        let status = &report(&told).0[0];
        assert_eq!(shows_configuration(status), configuration, "{query}");
        assert_eq!(shows_progress(status), progress, "{query}");
    }
}

/// Covers: S-040, S-027
#[test]
fn a_part_that_does_not_exist_is_a_bad_request() {
    let mut rig = mitigating();
    for query in ["c=", "c=x", "c"] {
        rig.expect(HOME, get(query), Code::BAD_REQUEST);
    }
    let twice = get("c=c").option(OptionNumber::URI_QUERY, b"c=n");
    rig.expect(HOME, twice, Code::BAD_REQUEST);
    let odd = Ask::get(PATH).option(OptionNumber::URI_QUERY, &[0xff]);
    rig.expect(HOME, odd, Code::BAD_REQUEST);
}
