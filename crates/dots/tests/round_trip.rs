//! Properties of the codecs: what is written is read back, and no octets make them panic.
#![allow(clippy::unwrap_used)] // strategies may panic

mod cbor;

use std::num::NonZeroU32;

use cbor::*;
use dots::heartbeat::Heartbeat;
use dots::identifiers::Mid;
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::limits;
use dots::mitigation::{
    AttackStatus, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    ConflictingAcl, DroppedCounters, Granted, MitigationReport, MitigationRequest,
    MitigationStatus, Refusal, Status,
};
use dots::path::Resource;
use dots::target::{PortRange, Protocol, Target, TargetPrefix};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;

fn prefix() -> impl Strategy<Value = TargetPrefix> {
    let ipv4 =
        (any::<u32>(), 0..=32_u8).prop_map(|(a, l)| format!("{}/{l}", std::net::Ipv4Addr::from(a)));
    let ipv6 = (any::<u128>(), 0..=128_u8)
        .prop_map(|(a, l)| format!("{}/{l}", std::net::Ipv6Addr::from(a)));
    prop_oneof![ipv4, ipv6].prop_filter_map("refused prefix", |text| text.parse().ok())
}

fn port_range() -> impl Strategy<Value = PortRange> {
    (any::<u16>(), option::of(any::<u16>())).prop_map(|(one, other)| {
        let upper = other.map(|other| one.max(other));
        PortRange::new(other.map_or(one, |other| one.min(other)), upper).unwrap()
    })
}

fn target() -> impl Strategy<Value = Target> {
    const NAME: &str = "(_?[a-z0-9]([a-z0-9_-]{0,9}[a-z0-9])?\\.){0,3}[a-z]{2,6}";
    let uri = format!(
        "[a-z][a-z0-9+.-]{{0,5}}://({NAME}|192\\.0\\.2\\.[1-9]|\\[2001:db8::[1-9]\\])(:[1-9][0-9]{{0,3}})?(/[a-z%?#=]{{0,9}})?"
    );
    (
        vec(prefix(), 0..4),
        vec(port_range(), 0..4),
        vec(any::<u8>().prop_map(Protocol), 0..4),
        vec(NAME.prop_map(|name| name.parse().unwrap()), 0..3),
        vec(
            string_regex(&uri)
                .unwrap()
                .prop_map(|uri| uri.parse().unwrap()),
            0..3,
        ),
        vec(
            "[^\\p{C}]{1,20}".prop_map(|alias| alias.parse().unwrap()),
            0..3,
        ),
    )
        .prop_map(
            |(prefixes, port_ranges, protocols, fqdns, uris, aliases)| Target {
                prefixes,
                port_ranges,
                protocols,
                fqdns,
                uris,
                aliases,
            },
        )
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    let seconds = (1..=u32::MAX).prop_map(|s| Lifetime::Seconds(NonZeroU32::new(s).unwrap()));
    prop_oneof![4 => seconds, 1 => Just(Lifetime::Indefinite)]
}

fn remaining() -> impl Strategy<Value = RemainingLifetime> {
    prop_oneof![
        any::<u32>().prop_map(RemainingLifetime::Seconds),
        Just(RemainingLifetime::Indefinite)
    ]
}

fn code() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..10_u32, 1 => any::<u32>()]
}

fn request() -> impl Strategy<Value = MitigationRequest> {
    let attack = select(vec![
        None,
        Some(AttackStatus::UnderAttack),
        Some(AttackStatus::AttackSuccessfullyMitigated),
    ]);
    (target(), lifetime(), any::<bool>(), attack)
        .prop_filter_map("no target", |(t, l, trigger, attack)| {
            MitigationRequest::new(t, l, trigger, attack).ok()
        })
}

fn acl() -> impl Strategy<Value = ConflictingAcl> {
    ("[a-z]{1,9}", option::of("[a-z:-]{1,30}")).prop_map(|(name, kind)| ConflictingAcl {
        acl_name: name.parse().unwrap(),
        acl_type: kind.map(|kind| kind.parse().unwrap()),
    })
}

