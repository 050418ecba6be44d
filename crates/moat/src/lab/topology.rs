//! The networks that scenarios run in, as data, and how they are built.
//!
//! A topology is what to do in each namespace: `ip` batches and an `nft` ruleset. It is computed without touching anything.

use std::collections::BTreeMap;

use super::edge;
use super::error::Error;
use super::netns::Netns;
use super::plan::{
    ATTACK_SOURCES, ATTACKER, ATTACKER_NETS, HOME, INTERNET, VICTIM, VISITOR, VISITOR_NETS,
    VISITOR_SOURCES,
};
use super::scenario::{Provider, Version};

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

/// First routing table of the home router's uplinks; the next uplink has the next.
const FIRST_UPLINK_TABLE: usize = 101;

/// Set in every namespace before there are interfaces: nothing waits for duplicate address detection, and only what the lab
/// configures is there.
const HOST_PARAMETERS: [(&str, &str); 6] = [
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

/// What a namespace becomes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    router: bool,
    /// Lines of an `ip -4 -batch`: addresses, routes, rules.
    ip4: Vec<String>,
    /// The same of an `ip -6 -batch`.
    ip6: Vec<String>,
    /// A ruleset of `nft`, or empty.
    nft: String,
}

/// A pair of interfaces, each end named in its node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    ends: [(&'static str, &'static str); 2],
}

/// A network before it is built.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    nodes: BTreeMap<&'static str, Node>,
    links: Vec<Link>,
}

/// The namespaces of a network that was built, by name.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: BTreeMap<&'static str, Netns>,
}

impl Topology {
    /// One home with an uplink to each provider, one victim behind it with an address from each provider.
    pub(crate) fn residential(providers: &[Provider]) -> Self {
        let mut topology = Topology::default();
        topology.router(INTERNET);
        topology.router(HOME);
        topology.host(VICTIM);
        topology.host(ATTACKER);
        topology.host(VISITOR);
        topology.stub(
            ATTACKER,
            ["192.0.2.1", "2001:db8:bad::1"],
            ATTACKER_NETS,
            &ATTACK_SOURCES,
        );
        topology.stub(
            VISITOR,
            ["192.0.2.129", "2001:db8:cafe::1"],
            VISITOR_NETS,
            &VISITOR_SOURCES,
        );
        topology.link(HOME, "lan0", VICTIM, "eth0");
        for version in VERSIONS {
            // What is on the LAN is reached there, whatever the source.
            topology.ip(
                HOME,
                version,
                "rule add lookup main suppress_prefixlength 0 priority 100".to_owned(),
            );
        }
        for (number, provider) in providers.iter().enumerate() {
            topology.provider(number, provider);
            topology.uplink(FIRST_UPLINK_TABLE + number, provider);
            for (version, family) in provider.families() {
                let length = family.lan_length;
                topology.address(
                    HOME,
                    version,
                    &format!("{}/{length} dev lan0", family.lan_router),
                );
                topology.address(
                    VICTIM,
                    version,
                    &format!("{}/{length} dev eth0", family.victim),
                );
                if number == 0 {
                    topology.ip(
                        VICTIM,
                        version,
                        format!("route add default via {}", family.lan_router),
                    );
                }
            }
        }
        topology
    }

    /// A host with several addresses, behind the core router.
    fn stub(&mut self, name: &'static str, routers: [&str; 2], nets: [&str; 2], sources: &[&str]) {
        self.link(INTERNET, name, name, "eth0");
        for (version, (router, net)) in VERSIONS.into_iter().zip(routers.into_iter().zip(nets)) {
            let (_, length) = net.split_once('/').unwrap_or_default();
            self.address(INTERNET, version, &format!("{router}/{length} dev {name}"));
            for source in sources
                .iter()
                .filter(|source| source.contains(':') == router.contains(':'))
            {
                self.address(name, version, &format!("{source}/{length} dev eth0"));
            }
            self.ip(name, version, format!("route add default via {router}"));
        }
    }

    /// A provider's edge, between the core router and the customer.
    fn provider(&mut self, number: usize, provider: &Provider) {
        let edge = provider.node;
        self.router(edge);
        self.link(INTERNET, edge, edge, INTERNET);
        self.link(edge, HOME, HOME, provider.uplink);
        for (version, family) in provider.families() {
            let (core, own, length) = match version {
                Version::V4 => (
                    format!("100.64.{number}.1"),
                    format!("100.64.{number}.2"),
                    30,
                ),
                Version::V6 => (
                    format!("fd00:{number:x}::1"),
                    format!("fd00:{number:x}::2"),
                    64,
                ),
            };
            self.address(INTERNET, version, &format!("{core}/{length} dev {edge}"));
            self.ip(
                INTERNET,
                version,
                format!("route add {} via {own}", family.provider_net),
            );
            self.address(edge, version, &format!("{own}/{length} dev {INTERNET}"));
            self.ip(edge, version, format!("route add default via {core}"));
            self.address(edge, version, &format!("{} dev lo", family.dots_server));
            // What nobody has must not bounce between the edge and the core.
            self.ip(
                edge,
                version,
                format!("route add unreachable {}", family.provider_net),
            );
            self.address(edge, version, &format!("{} dev {HOME}", family.edge));
            self.ip(
                edge,
                version,
                format!("route add {} dev {HOME}", family.home),
            );
            self.ip(
                edge,
                version,
                format!("route add {} via {}", family.customer_net, family.home),
            );
        }
        self.node(edge).nft = edge::ruleset(provider);
    }

