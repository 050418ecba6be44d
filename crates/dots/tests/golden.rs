//! Bodies as they stand in RFC 9132 and as deployed agents send them.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::configuration::{
    AcceptableConfiguration, AckRandomFactor, AckTimeout, ConfigurationReport,
    ConfigurationRequest, HeartbeatInterval, MaxRetransmit, MissingHbAllowed, ProbingRate,
    RequestedSet, SessionConfiguration,
};
use dots::heartbeat::Heartbeat;
use dots::lifetime::Lifetime;
use dots::mitigation::{AttackStatus, MitigationRequest};
use dots::redirect::RedirectedSignal;
use dots::target::{PortRange, Protocol, Target};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

const FIGURE_8: &str = "A1 01 A1 02 81 A4
    06 82 74 323030313A6462383A363430313A3A312F313238 74 323030313A6462383A363430313A3A322F313238
    07 83 A1 08 18 50 A1 08 19 01BB A1 08 19 1F90
    0A 81 06
    0E 19 0E10";

fn target() -> Target {
    Target {
        prefixes: vec![
            "2001:db8:6401::1/128".parse().unwrap(),
            "2001:db8:6401::2/128".parse().unwrap(),
        ],
        port_ranges: [80, 443, 8080].map(PortRange::single).to_vec(),
        protocols: vec![Protocol::TCP],
        ..Target::default()
    }
}

/// RFC 9132 §4.4.1.1, Figures 7 and 8. Covers: S-009
#[test]
fn the_example_request_of_the_rfc_is_read_and_written_octet_for_octet() {
    let request = MitigationRequest::new(target(), Lifetime::RECOMMENDED, true, None).unwrap();
    assert_eq!(
        MitigationRequest::decode(&hex(FIGURE_8)),
        Ok(request.clone())
    );
    assert_eq!(request.encode(), hex(FIGURE_8));
}

/// RFC 9132 §4.7; the octets that deployed agents send.
#[test]
fn a_heartbeat_is_read_and_written_octet_for_octet() {
    for (octets, peer_hb_status) in [
        ("a1 18 31 a1 18 33 f5", true),
        ("a1 18 31 a1 18 33 f4", false),
    ] {
        let heartbeat = Heartbeat { peer_hb_status };
        assert_eq!(Heartbeat::decode(&hex(octets)), Ok(heartbeat));
        assert_eq!(heartbeat.encode(), hex(octets));
    }
}

const FIGURE_16: &str = "A1 01 A1 02 81 A4
    06 82 74 323030313A6462383A363430313A3A312F313238 74 323030313A6462383A363430313A3A322F313238
    07 83 A1 08 18 50 A1 08 19 01BB A1 08 19 1F90
    0A 81 06
    18 1D 01";

/// RFC 9132 §4.4.3, Figure 16. Covers: S-022, S-047
#[test]
fn the_efficacy_update_of_the_rfc_has_no_lifetime_and_leaves_it_as_it_is() {
    let lifetime = Lifetime::from_number(1800).unwrap();
    let status = Some(AttackStatus::UnderAttack);
    let request = MitigationRequest::new(target(), lifetime, true, status);
    let update = MitigationRequest::decode_efficacy_update(&hex(FIGURE_16), lifetime);
    assert_eq!(update, Ok(request.unwrap()));
    assert!(MitigationRequest::decode(&hex(FIGURE_16)).is_err());
}

