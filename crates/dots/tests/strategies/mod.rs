//! What the messages and items of the properties are made of.
#![allow(clippy::unwrap_used)] // strategies may panic

use std::num::NonZeroU32;

use dots::configuration::{
    AckRandomFactor, AckTimeout, ConfigurationReport, ConfigurationRequest, Decimal,
    HeartbeatInterval, MaxRetransmit, MissingHbAllowed, ProbingRate, Range, Reported, ReportedSet,
    RequestedSet,
};
use dots::identifiers::Mid;
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{
    AttackStatus, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    ConflictingAcl, DroppedCounters, MitigationRequest, MitigationStatus, Status,
};
use dots::target::{PortRange, Protocol, Target, TargetPrefix};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;

use crate::cbor::*;

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

pub(crate) fn target() -> impl Strategy<Value = Target> {
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
            "[^\\p{C}\\p{Zl}\\p{Zp}]{1,20}".prop_map(|alias| alias.parse().unwrap()),
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

pub(crate) fn lifetime() -> impl Strategy<Value = Lifetime> {
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

pub(crate) fn request() -> impl Strategy<Value = MitigationRequest> {
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

pub(crate) fn conflict() -> impl Strategy<Value = ConflictInformation> {
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

pub(crate) fn status() -> impl Strategy<Value = MitigationStatus> {
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

fn decimal() -> impl Strategy<Value = Decimal> + Clone {
    prop_oneof![4 => 0..4000_i64, 1 => any::<i64>()].prop_map(Decimal::from_hundredths)
}

/// A set of a request or of a report, with `$form` around the strategy of each value.
macro_rules! parameters {
    ($set:ident, $form:ident) => {
        (
            $form(any::<u16>().prop_map(HeartbeatInterval::nearest)),
            $form(any::<u16>().prop_map(MissingHbAllowed::nearest)),
            $form(any::<u16>().prop_map(MaxRetransmit::nearest)),
            $form(decimal().prop_map(AckTimeout::nearest)),
            $form(decimal().prop_map(AckRandomFactor::nearest)),
            $form(any::<u16>().prop_map(ProbingRate::nearest)),
        )
            .prop_map(
                |(
                    heartbeat_interval,
                    missing_hb_allowed,
                    max_retransmit,
                    ack_timeout,
                    ack_random_factor,
                    probing_rate,
                )| $set {
                    heartbeat_interval,
                    missing_hb_allowed,
                    max_retransmit,
                    ack_timeout,
                    ack_random_factor,
                    probing_rate,
                },
            )
    };
}

fn requested<T: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::of(value)
}

fn reported<T: Copy + Ord + std::fmt::Debug>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Option<Reported<T>>> {
    let range = option::of((value.clone(), value.clone()));
    let range = range.prop_map(|ends| ends.map(|(a, b)| Range::new(a.min(b), a.max(b)).unwrap()));
    option::of((range, value).prop_map(|(range, current)| Reported { range, current }))
}

pub(crate) fn configuration_report() -> impl Strategy<Value = ConfigurationReport> {
    let sets = (
        parameters!(ReportedSet, reported),
        parameters!(ReportedSet, reported),
    );
    sets.prop_map(|(mitigating, idle)| ConfigurationReport { mitigating, idle })
}

pub(crate) fn configuration_request() -> impl Strategy<Value = ConfigurationRequest> {
    let sets = (
        parameters!(RequestedSet, requested),
        parameters!(RequestedSet, requested),
    );
    sets.prop_filter_map("no parameter", |(mitigating, idle)| {
        ConfigurationRequest::new(mitigating, idle).ok()
    })
}

/// Any CBOR, with the keys and texts that lead into the depth of the decoders.
pub(crate) fn item() -> impl Strategy<Value = Item> {
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
