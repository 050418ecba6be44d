//! Records to try things with.
#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each test file uses a part, and all of it is constant"
)]

use agent::client::{AssociationRecord, RequestId, RequestRecord, WantedRecord};
use agent::relay::Relayed;
use agent::server::{MitigationKey, MitigationRecord, Scope, Snapshot, Standing};
use agent::server_selection::{AssociationId, Attack};
use dots::identifiers::{Cuid, Mid};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::{PortRange, Target};
use store::WallClock;

/// When clients commit, unless a test says otherwise.
pub(crate) const AT: WallClock = WallClock {
    unix: 1_900_000_000,
    jumped: 0,
};

pub(crate) fn cuid(text: &str) -> Cuid {
    text.parse().expect("a cuid")
}

pub(crate) fn target(prefix: &str) -> Target {
    Target {
        prefixes: vec![prefix.parse().expect("a prefix")],
        port_ranges: vec![PortRange::single(443)],
        ..Target::default()
    }
}

pub(crate) fn mitigation_key(cuid: &str, mid: u32) -> MitigationKey {
    MitigationKey {
        customer: "home".to_owned(),
        cuid: self::cuid(cuid),
        mid: Mid(mid),
    }
}

pub(crate) fn mitigation(cuid: &str, mid: u32) -> MitigationRecord {
    let lifetime = Lifetime::Seconds(3600.try_into().expect("not zero"));
    let request = MitigationRequest::new(target("203.0.113.7/32"), lifetime, false, None);
    MitigationRecord {
        key: mitigation_key(cuid, mid),
        accepted: u64::from(mid) << 33,
        credential: [7; 32],
        scope: Scope {
            fixed: target("203.0.113.7/32"),
            ..Scope::default()
        },
        request: request.expect("a request"),
        standing: Standing::Active {
            started_unix: 1_900_000_001,
        },
        expires_unix: Some(1_900_003_600),
        relayed: Relayed {
            hop_limit: std::num::NonZeroU8::new(15),
            cdid: "domain".parse().ok(),
        },
    }
}

/// What a server with these mitigations alone takes up again.
pub(crate) fn snapshot(mitigations: impl Into<Vec<MitigationRecord>>) -> Snapshot {
    Snapshot {
        mitigations: mitigations.into(),
        ..Snapshot::default()
    }
}

pub(crate) fn association_id(pvd: &str, server: &str) -> AssociationId {
    AssociationId {
        pvd: pvd.parse().expect("a PvD"),
        server: server.to_owned(),
    }
}

pub(crate) fn association(server: &str, reserved_mid: u32) -> AssociationRecord {
    AssociationRecord {
        association: association_id("fixed.example", server),
        cuid: cuid("a"),
        reserved_mid: Mid(reserved_mid),
    }
}

pub(crate) fn request(id: u64, server: &str) -> RequestRecord {
    RequestRecord {
        id: RequestId(id),
        association: association_id("fixed.example", server),
        mid: Mid(7),
        target: target("2001:db8::7/128"),
        trigger_mitigation: true,
        wanted_until_unix: Some(1_900_003_600),
        withdrawing: false,
        granted: false,
        expires_unix: None,
        moved_to: None,
        not_before_unix: None,
    }
}

pub(crate) fn wanted(id: u64, is_seen: bool, wanted_until_unix: Option<u64>) -> WantedRecord {
    let seen_on = ["a.example", "b.example"].into_iter().filter(|_| is_seen);
    WantedRecord {
        id: RequestId(id),
        attack: Attack {
            target: target("203.0.113.7/32"),
            seen_on: seen_on.map(|id| id.parse().expect("a PvD")).collect(),
        },
        trigger_mitigation: !is_seen,
        wanted_until_unix,
        relayed: Relayed {
            hop_limit: std::num::NonZeroU8::new(14),
            cdid: Some("7cbdf3de5e6f1b7ba4b0e2".parse().expect("a cdid")),
        },
    }
}
