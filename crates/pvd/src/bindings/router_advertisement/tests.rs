//! Messages written by hand from the formats of the RFCs.

use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;

mod examples;

/// A header: hop limit 64, O-flag, high preference, 1800 s, 30 s, 1 s.
const HEADER: [u8; 16] = [
    134, 0, 0xab, 0xcd, 64, 0x48, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8,
];

fn header() -> Header {
    Header {
        hop_limit: 64,
        is_managed: false,
        has_other_configuration: true,
        preference: Preference::High,
        router_lifetime: 1800,
        reachable_time: 30_000,
        retrans_timer: 1000,
    }
}

/// 2001:db8:cafe::/64, on the link, for addresses of one's own, valid for ever, preferred for a day.
fn prefix_information() -> Vec<u8> {
    let mut option = vec![
        3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff, 0, 1, 0x51, 0x80, 0, 0, 0, 0,
    ];
    option.extend("2001:db8:cafe::".parse::<Ipv6Addr>().unwrap().octets());
    option
}

/// 2001:db8:cafe::53 and 2001:db8:cafe::54 for 600 s.
fn resolvers() -> Vec<u8> {
    let mut option = vec![25, 5, 0, 0, 0, 0, 0x02, 0x58];
    for resolver in ["2001:db8:cafe::53", "2001:db8:cafe::54"] {
        option.extend(resolver.parse::<Ipv6Addr>().unwrap().octets());
    }
    option
}

fn taken() -> [NdOption; 2] {
    [
        NdOption::RecursiveDnsServers {
            lifetime: Lifetime::Seconds(600),
            addresses: ["2001:db8:cafe::53", "2001:db8:cafe::54"]
                .map(|address| address.parse().unwrap())
                .to_vec(),
        },
        NdOption::PrefixInformation(PrefixInformation {
            prefix: "2001:db8:cafe::/64".parse().unwrap(),
            is_on_link: true,
            is_autonomous: true,
            valid: Lifetime::Infinite,
            preferred: Lifetime::Seconds(86_400),
        }),
    ]
}

/// RFC 8801, Figure 2: example.org, H-flag, delay 1, sequence number 123, 12 units.
fn figure_2() -> Vec<u8> {
    let mut option = vec![21, 12, 0x80, 0x01, 0, 123];
    option.extend(b"\x07example\x03org\x00");
    option.extend([0; 5]);
    option.extend(resolvers());
    option.extend(prefix_information());
    assert_eq!(option.len(), 12 * 8);
    option
}

fn message(options: &[Vec<u8>]) -> Vec<u8> {
    [&HEADER[..], &options.concat()].concat()
}

fn read(options: &[Vec<u8>]) -> Received {
    RouterAdvertisement::decode(&message(options)).unwrap()
}

/// What is encoded, with the checksum that the kernel takes out.
fn written(advertisement: &RouterAdvertisement) -> Vec<u8> {
    let mut message = advertisement.encode();
    message[2..4].copy_from_slice(&HEADER[2..4]);
    message
}

/// Covers: P-001, P-002
#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let received = read(&[figure_2()]);
    let expected = RouterAdvertisement {
        outer: header(),
        outer_options: Vec::new(),
        pvd: Some(PvdOption {
            id: "example.org".parse().unwrap(),
            additional_information: Some(Announced {
                delay: Delay::new(1).unwrap(),
                sequence_number: 123,
            }),
            has_legacy: false,
            header: None,
            options: taken().to_vec(),
        }),
    };
    assert_eq!(
        (&received.advertisement, received.ignored),
        (&expected, vec![])
    );
    assert_eq!(written(&expected), message(&[figure_2()]));
    assert_eq!(expected.options().cloned().collect::<Vec<_>>(), taken());
}

/// Covers: P-003. Reserved bits, padding and, without the H-flag, delay and sequence number say nothing.
#[test]
fn what_is_reserved_is_written_as_zero_and_not_read() {
    let mut odd = vec![21, 3, 0x1f, 0xff, 0xff, 0xff];
    odd.extend(b"\x07example\x03org\x00\xff\xff\xff\xff\xff");
    let received = read(&[odd]);
    let pvd = received.advertisement.pvd.as_ref().unwrap();
    assert_eq!(
        (pvd.additional_information, pvd.has_legacy, pvd.header),
        (None, false, None)
    );
    let mut clean = vec![21, 3, 0, 0, 0, 0];
    clean.extend(b"\x07example\x03org\x00\x00\x00\x00\x00\x00");
    assert_eq!(written(&received.advertisement), message(&[clean]));
}

