//! What is known of one PvD, and from where.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use discovery::{Agent, Family, Finding, ReferenceIdentifier, TrustedNames};
use ipnet::IpNet;
use pvd::{DotsAgent, DotsServer, Learned, OwnAddress, ProvisioningDomain};
use tokio::sync::mpsc;

use super::provisioned::Seen;
use crate::discovery::Attachment;

/// What is known of a PvD that may be discovered.
#[derive(Debug)]
pub(super) struct Network {
    /// As the configuration has it.
    pub(super) written: ProvisioningDomain,
    pub(super) trusted: TrustedNames,
    pub(super) attachment: Option<Attachment>,
    pub(super) found: BTreeMap<Family, (Finding, Vec<SocketAddr>)>,
    pub(super) announced: Option<Announced>,
    /// What `moat pvd watch` knows of it.
    pub(super) seen: Option<Seen>,
    /// Until when more may be found.
    pub(super) awaited_until: Option<Instant>,
    /// Has the network asked again.
    pub(super) doubts: mpsc::Sender<()>,
    pub(super) doubted: Option<Instant>,
}

/// What a program on this node said of a PvD.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) prefixes: Vec<IpNet>,
    pub(super) addresses: Vec<OwnAddress>,
    pub(super) resolvers: Vec<SocketAddr>,
    pub(super) servers: Vec<DotsServer>,
    pub(super) until: Instant,
}

impl Network {
    /// As the agent sees it. Without prefixes nobody asks it for anything.
    pub(super) fn domain(&self) -> ProvisioningDomain {
        let mut domain = self.written.clone();
        domain.is_awaited = self.awaited_until.is_some();
        if let Some(announced) = &self.announced {
            fill(&mut domain.prefixes, &announced.prefixes);
            fill(&mut domain.addresses, &announced.addresses);
            if domain.dots_servers.is_empty() && !announced.servers.is_empty() {
                domain.dots_servers.clone_from(&announced.servers);
                domain.learned = Learned::Announced;
            }
        }
        if let Some(Seen { domain: seen, .. }) = &self.seen {
            if domain.prefixes.is_empty() {
                domain.unconfirmed.clone_from(&seen.unconfirmed);
            }
            if domain.dots_servers.is_empty() && !seen.dots_servers.is_empty() {
                domain.dots_servers.clone_from(&seen.dots_servers);
                domain.learned = seen.learned;
                if domain.dots_agent == DotsAgent::Server {
                    domain.dots_agent = seen.dots_agent;
                }
            }
        }
        let seen = self.seen.as_ref().map(|seen| &seen.domain);
        let attachment = self.attachment.as_ref();
        let told = seen.map_or(&[][..], |seen| &seen.prefixes);
        let found: Vec<_> = attachment.iter().flat_map(|it| it.networks()).collect();
        let is_v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        fill(&mut domain.prefixes, &by_family(told, &found, is_v4));
        let told = seen.map_or(&[][..], |seen| &seen.addresses);
        let found = attachment.map_or(&[][..], |attachment| &attachment.addresses);
        let is_v4 = |own: &OwnAddress| own.address.is_ipv4();
        fill(&mut domain.addresses, &by_family(told, found, is_v4));
        if let Some(attachment) = attachment {
            let v4 = attachment.addresses.iter().map(|own| own.address);
            let v4: Vec<_> = v4.filter(IpAddr::is_ipv4).collect();
            let is_on_link = |prefix: &IpNet| v4.iter().any(|own| prefix.contains(own));
            domain.unconfirmed.retain(|prefix| !is_on_link(prefix));
            // Of those that somebody named, the system may know more.
            for named in &mut domain.addresses {
                let mut own = attachment.addresses.iter();
                let own = own.find(|own| own.address == named.address);
                *named = own.copied().unwrap_or(*named);
            }
        }
        if domain.dots_servers.is_empty() {
            for (finding, _) in self.found.values() {
                if domain.dots_servers.is_empty() {
                    domain.learned = finding.how;
                }
                for agent in &finding.agents {
                    add(&mut domain.dots_servers, agent);
                }
            }
        }
        domain
    }

    pub(super) fn resolvers(&self) -> Vec<SocketAddr> {
        let announced = self
            .announced
            .iter()
            .flat_map(|announced| &announced.resolvers);
        let seen = self.seen.iter().flat_map(|seen| &seen.resolvers);
        let found = self.found.values().flat_map(|(_, resolvers)| resolvers);
        let mut all: Vec<SocketAddr> = Vec::new();
        for server in announced.chain(seen).chain(found) {
            if !all.contains(server) {
                all.push(*server);
            }
        }
        all
    }
}

/// What the configuration leaves out.
fn fill<T: Clone>(written: &mut Vec<T>, learned: &[T]) {
    if written.is_empty() {
        written.extend_from_slice(learned);
    }
}

/// Of each address family what was told, or where nothing was, what was found: Router Advertisements say nothing of IPv4.
fn by_family<T: Clone>(told: &[T], found: &[T], is_v4: impl Fn(&T) -> bool) -> Vec<T> {
    let missing = found.iter().filter(|one| {
        let mut told = told.iter();
        !told.any(|told| is_v4(told) == is_v4(one))
    });
    told.iter().chain(missing).cloned().collect()
}

/// A server that both families name is one, with all its places.
fn add(servers: &mut Vec<DotsServer>, agent: &Agent) {
    let name = match &agent.reference {
        ReferenceIdentifier::Name(name) => name.to_string(),
        ReferenceIdentifier::Address(address) => address.to_string(),
    };
    match servers.iter_mut().find(|server| server.name == name) {
        Some(server) => server.endpoints.extend(&agent.endpoints),
        None => servers.push(DotsServer {
            name,
            endpoints: agent.endpoints.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_family_is_told_of_takes_nothing_from_the_other() {
        let nets = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = nets(&["192.0.2.0/24", "2001:db8:1::/64"]);
        let is_v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        for (told, all) in [
            (nets(&[]), found.clone()),
            (
                nets(&["2001:db8::/48"]),
                nets(&["2001:db8::/48", "192.0.2.0/24"]),
            ),
            (
                nets(&["192.0.2.0/28"]),
                nets(&["192.0.2.0/28", "2001:db8:1::/64"]),
            ),
        ] {
            assert_eq!(by_family(&told, &found, is_v4), all);
        }
    }
}
