//! JSON as the YANG module has it; `yang.rs` asks yanglint.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::configuration::{
    AcceptableConfiguration, AckTimeout, ConfigurationReport, ConfigurationRequest,
    HeartbeatInterval, RequestedSet, SessionConfiguration,
};
use dots::heartbeat::Heartbeat;
use dots::identifiers::{Cuid, Mid};
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{
    AttackStatus, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    DroppedCounters, Granted, MitigationReport, MitigationRequest, MitigationStatus, Refusal,
    Status,
};
use dots::redirect::RedirectedSignal;
use dots::target::{PortRange, Protocol, Target};
use serde_json::{Value, json};

fn scope(scope: &Value) -> Value {
    json!({"ietf-dots-signal-channel:dots-signal": {"scope": [scope]}})
}

fn target() -> Target {
    Target {
        prefixes: vec!["2001:db8:6401::1/128".parse().unwrap()],
        port_ranges: vec![
            PortRange::single(80),
            PortRange::new(1024, Some(65535)).unwrap(),
        ],
        protocols: vec![Protocol::UDP],
        fqdns: vec!["a.example".parse().unwrap()],
        uris: vec!["https://a.example/".parse().unwrap()],
        aliases: vec!["web".parse().unwrap()],
    }
}

#[test]
fn a_request_has_the_names_of_the_yang_module() {
    let status = Some(AttackStatus::UnderAttack);
    let request = MitigationRequest::new(target(), Lifetime::Indefinite, false, status).unwrap();
    let expected = scope(&json!({
        "target-prefix": ["2001:db8:6401::1/128"],
        "target-port-range": [{"lower-port": 80}, {"lower-port": 1024, "upper-port": 65535}],
        "target-protocol": [17],
        "target-fqdn": ["a.example"],
        "target-uri": ["https://a.example/"],
        "alias-name": ["web"],
        "lifetime": -1,
        "trigger-mitigation": false,
        "attack-status": "under-attack",
    }));
    assert_eq!(serde_json::to_value(&request).unwrap(), expected);
}

/// The first entry of RFC 9132 §4.4.2, Figure 14, and a conflict.
#[test]
fn a_report_has_labels_and_64_bit_numbers_as_text() {
    let conflict = ConflictInformation {
        status: Some(ConflictStatus::RequestActive),
        cause: Some(ConflictCause::OverlappingTargets),
        retry_timer: Some(60),
        scope: Some(ConflictScope {
            mid: Some(Mid(7)),
            target: Target {
                aliases: vec!["web".parse().unwrap()],
                ..Target::default()
            },
            acl_list: Vec::new(),
        }),
    };
    let report = MitigationReport(vec![MitigationStatus {
        mid: Mid(12332),
        target: Target {
            protocols: vec![Protocol::UDP],
            ..Target::default()
        },
        trigger_mitigation: None,
        mitigation_start: Some(1_507_818_434),
        status: Status::AttackSuccessfullyMitigated,
        lifetime: RemainingLifetime::Seconds(1756),
        counters: DroppedCounters {
            bytes: Some(134_334_555),
            bps: Some(43344),
            pkts: Some(333_334_444),
            pps: None,
        },
        conflict: Some(conflict),
    }]);
    let expected = scope(&json!({
        "mid": 12332,
        "mitigation-start": "1507818434",
        "target-protocol": [17],
        "lifetime": 1756,
        "status": "attack-successfully-mitigated",
        "bytes-dropped": "134334555",
        "bps-dropped": "43344",
        "pkts-dropped": "333334444",
        "conflict-information": {
            "conflict-status": "request-active",
            "conflict-cause": "overlapping-targets",
            "retry-timer": 60,
            "conflict-scope": {"mid": 7, "alias-name": ["web"]},
        },
    }));
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
}

#[test]
fn the_other_messages_have_the_same_frame() {
    let granted = Granted {
        mid: Mid(123),
        lifetime: Lifetime::RECOMMENDED,
        conflict: None,
    };
    assert_eq!(
        serde_json::to_value(&granted).unwrap(),
        scope(&json!({"mid": 123, "lifetime": 3600}))
    );

    let conflict = ConflictInformation {
        cause: Some(ConflictCause::CuidCollision),
        ..Default::default()
    };
    let expected = scope(&json!({"conflict-information": {"conflict-cause": "cuid-collision"}}));
    assert_eq!(
        serde_json::to_value(Refusal { conflict }).unwrap(),
        expected
    );

    let heartbeat = serde_json::to_value(Heartbeat {
        peer_hb_status: true,
    })
    .unwrap();
    assert_eq!(
        heartbeat,
        json!({"ietf-dots-signal-channel:dots-signal": {"peer-hb-status": true}})
    );
}

#[test]
fn a_configuration_has_decimals_as_text_and_leaves_out_what_is_empty() {
    let idle = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DISABLED),
        ack_timeout: Some(AckTimeout::DEFAULT),
        ..RequestedSet::default()
    };
    let request = ConfigurationRequest::new(RequestedSet::default(), idle).unwrap();
    let expected = json!({"ietf-dots-signal-channel:dots-signal": {"idle-config": {
        "heartbeat-interval": {"current-value": 0},
        "ack-timeout": {"current-value-decimal": "2.00"},
    }}});
    assert_eq!(serde_json::to_value(request).unwrap(), expected);

    let acceptable = AcceptableConfiguration::default();
    let report = ConfigurationReport::new(&SessionConfiguration::default(), &acceptable);
    let set = json!({
        "heartbeat-interval": {"max-value": 240, "min-value": 15, "current-value": 30},
        "missing-hb-allowed": {"max-value": 20, "min-value": 3, "current-value": 15},
        "max-retransmit": {"max-value": 15, "min-value": 2, "current-value": 3},
        "ack-timeout": {
            "max-value-decimal": "30.00",
            "min-value-decimal": "1.00",
            "current-value-decimal": "2.00",
        },
        "ack-random-factor": {
            "max-value-decimal": "4.00",
            "min-value-decimal": "1.10",
            "current-value-decimal": "1.50",
        },
        "probing-rate": {"max-value": 20, "min-value": 5, "current-value": 5},
    });
    let expected = json!({"ietf-dots-signal-channel:dots-signal": {
        "mitigating-config": set, "idle-config": set,
    }});
    assert_eq!(serde_json::to_value(report).unwrap(), expected);
}

#[test]
fn a_redirection_has_addresses_only_if_there_are_any() {
    let mut redirected = RedirectedSignal {
        alt_server: "b.example".parse().unwrap(),
        alt_server_records: vec!["2001:db8::1".parse().unwrap()],
    };
    let frame = |contents: Value| json!({"ietf-dots-signal-channel:dots-signal": contents});
    assert_eq!(
        serde_json::to_value(&redirected).unwrap(),
        frame(json!({"alt-server": "b.example", "alt-server-record": ["2001:db8::1"]}))
    );
    redirected.alt_server_records.clear();
    assert_eq!(
        serde_json::to_value(&redirected).unwrap(),
        frame(json!({"alt-server": "b.example"}))
    );
}

#[test]
fn identifiers_are_checked_when_they_are_read() {
    assert_eq!(
        serde_json::from_str::<Cuid>("\"abc\"").unwrap().as_str(),
        "abc"
    );
    assert!(serde_json::from_str::<Cuid>("\"\"").is_err());
    assert_eq!(serde_json::from_str::<Mid>("7").unwrap(), Mid(7));
}
