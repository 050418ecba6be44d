//! A server that relays: what counts is what its servers upstream have accepted.

use std::time::Duration;

use agent::relay::Relay;
use agent::server::{Acceptance, Input, Policy, Relaying, Upstream, UpstreamStatus};
use coap::{Code, Response};
use dots::mitigation::{DroppedCounters, Status};

use super::names::{OWNED, PATH, WWW, found, named};
use super::rig::{HOME, Rig, policy};
use crate::world::seconds;

impl Rig {
    fn relaying() -> Self {
        let relaying = Relaying {
            relay: Relay::new("gateway".parse().unwrap()),
            patience: Duration::from_secs(10),
        };
        Self::with(Policy {
            relaying: Some(relaying),
            ..policy()
        })
    }

    /// The servers upstream accept the request with this number.
    fn accept_upstream(&mut self, mid: u32) -> Option<Response> {
        let mut stored = self.stored.values();
        let record = stored.find(|record| record.key.mid.0 == mid).unwrap();
        let status = UpstreamStatus {
            status: Status::AttackMitigationInProgress,
            lifetime: None,
            dropped: DroppedCounters::default(),
            is_complete: true,
        };
        let accepted = (Acceptance::from(record), Upstream::Accepted(status));
        self.input(Input::Upstream(vec![accepted]))
    }
}

/// Covers: S-019, S-029, G-002. The name moves while the newer request waits for an answer.
#[test]
fn a_name_that_moves_ends_nothing_for_a_request_that_nobody_upstream_has_taken() {
    let mut rig = Rig::relaying();
    assert_eq!(rig.request(HOME, named(PATH, &[WWW])), None);
    assert_eq!(rig.resolve(WWW, found(&[OWNED], 60)), None);
    let answer = rig.accept_upstream(1).expect("an answer");
    assert_eq!(answer.code, Code::CREATED);
    assert_eq!(
        rig.request(HOME, named("mitigate/cuid=one/mid=2", &[WWW])),
        None
    );
    rig.advance(seconds(60));
    assert_eq!(rig.asked_names, [WWW]);
    assert_eq!(rig.mids(), [1, 2]);
    rig.resolve(WWW, found(&["203.0.113.8"], 60));
    assert_eq!(rig.mids(), [1, 2], "the older one protects");
    rig.accept_upstream(2);
    assert_eq!(rig.mids(), [2]);
}
