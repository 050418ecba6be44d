//! The scenarios, as data: who is there, who is attacked, who must be asked, and who must not.

mod list;
mod network;

use std::net::IpAddr;

use super::error::Error;
use super::plan::{Nets, ON_UPLINK, OWN_NETS, VICTIM_NUMBER};

pub(crate) use list::SCENARIOS;
pub(crate) use network::{DotsClient, Place, Provider, Router, Upstream};

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
    /// What must be mitigated where, one entry a mitigation; nothing else, at no server.
    pub(crate) mitigated: &'static [Mitigated],
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

    /// The programs that the networks need, and the Debian package of each.
    pub(crate) fn programs(self) -> &'static [(&'static str, &'static str)] {
        const DNSMASQ: (&str, &str) = ("dnsmasq", "dnsmasq-base");
        const KEA: [(&str, &str); 2] = [
            ("kea-dhcp4", "kea-dhcp4-server"),
            ("kea-dhcp6", "kea-dhcp6-server"),
        ];
        const RADVD: (&str, &str) = ("radvd", "radvd");
        const BIND: (&str, &str) = ("named", "bind9");
        match self {
            Known::Written => &[],
            Known::Named => &[DNSMASQ],
            Known::Addressed => &[KEA[0], KEA[1], RADVD],
            Known::Resolved => &[KEA[0], KEA[1], RADVD, BIND],
        }
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
}

/// A mitigation that a DOTS server must have while the attack goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mitigated {
    /// The server.
    pub(crate) server: &'static str,
    /// For the victim's addresses in these spaces.
    pub(crate) spaces: &'static [Space],
}

/// All scenarios, in the order to show and to run them.
pub(crate) fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

