//! The PvDs of the client as they are now: what the configuration says, and where it leaves something out, what was
//! announced or discovered.
//!
//! ```text
//! configuration --+
//! announcements --+
//! moat pvd watch -+--> Networks --PvdSet--> agent
//! discovery ------+
//! ```
//!
//! The first that has something to say of prefixes, of addresses or of servers is the one that counts: what a network has proved to say
//! of itself comes before what anybody on its link could answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use discovery::HostName;
use ipnet::IpNet;
use pvd::{DotsServer, InterfaceName, OwnAddress, PvdId, PvdSet};
use tokio::sync::mpsc;

use super::names::Names;
use super::network::{Announced, Network};
use super::provisioned::{Followed, Provisioned, follow};
use crate::config::ClientConfig;
use crate::control::Announcement;
use crate::discovery::{self as driver, NetworkReport, News, Wanted};
use crate::resolver::Link;

/// How often a network is asked again because its servers are of no use.
const DOUBT_AGAIN: Duration = Duration::from_secs(300);

/// How long after the start, or after the interface was attached, what a network does not say may come yet: DHCP and the
/// lookups after it have answered by then, or nobody does.
const AWAITED: Duration = Duration::from_secs(300);

/// Why an announcement is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing is known of the PvD, its credentials least of all.
    #[error("{0} is no [[pvd]] with a [pvd.discover] on the interface {1} in the client's file")]
    Unknown(PvdId, InterfaceName),
    /// The list of trusted names is without this one.
    #[error("{0} is not one of the trusted_names of {1}")]
    NotTrusted(HostName, PvdId),
}

/// All PvDs.
#[derive(Debug)]
pub(super) struct Networks {
    /// The set of the configuration, with what is as it is.
    written: PvdSet,
    discovered: BTreeMap<PvdId, Network>,
    /// What networks claimed of others, and did not get.
    foreign: Vec<(PvdId, IpNet)>,
    is_changed: bool,
}

impl Networks {
    /// Begins to look; what is found goes to `reports`, what `moat pvd watch` says to `providing`.
    pub(super) fn new(
        config: &ClientConfig,
        names: &Names,
        (reports, providing): (&mpsc::Sender<NetworkReport>, mpsc::Sender<Provisioned>),
        now: Instant,
    ) -> Self {
        let mut written = config.pvd_set();
        let mut followed = Vec::new();
        let mut discovered = BTreeMap::new();
        for pvd in &config.pvds {
            let (Some(discover), Some(interface)) = (&pvd.discover, &pvd.interface) else {
                continue;
            };
            let Some(domain) = written.remove(&pvd.id) else {
                continue;
            };
            let wanted = pvd.dots.is_empty().then(|| Wanted {
                trusted: discover.trusted.clone(),
                domain: discover.domain.clone(),
                resolvers: pvd.resolver.servers.clone(),
                assurance: names.assurance(&pvd.id),
                addresses: pvd.addresses.clone(),
            });
            let (id, interface) = (pvd.id.clone(), interface.clone());
            followed.push(Followed {
                id: id.clone(),
                interface: interface.clone(),
                resolvers: pvd.resolver.servers.clone(),
                assurance: names.assurance(&id),
            });
            // One doubt that waits is as good as many.
            let (doubts, doubted) = mpsc::channel(1);
            let ends = (reports.clone(), doubted);
            tokio::task::spawn_local(driver::watch(id, interface, wanted, ends));
            let network = Network {
                written: domain,
                trusted: discover.trusted.clone(),
                attachment: None,
                found: BTreeMap::new(),
                announced: None,
                seen: None,
                awaited_until: Some(now + AWAITED),
                doubts,
                doubted: None,
            };
            discovered.insert(pvd.id.clone(), network);
        }
        if let Some(socket) = &config.provisioning {
            tokio::task::spawn_local(follow(socket.clone(), followed, providing));
        }
        Self {
            written,
            discovered,
            foreign: Vec::new(),
            is_changed: false,
        }
    }

    /// The PvDs as they are now.
    pub(super) fn set(&mut self) -> PvdSet {
        let mut set = self.written.clone();
        for domain in self.discovered.values().map(Network::domain) {
            set.insert(domain);
        }
        let foreign = set.settle_claims();
        for claim in foreign.iter().filter(|claim| !self.foreign.contains(claim)) {
            let (pvd, prefix) = claim;
            tracing::warn!(%pvd, %prefix, "the network claims what another one has, or the site itself; it is not believed");
        }
        self.foreign = foreign;
        set
    }