fn conflict() -> impl Strategy<Value = ConflictInformation> {
    let scope = (
        option::of(any::<u32>().prop_map(Mid)),
        target(),
        vec(acl(), 0..3),
    )
        .prop_map(|(mid, target, acl_list)| ConflictScope {
            mid,
            target,
            acl_list,
        });
    (
        option::of(code().prop_map(ConflictStatus::from_code)),
        option::of(code().prop_map(ConflictCause::from_code)),
        option::of(any::<u32>()),
        option::of(scope),
    )
        .prop_map(|(status, cause, retry_timer, scope)| ConflictInformation {
            status,
            cause,
            retry_timer,
            scope,
        })
}

fn counters() -> impl Strategy<Value = DroppedCounters> {
    let one = || option::of(any::<u64>());
    (one(), one(), one(), one()).prop_map(|(bytes, bps, pkts, pps)| DroppedCounters {
        bytes,
        bps,
        pkts,
        pps,
    })
}

fn status() -> impl Strategy<Value = MitigationStatus> {
    (
        any::<u32>().prop_map(Mid),
        target(),
        option::of(any::<bool>()),
        option::of(any::<u64>()),
        code().prop_map(Status::from_code),
        remaining(),
        counters(),
        option::of(conflict()),
    )
        .prop_map(
            |(
                mid,
                target,
                trigger_mitigation,
                mitigation_start,
                status,
                lifetime,
                counters,
                conflict,
            )| {
                MitigationStatus {
                    mid,
                    target,
                    trigger_mitigation,
                    mitigation_start,
                    status,
                    lifetime,
                    counters,
                    conflict,
                }
            },
        )
}

/// Any CBOR, with the keys and texts that lead into the depth of the decoders.
fn item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        4 => (0..70_u64).prop_map(Unsigned),
        1 => any::<u64>().prop_map(Unsigned),
        1 => any::<u64>().prop_map(Negative),
        1 => vec(any::<u8>(), 0..4).prop_map(Bytes),
        3 => select(vec!["192.0.2.1/32", "2001:db8::/32", "a.example", "coap://a.example", "", "\u{7f}"]).prop_map(text),
        1 => vec("[a-z./:]{0,6}", 0..3).prop_map(Chunks),
        1 => any::<bool>().prop_map(Bool),
        1 => Just(Null),
        1 => any::<f64>().prop_map(Float),
    ];
    let key = || prop_oneof![20 => (0..54_u64).prop_map(Unsigned), 1 => any::<u64>().prop_map(Unsigned), 1 => Just(Null)];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(List),
            vec(inner.clone(), 0..4).prop_map(OpenList),
            vec((key(), inner.clone()), 0..6).prop_map(Map),
            vec((key(), inner.clone()), 0..6).prop_map(OpenMap),
            (any::<u64>(), inner).prop_map(|(tag, inner)| Tag(tag, Box::new(inner))),
        ]
    })
}

/// Whatever is accepted is understood: writing it and reading it again gives the same.
fn read_all(octets: &[u8]) -> Result<(), TestCaseError> {
    macro_rules! read {
        ($($message:ty),*) => {$(
            match <$message>::decode(octets) {
                Ok(message) => prop_assert_eq!(<$message>::decode(&message.encode()), Ok(message)),
                Err(error) => {
                    let diagnostic = error.diagnostic();
                    prop_assert!(diagnostic.is_ascii() && diagnostic.len() <= limits::DIAGNOSTIC_BYTES);
                }
            }
        )*};
    }
    read!(
        MitigationRequest,
        Granted,
        Refusal,
        MitigationReport,
        Heartbeat
    );
    Ok(())
}

