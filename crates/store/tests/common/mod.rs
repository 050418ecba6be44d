//! Records to try things with.
#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each test file uses a part, and all of it is constant"
)]

use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{MitigationRequest, Status};
use dots::target::{PortRange, Target};
use store::{
    ClientRequestKey, ClientRequestRecord, CuidBinding, Expiry, MitigationKey, MitigationRecord,
};

pub(crate) fn request(prefix: &str) -> MitigationRequest {
    let target = Target {
        prefixes: vec![prefix.parse().expect("a prefix")],
        port_ranges: vec![PortRange::single(443)],
        ..Target::default()
    };
    let lifetime = Lifetime::Seconds(3600.try_into().expect("not zero"));
    MitigationRequest::new(target, lifetime, false, None).expect("a request")
}

pub(crate) fn mitigation_key(cuid: &str, mid: u32) -> MitigationKey {
    MitigationKey {
        customer: "home".to_owned(),
        cuid: cuid.parse().expect("a cuid"),
        mid: Mid(mid),
    }
}

pub(crate) fn mitigation(cuid: &str, mid: u32) -> MitigationRecord {
    MitigationRecord {
        key: mitigation_key(cuid, mid),
        request: request("203.0.113.7/32"),
        status: Status::AttackSuccessfullyMitigated,
        created_unix_seconds: 1_900_000_000,
        mitigation_start: Some(1_900_000_001),
        expires: Expiry::At(1_900_003_600),
    }
}

pub(crate) fn binding(cuid: &str, digest: u8) -> CuidBinding {
    CuidBinding {
        customer: "home".to_owned(),
        cuid: cuid.parse().expect("a cuid"),
        spki_sha256: [digest; 32],
    }
}

pub(crate) fn client_key(id: u64) -> ClientRequestKey {
    ClientRequestKey {
        id,
        association: "fixed.example dots.fixed.example".to_owned(),
    }
}

pub(crate) fn client_request(id: u64) -> ClientRequestRecord {
    ClientRequestRecord {
        key: client_key(id),
        mid: Mid(7),
        request: request("2001:db8::7/128"),
        wanted: true,
    }
}
