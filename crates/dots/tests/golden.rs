//! Bodies as they stand in RFC 9132 and as deployed agents send them.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::heartbeat::Heartbeat;
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
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

/// RFC 9132 §4.4.1.1, Figures 7 and 8. Covers: S-009
#[test]
fn the_example_request_of_the_rfc_is_read_and_written_octet_for_octet() {
    let target = Target {
        prefixes: vec![
            "2001:db8:6401::1/128".parse().unwrap(),
            "2001:db8:6401::2/128".parse().unwrap(),
        ],
        port_ranges: [80, 443, 8080].map(PortRange::single).to_vec(),
        protocols: vec![Protocol::TCP],
        ..Target::default()
    };
    let request = MitigationRequest::new(target, Lifetime::RECOMMENDED, true, None).unwrap();
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
