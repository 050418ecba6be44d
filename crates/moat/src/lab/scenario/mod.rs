//! The scenarios, as data: who is there, who is attacked, who must be asked, and who must not.

mod addresses;
mod list;
mod network;
mod site;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::plan::Nets;

pub(crate) use list::SCENARIOS;
pub(crate) use network::{DotsClient, Gateway, Place, Provider, Router, Upstream};

/// What happens and what must come of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it stands for in RFC 9284.
    pub(crate) figure: &'static str,
    /// One line about it.
    pub(crate) summary: &'static str,
    /// The site's attachments.
    pub(crate) providers: &'static [Provider],
    /// Its routers.
    pub(crate) routers: &'static [Router],
    /// Its DOTS gateways.
    pub(crate) gateways: &'static [Gateway],
    /// Whether it has addresses of its own, beside what its providers assign.
    pub(crate) has_own: bool,
    /// Its DOTS clients.
    pub(crate) clients: &'static [DotsClient],
    /// How its clients know of DOTS servers.
    pub(crate) known: Known,
    /// With what clients and providers' servers know each other.
    pub(crate) credentials: Credentials,
    /// What happens besides.
    pub(crate) course: Course,
    /// Which addresses of the victim are attacked.
    pub(crate) attacked: &'static [Space],
    /// Whom the clients must ask, and for what; nobody else.
    pub(crate) asked: &'static [Asked],
}

/// What happens besides an attack, of which clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing.
    Attack,
    /// Uplinks fail and come back, one after the other.
    Failover {
        /// PvD ID of the one that loses every packet when help is asked for, and from then on for a while.
        silent: &'static str,
        /// PvD ID of the one whose link goes down later.
        down: &'static str,
    },
    /// Before the attack a provider assigns other prefixes in the place of those that it had assigned.
    Renumber {
        /// Its PvD ID.
        pvd: &'static str,
        /// What it had assigned.
        old: Nets,
    },
}

/// How clients know of DOTS servers. Each name server tells the truth about its own provider's names, and lies about all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From their configuration.
    Written,
    /// The DHCPv6 server of each network (dnsmasq) names its server, and a name server (dnsmasq) has its addresses.
    Named,
    /// A DHCPv6 server of the first network and a DHCPv4 server of the second (kea) give name and addresses. The router's own addresses come from advertisements (radvd).
    Addressed,
    /// A name server (bind) has NAPTR, SRV and address records. A router is told of it by DHCP (kea), in a network whose addresses
    /// come from advertisements (radvd); on a host, which has one interface for all networks, it is written.
    Resolved,
}

/// With what a client and a provider's server know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Certificates of the provider's own CA.
    Certificates,
    /// A key that both have.
    SharedKeys,
}

impl Known {
    /// Whether a provider has addresses advertised on the links to its customers.
    pub(crate) fn is_advertised(self) -> bool {
        matches!(self, Known::Addressed | Known::Resolved)
    }

    /// Whether clients ask name servers.
    pub(crate) fn asks_names(self) -> bool {
        matches!(self, Known::Named | Known::Resolved)
    }
}

/// Whose addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Assigned by a provider, which has this PvD ID.
    Assigned(&'static str),
    /// The site's own.
    Own,
}

/// A request that a client must make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The client.
    pub(crate) client: &'static str,
    /// The PvD of the server or gateway, as the client names it.
    pub(crate) pvd: &'static str,
    /// For the victim's addresses in these spaces.
    pub(crate) spaces: &'static [Space],
    /// Whether it must be accepted; a gateway rejects what is not its provider's (RFC 9284 §5.3).
    pub(crate) is_accepted: bool,
}

/// The scenario of this name.
#[cfg(test)]
pub(super) fn find(name: &str) -> Result<&'static Scenario, super::error::Error> {
    match super::listed::find(name)? {
        super::listed::Listed::Attack(scenario) => Ok(scenario),
        super::listed::Listed::Provisioning(_) => panic!("{name} is no attack"),
    }
}

