//! Rules and routes as messages of the kernel (rtnetlink(7)), both ways.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::IpVersion;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use super::plan::{Family, Hop, Kind, Lookup, RouteKey, Rule, Way};

/// By which what moat has made is known again, also after a crash; no other program has it in `rt_protos`.
pub(super) const OURS: RouteProtocol = RouteProtocol::Other(46);

/// Higher than any that a router's own routes have.
const METRIC_OF_WANT: u32 = 1 << 31;

/// Where what this node sends itself comes from, to the kernel.
const ITSELF: &str = "lo";

pub(super) fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// The family of all routes to ask for.
pub(super) fn of_version(version: &IpVersion) -> AddressFamily {
    match version {
        IpVersion::V4 => AddressFamily::Inet,
        IpVersion::V6 => AddressFamily::Inet6,
    }
}

fn family(found: AddressFamily) -> Option<Family> {
    match found {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

/// The message for a rule.
pub(super) fn of_rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.family);
    message.header.action = RuleAction::ToTable;
    let (table, attribute) = match rule.lookup {
        Lookup::MainButDefault => (
            u32::from(RouteHeader::RT_TABLE_MAIN),
            RuleAttribute::SuppressPrefixLen(0),
        ),
        Lookup::From(source, table) => {
            message.header.src_len = source.prefix_len();
            (table, RuleAttribute::Source(source.addr()))
        }
        Lookup::Begun(table) => (table, RuleAttribute::Iifname(ITSELF.to_owned())),
    };
    message.attributes = vec![
        RuleAttribute::Table(table),
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(OURS),
        attribute,
    ];
    message
}

