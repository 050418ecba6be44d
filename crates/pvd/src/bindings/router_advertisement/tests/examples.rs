//! RFC 8801 §5: what its lists say, and the octets, written by hand.

use super::*;

fn header(lifetime: u16) -> Header {
    Header {
        router_lifetime: lifetime,
        ..Header::default()
    }
}

/// A header on the wire: of a router for so many seconds, and nothing else.
fn header_octets(lifetime: u16) -> Vec<u8> {
    let [high, low] = lifetime.to_be_bytes();
    vec![134, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0]
}

const CAFE: [u16; 3] = [0x2001, 0xdb8, 0xcafe];
const FOOD: [u16; 3] = [0x2001, 0xdb8, 0xf00d];

fn address([a, b, c]: [u16; 3], last: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)
}

fn prefix(network: [u16; 3]) -> NdOption {
    NdOption::PrefixInformation(PrefixInformation {
        prefix: ipnet::Ipv6Net::new(address(network, 0), 64).unwrap(),
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Seconds(7200),
        preferred: Lifetime::Seconds(3600),
    })
}

fn prefix_octets(network: [u16; 3]) -> Vec<u8> {
    let mut option = vec![
        3, 4, 64, 0xc0, 0, 0, 0x1c, 0x20, 0, 0, 0x0e, 0x10, 0, 0, 0, 0,
    ];
    option.extend(address(network, 0).octets());
    option
}

fn resolvers(networks: &[[u16; 3]]) -> NdOption {
    NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(600),
        addresses: networks.iter().map(|it| address(*it, 0x53)).collect(),
    }
}

fn resolver_octets(networks: &[[u16; 3]]) -> Vec<u8> {
    let length = u8::try_from(1 + 2 * networks.len()).unwrap();
    let mut option = vec![25, length, 0, 0, 0, 0, 0x02, 0x58];
    option.extend(networks.iter().flat_map(|it| address(*it, 0x53).octets()));
    option
}

fn pvd(id: &str, header: Option<Header>, options: Vec<NdOption>) -> PvdOption {
    PvdOption {
        id: id.parse().unwrap(),
        additional_information: None,
        has_legacy: false,
        header,
        options,
    }
}

/// Length, flags and sequence number are given; the name fills three units with them.
fn pvd_octets(start: [u8; 5], name: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let mut option = vec![21];
    option.extend(start);
    option.extend(name);
    option.resize(24, 0);
    option.extend(more.concat());
    assert_eq!(option.len(), usize::from(start[0]) * 8);
    option
}

const EXAMPLE: &[u8] = b"\x07example\x03org\0";
const FOO: &[u8] = b"\x03foo\x07example\x03org\0";
const BAR: &[u8] = b"\x03bar\x07example\x03org\0";

/// An example in both forms, which are one.
fn assert_is(
    (lifetime, outer): (u16, Vec<NdOption>),
    option: PvdOption,
    octets: &[Vec<u8>],
) -> RouterAdvertisement {
    let expected = RouterAdvertisement {
        outer: header(lifetime),
        outer_options: outer,
        pvd: Some(option),
    };
    let octets = [&[header_octets(lifetime)], octets].concat().concat();
    let received = RouterAdvertisement::decode(&octets).unwrap();
    assert_eq!(
        (&received.advertisement, received.ignored.len()),
        (&expected, 0)
    );
    assert_eq!(expected.encode(), octets);
    expected
}

/// What is for everybody in §5.2 to §5.4: a prefix and a resolver.
fn for_everybody() -> ((u16, Vec<NdOption>), [Vec<u8>; 2]) {
    let options = vec![prefix(CAFE), resolvers(&[CAFE])];
    (
        (6000, options),
        [prefix_octets(CAFE), resolver_octets(&[CAFE])],
    )
}

/// The second advertisement of §5.2 and of §5.3.
fn assert_for_aware_hosts() {
    let inner = vec![prefix(FOOD), resolvers(&[FOOD])];
    let octets = [
        header_octets(1600),
        prefix_octets(FOOD),
        resolver_octets(&[FOOD]),
    ];
    let heard = assert_is(
        (0, vec![]),
        pvd("bar.example.org", Some(header(1600)), inner.clone()),
        &[pvd_octets([3 + 2 + 4 + 3, 0x20, 0, 0, 0], BAR, &octets)],
    );
    assert_eq!(heard.header(), &header(1600));
    assert_eq!(heard.options().cloned().collect::<Vec<_>>(), inner);
}

/// Covers: P-001, P-002, P-008. RFC 8801 §5.1.
#[test]
fn extra_options_for_hosts_that_know_pvds() {
    let inner = [resolver_octets(&[CAFE, FOOD]), prefix_octets(FOOD)];
    let heard = assert_is(
        (6000, vec![prefix(CAFE)]),
        pvd(
            "example.org",
            None,
            vec![resolvers(&[CAFE, FOOD]), prefix(FOOD)],
        ),
        &[
            prefix_octets(CAFE),
            pvd_octets([3 + 5 + 4, 0, 0, 0, 0], EXAMPLE, &inner),
        ],
    );
    let is_prefix = |option: &&NdOption| matches!(option, NdOption::PrefixInformation(_));
    assert_eq!(heard.options().filter(is_prefix).count(), 2);
}

/// Covers: P-005, P-010. RFC 8801 §5.2.
#[test]
fn one_advertisement_for_each_kind_of_host() {
    let (outer, [prefix, resolver]) = for_everybody();
    let heard = assert_is(
        outer,
        pvd("foo.example.org", Some(header(0)), vec![]),
        &[
            prefix,
            resolver,
            pvd_octets([3 + 2, 0x20, 0, 0, 0], FOO, &[header_octets(0)]),
        ],
    );
    assert_eq!(heard.header(), &header(0));
    assert_for_aware_hosts();
}

/// Covers: P-002, P-005. RFC 8801 §5.3.
#[test]
fn multihoming_for_hosts_that_know_pvds() {
    let (outer, [prefix, resolver]) = for_everybody();
    let heard = assert_is(
        outer,
        pvd("foo.example.org", None, vec![]),
        &[prefix, resolver, pvd_octets([3, 0, 0, 0, 0], FOO, &[])],
    );
    assert_eq!(heard.header(), &header(6000));
    assert_for_aware_hosts();
}

/// Covers: P-002, P-015. RFC 8801 §5.4; the second one has a longer option by its text, for which it shows nothing, so it stays as long.
#[test]
fn additional_information_and_its_next_edition() {
    for number in [7, 8] {
        let (outer, [prefix, resolver]) = for_everybody();
        let mut option = pvd("cafe.example.com", None, vec![]);
        option.additional_information = Some(Announced {
            delay: Delay::default(),
            sequence_number: number.into(),
        });
        let name = b"\x04cafe\x07example\x03com\0";
        let octets = pvd_octets([3, 0x80, 0, 0, number], name, &[]);
        assert_is(outer, option, &[prefix, resolver, octets]);
    }
}
