//! The site: routers that choose the uplink by the source address (RFC 9284 §5.2, §5.3), a switch, and hosts.

use super::{FIRST_TABLE, Node, OWN_TABLE, Topology};
use crate::lab::plan::{LAN, Nets, ON_LAN, OWN_NETS, VERSIONS, VICTIM, VICTIM_NUMBER, Version};
use crate::lab::scenario::{Place, Provider, Router, Scenario};

/// The routers' interface on the LAN.
pub(crate) const ROUTER_LAN: &str = "lan0";

impl Topology {
    /// All of it.
    pub(super) fn site(&mut self, scenario: &Scenario) {
        self.add(LAN, Node::switch());
        for (number, router) in (ON_LAN..).zip(scenario.routers) {
            self.cpe(number, router, scenario);
        }
        let nets = scenario.all_nets();
        self.lan_host(VICTIM, (VICTIM_NUMBER, &VERSIONS), &nets, scenario);
        for client in scenario.clients {
            if let Place::Host(number) = client.place {
                let nets = scenario.client_nets(client);
                self.lan_host(client.name, (number, client.versions), &nets, scenario);
            }
        }
    }

    /// A router with its uplinks: what comes from a provider's prefix leaves through that provider.
    fn cpe(&mut self, number: u8, router: &Router, scenario: &Scenario) {
        let node = router.node;
        let cpe = Node {
            router: true,
            advertised: scenario.is_advertised_to_router(),
            ..Node::default()
        };
        self.add(node, cpe);
        self.link(node, ROUTER_LAN, LAN, node);
        for version in VERSIONS {
            // What is on the LAN is reached there, whatever the source.
            let lan_first = "rule add lookup main suppress_prefixlength 0 priority 50";
            self.ip(node, version, lan_first.to_owned());
        }
        for (order, provider) in scenario.uplinks(router).enumerate() {
            let position = scenario.providers.iter().position(|one| one == provider);
            let table = FIRST_TABLE + position.unwrap_or_default();
            for nets in scenario.assigned(provider) {
                self.on_lan(node, ROUTER_LAN, ON_LAN, nets);
                self.assigned(node, table, provider.uplink, nets, scenario);
            }
            self.uplink(node, table, provider, order == 0, scenario);
            if scenario.has_own {
                self.own_uplink(node, provider, order == 0);
            }
        }
        if scenario.has_own {
            self.on_lan(node, ROUTER_LAN, number, OWN_NETS);
            for version in VERSIONS {
                let own = OWN_NETS.of(version);
                let rule = format!("rule add from {own} lookup {OWN_TABLE} priority {OWN_TABLE}");
                self.ip(node, version, rule);
            }
        }
    }

    /// Addresses of a provider: one is on the uplink, and what comes from any leaves by the table of that uplink.
    fn assigned(
        &mut self,
        node: &'static str,
        table: usize,
        uplink: &str,
        nets: Nets,
        scenario: &Scenario,
    ) {
        for (version, address) in VERSIONS.into_iter().zip(scenario.on_uplink(nets)) {
            if version == Version::V6 && scenario.is_advertised_to_router() {
                // What it makes of an advertised prefix ends in this.
                let token = Nets::TOKEN;
                self.ip(node, version, format!("token set {token} dev {uplink}"));
            } else {
                self.address(node, version, &format!("{address} dev {uplink}"));
            }
            let net = nets.of(version);
            let rule = format!("rule add from {net} lookup {table} priority {table}");
            self.ip(node, version, rule);
        }
    }

    fn uplink(
        &mut self,
        node: &'static str,
        table: usize,
        provider: &Provider,
        is_first: bool,
        scenario: &Scenario,
    ) {
        let uplink = provider.uplink;
        let sources = scenario.on_uplink(provider.assigned);
        for ((version, edge), source) in VERSIONS.into_iter().zip(provider.edge).zip(sources) {
            // An address that is to be advertised is not there yet.
            let source = if version == Version::V6 && scenario.is_advertised_to_router() {
                String::new()
            } else {
                format!(" src {source}")
            };
            let default = format!("route add default via {edge} dev {uplink}{source}");
            self.ip(
                node,
                version,
                format!("route add {edge} dev {uplink}{source}"),
            );
            self.ip(node, version, format!("{default} table {table}"));
            if is_first {
                self.ip(node, version, default);
            }
        }
    }

    /// What comes from the site's own addresses leaves through the provider that it goes to, or the first.
    fn own_uplink(&mut self, node: &'static str, provider: &Provider, is_first: bool) {
        let uplink = provider.uplink;
        for (version, edge) in VERSIONS.into_iter().zip(provider.edge) {
            let net = provider.nets.of(version);
            let via = format!("via {edge} dev {uplink} table {OWN_TABLE}");
            self.ip(node, version, format!("route add {net} {via}"));
            if is_first {
                self.ip(node, version, format!("route add default {via}"));
            }
        }
    }

    /// A host, whose packets go to the router that can forward them: that of the provider who assigned their source.
    fn lan_host(
        &mut self,
        name: &'static str,
        (number, versions): (u8, &[Version]),
        nets: &[Nets],
        scenario: &Scenario,
    ) {
        let host = Node {
            v4_only: !versions.contains(&Version::V6),
            ..Node::default()
        };
        self.add(name, host);
        self.link(name, "eth0", LAN, name);
        for (order, nets) in nets.iter().enumerate() {
            for &version in versions {
                let address = nets.of(version).on_link(number);
                self.address(name, version, &format!("{address} dev eth0"));
                let net = nets.of(version);
                let default = format!("route add default via {}", net.host(ON_LAN));
                if order == 0 {
                    self.ip(name, version, default);
                } else if scenario.routers.len() > 1 {
                    let table = FIRST_TABLE + order;
                    self.ip(name, version, format!("{default} table {table}"));
                    let rule = format!("rule add from {net} lookup {table} priority {table}");
                    self.ip(name, version, rule);
                }
            }
        }
    }

    fn on_lan(&mut self, node: &'static str, interface: &str, number: u8, nets: Nets) {
        for version in VERSIONS {
            let address = nets.of(version).on_link(number);
            self.address(node, version, &format!("{address} dev {interface}"));
        }
    }
}
