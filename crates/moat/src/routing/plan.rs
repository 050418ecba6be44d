//! Which rules and routes there should be.
//!
//! ```text
//! first priority: all           --> main, but for its default routes: what is near goes as ever
//!           +  1: from a/128    --> the table of the PvD whose address a is
//!           ...
//!           +128: from p/1      --> the table of the PvD that assigned p: the longest prefix first
//!           +129: what this node begins, from whatever address --> the table of the PvD that is preferred, if one is
//!
//! table of a PvD: default by its router
//!                 otherwise unreachable: what has an address of this PvD leaves by no other one
//! ```
//! Nothing is made for a PvD before it has a way out that the kernel takes, lest an interface or a router that is misspelt cuts a host off. What two PvDs
//! assigned says nothing of the way, and stays the business of `main`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::config::{PRIORITIES, Routing};

/// The version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// A rule of the routing policy (`ip rule`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) family: Family,
    pub(super) priority: u32,
    pub(super) lookup: Lookup,
}

/// Where to look a route up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lookup {
    /// In `main`, for whatever is not a default route.
    MainButDefault,
    /// In the table of a PvD, for what comes from this prefix.
    From(IpNet, u32),
    /// In the table of a PvD, for what this node begins itself and no other rule is for.
    Begun(u32),
}

/// The default routes that a table has: one by a router, and one for its want, which has another metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    ByRouter,
    Unreachable,
}

/// Which route it is: a table has one of these at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteKey {
    pub(super) family: Family,
    pub(super) table: u32,
    pub(super) kind: Kind,
}

/// Over which interface, to which router; a link from point to point needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) interface: u32,
    pub(super) router: Option<IpAddr>,
    /// Though the router is in no network of the interface.
    pub(super) is_on_link: bool,
    /// The address of what has none yet, where the kernel might take another network's.
    pub(super) source: Option<IpAddr>,
}

/// A default route; `None`: it is unreachable.
pub(super) type Way = (RouteKey, Option<Hop>);

/// The default routes of `main`, the best of each interface by its index.
pub(super) type Defaults = BTreeMap<(Family, u32), Hop>;

/// What is to be in the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rules: BTreeSet<Rule>,
    /// `None`: the one that is unreachable.
    pub(super) routes: BTreeMap<RouteKey, Option<Hop>>,
    /// The tables that are left alone because they never had a way out.
    pub(super) idle: BTreeSet<(Family, u32)>,
}

/// A PvD as far as routes are concerned.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) table: u32,
    /// The addresses and prefixes that it assigned.
    pub(super) sources: Vec<IpNet>,
    /// The index of its interface; `None` while there is none.
    pub(super) interface: Option<u32>,
    /// Its routers as they are known.
    pub(super) routers: Routers,
    /// The address of what is begun there without one, where the kernel might take another network's.
    pub(super) source: Option<IpAddr>,
    /// What has no address yet is for it.
    pub(super) is_preferred: bool,
}

/// The routers of a PvD, the one to use first first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Routers {
    /// As the administrator wrote them; else those of the kernel's default routes.
    Written(Vec<IpAddr>),
    /// As they advertise the PvD: over IPv6 no others. Of IPv4 that says nothing.
    Advertised(Vec<Ipv6Addr>),
}