/// Covers: P-005, P-008. The header within the option counts, whatever its type, code and checksum.
#[test]
fn the_inner_header_takes_precedence() {
    let mut option = vec![21, 9, 0x60, 0, 0, 0];
    option.extend(b"\x07example\x03org\x00\x00\x00\x00\x00\x00");
    option.extend([1, 2, 3, 4, 0, 0x80, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0]);
    option.extend(prefix_information());
    let received = read(&[resolvers(), option.clone()]);
    let advertisement = &received.advertisement;
    let inner = Header {
        is_managed: true,
        router_lifetime: 60,
        ..Header::default()
    };
    assert_eq!(advertisement.header(), &inner);
    assert_eq!(advertisement.outer, header());
    assert!(advertisement.pvd.as_ref().unwrap().has_legacy);
    assert_eq!(
        advertisement.options().cloned().collect::<Vec<_>>(),
        taken()
    );
    option[24..28].copy_from_slice(&[134, 0, 0, 0]);
    assert_eq!(written(advertisement), message(&[resolvers(), option]));
    assert_eq!(
        read(&[prefix_information()]).advertisement.header(),
        &header()
    );
}

/// Covers: P-001, P-006. Of several PvD options the first counts, and none within another.
#[test]
fn one_pvd_option_counts() {
    let mut second = vec![21, 3, 0, 0, 0, 0];
    second.extend(b"\x07another\x03org\x00\x00\x00\x00\x00\x00");
    let mut outer = figure_2();
    outer.extend(&second);
    outer[1] += 3;
    let received = read(&[outer, second]);
    let pvd = received.advertisement.pvd.unwrap();
    assert_eq!(
        (pvd.id.as_str(), pvd.options),
        ("example.org", taken().to_vec())
    );
    let reasons: Vec<_> = received.ignored.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Malformed::Nested, Malformed::Second]);
}

/// Covers: P-004. A malformed PvD option is as one that a host does not know; the rest of the message counts.
#[test]
fn a_malformed_pvd_option_is_ignored_with_a_reason() {
    let name = |octets: &[u8]| {
        let mut option = vec![21, 0, 0x80, 0, 0, 1];
        option.extend(octets);
        option.resize(option.len().next_multiple_of(8), 0);
        option[1] = u8::try_from(option.len() / 8).unwrap();
        option
    };
    let cut = |mut option: Vec<u8>, last: [u8; 8]| {
        option.extend(last);
        option[1] += 1;
        option
    };
    for (option, reason) in [
        (
            name(b"\x07example\xc0\x0c"),
            Malformed::Name(NameError::Label),
        ),
        (
            name(b"\x09example\x01"),
            Malformed::Name(NameError::Truncated),
        ),
        (name(b"\x00"), Malformed::Name(NameError::Empty)),
        (name(b"\x07exa ple\x03org\x00"), Malformed::Identifier),
        (cut(figure_2(), [3, 0, 0, 0, 0, 0, 0, 0]), Malformed::Length),
        (cut(figure_2(), [3, 4, 0, 0, 0, 0, 0, 0]), Malformed::Length),
        // The R-flag, and no header.
        (
            vec![21, 1, 0x20, 0, 0, 0, 0, 0],
            Malformed::Name(NameError::Empty),
        ),
        (
            [&[21, 2, 0x20, 0, 0, 0][..], b"\x03org\x00\0\0\0\0\0"].concat(),
            Malformed::Length,
        ),
    ] {
        let received = read(&[option.clone(), prefix_information()]);
        assert_eq!(received.advertisement.pvd, None, "{option:x?}");
        assert_eq!(received.advertisement.outer_options, taken()[1..]);
        assert_eq!(
            received.ignored,
            [Ignored { kind: 21, reason }],
            "{option:x?}"
        );
    }
}

/// Covers: P-004
#[test]
fn what_is_no_router_advertisement_is_discarded() {
    let solicitation = [&[133], &HEADER[1..]].concat();
    for octets in [&[][..], &HEADER[..15], &solicitation] {
        assert_eq!(RouterAdvertisement::decode(octets), Err(Malformed::Message));
    }
    for options in [
        vec![3],
        vec![3, 0, 0, 0, 0, 0, 0, 0],
        vec![3, 2, 0, 0, 0, 0, 0, 0],
    ] {
        let octets = message(&[options]);
        assert_eq!(RouterAdvertisement::decode(&octets), Err(Malformed::Length));
    }
}