/// The rule in a message, if it is one of moat's; `None` inside if moat would make it differently now.
pub(super) fn rule(message: &RuleMessage) -> Option<Option<Rule>> {
    let all = &message.attributes;
    if !all.contains(&RuleAttribute::Protocol(OURS)) {
        return None;
    }
    let number = |of: fn(&RuleAttribute) -> Option<u32>| all.iter().find_map(of);
    let source = all.iter().find_map(|it| match it {
        RuleAttribute::Source(address) => IpNet::new(*address, message.header.src_len).ok(),
        _ => None,
    });
    let table = number(|it| match it {
        RuleAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let suppressed = number(|it| match it {
        RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => Some(*length),
        _ => None,
    });
    let priority = number(|it| match it {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    let begins_here = all.contains(&RuleAttribute::Iifname(ITSELF.to_owned()));
    let rule = || {
        let lookup = match (source, suppressed) {
            (None, Some(0)) if table == Some(RouteHeader::RT_TABLE_MAIN.into()) => {
                Lookup::MainButDefault
            }
            (Some(source), None) => Lookup::From(source, table?),
            (None, None) if begins_here => Lookup::Begun(table?),
            _ => return None,
        };
        Some(Rule {
            family: family(message.header.family)?,
            priority: priority?,
            lookup,
        })
    };
    let found = rule().filter(|_| message.header.action == RuleAction::ToTable);
    Some(found)
}

/// The message for a route.
pub(super) fn of_route(key: &RouteKey, hop: Option<&Hop>) -> RouteMessage {
    let mut message = RouteMessage::default();
    let has_no_router = hop.is_some_and(|hop| hop.router.is_none());
    message.header.address_family = address_family(key.family);
    message.header.protocol = OURS;
    message.header.scope = match has_no_router && key.family == Family::V4 {
        true => RouteScope::Link,
        false => RouteScope::Universe,
    };
    message.header.kind = match key.kind {
        Kind::ByRouter => RouteType::Unicast,
        Kind::Unreachable => RouteType::Unreachable,
    };
    message.attributes.push(RouteAttribute::Table(key.table));
    if key.kind == Kind::Unreachable {
        let metric = RouteAttribute::Priority(METRIC_OF_WANT);
        message.attributes.push(metric);
    }
    if let Some(hop) = hop {
        if hop.is_on_link {
            message.header.flags |= RouteFlags::Onlink;
        }
        let interface = RouteAttribute::Oif(hop.interface);
        message.attributes.push(interface);
        message
            .attributes
            .extend(hop.router.map(|router| match (key.family, router) {
                (Family::V4, IpAddr::V6(router)) => RouteAttribute::Via(RouteVia::Inet6(router)),
                _ => RouteAttribute::Gateway(router.into()),
            }));
        let source = hop.source.map(|it| RouteAttribute::PrefSource(it.into()));
        message.attributes.extend(source);
    }
    message
}

/// A route that matters here.
#[derive(Debug)]
pub(super) enum Route {
    /// One of moat's; `None` if moat would make none such now.
    Ours(Option<Way>),
    /// A default route of `main`, over one interface or several, with its metric.
    Default(Family, Vec<Hop>, u32),
}

/// The route in a message, if it matters.
pub(super) fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let family = family(header.address_family)?;
    // What the kernel has learnt of one path, as its MTU, is no route of anybody.
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let number = |of: fn(&RouteAttribute) -> Option<u32>| message.attributes.iter().find_map(of);
    let table = number(|it| match it {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let table = table.unwrap_or(header.table.into());
    let is_default = header.destination_prefix_length == 0;
    if header.protocol == OURS {
        let hop = hops(message).first().copied();
        let kind = match header.kind {
            RouteType::Unreachable => Some((Kind::Unreachable, None)),
            RouteType::Unicast => Some((Kind::ByRouter, hop)),
            _ => None,
        };
        let ours = kind.filter(|_| is_default).map(|(kind, hop)| {
            let key = RouteKey {
                family,
                table,
                kind,
            };
            (key, hop)
        });
        return Some(Route::Ours(ours));
    }
    let is_of_main = table == u32::from(RouteHeader::RT_TABLE_MAIN);
    if !is_default || !is_of_main || header.kind != RouteType::Unicast {
        return None;
    }
    let metric = number(|it| match it {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    Some(Route::Default(family, hops(message), metric.unwrap_or(0)))
}

fn hops(message: &RouteMessage) -> Vec<Hop> {
    let several = message.attributes.iter().find_map(|it| match it {
        RouteAttribute::MultiPath(hops) => Some(hops),
        _ => None,
    });
    if let Some(several) = several {
        let hop = |hop: &RouteNextHop| Hop {
            interface: hop.interface_index,
            router: router(&hop.attributes),
            is_on_link: hop.flags.contains(RouteNextHopFlags::Onlink),
            source: None,
        };
        return several.iter().map(hop).collect();
    }
    let interface = message.attributes.iter().find_map(|it| match it {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let hop = |interface| Hop {
        interface,
        router: router(&message.attributes),
        is_on_link: message.header.flags.contains(RouteFlags::Onlink),
        source: source(&message.attributes),
    };
    interface.map(hop).into_iter().collect()
}

/// Whom a route leads to.
pub(super) fn router(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|it| match it {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

fn source(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|it| match it {
        RouteAttribute::PrefSource(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_routes_are_known_again() {
        let rules = [
            Rule {
                family: Family::V6,
                priority: 4646,
                lookup: Lookup::MainButDefault,
            },
            Rule {
                family: Family::V4,
                priority: 4751,
                lookup: Lookup::From("203.0.113.0/28".parse().unwrap(), 4647),
            },
            Rule {
                family: Family::V6,
                priority: 4775,
                lookup: Lookup::Begun(4647),
            },
        ];
        for it in rules {
            assert_eq!(rule(&of_rule(&it)), Some(Some(it)));
        }
        let hop = |router: &str| Hop {
            interface: 7,
            router: router.parse().ok(),
            is_on_link: router == "192.0.2.1",
            source: (router == "fe80::1").then(|| "2001:db8:f::7".parse().unwrap()),
        };
        for (family, kind, hop) in [
            (Family::V4, Kind::ByRouter, Some(hop("192.0.2.1"))),
            (Family::V4, Kind::ByRouter, Some(hop("fe80::2"))),
            (Family::V4, Kind::ByRouter, Some(hop(""))),
            (Family::V6, Kind::ByRouter, Some(hop("fe80::1"))),
            (Family::V6, Kind::Unreachable, None),
        ] {
            let key = RouteKey {
                family,
                table: 4646,
                kind,
            };
            let Some(Route::Ours(Some(found))) = route(&of_route(&key, hop.as_ref())) else {
                panic!("{key:?} is not known again");
            };
            assert_eq!(found, (key, hop));
        }
    }

    #[test]
    fn what_others_have_made_is_left_alone() {
        let mut message = of_rule(&Rule {
            family: Family::V4,
            priority: 4646,
            lookup: Lookup::MainButDefault,
        });
        message
            .attributes
            .retain(|it| !matches!(it, RuleAttribute::Protocol(_)));
        assert_eq!(rule(&message), None);
        let key = RouteKey {
            family: Family::V4,
            table: 4646,
            kind: Kind::Unreachable,
        };
        let mut message = of_route(&key, None);
        message.header.protocol = RouteProtocol::Static;
        assert!(route(&message).is_none());
    }
}
