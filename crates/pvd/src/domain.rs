//! The schema of a provisioning domain, whatever carrier brought it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::identifier::PvdId;
use crate::learned::Learned;
use crate::source_address::OwnAddress;

/// One provisioning domain as a node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisioningDomain {
    /// Its name.
    pub id: PvdId,
    /// The interface it was learned on, to which all its traffic is bound (RFC 9284 §5.1).
    /// `None`: explicitly configured without one, so any active interface serves.
    pub interface: Option<InterfaceName>,
    /// The organisation behind it, where several PvDs are attachments to one provider, which protects
    /// a prefix of either through any of them (RFC 9284 §5.4).
    pub provider: Option<String>,
    /// The prefixes this network assigned. Empty: none, or a gateway alone knows them.
    pub prefixes: Vec<IpNet>,
    /// Those of the prefixes that the network has by its word alone: nothing on its link is in them.
    pub unconfirmed: Vec<IpNet>,
    /// This node's own addresses in the PvD, in order of preference where [`crate::source_address`] leaves a choice; the
    /// source of every packet sent towards its servers, because others fall to the provider's ingress filter.
    pub addresses: Vec<OwnAddress>,
    /// The DOTS servers that protect the prefixes, in order of preference.
    pub dots_servers: Vec<DotsServer>,
    /// Who it is that answers there.
    pub dots_agent: DotsAgent,
    /// Where its DOTS servers were learned, or, without any, the PvD itself.
    pub learned: Learned,
    /// Whether the network is still being looked at: more of it may be known soon.
    pub is_awaited: bool,
}

/// Who answers at the DOTS servers of a PvD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DotsAgent {
    /// The network's own DOTS server.
    #[default]
    Server,
    /// A client-domain gateway on the router towards it, which knows what belongs to its upstream and
    /// refuses the rest (RFC 9284 §5.3).
    ClientDomainGateway,
}

impl ProvisioningDomain {
    /// A PvD of which nothing is known but the name, which the administrator wrote.
    pub fn new(id: PvdId) -> Self {
        Self {
            id,
            interface: None,
            provider: None,
            prefixes: Vec::new(),
            unconfirmed: Vec::new(),
            addresses: Vec::new(),
            dots_servers: Vec::new(),
            dots_agent: DotsAgent::default(),
            learned: Learned::Configuration,
            is_awaited: false,
        }
    }

    /// Whether its prefixes or its servers may be found yet.
    pub fn is_incomplete(&self) -> bool {
        self.is_awaited && (self.prefixes.is_empty() || self.dots_servers.is_empty())
    }

    /// Whether only a gateway knows which targets belong to it (RFC 9284 §5.3).
    pub fn leaves_choice_to_gateway(&self) -> bool {
        self.dots_agent == DotsAgent::ClientDomainGateway && self.prefixes.is_empty()
    }
}

/// A DOTS server that a PvD names (RFC 8973 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotsServer {
    /// The reference identifier that its certificate must carry (RFC 9132 §7.1).
    pub name: String,
    /// Where it listens, in order of preference.
    pub endpoints: Vec<Endpoint>,
}

/// A place where a DOTS server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With what.
    pub transport: Transport,
    /// Where; a link-local address carries the index of the interface.
    pub address: SocketAddr,
}

impl DotsServer {
    /// A server that listens with both transports, as RFC 9132 §3 wants it.
    pub fn new(name: String, addresses: &[SocketAddr]) -> Self {
        Self::over(name, addresses, &[Transport::Udp, Transport::Tcp])
    }

    /// A server that listens with each of these transports at each of these addresses.
    pub fn over(name: String, addresses: &[SocketAddr], transports: &[Transport]) -> Self {
        let endpoints = addresses.iter().flat_map(|address| {
            transports.iter().map(|transport| Endpoint {
                transport: *transport,
                address: *address,
            })
        });
        Self {
            name,
            endpoints: endpoints.collect(),
        }
    }

    /// The transports that it listens with.
    pub fn transports(&self) -> BTreeSet<Transport> {
        let endpoints = self.endpoints.iter();
        endpoints.map(|endpoint| endpoint.transport).collect()
    }
}

/// What carries a signal channel session (RFC 9132 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// DTLS over UDP.
    Udp,
    /// TLS over TCP.
    Tcp,
}

/// The name of a network interface: 1 to 15 bytes, no slash, no white space (Linux `IFNAMSIZ`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName(String);

/// A text that no interface can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interface name has 1 to 15 characters, none of them a slash, a colon or white space")]
pub struct InterfaceNameError;

impl InterfaceName {
    /// The name as the kernel knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
        if (1..=15).contains(&text.len()) && sound && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(InterfaceNameError)
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_are_those_the_kernel_takes() {
        assert!("fixed0".parse::<InterfaceName>().is_ok());
        for refused in ["", ".", "..", "a/b", "a b", "a:b", "sixteen-letters!"] {
            assert_eq!(refused.parse::<InterfaceName>(), Err(InterfaceNameError));
        }
    }
}