/// RFC 4861 §4.6.2, RFC 4191 §2.3, RFC 8106 §5, RFC 8781 §4.
#[test]
fn an_option_that_cannot_be_costs_itself_alone() {
    let preferred_longer = {
        let mut option = prefix_information();
        option[4..8].copy_from_slice(&[0, 0, 0, 1]);
        option
    };
    for option in [
        vec![3, 1, 64, 0, 0, 0, 0, 0],
        preferred_longer,
        vec![5, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // Longer than its octets, and with the reserved preference.
        vec![24, 1, 64, 0, 0, 0, 0, 1],
        vec![24, 1, 0, 0x10, 0, 0, 0, 1],
        vec![25, 1, 0, 0, 0, 0, 0, 1],
        vec![31, 1, 0, 0, 0, 0, 0, 1],
        vec![38, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let received = read(&[option.clone(), prefix_information()]);
        assert_eq!(
            received.advertisement.outer_options,
            taken()[1..],
            "{option:x?}"
        );
        assert_eq!(received.ignored.len(), 1, "{option:x?}");
    }
}

#[test]
fn every_option_is_read_as_it_was_written() {
    let route = |prefix: &str, preference| {
        NdOption::RouteInformation(RouteInformation {
            prefix: prefix.parse().unwrap(),
            preference,
            lifetime: Lifetime::Seconds(7),
        })
    };
    let options = [
        NdOption::Mtu(1280),
        route("::/0", Preference::Low),
        route("2001:db8::/48", Preference::Medium),
        route("2001:db8::1/128", Preference::High),
        NdOption::DnsSearchList {
            lifetime: Lifetime::Infinite,
            domains: vec![
                "a.example".parse().unwrap(),
                "b.example.org".parse().unwrap(),
            ],
        },
        NdOption::Pref64 {
            lifetime: 600,
            prefix: "64:ff9b::/96".parse().unwrap(),
        },
        NdOption::Pref64 {
            lifetime: 65_528,
            prefix: "2001:db8::/32".parse().unwrap(),
        },
        NdOption::Other {
            kind: 1,
            body: vec![1, 2, 3, 4, 5, 6],
        },
    ];
    for option in options.iter().chain(&taken()) {
        let mut octets = Vec::new();
        option.write(&mut octets);
        assert_eq!(octets.len() % 8, 0);
        assert_eq!(usize::from(octets[1]) * 8, octets.len());
        assert_eq!(NdOption::read(octets[0], &octets[2..]).as_ref(), Ok(option));
    }
}

/// Covers: P-010
#[test]
fn what_does_not_fit_the_link_goes_in_several_with_the_pvd_in_each() {
    let advertised = read(&[vec![resolvers(); 15].concat(), figure_2()]).advertisement;
    let parts = advertised.split(500).unwrap();
    assert!(parts.len() > 1);
    assert!(parts.iter().all(|part| part.encode().len() + 40 <= 500));
    let headers = parts.iter().map(|part| {
        let pvd = part.pvd.as_ref().unwrap();
        (
            part.outer,
            pvd.id.clone(),
            pvd.additional_information,
            pvd.header,
        )
    });
    let pvd = advertised.pvd.as_ref().unwrap();
    let header = (
        advertised.outer,
        pvd.id.clone(),
        pvd.additional_information,
        pvd.header,
    );
    assert!(headers.clone().all(|each| each == header));
    let outer = parts.iter().flat_map(|part| &part.outer_options);
    assert!(outer.eq(&advertised.outer_options));
    let inner = parts
        .iter()
        .flat_map(|part| &part.pvd.as_ref().unwrap().options);
    assert!(inner.eq(&pvd.options));
    assert_eq!(
        advertised.split(1500).as_deref(),
        Ok(&[advertised.clone()][..])
    );
    let too_large = TooLarge {
        octets: 80,
        most: 79,
    };
    assert_eq!(advertised.split(119), Err(too_large));
}

#[test]
fn no_option_is_longer_than_its_length_can_say() {
    let mut advertised = read(&[figure_2()]).advertisement;
    let pvd = advertised.pvd.as_mut().unwrap();
    pvd.options = vec![pvd.options[0].clone(); 100];
    let parts = advertised.split(9000).unwrap();
    assert_eq!(parts.len(), 2);
    for part in parts {
        assert_eq!(
            RouterAdvertisement::decode(&part.encode())
                .unwrap()
                .advertisement,
            part
        );
    }
}

proptest! {
    /// Covers: P-004
    #[test]
    fn any_octets_are_an_advertisement_or_an_error(
        options in prop::collection::vec((prop::sample::select(vec![3_u8, 5, 21, 24, 25, 31, 38, 1]), 0_u8..6, prop::collection::vec(any::<u8>(), 0..48)), 0..8),
    ) {
        let options: Vec<Vec<u8>> = options.into_iter().map(|(kind, units, body)| [vec![kind, units], body].concat()).collect();
        if let Ok(received) = RouterAdvertisement::decode(&message(&options)) {
            // What was taken says the same when it is sent on.
            let again = RouterAdvertisement::decode(&received.advertisement.encode()).unwrap();
            prop_assert_eq!(again.advertisement, received.advertisement);
            prop_assert_eq!(again.ignored, vec![]);
        }
    }
}
