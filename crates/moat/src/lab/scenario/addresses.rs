//! Which addresses everything in a scenario has.

use std::net::IpAddr;

use super::network::{DotsClient, Gateway, Place, Provider};
use super::{Course, Scenario, Space};
use crate::lab::plan::{Nets, ON_LAN, ON_UPLINK, OWN_NETS, VICTIM_NUMBER};

impl Scenario {
    /// Where clients inside reach a gateway.
    pub(crate) fn inside_addresses(&self, gateway: &Gateway) -> [IpAddr; 2] {
        let mut routers = self.routers.iter();
        let number = routers.position(|router| router.node == gateway.client.name);
        let number = u8::try_from(number.unwrap_or_default()).unwrap_or_default();
        match self.providers_of(&gateway.client).first() {
            Some(provider) if !self.has_own => provider.assigned.hosts(ON_LAN),
            _ => OWN_NETS.hosts(ON_LAN + number),
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
        let providers = self.providers_of(client).into_iter();
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
        self.known.is_advertised() && self.askers().any(on_router)
    }

    /// A client's addresses in networks that a provider has assigned.
    pub(crate) fn client_addresses(&self, client: &DotsClient, nets: Nets) -> Vec<IpAddr> {
        match client.place {
            Place::Router => self.on_uplink(nets).into(),
            Place::Host(number) => nets.hosts_of(client.versions, number),
        }
    }

    /// Addresses at which the DOTS servers of several providers are.
    pub(crate) fn shared_addresses(&self) -> Vec<IpAddr> {
        let mut servers = self.servers().into_iter();
        let first = servers.next().map(|one| one.dots_server);
        let addresses = first.into_iter().flatten();
        let others: Vec<_> = servers.flat_map(|one| one.dots_server).collect();
        addresses.filter(|one| others.contains(one)).collect()
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