impl Plan {
    /// `led`: the tables that had a way out before.
    pub(super) fn new(
        terms: Routing,
        uplinks: &[Uplink],
        defaults: &Defaults,
        led: &BTreeSet<(Family, u32)>,
    ) -> Self {
        let mut owners: BTreeMap<IpNet, BTreeSet<u32>> = BTreeMap::new();
        for uplink in uplinks {
            // All addresses are nobody's.
            let sources = uplink.sources.iter().filter(|it| it.prefix_len() > 0);
            for source in sources {
                let tables = owners.entry(source.trunc()).or_default();
                tables.insert(uplink.table);
            }
        }
        let mut plan = Self::default();
        for uplink in uplinks {
            let own = owners.iter().filter_map(|(source, tables)| {
                let is_own = tables.iter().eq([&uplink.table]);
                is_own.then_some((Family::of(source.addr()), *source))
            });
            for (family, source) in own {
                let hop = uplink.hop(family, defaults);
                if hop.is_some() || led.contains(&(family, uplink.table)) {
                    plan.look_up(terms, family, source, uplink.table);
                    plan.lead_out(family, uplink.table, hop);
                } else {
                    plan.idle.insert((family, uplink.table));
                }
            }
        }
        let preferred = uplinks.iter().find(|uplink| uplink.is_preferred);
        let preferred = preferred.map(|uplink| uplink.table);
        let led: Vec<_> = plan.led().collect();
        let begun = led
            .into_iter()
            .filter(|(_, table)| Some(*table) == preferred);
        let priority = terms.first_priority + PRIORITIES - 1;
        plan.rules.extend(begun.map(|(family, table)| Rule {
            family,
            priority,
            lookup: Lookup::Begun(table),
        }));
        plan
    }

    /// The tables with a way out.
    pub(super) fn led(&self) -> impl Iterator<Item = (Family, u32)> {
        self.tables(Kind::ByRouter)
    }

    /// All tables that something leads to, and those to which nothing does yet.
    pub(super) fn all_tables(&self) -> impl Iterator<Item = (Family, u32)> {
        let idle = self.idle.iter().copied();
        self.tables(Kind::Unreachable).chain(idle)
    }

    fn tables(&self, kind: Kind) -> impl Iterator<Item = (Family, u32)> {
        let of_kind = self.routes.keys().filter(move |key| key.kind == kind);
        of_kind.map(|key| (key.family, key.table))
    }

    fn look_up(&mut self, terms: Routing, family: Family, source: IpNet, table: u32) {
        let first = terms.first_priority;
        self.rules.extend([
            Rule {
                family,
                priority: first,
                lookup: Lookup::MainButDefault,
            },
            Rule {
                family,
                priority: first + PRIORITIES - 1 - u32::from(source.prefix_len()),
                lookup: Lookup::From(source, table),
            },
        ]);
    }

    fn lead_out(&mut self, family: Family, table: u32, hop: Option<Hop>) {
        let key = |kind| RouteKey {
            family,
            table,
            kind,
        };
        self.routes.insert(key(Kind::Unreachable), None);
        if hop.is_some() {
            self.routes.insert(key(Kind::ByRouter), hop);
        }
    }
}

impl Uplink {
    /// Whether it assigned this.
    pub(super) fn has(&self, source: IpNet) -> bool {
        self.sources.iter().any(|own| own.trunc() == source)
    }

