//! What is read from messages of DHCP servers, and from those who pretend to be some.

use std::net::IpAddr;
use std::time::Duration;

use discovery::PeerAgent;
use discovery::dhcp::v6::TransactionId;
use discovery::dhcp::{Ignored, Information, LinkAddress, v4, v6};
use proptest::prelude::*;

use crate::support::{acknowledgement, client, octets, reply, wire};

/// Codes and values, in the order of the message.
type Options<Code> = Vec<(Code, Vec<u8>)>;

const TRANSACTION: [u8; 3] = [1, 2, 3];

fn read_v6(options: &[(u16, Vec<u8>)]) -> Information {
    let message = reply(TRANSACTION, options);
    let reply = v6::reply(&message, TransactionId(TRANSACTION), &client());
    reply.unwrap().information
}

fn read_v4(options: &[(u8, Vec<u8>)]) -> Information {
    let message = acknowledgement([0, 0, 0, 9], options);
    v4::acknowledgement(&message, 9, &client()).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn addressed(name: &str, at: &[&str]) -> Option<PeerAgent> {
    Some(PeerAgent::Addressed {
        name: name.parse().unwrap(),
        addresses: addresses(at),
    })
}

fn named(name: &str) -> Option<PeerAgent> {
    Some(PeerAgent::Named(name.parse().unwrap()))
}

/// Covers: Y-004, Y-005, Y-007, Y-008
#[test]
fn the_dots_options_of_dhcpv6_name_one_agent() {
    let ri = |name: &str| (141, wire(name));
    let at = |list: &[&str]| (142, octets(list));
    let two = ["2001:db8::1", "2001:db8::2"];
    let cases: [(Options<u16>, Option<PeerAgent>); 9] = [
        (vec![], None),
        (vec![ri("dots.example.com")], named("dots.example.com")),
        (vec![ri("a.example"), ri("b.example")], named("a.example")),
        (
            vec![(141, [wire("a.example"), wire("b.example")].concat())],
            named("a.example"),
        ),
        // The first instance counts, even where it is of no use.
        (vec![(141, vec![5, b'a']), ri("b.example")], None),
        (
            vec![at(&two), ri("a.example"), at(&["2001:db8::3"])],
            addressed("a.example", &two),
        ),
        (
            vec![ri("a.example"), at(&["ff02::1", "::1"])],
            named("a.example"),
        ),
        (
            vec![ri("a.example"), (142, vec![0; 17])],
            named("a.example"),
        ),
        (
            vec![at(&["fe80::1", "::ffff:192.0.2.1"])],
            Some(PeerAgent::Anonymous(addresses(&["fe80::1", "192.0.2.1"]))),
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(read_v6(&options).peer, expected, "{options:?}");
    }
}

/// Covers: Y-006, Y-007, Y-008
#[test]
fn the_dots_options_of_dhcpv4_name_one_agent() {
    let ri = |name: &str| (147, wire(name));
    let at = |list: &[&str]| (148, octets(list));
    let cases: [(Options<u8>, Option<PeerAgent>); 7] = [
        (vec![ri("dots.example.com")], named("dots.example.com")),
        (vec![ri("a.example"), ri("b.example")], named("a.example")),
        (
            vec![(147, [wire("a.example"), wire("b.example")].concat())],
            named("a.example"),
        ),
        (
            vec![at(&["192.0.2.1"]), ri("a.example"), at(&["192.0.2.2"])],
            addressed("a.example", &["192.0.2.1", "192.0.2.2"]),
        ),
        // RFC 3396 cuts where it likes.
        (
            vec![(148, vec![192, 0]), (148, vec![2, 1])],
            Some(PeerAgent::Anonymous(addresses(&["192.0.2.1"]))),
        ),
        (
            vec![ri("a.example"), (148, vec![192, 0, 2])],
            named("a.example"),
        ),
        (vec![at(&["127.0.0.1", "239.0.0.1"])], None),
    ];
    for (options, expected) in cases {
        assert_eq!(read_v4(&options).peer, expected, "{options:?}");
    }
}

/// Covers: Y-006
#[test]
fn a_list_of_addresses_longer_than_an_option_is_put_together() {
    let list: Vec<u8> = (0..100_u8).flat_map(|last| [192, 0, 2, last]).collect();
    let pieces = [(148, list[..255].to_vec()), (148, list[255..].to_vec())];
    let Some(PeerAgent::Anonymous(found)) = read_v4(&pieces).peer else {
        panic!("no addresses");
    };
    assert_eq!(found.len(), discovery::peer::MOST_ADDRESSES);

    // The same in the fields that options overflow into (RFC 2132 §9.3): of 148, the last octet is in `file`.
    let mut message = acknowledgement([0, 0, 0, 9], &[(52, vec![1]), (148, vec![192, 0, 2])]);
    message[108..112].copy_from_slice(&[148, 1, 77, 255]);
    let peer = v4::acknowledgement(&message, 9, &client()).unwrap().peer;
    assert_eq!(peer, Some(PeerAgent::Anonymous(addresses(&["192.0.2.77"]))));
}

#[test]
fn resolvers_and_domains_of_the_network_are_learned() {
    let v6 = read_v6(&[
        (23, octets(&["2001:db8::53", "ff02::fb"])),
        (24, [wire("fixed.example"), wire("example")].concat()),
    ]);
    assert_eq!(v6.resolvers, addresses(&["2001:db8::53"]));
    let domains = ["fixed.example", "example"].map(|text| text.parse().unwrap());
    assert_eq!(
        (&v6.domains, &v6.search),
        (&domains.to_vec(), &domains.to_vec())
    );

    let v4 = read_v4(&[
        (6, octets(&["192.0.2.53"])),
        (15, b"fixed.example\0".to_vec()),
    ]);
    assert_eq!(v4.resolvers, addresses(&["192.0.2.53"]));
    assert_eq!(v4.domains, domains[..1]);
    assert_eq!(v4.search, domains[..1]);
    assert_eq!(v4.refresh, Some(Duration::from_secs(86_400)));
}

/// Covers: Y-003
#[test]
fn a_reply_says_for_how_long_it_holds() {
    let refresh = |seconds: u32| read_v6(&[(32, seconds.to_be_bytes().to_vec())]).refresh;
    assert_eq!(read_v6(&[]).refresh, Some(Duration::from_secs(86_400)));
    assert_eq!(refresh(7200), Some(Duration::from_secs(7200)));
    assert_eq!(refresh(1), Some(Duration::from_secs(600)));
    assert_eq!(refresh(u32::MAX), None);
}

#[test]
fn messages_for_others_and_of_no_server_are_ignored() {
    let read = |message: &[u8]| {
        v6::reply(message, TransactionId(TRANSACTION), &client())
            .map(|_| ())
            .unwrap_err()
    };
    let sound = reply(TRANSACTION, &[]);
    assert_eq!(read(&[]), Ignored::Truncated);
    assert_eq!(read(&sound[..sound.len() - 1]), Ignored::Truncated);
    assert_eq!(read(&[&[2], &sound[1..]].concat()), Ignored::Kind);
    assert_eq!(read(&reply([1, 2, 4], &[])), Ignored::Transaction);
    assert_eq!(read(&sound[..18]), Ignored::Server);
    let mut other = sound.clone();
    other[17] = 9;
    assert_eq!(read(&other), Ignored::Client);
    // Who gave no identifier must not be told one (RFC 8415 §16.10).
    let anonymous = LinkAddress {
        hardware: 0,
        octets: vec![],
    };
    let told = v6::reply(&sound, TransactionId(TRANSACTION), &anonymous);
    assert_eq!(told, Err(Ignored::Client));

    let read = |message: &[u8]| {
        v4::acknowledgement(message, 9, &client())
            .map(|_| ())
            .unwrap_err()
    };
    let sound = acknowledgement([0, 0, 0, 9], &[]);
    assert_eq!(read(&sound[..200]), Ignored::Truncated);
    assert_eq!(
        read(&acknowledgement([0, 0, 0, 8], &[])),
        Ignored::Transaction
    );
    let changed = |at: usize, octet: u8| {
        let mut message = sound.clone();
        message[at] = octet;
        read(&message)
    };
    assert_eq!(changed(0, 1), Ignored::Kind);
    assert_eq!(changed(28, 3), Ignored::Client);
    assert_eq!(changed(236, 0), Ignored::Kind);
    assert_eq!(changed(242, 6), Ignored::Kind);
    assert_eq!(changed(243, 255), Ignored::Server);
    assert_eq!(changed(244, 200), Ignored::Truncated);
}

/// Covers: Y-005, Y-006
#[test]
fn requests_ask_for_the_dots_options() {
    let message = v6::information_request(TransactionId(TRANSACTION), &client(), Duration::ZERO);
    let requested = [0, 23, 0, 24, 0, 32, 0, 83, 0, 141, 0, 142];
    assert_eq!(message[..4], [11, 1, 2, 3]);
    assert_eq!(message[4..8], [0, 1, 0, 10]);
    assert_eq!(message[18..34], [&[0, 6, 0, 12], &requested[..]].concat());
    assert_eq!(message[34..], [0, 8, 0, 2, 0, 0]);

    let address = "192.0.2.7".parse().unwrap();
    let message = v4::inform(9, &client(), address, Duration::from_secs(5));
    assert_eq!(message[..12], [1, 1, 6, 0, 0, 0, 0, 9, 0, 5, 0, 0]);
    assert_eq!(message[12..16], [192, 0, 2, 7]);
    assert_eq!(message[28..34], client().octets);
    assert_eq!(message[236..243], [99, 130, 83, 99, 53, 1, 8]);
    assert_eq!(message[247..255], [55, 5, 6, 15, 119, 147, 148, 255]);
    assert_eq!(message.len(), 300);
}

proptest! {
    #[test]
    fn any_reply_is_taken_or_ignored(options in prop::collection::vec(
        (prop::sample::select(vec![1_u16, 2, 23, 24, 32, 83, 141, 142, 9]), prop::collection::vec(any::<u8>(), 0..40)), 0..8,
    ), cut in 0_usize..400) {
        let mut message = reply(TRANSACTION, &options);
        message.truncate(cut);
        if let Ok(reply) = v6::reply(&message, TransactionId(TRANSACTION), &client()) {
            prop_assert!(reply.information.refresh.is_none_or(|refresh| refresh >= Duration::from_secs(600)));
        }
    }

    #[test]
    fn any_acknowledgement_is_taken_or_ignored(rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut message = acknowledgement([0, 0, 0, 9], &[]);
        message.pop();
        message.extend(rest);
        let _read = v4::acknowledgement(&message, 9, &client());
    }
}