const FIGURE_20: &str = "A1 18 1E A2
    18 20 A6
      18 21 A3  18 22 18 F0  18 23 0F  18 24 18 1E
      18 25 A3  18 22 14  18 23 03  18 24 0F
      18 26 A3  18 22 0F  18 23 02  18 24 03
      18 27 A3  18 29 C4 82 21 19 0BB8  18 2A C4 82 21 18 64  18 2B C4 82 21 18 C8
      18 28 A3  18 29 C4 82 21 19 0190  18 2A C4 82 21 18 6E  18 2B C4 82 21 18 96
      18 32 A3  18 22 14  18 23 05  18 24 0F
    18 2C A6
      18 21 A3  18 22 18 F0  18 23 0F  18 24 18 1E
      18 25 A3  18 22 14  18 23 03  18 24 0F
      18 26 A3  18 22 0F  18 23 02  18 24 03
      18 27 A3  18 29 C4 82 21 19 0BB8  18 2A C4 82 21 18 64  18 2B C4 82 21 18 C8
      18 28 A3  18 29 C4 82 21 19 0190  18 2A C4 82 21 18 6E  18 2B C4 82 21 18 96
      18 32 A3  18 22 14  18 23 05  18 24 0F";

/// RFC 9132 §4.5.1, Figure 20. Covers: S-054, S-055, S-056
#[test]
fn the_configuration_report_of_the_rfc_is_read_and_written_octet_for_octet() {
    let mut current = SessionConfiguration::default();
    for set in [&mut current.mitigating, &mut current.idle] {
        set.probing_rate = ProbingRate::new(15).unwrap();
    }
    let report = ConfigurationReport::new(&current, &AcceptableConfiguration::default());
    assert_eq!(ConfigurationReport::decode(&hex(FIGURE_20)), Ok(report));
    assert_eq!(report.encode(), hex(FIGURE_20));
    assert_eq!(report.current(), current);
}

const FIGURE_23: &str = "A1 18 1E A2
    18 20 A6
      18 21 A1  18 24 18 1E
      18 25 A1  18 24 0F
      18 26 A1  18 24 03
      18 27 A1  18 2B C4 82 21 18 C8
      18 28 A1  18 2B C4 82 21 18 96
      18 32 A1  18 24 0F
    18 2C A4
      18 21 A1  18 24 00
      18 26 A1  18 24 03
      18 27 A1  18 2B C4 82 21 18 C8
      18 28 A1  18 2B C4 82 21 18 96";

/// RFC 9132 §4.5.2, Figure 23. Covers: S-009, S-057
#[test]
fn the_configuration_request_of_the_rfc_is_read_and_written_octet_for_octet() {
    let mitigating = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DEFAULT),
        missing_hb_allowed: Some(MissingHbAllowed::DEFAULT),
        max_retransmit: Some(MaxRetransmit::DEFAULT),
        ack_timeout: Some(AckTimeout::DEFAULT),
        ack_random_factor: Some(AckRandomFactor::DEFAULT),
        probing_rate: Some(ProbingRate::new(15).unwrap()),
    };
    let idle = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DISABLED),
        missing_hb_allowed: None,
        probing_rate: None,
        ..mitigating
    };
    let request = ConfigurationRequest::new(mitigating, idle).unwrap();
    assert_eq!(ConfigurationRequest::decode(&hex(FIGURE_23)), Ok(request));
    assert_eq!(request.encode(), hex(FIGURE_23));
    let acceptable = AcceptableConfiguration::default();
    assert_eq!(acceptable.check(&request), Ok(()));
}

const FIGURE_26: &str = "A1 18 2E A2
    18 2F 72 616C742D7365727665722E6578616D706C65
    18 30 82 70 323030313A6462383A363430313A3A31 70 323030313A6462383A363430313A3A32";

/// RFC 9132 §4.6, Figure 26. Covers: S-063
#[test]
fn the_redirection_of_the_rfc_is_read_and_written_octet_for_octet() {
    let redirected = RedirectedSignal {
        alt_server: "alt-server.example".parse().unwrap(),
        alt_server_records: vec![
            "2001:db8:6401::1".parse().unwrap(),
            "2001:db8:6401::2".parse().unwrap(),
        ],
    };
    assert_eq!(
        RedirectedSignal::decode(&hex(FIGURE_26)).as_ref(),
        Ok(&redirected)
    );
    assert_eq!(redirected.encode(), hex(FIGURE_26));
}
