//! The kernel's routes by source address, of all PvDs on watched links (RFC 8028 §3): with several networks, or routers, the kernel alone
//! sends what has an address of one to the router of another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use pvd::LinkEvidence;
use pvd::host::{Router, View};
use pvd::selection::Key;
use pvd::source_address::{Kind, Stage};

use crate::config;
use crate::routing::{Network, Routers, Routing};

/// As without anything in a client's file.
const TERMS: config::Routing = config::Routing {
    first_table: 4646,
    first_priority: 4646,
};
/// Routing tables, before one that was somebody else's is taken again.
const TABLES: u32 = 1024;

pub(super) struct Routes {
    routing: Routing,
    tables: Tables,
}

impl Routes {
    /// Begins, without any.
    pub(super) fn start() -> Self {
        Self {
            routing: Routing::start(TERMS, Vec::new()),
            tables: Tables::default(),
        }
    }

    /// The PvDs are these, and what is new is for this one.
    pub(super) fn set(&mut self, views: &[View], preferred: Option<&Key>) {
        self.routing
            .set(networks(&mut self.tables, views, preferred));
    }

    /// Removes all of them.
    pub(super) async fn stop(self) {
        self.routing.stop().await;
    }
}

/// The routing table of each PvD.
#[derive(Debug, Default)]
struct Tables {
    of: BTreeMap<Key, u32>,
    last: u32,
}

impl Tables {
    /// Only these have one.
    fn retain(&mut self, keys: &[Key]) {
        self.of.retain(|key, _| keys.contains(key));
    }

    /// The table of a PvD; none if there is none left.
    fn of(&mut self, key: &Key) -> Option<u32> {
        if let Some(table) = self.of.get(key) {
            return Some(*table);
        }
        let mut free = (1..=TABLES).map(|step| (self.last + step) % TABLES);
        let is_taken = |offset: &u32| self.of.values().any(|it| *it == TERMS.first_table + offset);
        let offset = free.find(|offset| !is_taken(offset))?;
        self.last = offset;
        self.of.insert(key.clone(), TERMS.first_table + offset);
        Some(TERMS.first_table + offset)
    }
}

fn networks(tables: &mut Tables, views: &[View], preferred: Option<&Key>) -> Vec<Network> {
    // Who makes a tunnel makes its routes.
    let views: Vec<_> = views
        .iter()
        .filter(|it| it.link != LinkEvidence::Vpn)
        .collect();
    let keys = views.iter().map(|view| Key {
        interface: view.interface.clone(),
        identity: view.identity.clone(),
    });
    let keys: Vec<_> = keys.collect();
    tables.retain(&keys);
    let networks = keys.iter().zip(&views).filter_map(|(key, view)| {
        let shares = |other: &&View| other.interface == view.interface;
        let is_shared = views.iter().copied().filter(shares).count() > 1;
        Some(Network {
            name: key.to_string(),
            table: tables.of(key)?,
            interface: view.interface.clone(),
            sources: view
                .addresses
                .iter()
                .map(|own| IpNet::from(own.address))
                .collect(),
            routers: Routers::Advertised(routers(view)),
            source: source(view).filter(|_| is_shared),
            is_preferred: preferred == Some(key),
        })
    });
    networks.collect()
}

/// The best one first.
fn routers(view: &View) -> Vec<Ipv6Addr> {
    let mut routers: Vec<Router> = view.routers.iter().map(|router| router.what).collect();
    routers.sort_by_key(|router| std::cmp::Reverse(router.preference));
    routers.into_iter().map(|router| router.address).collect()
}

/// For what is new: a temporary address where the system makes such.
fn source(view: &View) -> Option<IpAddr> {
    let own = view.addresses.iter().filter(|own| own.address.is_ipv6());
    let best = own.min_by_key(|own| (own.stage == Stage::Deprecated, own.kind == Kind::Public));
    best.map(|own| own.address)
}

#[cfg(test)]
mod tests {
    use pvd::host::Identity;

    use super::*;

    #[test]
    fn a_pvd_keeps_its_table_and_that_of_another_is_not_taken_at_once() {
        let key = |name: &str| Key {
            interface: "eth0".parse().unwrap(),
            identity: Identity::Explicit(name.parse().unwrap()),
        };
        let mut tables = Tables::default();
        let first = tables.of(&key("a.example"));
        let second = tables.of(&key("b.example"));
        assert_ne!(first, second);
        tables.retain(&[key("b.example")]);
        let third = tables.of(&key("c.example"));
        assert!(third != first && third != second);
        assert_eq!(tables.of(&key("b.example")), second);
    }
}