    /// Whether something was learned or is over since this was last asked.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Takes what discovery reports.
    pub(super) fn learn(&mut self, now: Instant, report: NetworkReport) {
        let NetworkReport { pvd, news } = report;
        let Some(network) = self.discovered.get_mut(&pvd) else {
            return;
        };
        self.is_changed = true;
        match news {
            News::Attached(attachment) => {
                let addresses = attachment.addresses.iter();
                let addresses: Vec<IpAddr> = addresses.map(|own| own.address).collect();
                tracing::info!(%pvd, interface = %attachment.interface.name, ?addresses, "attached");
                network.attachment = Some(attachment);
                network.awaited_until = Some(now + AWAITED);
            }
            News::Elsewhere => {
                tracing::info!(%pvd, "the interface is in another network");
                network.found.clear();
            }
            News::Found(finding, resolvers) => {
                let servers: Vec<_> = finding
                    .agents
                    .iter()
                    .map(|agent| &agent.reference)
                    .collect();
                tracing::info!(%pvd, family = ?finding.family, learned_by = %finding.how, ?servers, "found DOTS servers");
                network.found.insert(finding.family, (finding, resolvers));
            }
            News::Nothing(family) => {
                if network.found.remove(&family).is_some() {
                    tracing::warn!(%pvd, ?family, "the network names no DOTS servers any more");
                } else {
                    tracing::debug!(%pvd, ?family, "the network names no DOTS servers");
                }
            }
            News::Refused(name) => {
                tracing::warn!(%pvd, %name, "a DOTS server was named that is not one of the trusted_names");
            }
        }
    }

    /// Takes what `moat pvd watch` says of a PvD, without servers that are not trusted.
    pub(super) fn observe(&mut self, report: Provisioned) {
        let Provisioned { pvd, mut seen } = report;
        let Some(network) = self.discovered.get_mut(&pvd) else {
            return;
        };
        self.is_changed = true;
        if let Some(seen) = &mut seen {
            let is_trusted = |server: &mut DotsServer| {
                let name = server.name.parse::<HostName>();
                name.is_ok_and(|name| network.trusted.accept(&name))
            };
            let servers = &mut seen.domain.dots_servers;
            let refused = servers.extract_if(.., |server| !is_trusted(server));
            for DotsServer { name, .. } in refused {
                tracing::warn!(%pvd, name, "a DOTS server was named that is not one of the trusted_names");
            }
            let names: Vec<_> = servers.iter().map(|server| &server.name).collect();
            let (learned_by, refused) = (seen.domain.learned, &seen.refused);
            tracing::info!(%pvd, %learned_by, servers = ?names, ?refused, "provisioned");
        } else {
            tracing::info!(%pvd, "not there any more, says moat pvd watch");
        }
        network.seen = seen;
    }

    /// Takes what a program on this node announces; until it is over, it comes before what is discovered.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn announce(
        &mut self,
        now: Instant,
        interface: &InterfaceName,
        announcement: &Announcement,
    ) -> Result<(), Refusal> {
        let id = &announcement.pvd;
        let network = self.discovered.get_mut(id);
        let network = network.filter(|known| known.written.interface.as_ref() == Some(interface));
        let unknown = || Refusal::Unknown(id.clone(), interface.clone());
        let network = network.ok_or_else(unknown)?;
        let names = announcement.dots.iter().map(|server| &server.name);
        if let Some(name) = names.into_iter().find(|name| !network.trusted.accept(name)) {
            return Err(Refusal::NotTrusted(name.clone(), id.clone()));
        }
        network.announced = (announcement.lifetime > 0).then(|| Announced {
            prefixes: announcement.prefixes.clone(),
            addresses: announcement
                .addresses
                .iter()
                .copied()
                .map(OwnAddress::from)
                .collect(),
            resolvers: announcement.resolvers(),
            servers: announcement.servers(),
            until: now + Duration::from_secs(announcement.lifetime.into()),
        });
        self.is_changed = true;
        tracing::info!(pvd = %id, lifetime = announcement.lifetime, "announced");
        Ok(())
    }

    /// There is no session with a server any more, as when its certificate has expired (RFC 8973 §4): the network that named
    /// it may name another by now.
    pub(super) fn doubt(&mut self, now: Instant, id: &PvdId) {
        let network = self.discovered.get_mut(id);
        let Some(network) = network.filter(|network| !network.found.is_empty()) else {
            return;
        };
        let since = network.doubted.map(|at| now.saturating_duration_since(at));
        if since.is_none_or(|since| since >= DOUBT_AGAIN) && network.doubts.try_send(()).is_ok() {
            tracing::info!(pvd = %id, "asking the network again for its DOTS servers");
            network.doubted = Some(now);
        }
    }

    /// When an announcement is over, or a network is waited for no more.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let networks = self.discovered.values();
        let ends = networks.flat_map(|network| {
            let announced = network.announced.as_ref().map(|announced| announced.until);
            announced.into_iter().chain(network.awaited_until)
        });
        ends.min()
    }

    /// Forgets announcements that are over, and what has not come.
    pub(super) fn expire(&mut self, now: Instant) {
        for network in self.discovered.values_mut() {
            let over = network
                .announced
                .take_if(|announced| announced.until <= now);
            let given_up = network.awaited_until.take_if(|until| *until <= now);
            self.is_changed |= over.is_some() || given_up.is_some();
        }
    }

    /// Whom names are looked up with in each PvD whose configuration does not say so.
    pub(super) fn resolvers(&self) -> impl Iterator<Item = (&PvdId, Vec<SocketAddr>, Link)> {
        self.discovered.iter().map(|(id, network)| {
            let domain = network.domain();
            let link = Link {
                interface: domain.interface,
                addresses: domain.addresses,
            };
            (id, network.resolvers(), link)
        })
    }
}