impl Scenario {
    /// The programs that its networks need, and the Debian package of each.
    pub(crate) fn programs(&self) -> Vec<(&'static str, &'static str)> {
        const KEA: [(&str, &str); 2] = [
            ("kea-dhcp4", "kea-dhcp4-server"),
            ("kea-dhcp6", "kea-dhcp6-server"),
        ];
        let mut programs = match self.known {
            Known::Written => Vec::new(),
            Known::Named => vec![("dnsmasq", "dnsmasq-base")],
            Known::Addressed => KEA.into(),
            Known::Resolved => [&KEA[..], &[("named", "bind9")]].concat(),
        };
        programs.extend(self.is_advertised_to_router().then_some(("radvd", "radvd")));
        programs
    }

    /// The attachment with this PvD ID.
    pub(crate) fn provider(&self, pvd: &str) -> Option<&'static Provider> {
        self.providers.iter().find(|provider| provider.pvd == pvd)
    }

    /// The attachments of a router.
    pub(crate) fn uplinks(&self, router: &Router) -> impl Iterator<Item = &'static Provider> {
        let uplinks = router.uplinks;
        let providers = self.providers.iter();
        providers.filter(move |provider| uplinks.contains(&Upstream::Server(provider.pvd)))
    }

    /// The router with the uplink to this provider.
    pub(crate) fn router_to(&self, provider: &Provider) -> Option<&'static Router> {
        let mut routers = self.routers.iter();
        let uplink = Upstream::Server(provider.pvd);
        routers.find(|router| router.uplinks.contains(&uplink))
    }

    /// The gateway with this PvD ID.
    pub(crate) fn gateway(&self, pvd: &str) -> Option<&'static Gateway> {
        self.gateways.iter().find(|gateway| gateway.pvd == pvd)
    }

    /// What the server, or gateway, of a PvD is called.
    pub(crate) fn dots_name(&self, pvd: &str) -> Option<&'static str> {
        let server = self.provider(pvd).map(|provider| provider.dots_name);
        server.or_else(|| self.gateway(pvd).map(|gateway| gateway.dots_name))
    }

    /// Everybody who is a client: those that are nothing else, and gateways.
    pub(crate) fn askers(&self) -> impl Iterator<Item = &'static DotsClient> {
        let gateways = self.gateways.iter().map(|gateway| &gateway.client);
        self.clients.iter().chain(gateways)
    }

    /// The providers that a client has to do with, by itself or through a gateway.
    pub(crate) fn providers_of(&self, client: &DotsClient) -> Vec<&'static Provider> {
        let asks = |client: &DotsClient, provider: &Provider| {
            client.upstreams.contains(&Upstream::Server(provider.pvd))
        };
        let through = |upstream: &Upstream| self.gateway(upstream.pvd());
        let uses = |provider: &&Provider| {
            let mut gateways = client.upstreams.iter().filter_map(through);
            asks(client, provider) || gateways.any(|gateway| asks(&gateway.client, provider))
        };
        self.providers.iter().filter(uses).collect()
    }

    /// One attachment for each of its DOTS servers: two attachments to one provider may share one.
    pub(crate) fn servers(&self) -> Vec<&'static Provider> {
        let mut servers: Vec<&Provider> = Vec::new();
        for provider in self.providers {
            if servers.iter().all(|other| other.node != provider.node) {
                servers.push(provider);
            }
        }
        servers
    }

    /// All spaces in which the victim has addresses.
    pub(crate) fn spaces(&self) -> Vec<Space> {
        let assigned = self.providers.iter().map(|one| Space::Assigned(one.pvd));
        assigned.chain(self.has_own.then_some(Space::Own)).collect()
    }

    /// Of which spaces clients are told that they are attacked: those that are, or, when uplinks fail, all.
    pub(crate) fn alarmed(&self) -> Vec<Space> {
        match self.course {
            Course::Attack | Course::Renumber { .. } => self.attacked.to_vec(),
            Course::Failover { .. } => self.spaces(),
        }
    }

    /// What a DOTS server must mitigate while the attack goes on, in one mitigation, and nothing else: what its provider assigned (RFC 9284
    /// §5.1, §5.2), and at every server what is the site's own (RFC 9284 §5.2, §5.3). `None`: nothing at all.
    pub(crate) fn mitigated(&self, server: &str) -> Option<BTreeSet<IpAddr>> {
        let is_its = |space: &Space| match space {
            Space::Assigned(pvd) => self.dots_name(pvd) == Some(server),
            Space::Own => true,
        };
        let mut spaces = self.alarmed();
        spaces.retain(is_its);
        let victims: BTreeSet<_> = self.victims(&spaces).into_iter().collect();
        (!victims.is_empty()).then_some(victims)
    }

    /// Whether what it assigned is announced to its clients, so that it can change.
    pub(crate) fn is_renumbered(&self, provider: &Provider) -> bool {
        self.assigned(provider).len() > 1
    }

    /// The clients that ask the DOTS server of a provider over this attachment.
    pub(crate) fn clients_of(
        &self,
        provider: &Provider,
    ) -> impl Iterator<Item = &'static DotsClient> {
        let server = Upstream::Server(provider.pvd);
        let asks = move |client: &&DotsClient| client.upstreams.contains(&server);
        self.askers().filter(asks)
    }

    /// The clients that ask a gateway.
    pub(crate) fn clients_inside(
        &self,
        gateway: &Gateway,
    ) -> impl Iterator<Item = &'static DotsClient> {
        let pvd = gateway.pvd;
        let asks = move |client: &&DotsClient| client.upstreams.iter().any(|one| one.pvd() == pvd);
        self.clients.iter().filter(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_names_only_what_is_there() {
        for scenario in SCENARIOS {
            let name = scenario.name;
            for router in scenario.routers {
                assert_eq!(scenario.uplinks(router).count(), router.uplinks.len());
            }
            for provider in scenario.providers {
                assert!(scenario.router_to(provider).is_some(), "{name}");
            }
            for gateway in scenario.gateways {
                let mut routers = scenario.routers.iter();
                let router = routers.find(|router| router.node == gateway.client.name);
                assert_eq!(gateway.client.upstreams, router.unwrap().uplinks, "{name}");
            }
            let asked = scenario.asked.iter().map(|entry| entry.spaces);
            for space in asked.chain([scenario.attacked]).flatten() {
                assert!(scenario.spaces().contains(space), "{name}: {space:?}");
            }
            for Asked { client, pvd, .. } in scenario.asked {
                let mut clients = scenario.clients.iter();
                let client = clients.find(|one| one.name == *client).unwrap();
                let known = client.upstreams.iter().any(|one| one.pvd() == *pvd);
                assert!(known, "{name}: {} asks {pvd}", client.name);
                assert!(scenario.dots_name(pvd).is_some(), "{name}: {pvd}");
            }
        }
    }

    /// Covers: M-013, M-014, M-024
    #[test]
    fn a_server_must_mitigate_what_its_provider_assigned_and_what_is_the_sites_own() {
        for (scenario, server, expected) in [
            (
                "residential",
                "dots.fixed.example",
                Some(["203.0.113.7", "2001:db8:f:100::7"]),
            ),
            ("residential", "dots.mobile.example", None),
            (
                "failover",
                "dots.mobile.example",
                Some(["198.51.100.7", "2001:db8:a:100::7"]),
            ),
            (
                "enterprise-direct-pi",
                "dots.isp2.example",
                Some(["192.0.2.71", "2001:db8:50:100::7"]),
            ),
            (
                "same-isp-gateways",
                "dots.isp.example",
                Some(["203.0.113.7", "2001:db8:f:100::7"]),
            ),
        ] {
            let expected =
                expected.map(|addresses| addresses.map(|one| one.parse().unwrap()).into());
            let mitigated = find(scenario).unwrap().mitigated(server);
            assert_eq!(mitigated, expected, "{scenario}: {server}");
        }
    }

    #[test]
    fn only_where_a_router_hears_advertisements_there_must_be_who_sends_them() {
        let needs = |name: &str, program: &str| {
            let programs = find(name).unwrap().programs();
            programs.iter().any(|(needed, _)| *needed == program)
        };
        for (scenario, expected) in [
            ("residential", false),
            ("enterprise-direct-pa", false),
            ("residential-dhcp", true),
            ("residential-dns", true),
        ] {
            assert_eq!(needs(scenario, "radvd"), expected, "{scenario}");
        }
        assert!(needs("enterprise-direct-pa", "named"));
    }

    /// Covers: M-015, M-023
    #[test]
    fn only_different_providers_servers_share_an_address_where_that_is_to_be_warned_of() {
        for scenario in SCENARIOS {
            let shared = scenario.shared_addresses().len();
            let expected = if scenario.name == "anycast" { 2 } else { 0 };
            assert_eq!(shared, expected, "{}", scenario.name);
        }
    }
}
