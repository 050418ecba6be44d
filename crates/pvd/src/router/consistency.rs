//! What other routers of the link say, beside what we say (RFC 4861 §6.2.7, RFC 8801 §3.4.2).

use std::fmt;

use ipnet::Ipv6Net;

use super::{Domain, Link};
use crate::bindings::router_advertisement::{
    Header, NdOption, PrefixInformation, PvdOption, RouterAdvertisement,
};
use crate::identifier::PvdId;

/// In what another router differs from us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The hop limit.
    HopLimit,
    /// Whether addresses are had by DHCPv6 (M-flag).
    Managed,
    /// Whether other configuration is had by DHCPv6 (O-flag).
    OtherConfiguration,
    /// How long a neighbour is reachable.
    ReachableTime,
    /// The time between Neighbor Solicitations.
    RetransTimer,
    /// The MTU of the link.
    Mtu,
    /// How long the addresses of this prefix are valid or preferred.
    Lifetimes(Ipv6Net),
    /// The sequence number, or whether there is one, of the additional information of this PvD.
    SequenceNumber(PvdId),
    /// Both claim for different PvDs what DHCPv4 brings: hosts give it to neither.
    Legacy(PvdId),
}

/// In what this one differs from what we say to the same hosts.
pub(super) fn differences(
    link: &Link,
    domains: &[Domain],
    other: &RouterAdvertisement,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let visible = domains.iter().map(|domain| domain.advertisement.outer);
    let visible = visible.filter(|outer| outer.router_lifetime > 0);
    if other.outer.router_lifetime > 0 {
        for own in visible {
            found.extend(of_headers(&own, &other.outer));
        }
    }
    let mtu = |options: &[NdOption]| {
        options.iter().find_map(|option| match option {
            NdOption::Mtu(octets) => Some(*octets),
            _ => None,
        })
    };
    if let (Some(own), Some(other)) = (mtu(&link.options), mtu(&other.outer_options))
        && own != other
    {
        found.push(Difference::Mtu);
    }
    for domain in domains {
        let own = &domain.advertisement;
        let theirs = prefixes(&other.outer_options);
        found.extend(of_prefixes(prefixes(&own.outer_options), &theirs));
        if let (Some(own), Some(other)) = (&own.pvd, &other.pvd) {
            of_pvds(own, other, &mut found);
        }
    }
    found.dedup();
    found
}

fn of_headers(own: &Header, other: &Header) -> Vec<Difference> {
    // 0 says nothing.
    let said = |own: u32, other: u32| own != 0 && other != 0 && own != other;
    let differs = [
        (
            said(own.hop_limit.into(), other.hop_limit.into()),
            Difference::HopLimit,
        ),
        (own.is_managed != other.is_managed, Difference::Managed),
        (
            own.has_other_configuration != other.has_other_configuration,
            Difference::OtherConfiguration,
        ),
        (
            said(own.reachable_time, other.reachable_time),
            Difference::ReachableTime,
        ),
        (
            said(own.retrans_timer, other.retrans_timer),
            Difference::RetransTimer,
        ),
    ];
    let differs = differs.into_iter().filter(|(differs, _)| *differs);
    differs.map(|(_, what)| what).collect()
}

fn prefixes(options: &[NdOption]) -> impl Iterator<Item = &PrefixInformation> + Clone {
    options.iter().filter_map(|option| match option {
        NdOption::PrefixInformation(prefix) => Some(prefix),
        _ => None,
    })
}

fn of_prefixes<'a>(
    own: impl Iterator<Item = &'a PrefixInformation>,
    others: &(impl Iterator<Item = &'a PrefixInformation> + Clone),
) -> Vec<Difference> {
    let differs = own.filter(|own| {
        others.clone().any(|other| {
            other.prefix == own.prefix
                && (other.valid, other.preferred) != (own.valid, own.preferred)
        })
    });
    let differs = differs.map(|own| Difference::Lifetimes(own.prefix));
    differs.collect()
}

fn of_pvds(own: &PvdOption, other: &PvdOption, found: &mut Vec<Difference>) {
    let number = |pvd: &PvdOption| Some(pvd.additional_information?.sequence_number);
    if own.id != other.id && own.has_legacy && other.has_legacy {
        found.push(Difference::Legacy(other.id.clone()));
    }
    if own.id == other.id && number(own) != number(other) {
        found.push(Difference::SequenceNumber(own.id.clone()));
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HopLimit => f.write_str("the hop limit"),
            Self::Managed => f.write_str("whether addresses are had by DHCPv6"),
            Self::OtherConfiguration => f.write_str("whether other configuration is had by DHCPv6"),
            Self::ReachableTime => f.write_str("how long a neighbour is reachable"),
            Self::RetransTimer => f.write_str("the time between Neighbor Solicitations"),
            Self::Mtu => f.write_str("the MTU of the link"),
            Self::Lifetimes(prefix) => write!(f, "the lifetimes of {prefix}"),
            Self::SequenceNumber(id) => {
                write!(f, "the sequence number of the information about {id}")
            }
            Self::Legacy(id) => write!(
                f,
                "which PvD has what DHCPv4 brings, which it claims for {id}"
            ),
        }
    }
}