    /// The way out.
    fn hop(&self, family: Family, defaults: &Defaults) -> Option<Hop> {
        let interface = self.interface?;
        let known = match &self.routers {
            Routers::Written(routers) => {
                let mut routers = routers.iter().copied();
                routers.find(|router| Family::of(*router) == family)
            }
            Routers::Advertised(_) if family == Family::V4 => None,
            Routers::Advertised(routers) => Some(IpAddr::V6(*routers.first()?)),
        };
        let source = self.source.filter(|it| Family::of(*it) == family);
        match known {
            Some(router) => Some(Hop {
                interface,
                router: Some(router),
                is_on_link: false,
                source,
            }),
            None => {
                let hop = *defaults.get(&(family, interface))?;
                Some(Hop { source, ..hop })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Routing = Routing {
        first_table: 4646,
        first_priority: 1000,
    };

    fn uplink(table: u32, sources: &[&str], interface: Option<u32>) -> Uplink {
        Uplink {
            table,
            sources: sources.iter().map(|text| text.parse().unwrap()).collect(),
            interface,
            routers: Routers::Written(Vec::new()),
            source: None,
            is_preferred: false,
        }
    }

    fn hop(interface: u32, router: &str) -> Hop {
        Hop {
            interface,
            router: router.parse().ok(),
            is_on_link: false,
            source: None,
        }
    }

    /// The table in which a source is looked up, by the rules in their order.
    fn table_of(plan: &Plan, source: &str) -> Option<u32> {
        let source: IpAddr = source.parse().unwrap();
        let mut rules: Vec<_> = plan.rules.iter().collect();
        rules.sort_by_key(|rule| rule.priority);
        rules.into_iter().find_map(|rule| match rule.lookup {
            Lookup::From(prefix, table) => prefix.contains(&source).then_some(table),
            Lookup::MainButDefault => None,
            Lookup::Begun(table) => Some(table),
        })
    }

    fn by_router(plan: &Plan, family: Family, table: u32) -> Option<Hop> {
        let key = |kind| RouteKey {
            family,
            table,
            kind,
        };
        assert!(plan.routes.contains_key(&key(Kind::Unreachable)));
        plan.routes.get(&key(Kind::ByRouter)).copied().flatten()
    }

    fn plan(uplinks: &[Uplink], defaults: &Defaults) -> Plan {
        Plan::new(TERMS, uplinks, defaults, &BTreeSet::new())
    }

    /// Covers: M-011
    #[test]
    fn what_has_an_address_of_a_pvd_leaves_by_its_router_and_by_no_other() {
        let defaults = Defaults::from([
            ((Family::V4, 1), hop(1, "192.0.2.1")),
            ((Family::V6, 1), hop(1, "fe80::1")),
            ((Family::V4, 2), hop(2, "")),
        ]);
        let uplinks = [
            uplink(4646, &["203.0.113.0/28", "2001:db8:f::/48"], Some(1)),
            uplink(4647, &["203.0.113.64/28", "2001:db8:a::/48"], Some(2)),
            uplink(4648, &["198.51.100.0/24"], None),
        ];
        let had = [(Family::V6, 4647), (Family::V4, 4648)];
        let plan = Plan::new(TERMS, &uplinks, &defaults, &had.into());
        for (source, table) in [
            ("203.0.113.7", Some(4646)),
            ("2001:db8:f::7", Some(4646)),
            ("203.0.113.65", Some(4647)),
            ("198.51.100.9", Some(4648)),
            ("10.0.0.1", None),
        ] {
            assert_eq!(table_of(&plan, source), table, "{source}");
        }
        let way = |family, table| by_router(&plan, family, table);
        assert_eq!(way(Family::V4, 4646), Some(hop(1, "192.0.2.1")));
        assert_eq!(way(Family::V6, 4646), Some(hop(1, "fe80::1")));
        assert_eq!(way(Family::V4, 4647), Some(hop(2, "")), "point to point");
        assert_eq!(way(Family::V6, 4647), None, "nobody is the router there");
        assert_eq!(way(Family::V4, 4648), None, "no interface");
    }

    #[test]
    fn the_longest_prefix_around_a_source_decides_and_none_that_two_have() {
        let uplinks = [
            uplink(4646, &["203.0.113.0/24", "192.168.1.0/24"], Some(1)),
            uplink(4647, &["203.0.113.64/28", "192.168.1.0/24"], Some(2)),
            uplink(4648, &["203.0.113.65/32", "192.168.1.9/32"], Some(3)),
        ];
        let defaults = [1, 2, 3].map(|index| ((Family::V4, index), hop(index, "192.0.2.1")));
        let plan = plan(&uplinks, &defaults.into());
        for (source, table) in [
            ("203.0.113.1", Some(4646)),
            ("203.0.113.64", Some(4647)),
            ("203.0.113.65", Some(4648)),
            ("192.168.1.7", None),
            ("192.168.1.9", Some(4648)),
        ] {
            assert_eq!(table_of(&plan, source), table, "{source}");
        }
        let priorities = plan.rules.iter().map(|rule| rule.priority);
        let used = TERMS.first_priority..TERMS.first_priority + PRIORITIES;
        assert!(priorities.into_iter().all(|it| used.contains(&it)));
    }

    #[test]
    fn a_router_that_is_written_comes_before_what_the_kernel_knows() {
        let mut uplink = uplink(4646, &["203.0.113.0/28", "2001:db8:f::/48"], Some(1));
        uplink.routers = Routers::Written(vec!["192.0.2.9".parse().unwrap()]);
        let defaults = Defaults::from([
            ((Family::V4, 1), hop(1, "192.0.2.1")),
            ((Family::V6, 1), hop(1, "fe80::1")),
        ]);
        let plan = plan(&[uplink], &defaults);
        assert_eq!(
            by_router(&plan, Family::V4, 4646),
            Some(hop(1, "192.0.2.9"))
        );
        assert_eq!(by_router(&plan, Family::V6, 4646), Some(hop(1, "fe80::1")));
    }

    #[test]
    fn without_addresses_there_is_nothing_to_route() {
        let defaults = Defaults::from([((Family::V4, 1), hop(1, "192.0.2.1"))]);
        assert_eq!(
            plan(&[uplink(4646, &[], Some(1))], &defaults),
            Plan::default()
        );
        let all = uplink(4646, &["0.0.0.0/0"], Some(1));
        assert_eq!(plan(&[all], &defaults), Plan::default());
    }

    #[test]
    fn a_pvd_that_never_had_a_way_out_is_left_alone() {
        let misspelt = uplink(4646, &["203.0.113.0/28"], None);
        let plan = plan(&[misspelt], &Defaults::new());
        assert!(plan.rules.is_empty() && plan.routes.is_empty());
        assert!(plan.all_tables().eq([(Family::V4, 4646)]));
    }

    /// Covers: P-031. Two networks on one link, with a router each.
    #[test]
    fn what_is_advertised_leaves_by_who_advertises_it_and_what_is_new_by_the_preferred_one() {
        let defaults = Defaults::from([((Family::V6, 1), hop(1, "fe80::b"))]);
        let of = |table, source: &str, routers: &[&str], is_preferred| Uplink {
            routers: Routers::Advertised(routers.iter().map(|it| it.parse().unwrap()).collect()),
            source: source.parse().ok(),
            is_preferred,
            ..uplink(table, &[&format!("{source}/128")], Some(1))
        };
        let a = |is_preferred| {
            of(
                4646,
                "2001:db8:a::7",
                &["fe80::a", "fe80::a2"],
                is_preferred,
            )
        };
        let b = |is_preferred| of(4647, "2001:db8:b::7", &["fe80::b"], is_preferred);
        let nobody = of(4648, "2001:db8:c::7", &[], false);
        for is_first in [true, false] {
            let uplinks = [a(is_first), b(!is_first)];
            let plan = plan(&uplinks, &defaults);
            let preferred = if is_first { 4646 } else { 4647 };
            assert_eq!(table_of(&plan, "2001:db8:a::7"), Some(4646));
            assert_eq!(table_of(&plan, "2001:db8:b::7"), Some(4647));
            assert_eq!(table_of(&plan, "::"), Some(preferred));
            let way = by_router(&plan, Family::V6, 4646).unwrap();
            assert_eq!(way.router, "fe80::a".parse().ok());
            assert_eq!(way.source, "2001:db8:a::7".parse().ok());
        }
        // It has had a router, and would be led to another one's now.
        let had = BTreeSet::from([(Family::V6, 4648)]);
        let plan = Plan::new(TERMS, &[nobody, b(false)], &defaults, &had);
        assert_eq!(by_router(&plan, Family::V6, 4648), None);
        assert_eq!(table_of(&plan, "2001:db8:c::7"), Some(4648));
        assert_eq!(table_of(&plan, "::"), None, "nobody is preferred");
    }
}