/// The scenario of this name.
pub(super) fn find(name: &str) -> Result<&'static Scenario, Error> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| Error::UnknownScenario {
            name: name.to_owned(),
            known: SCENARIOS
                .iter()
                .map(|scenario| scenario.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl Scenario {
    /// The attachment with this PvD ID.
    pub(crate) fn provider(&self, pvd: &str) -> Option<&'static Provider> {
        self.providers.iter().find(|provider| provider.pvd == pvd)
    }

    /// The attachments of a router.
    pub(crate) fn uplinks(&self, router: &Router) -> impl Iterator<Item = &'static Provider> {
        let uplinks = router.uplinks;
        let providers = self.providers.iter();
        providers.filter(move |provider| uplinks.contains(&provider.pvd))
    }

    /// The router with the uplink to this provider.
    pub(crate) fn router_to(&self, provider: &Provider) -> Option<&'static Router> {
        let mut routers = self.routers.iter();
        routers.find(|router| router.uplinks.contains(&provider.pvd))
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

    /// Of which of the victim's addresses clients are told: those that are attacked, or, when uplinks fail, all.
    pub(crate) fn alarmed(&self) -> Vec<IpAddr> {
        match self.course {
            Course::Attack | Course::Renumber { .. } => self.victims(self.attacked),
            Course::Failover { .. } => self.victims(&self.spaces()),
        }
    }

    /// All that a provider has assigned for an attachment: what it assigns at the end first.
    pub(crate) fn assigned(&self, provider: &Provider) -> Vec<Nets> {
        let mut all = vec![provider.assigned];
        match self.course {
            Course::Renumber { pvd, old } if pvd == provider.pvd => all.push(old),
            _ => (),
        }
        all
    }

    /// Whether what it assigned is announced to its clients, so that it can change.
    pub(crate) fn is_renumbered(&self, provider: &Provider) -> bool {
        self.assigned(provider).len() > 1
    }

    /// All networks in which the victim has addresses at some time.
    pub(crate) fn all_nets(&self) -> Vec<Nets> {
        let assigned = self.providers.iter().flat_map(|one| self.assigned(one));
        assigned.chain(self.has_own.then_some(OWN_NETS)).collect()
    }

    /// The networks of a space; `None` for that of a provider who is not here.
    pub(crate) fn nets(&self, space: Space) -> Option<Nets> {
        match space {
            Space::Assigned(pvd) => self.provider(pvd).map(|provider| provider.assigned),
            Space::Own => Some(OWN_NETS),
        }
    }

    /// The victim's addresses in these spaces.
    pub(crate) fn victims(&self, spaces: &[Space]) -> Vec<IpAddr> {
        spaces
            .iter()
            .filter_map(|space| self.nets(*space))
            .flat_map(|nets| nets.hosts(VICTIM_NUMBER))
            .collect()
    }

    /// Where the numbers of a client's host are taken from: the site's own addresses if it has some, else those of the providers
    /// that it has to do with.
    pub(crate) fn client_nets(&self, client: &DotsClient) -> Vec<Nets> {
        if self.has_own {
            return vec![OWN_NETS];
        }
        let uses = |provider: &&Provider| {
            client.upstreams.iter().any(|upstream| match upstream {
                Upstream::Server(pvd) => *pvd == provider.pvd,
            })
        };
        let providers = self.providers.iter().filter(uses);
        providers.map(|provider| provider.assigned).collect()
    }

    /// The router's addresses on the link to a provider, which has assigned these networks.
    pub(crate) fn on_uplink(&self, nets: Nets) -> [IpAddr; 2] {
        let [v4, v6] = nets.hosts(ON_UPLINK);
        if self.is_advertised_to_router() {
            [v4, nets.v6.last_link().host(ON_UPLINK)]
        } else {
            [v4, v6]
        }
    }

    /// Whether routers have their addresses on uplinks from advertisements.
    pub(crate) fn is_advertised_to_router(&self) -> bool {
        let on_router = |client: &DotsClient| client.place == Place::Router;
        self.known.is_advertised() && self.clients.iter().any(on_router)
    }

    /// A client's addresses in networks that a provider has assigned.
    pub(crate) fn client_addresses(&self, client: &DotsClient, nets: Nets) -> Vec<IpAddr> {
        match client.place {
            Place::Router => self.on_uplink(nets).into(),
            Place::Host(number) => nets.hosts_of(client.versions, number),
        }
    }

    /// The clients that ask the DOTS server of a provider over this attachment.
    pub(crate) fn clients_of(
        &self,
        provider: &Provider,
    ) -> impl Iterator<Item = &'static DotsClient> {
        let server = Upstream::Server(provider.pvd);
        let asks = move |client: &&DotsClient| client.upstreams.contains(&server);
        self.clients.iter().filter(asks)
    }

    /// Where the DOTS server of a provider may hear from.
    pub(crate) fn sources(&self, provider: &Provider) -> Vec<IpAddr> {
        let nets = |client: &DotsClient| -> Vec<IpAddr> {
            let nets = match client.place {
                Place::Host(_) if self.has_own => vec![OWN_NETS],
                _ => self.assigned(provider),
            };
            let addresses = nets
                .iter()
                .flat_map(|nets| self.client_addresses(client, *nets));
            addresses.collect()
        };
        let mut sources: Vec<_> = self.clients_of(provider).flat_map(nets).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
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
            let mitigated = scenario.mitigated.iter().map(|entry| entry.spaces);
            let asked = scenario.asked.iter().map(|entry| entry.spaces);
            for space in mitigated.chain(asked).chain([scenario.attacked]).flatten() {
                assert!(scenario.spaces().contains(space), "{name}: {space:?}");
            }
            for Asked { client, pvd, .. } in scenario.asked {
                let mut clients = scenario.clients.iter();
                let client = clients.find(|one| one.name == *client).unwrap();
                let known = client.upstreams.iter().any(|one| one.pvd() == *pvd);
                assert!(known, "{name}: {} asks {pvd}", client.name);
            }
            for Mitigated { server, .. } in scenario.mitigated {
                let mut servers = scenario.servers().into_iter();
                assert!(servers.any(|one| one.dots_name == *server), "{name}");
            }
        }
    }

    #[test]
    fn no_two_scenarios_have_one_name_and_none_is_called_all() {
        let names: std::collections::BTreeSet<_> = SCENARIOS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        assert!(!names.contains("all"));
    }
}