    /// The home router's side: what comes from a provider's prefix leaves through that provider.
    fn uplink(&mut self, table: usize, provider: &Provider) {
        let uplink = provider.uplink;
        for (version, family) in provider.families() {
            let home = family.home;
            self.address(HOME, version, &format!("{home} dev {uplink}"));
            self.ip(
                HOME,
                version,
                format!("route add {} dev {uplink} src {home}", family.edge),
            );
            let default = format!(
                "route add default via {} dev {uplink} src {home}",
                family.edge
            );
            self.ip(HOME, version, format!("{default} table {table}"));
            self.ip(
                HOME,
                version,
                format!(
                    "rule add from {} lookup {table} priority {table}",
                    family.customer_net
                ),
            );
            if table == FIRST_UPLINK_TABLE {
                self.ip(HOME, version, default);
            }
        }
    }

    fn host(&mut self, name: &'static str) {
        self.nodes.insert(name, Node::default());
    }

    fn router(&mut self, name: &'static str) {
        self.nodes.insert(
            name,
            Node {
                router: true,
                ..Node::default()
            },
        );
    }

    fn node(&mut self, name: &'static str) -> &mut Node {
        self.nodes.entry(name).or_default()
    }

    fn ip(&mut self, name: &'static str, version: Version, line: String) {
        let node = self.node(name);
        match version {
            Version::V4 => node.ip4.push(line),
            Version::V6 => node.ip6.push(line),
        }
    }

    /// `address`: as `ip addr add` takes it.
    fn address(&mut self, name: &'static str, version: Version, address: &str) {
        let nodad = match version {
            Version::V4 => "",
            Version::V6 => " nodad",
        };
        self.ip(name, version, format!("addr add {address}{nodad}"));
    }

    fn link(
        &mut self,
        a: &'static str,
        a_interface: &'static str,
        b: &'static str,
        b_interface: &'static str,
    ) {
        self.links.push(Link {
            ends: [(a, a_interface), (b, b_interface)],
        });
    }

    /// Makes the namespaces, links, addresses, routes and filters.
    pub(crate) fn build(&self) -> Result<Network, Error> {
        let mut nodes = BTreeMap::new();
        for (&name, node) in &self.nodes {
            let netns = Netns::add(name)?;
            netns.set_parameters(&HOST_PARAMETERS)?;
            if node.router {
                netns.set_parameters(&ROUTER_PARAMETERS)?;
            }
            nodes.insert(name, netns);
        }
        let mut links = String::new();
        let mut up: BTreeMap<&str, String> = BTreeMap::new();
        for Link {
            ends: [(a, a_interface), (b, b_interface)],
        } in &self.links
        {
            links += &format!(
                "link add {a_interface} netns {a} type veth peer name {b_interface} netns {b}\n"
            );
            for (node, interface) in [(a, a_interface), (b, b_interface)] {
                *up.entry(node).or_default() += &format!("link set {interface} up\n");
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
            let links = up.get(name).map_or("", String::as_str);
            netns.output_of("ip", &["-batch", "-"], &format!("link set lo up\n{links}"))?;
            netns.output_of("ip", &["-4", "-batch", "-"], &node.ip4.join("\n"))?;
            netns.output_of("ip", &["-6", "-batch", "-"], &node.ip6.join("\n"))?;
            if !node.nft.is_empty() {
                netns.output_of("nft", &["-f", "-"], &node.nft)?;
            }
        }
        Ok(Network { nodes })
    }
}

impl Network {
    /// The namespace of a node.
    pub(crate) fn node(&self, name: &str) -> Result<&Netns, Error> {
        self.nodes.get(name).ok_or_else(|| Error::NoNode {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario::{FIXED, MOBILE};

    #[test]
    fn each_uplink_has_a_table_for_its_own_prefixes_only() {
        let home = &Topology::residential(&[FIXED, MOBILE]).nodes[HOME];
        for (lines, version) in [(&home.ip4, 0), (&home.ip6, 1)] {
            for (table, provider) in [(101, FIXED), (102, MOBILE)] {
                let (_, family) = provider.families()[version];
                let rules = lines
                    .iter()
                    .filter(|line| line.contains(&format!("lookup {table} ")))
                    .collect::<Vec<_>>();
                assert_eq!(
                    rules,
                    [&format!(
                        "rule add from {} lookup {table} priority {table}",
                        family.customer_net
                    )]
                );
                let route = format!(
                    "route add default via {} dev {}",
                    family.edge, provider.uplink
                );
                let routes = lines
                    .iter()
                    .filter(|line| line.ends_with(&format!(" table {table}")));
                assert!(
                    routes.clone().count() == 1
                        && routes.clone().all(|line| line.starts_with(&route))
                );
            }
        }
    }
}
