//! What discovery brings.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::Instant;

use pvd::{Endpoint, InterfaceName, Learned, Transport};

use crate::dns::naptr::SIGNAL_PORT;
use crate::dns::{ApplicationProtocol, Candidate, RecordKind};
use crate::peer::ReferenceIdentifier;

/// An address family; discovery is done for each of them (RFC 8973 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv6.
    V6,
    /// IPv4.
    V4,
}

impl Family {
    /// The records that hold its addresses.
    pub fn address_records(self) -> RecordKind {
        match self {
            Self::V6 => RecordKind::Aaaa,
            Self::V4 => RecordKind::A,
        }
    }
}

/// An interface: its name, and the number that tells link-local addresses of its link from others (RFC 4007 §6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// Its index on this node.
    pub index: NonZeroU32,
}

/// How many agents one interface and family keep, and how many places of each, when an answer that lacks something is put
/// together with one before.
pub const MOST_AGENTS: usize = 16;

/// The DOTS agents of a network, as one interface and family show them. They are contacted over that interface and no other
/// (RFC 8973 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it was learned.
    pub interface: Interface,
    /// With which family.
    pub family: Family,
    /// From whom.
    pub how: Learned,
    /// The agents, at least one, in order of preference.
    pub agents: Vec<Agent>,
    /// When it is asked for again; what was found serves until there is an answer. `None` is when the network changes.
    pub expires: Option<Instant>,
}

impl Finding {
    /// Together with what was found `before`, since not everybody who may have named that could be asked. What is from the
    /// better place comes first.
    pub(crate) fn beside(self, before: &Self) -> Self {
        let expires = self.expires;
        let (mut first, second) = match before.how < self.how {
            true => (before.clone(), self),
            false => (self, before.clone()),
        };
        for agent in second.agents {
            let is_full = first.agents.len() >= MOST_AGENTS;
            let mut known = first.agents.iter_mut();
            match known.find(|known| known.reference == agent.reference) {
                Some(known) => known.add(&agent.endpoints),
                None if is_full => {}
                None => first.agents.push(agent),
            }
        }
        Self { expires, ..first }
    }
}

/// An agent that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What its certificate must be for.
    pub reference: ReferenceIdentifier,
    /// Where it may be, at least one place, in order of preference.
    pub endpoints: Vec<Endpoint>,
}

impl Agent {
    /// The agent at these addresses, over both transports, at the default port of the signal channel.
    pub(crate) fn at(
        reference: &ReferenceIdentifier,
        addresses: &[IpAddr],
        interface: &Interface,
    ) -> Self {
        let both = [Transport::Udp, Transport::Tcp];
        let endpoints = addresses.iter().flat_map(|address| {
            both.map(|transport| Endpoint {
                transport,
                address: scoped(*address, SIGNAL_PORT, interface),
            })
        });
        Self {
            reference: reference.clone(),
            endpoints: endpoints.collect(),
        }
    }

    /// Candidates as agents, those of one name together, in the order of their first appearance.
    pub(crate) fn of_candidates(candidates: &[Candidate], interface: &Interface) -> Vec<Self> {
        let mut agents: Vec<Self> = Vec::new();
        for candidate in candidates {
            let transport = match candidate.protocol {
                ApplicationProtocol::SignalUdp => Transport::Udp,
                ApplicationProtocol::SignalTcp | ApplicationProtocol::DataTcp => Transport::Tcp,
            };
            let endpoint = Endpoint {
                transport,
                address: scoped(candidate.address, candidate.port, interface),
            };
            let reference = ReferenceIdentifier::Name(candidate.reference.clone());
            match agents.iter_mut().find(|agent| agent.reference == reference) {
                Some(agent) => agent.endpoints.push(endpoint),
                None => agents.push(Self {
                    reference,
                    endpoints: vec![endpoint],
                }),
            }
        }
        agents
    }
}

impl Agent {
    fn add(&mut self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            if !self.endpoints.contains(endpoint) && self.endpoints.len() < MOST_AGENTS {
                self.endpoints.push(*endpoint);
            }
        }
    }
}

fn scoped(address: IpAddr, port: u16, interface: &Interface) -> SocketAddr {
    match address {
        IpAddr::V4(address) => SocketAddrV4::new(address, port).into(),
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            SocketAddrV6::new(address, port, 0, interface.index.get()).into()
        }
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, 0).into(),
    }
}
