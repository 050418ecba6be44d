//! What a program on this node has learned of a network by other means than those of RFC 8973.

use std::net::{IpAddr, SocketAddr};

use discovery::HostName;
use ipnet::IpNet;
use pvd::{DotsServer, PvdId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Port of a resolver.
const DNS_PORT: u16 = 53;
/// Port of a DOTS server (RFC 9132 §3).
const SIGNAL_PORT: u16 = 4646;

/// One PvD, as `moat pvd announce` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announcement {
    /// The `id` of a `[[pvd]]` of the client's file.
    #[serde(serialize_with = "show", deserialize_with = "parse")]
    pub(crate) pvd: PvdId,
    /// What the network assigned; those of the interface if empty.
    #[serde(default)]
    pub(crate) prefixes: Vec<IpNet>,
    /// Own addresses in it; those of the interface if empty.
    #[serde(default)]
    pub(crate) addresses: Vec<IpAddr>,
    /// Its resolvers.
    #[serde(default)]
    pub(crate) dns: Vec<IpAddr>,
    /// Its DOTS servers, in the order to try them.
    #[serde(default)]
    pub(crate) dots: Vec<AnnouncedServer>,
    /// For how many seconds this holds; 0 takes back what was announced before.
    pub(crate) lifetime: u32,
}

/// A DOTS server of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnnouncedServer {
    /// The name that its certificate must carry.
    #[serde(serialize_with = "show", deserialize_with = "parse")]
    pub(crate) name: HostName,
    /// Where it is, at the port of the signal channel.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Announcement {
    pub(crate) fn resolvers(&self) -> Vec<SocketAddr> {
        let servers = self.dns.iter();
        servers
            .map(|server| SocketAddr::new(*server, DNS_PORT))
            .collect()
    }

    pub(crate) fn servers(&self) -> Vec<DotsServer> {
        let server = |server: &AnnouncedServer| {
            let addresses = server.addresses.iter();
            let addresses = addresses.map(|address| SocketAddr::new(*address, SIGNAL_PORT));
            DotsServer::new(server.name.to_string(), &addresses.collect::<Vec<_>>())
        };
        self.dots.iter().map(server).collect()
    }
}

fn show<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn parse<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