proptest! {
    #[test]
    fn requests_survive(request in request()) {
        prop_assert_eq!(MitigationRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn grants_survive(mid: u32, lifetime in lifetime(), conflict in option::of(conflict())) {
        let granted = Granted { mid: Mid(mid), lifetime, conflict };
        prop_assert_eq!(Granted::decode(&granted.encode()), Ok(granted));
    }

    #[test]
    fn refusals_survive(conflict in conflict()) {
        let refusal = Refusal { conflict };
        prop_assert_eq!(Refusal::decode(&refusal.encode()), Ok(refusal));
    }

    #[test]
    fn reports_survive(statuses in vec(status(), 1..4)) {
        let report = MitigationReport(statuses);
        prop_assert_eq!(MitigationReport::decode(&report.encode()), Ok(report));
    }

    #[test]
    fn paths_survive(
        cdid in option::of("[^\\p{C}]{1,30}"),
        cuid in option::of("[^\\p{C}]{1,30}"),
        mid in option::of(any::<u32>()),
    ) {
        let mid = mid.filter(|_| cuid.is_some()).map(Mid);
        let [cdid, cuid] = [cdid, cuid];
        let resource = Resource::Mitigate {
            cdid: cdid.map(|text| text.parse().unwrap()),
            cuid: cuid.map(|text| text.parse().unwrap()),
            mid,
        };
        let segments = resource.segments();
        prop_assert_eq!(Resource::parse(segments.iter().map(String::as_str)), Ok(resource));
    }

    #[test]
    fn arbitrary_paths_never_panic(segments in vec(".*|(cdid|cuid|mid|sid)=.{0,12}|\\.well-known|dots|v1|mitigate|config|hb", 0..7)) {
        let _ = Resource::parse(segments.iter().map(String::as_str));
        let rooted = [".well-known", "dots", "mitigate"].into_iter().chain(segments.iter().map(String::as_str));
        let _ = Resource::parse(rooted);
    }

    #[test]
    fn arbitrary_target_texts_never_panic_and_are_stable(text in "\\PC*|[a-z0-9.:/\\[\\]@%-]{0,40}|[a-z]{1,5}://[a-z0-9.:/\\[\\]@%-]{0,30}") {
        if let Ok(prefix) = text.parse::<TargetPrefix>() {
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
        if let Ok(name) = text.parse::<dots::target::DomainName>() {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
        if let Ok(uri) = text.parse::<dots::target::TargetUri>() {
            prop_assert_eq!(uri.to_string().parse(), Ok(uri));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..200)) {
        read_all(&octets)?;
    }

    #[test]
    fn arbitrary_cbor_never_panics(item in item()) {
        read_all(&item.bytes())?;
        read_all(&scopes(vec![item]).bytes())?;
    }

    #[test]
    fn damaged_messages_never_panic(
        statuses in vec(status(), 1..3),
        request in request(),
        damage in vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        for mut octets in [MitigationReport(statuses).encode(), request.encode()] {
            for (place, octet, kind) in &damage {
                let place = place.index(octets.len());
                match kind {
                    0 => octets[place] = *octet,
                    1 => octets.insert(place, *octet),
                    2 => { octets.remove(place); }
                    _ => octets.truncate(place + 1),
                }
                if octets.is_empty() {
                    break;
                }
            }
            read_all(&octets)?;
        }
    }
}

/// So that whatever `MitigationRequest::new` accepts can be read by a peer with the same limits.
#[test]
fn the_largest_request_fits_a_message() {
    let many = |text: String| std::iter::repeat_n(text, limits::LIST_ENTRIES);
    let label = "a".repeat(63);
    let name = [&label[..], &label, &label, &label[..61]].join(".");
    let uri = format!(
        "https://{name}/{}",
        "a".repeat(limits::TEXT_BYTES - 9 - name.len())
    );
    let prefix = "2001:db8:1111:1111:1111:1111:1111:1111/128".to_owned();
    let target = Target {
        prefixes: many(prefix).map(|text| text.parse().unwrap()).collect(),
        port_ranges: vec![PortRange::new(60000, Some(65535)).unwrap(); limits::LIST_ENTRIES],
        protocols: vec![Protocol(255); limits::LIST_ENTRIES],
        fqdns: many(name).map(|text| text.parse().unwrap()).collect(),
        uris: many(uri).map(|text| text.parse().unwrap()).collect(),
        aliases: many("a".repeat(255))
            .map(|text| text.parse().unwrap())
            .collect(),
    };
    let status = Some(AttackStatus::UnderAttack);
    let request =
        MitigationRequest::new(target.clone(), Lifetime::Indefinite, false, status).unwrap();
    assert_eq!(MitigationRequest::decode(&request.encode()), Ok(request));

    let mut more = target;
    more.protocols.push(Protocol::UDP);
    assert!(MitigationRequest::new(more, Lifetime::Indefinite, false, status).is_err());
}
