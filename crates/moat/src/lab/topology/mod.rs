//! The networks that scenarios run in, as data, and how they are built.
//!
//! ```text
//!  attacker --.              .-- edge 1 --.              .-- victim
//!              +-- internet -+            +-- router -- lan -- hosts with DOTS clients
//!  visitor  --'              '-- edge 2 --'
//! ```
//!
//! A topology is what to do in each namespace: `ip` batches and an `nft` ruleset. It is computed without touching anything.

pub(super) mod edge;
mod site;
mod transit;

use std::collections::BTreeMap;

pub(super) use site::ROUTER_LAN;

use super::error::Error;
use super::netns::Netns;
use super::plan::Version;
use super::scenario::Scenario;

/// First of the routing tables that choose by source address: one for each attachment, in the order of the scenario.
const FIRST_TABLE: usize = 101;

/// Routing table for what comes from, or goes to, the site's own addresses.
const OWN_TABLE: usize = 100;

/// Set in every namespace before there are interfaces: nothing waits for duplicate address detection, and only what the lab
/// configures is there.
const HOST_PARAMETERS: [(&str, &str); 7] = [
    // Also where the machine does without, by the boot parameter ipv6.disable_ipv6=1.
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
];

/// Set in routers too.
const ROUTER_PARAMETERS: [(&str, &str); 2] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
];

/// Set where addresses are advertised, also on routers.
const ADVERTISED_PARAMETERS: [(&str, &str); 1] = [("net/ipv6/conf/default/accept_ra", "2")];

/// Set in hosts that have IPv4 only.
const V4_PARAMETERS: [(&str, &str); 1] = [("net/ipv6/conf/default/disable_ipv6", "1")];

/// What a namespace becomes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    router: bool,
    /// Whether it has no IPv6.
    v4_only: bool,
    /// Whether it takes addresses from advertisements.
    advertised: bool,
    /// Whether its interfaces are ports of a switch.
    switch: bool,
    /// Lines of an `ip -4 -batch`: addresses, routes, rules.
    ip4: Vec<String>,
    /// The same of an `ip -6 -batch`.
    ip6: Vec<String>,
    /// A ruleset of `nft`, or empty.
    nft: String,
}

impl Node {
    /// A host that takes addresses and routers from advertisements.
    pub(in crate::lab) fn advertised() -> Self {
        Self {
            advertised: true,
            ..Self::default()
        }
    }

    /// A switch.
    pub(in crate::lab) fn switch() -> Self {
        Self {
            switch: true,
            ..Self::default()
        }
    }

    /// Has it filter so.
    pub(in crate::lab) fn filter(&mut self, ruleset: &str) {
        self.nft += ruleset;
    }
}

/// A pair of interfaces, each with its node first.
type Link = [(&'static str, &'static str); 2];

/// An interface that connects those which are there as a switch does.
const BRIDGE: &str = "br0";

/// A network before it is built.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    nodes: BTreeMap<&'static str, Node>,
    links: Vec<Link>,
}

/// The namespaces of a network that was built, by name.
#[derive(Debug)]
pub(crate) struct Network {
    topology: Topology,
    nodes: BTreeMap<&'static str, Netns>,
}

impl Topology {
    /// The network of a scenario.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut topology = Topology::default();
        topology.transit(scenario);
        topology.site(scenario);
        topology
    }

    pub(in crate::lab) fn add(&mut self, name: &'static str, node: Node) {
        self.nodes.insert(name, node);
    }

    pub(in crate::lab) fn add_router(&mut self, name: &'static str) {
        let node = Node {
            router: true,
            ..Node::default()
        };
        self.add(name, node);
    }

    pub(in crate::lab) fn node(&mut self, name: &'static str) -> &mut Node {
        self.nodes.entry(name).or_default()
    }

    pub(in crate::lab) fn ip(&mut self, name: &'static str, version: Version, line: String) {
        let node = self.node(name);
        match version {
            Version::V4 => node.ip4.push(line),
            Version::V6 => node.ip6.push(line),
        }
    }

    /// `address`: as `ip addr add` takes it.
    pub(in crate::lab) fn address(&mut self, name: &'static str, version: Version, address: &str) {
        let nodad = match version {
            Version::V4 => "",
            Version::V6 => " nodad",
        };
        self.ip(name, version, format!("addr add {address}{nodad}"));
    }

    pub(in crate::lab) fn link(
        &mut self,
        a: &'static str,
        a_interface: &'static str,
        b: &'static str,
        b_interface: &'static str,
    ) {
        self.links.push([(a, a_interface), (b, b_interface)]);
    }

    /// Makes the namespaces, links, addresses, routes and filters.
    pub(crate) fn build(self) -> Result<Network, Error> {
        let mut nodes = BTreeMap::new();
        for (&name, node) in &self.nodes {
            let netns = Netns::add(name)?;
            netns.set_parameters(&HOST_PARAMETERS)?;
            if node.router {
                netns.set_parameters(&ROUTER_PARAMETERS)?;
            }
            if node.advertised {
                netns.set_parameters(&ADVERTISED_PARAMETERS)?;
            }
            if node.v4_only {
                netns.set_parameters(&V4_PARAMETERS)?;
            }
            nodes.insert(name, netns);
        }
        let mut links = String::new();
        let mut up: BTreeMap<&str, String> = BTreeMap::new();
        for [(a, a_interface), (b, b_interface)] in &self.links {
            links += &format!(
                "link add {a_interface} netns {a} type veth peer name {b_interface} netns {b}\n"
            );
            for (node, interface) in [(a, a_interface), (b, b_interface)] {
                let lines = up.entry(node).or_default();
                if self.nodes.get(node).is_some_and(|node| node.switch) {
                    *lines += &format!("link set {interface} master {BRIDGE}\n");
                }
                *lines += &format!("link set {interface} up\n");
            }
        }
        super::process::output_with_input(
            std::process::Command::new("ip").args(["-batch", "-"]),
            &links,
        )?;
        for (name, netns) in &nodes {
            let Some(node) = self.nodes.get(name) else {
                continue;
            };
            let mut links = up.get(name).cloned().unwrap_or_default();
            if node.switch {
                links = format!("link add {BRIDGE} type bridge\nlink set {BRIDGE} up\n{links}");
            }
            netns.output_of("ip", &["-batch", "-"], &format!("link set lo up\n{links}"))?;
            netns.output_of("ip", &["-4", "-batch", "-"], &node.ip4.join("\n"))?;
            netns.output_of("ip", &["-6", "-batch", "-"], &node.ip6.join("\n"))?;
            if !node.nft.is_empty() {
                netns.output_of("nft", &["-f", "-"], &node.nft)?;
            }
        }
        Ok(Network {
            topology: self,
            nodes,
        })
    }
}

