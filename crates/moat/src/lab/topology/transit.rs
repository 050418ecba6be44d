//! What is not the site's: the core router with attacker and visitor behind it, and the providers' edges.

use super::{FIRST_TABLE, Node, Topology, edge};
use crate::lab::plan::{
    ATTACKER, ATTACKER_NETS, INTERNET, Nets, OWN_NETS, SOURCES, VERSIONS, VISITOR, VISITOR_NETS,
    Version,
};
use crate::lab::scenario::{Known, Provider, Router, Scenario};

/// Number of the core router in the networks behind it.
const CORE: u8 = 1;

impl Topology {
    /// The core router, what is behind it, and the edges.
    pub(super) fn transit(&mut self, scenario: &Scenario) {
        self.add_router(INTERNET);
        self.stub(ATTACKER, ATTACKER_NETS);
        self.stub(VISITOR, VISITOR_NETS);
        for (number, server) in scenario.servers().into_iter().enumerate() {
            self.edge(number, server);
            if scenario.has_own {
                self.own_over(number, server);
            }
        }
        for provider in scenario.providers {
            if let Some(router) = scenario.router_to(provider) {
                self.access(provider, router, scenario);
            }
            let ruleset = edge::ruleset(scenario, provider);
            self.node(provider.node).filter(&ruleset);
        }
    }

    /// A host with several addresses, behind the core router.
    pub(in crate::lab) fn stub(&mut self, name: &'static str, nets: Nets) {
        self.add(name, Node::default());
        self.link(INTERNET, name, name, "eth0");
        for version in VERSIONS {
            let net = nets.of(version);
            self.address(
                INTERNET,
                version,
                &format!("{} dev {name}", net.on_link(CORE)),
            );
            for number in SOURCES {
                self.address(name, version, &format!("{} dev eth0", net.on_link(number)));
            }
            self.ip(
                name,
                version,
                format!("route add default via {}", net.host(CORE)),
            );
        }
    }

    /// A provider's edge with its DOTS server, and its link to the core router.
    fn edge(&mut self, number: usize, provider: &Provider) {
        let edge = provider.node;
        self.add_router(edge);
        self.link(INTERNET, edge, edge, INTERNET);
        for (version, server) in VERSIONS.into_iter().zip(provider.dots_server) {
            let [core, own] = core_link(number, version);
            let length = match version {
                Version::V4 => 30,
                Version::V6 => 64,
            };
            let net = provider.nets.of(version);
            self.address(INTERNET, version, &format!("{core}/{length} dev {edge}"));
            self.ip(INTERNET, version, format!("route add {net} via {own}"));
            self.address(edge, version, &format!("{own}/{length} dev {INTERNET}"));
            self.ip(edge, version, format!("route add default via {core}"));
            self.address(edge, version, &format!("{server} dev lo"));
            // What nobody has must not bounce between the edge and the core.
            self.ip(edge, version, format!("route add unreachable {net}"));
        }
    }

    /// The site's own addresses are reached over every provider: the sources decide over which.
    fn own_over(&mut self, number: usize, provider: &Provider) {
        let table = FIRST_TABLE + number;
        for version in VERSIONS {
            let [_, edge] = core_link(number, version);
            let own = OWN_NETS.of(version);
            self.ip(
                INTERNET,
                version,
                format!(
                    "route add {own} via {edge} dev {} table {table}",
                    provider.node
                ),
            );
            let sources = [ATTACKER_NETS, VISITOR_NETS].map(|nets| nets.of(version));
            for source in sources
                .iter()
                .filter_map(|net| Some(net.host(*SOURCES.get(number)?)))
            {
                self.ip(
                    INTERNET,
                    version,
                    format!("rule add from {source} to {own} lookup {table} priority {table}"),
                );
            }
        }
    }

    /// The link between an edge and the site.
    fn access(&mut self, provider: &Provider, router: &Router, scenario: &Scenario) {
        let (edge, uplink) = (provider.node, provider.uplink);
        self.link(edge, uplink, router.node, uplink);
        let site = scenario.on_uplink(provider.assigned);
        let ends = provider.edge.into_iter().zip(site);
        for (version, (address, site)) in VERSIONS.into_iter().zip(ends) {
            // A DHCP server wants to be in the network that it serves.
            let length = match version {
                Version::V6 if scenario.known != Known::Written => "/64",
                _ => "",
            };
            self.address(edge, version, &format!("{address}{length} dev {uplink}"));
            let via = format!("via {site} dev {uplink}");
            self.ip(edge, version, format!("route add {site} dev {uplink}"));
            for assigned in scenario.assigned(provider) {
                let assigned = assigned.of(version);
                self.ip(edge, version, format!("route add {assigned} {via}"));
            }
            if scenario.has_own {
                let own = OWN_NETS.of(version);
                self.ip(edge, version, format!("route add {own} {via}"));
            }
        }
    }
}

/// The addresses of the core router and of an edge on the link between them.
fn core_link(number: usize, version: Version) -> [String; 2] {
    match version {
        Version::V4 => [1, 2].map(|end| format!("100.64.{number}.{end}")),
        Version::V6 => [1, 2].map(|end| format!("fd00:{number:x}::{end}")),
    }
}