impl Network {
    /// The namespace of a node.
    pub(crate) fn node(&self, name: &str) -> Result<&Netns, Error> {
        self.nodes.get(name).ok_or_else(|| Error::NoNode {
            name: name.to_owned(),
        })
    }

    /// Takes an interface down, which the other end of its link sees.
    pub(crate) fn link_down(&self, node: &str, interface: &str) -> Result<(), Error> {
        let line = format!("link set {interface} down\n");
        let netns = self.node(node)?;
        netns.output_of("ip", &["-batch", "-"], &line).map(drop)
    }

    /// Takes it up again, with the addresses and routes that it had.
    pub(crate) fn link_up(&self, node: &str, interface: &str) -> Result<(), Error> {
        let netns = self.node(node)?;
        let line = format!("link set {interface} up\n");
        netns.output_of("ip", &["-batch", "-"], &line)?;
        let Some(Node { ip4, ip6, .. }) = self.topology.nodes.get(node) else {
            return Ok(());
        };
        let device = format!(" dev {interface}");
        for (version, lines) in [("-4", ip4), ("-6", ip6)] {
            let lines = lines.iter().filter(|line| line.contains(&device));
            let lines: Vec<_> = lines
                .map(|line| line.replacen(" add ", " replace ", 1))
                .collect();
            netns.output_of("ip", &[version, "-batch", "-"], &lines.join("\n"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plan::{OWN_NETS, VERSIONS};
    use crate::lab::scenario::find;

    fn lines<'a>(topology: &'a Topology, node: &str, version: Version) -> &'a [String] {
        let node = &topology.nodes[node];
        match version {
            Version::V4 => &node.ip4,
            Version::V6 => &node.ip6,
        }
    }

    /// Covers: M-017
    #[test]
    fn each_uplink_has_a_table_for_its_own_prefixes_only() {
        let scenario = find("residential").unwrap();
        let topology = Topology::of(scenario);
        for version in VERSIONS {
            let lines = lines(&topology, "home", version);
            for (table, provider) in (FIRST_TABLE..).zip(scenario.providers) {
                let lookup = format!("lookup {table} ");
                let rules = lines.iter().filter(|line| line.contains(&lookup));
                let expected = format!(
                    "rule add from {} lookup {table} priority {table}",
                    provider.assigned.of(version)
                );
                assert_eq!(rules.collect::<Vec<_>>(), [&expected]);
                let in_table = format!(" table {table}");
                let routes = lines.iter().filter(|line| line.ends_with(&in_table));
                let device = format!(" dev {} ", provider.uplink);
                let routes: Vec<_> = routes.collect();
                assert!(matches!(&routes[..], [route] if route.contains(&device)));
            }
        }
    }

    #[test]
    fn what_goes_to_the_sites_own_addresses_comes_over_both_providers() {
        let topology = Topology::of(find("enterprise-direct-pi").unwrap());
        for version in VERSIONS {
            let own = OWN_NETS.of(version);
            for edge in ["isp1", "isp2"] {
                let through = |line: &&String| {
                    line.starts_with(&format!("route add {own} via "))
                        && line.contains(&format!(" dev {edge} "))
                };
                let lines = lines(&topology, "internet", version);
                assert_eq!(lines.iter().filter(through).count(), 1, "{lines:?}");
            }
        }
    }
}
