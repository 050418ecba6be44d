//! What a program on this node has learned of a network by other means than those of RFC 8973.

use std::net::{IpAddr, SocketAddr};

use discovery::HostName;
use ipnet::IpNet;
use pvd::{DotsServer, PvdId, Transport};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{parse, show};

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
    /// Where it is.
    pub(crate) addresses: Vec<Place>,
    /// Over what it is reached; over both if empty.
    #[serde(default)]
    pub(crate) transports: Vec<Carrier>,
}

/// An address, with the port of the signal channel unless another is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(SocketAddr);

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        show(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address = text
            .parse()
            .map(|it: IpAddr| SocketAddr::new(it, SIGNAL_PORT));
        let place = address.or_else(|_| text.parse()).map_err(|_| {
            let why = format!(
                "{text:?} is neither an address nor one with a port, like \"[2001:db8::46]:4647\""
            );
            serde::de::Error::custom(why)
        })?;
        match place.port() {
            0 => Err(serde::de::Error::custom("nobody listens at port 0")),
            _ => Ok(Self(place)),
        }
    }
}

/// A transport, as files write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    /// DTLS over UDP.
    Udp,
    /// TLS over TCP.
    Tcp,
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Udp => Self::Udp,
            Carrier::Tcp => Self::Tcp,
        }
    }
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
            let addresses: Vec<_> = server.addresses.iter().map(|place| place.0).collect();
            let name = server.name.to_string();
            let transports = server.transports.iter().copied().map(Transport::from);
            match transports.collect::<Vec<_>>().as_slice() {
                [] => DotsServer::new(name, &addresses),
                transports => DotsServer::over(name, &addresses, transports),
            }
        };
        self.dots.iter().map(server).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(server: &Value) -> Result<Announcement, serde_json::Error> {
        let text = json!({ "pvd": "mobile.example", "lifetime": 60, "dots": [server] });
        serde_json::from_value(text)
    }

    #[test]
    fn a_server_is_announced_with_its_ports_and_transports() {
        let addresses = ["192.0.2.46", "[2001:db8::46]:4647"];
        let plain = json!({ "name": "dots.mobile.example", "addresses": addresses });
        let [server] = &read(&plain).unwrap().servers()[..] else {
            panic!("one server");
        };
        let at = |server: &DotsServer| -> Vec<_> {
            let endpoints = server.endpoints.iter();
            endpoints
                .map(|it| (it.transport, it.address.to_string()))
                .collect()
        };
        let [v4, v6] = ["192.0.2.46:4646", "[2001:db8::46]:4647"].map(str::to_owned);
        let both = [Transport::Udp, Transport::Tcp];
        let expected: Vec<_> = [v4, v6]
            .into_iter()
            .flat_map(|address| both.map(|transport| (transport, address.clone())))
            .collect();
        assert_eq!(at(server), expected);

        let mut one = plain.clone();
        one["transports"] = json!(["tcp"]);
        let read_one = read(&one).unwrap();
        assert_eq!(read_one.servers()[0].transports(), [Transport::Tcp].into());
        // The client is told what was read here.
        let told = serde_json::to_value(&read_one).unwrap();
        assert_eq!(
            serde_json::from_value::<Announcement>(told).unwrap(),
            read_one
        );

        for wrong in ["192.0.2.46:0", "192.0.2", "dots.mobile.example"] {
            let mut one = plain.clone();
            one["addresses"] = json!([wrong]);
            assert!(read(&one).is_err(), "{wrong}");
        }
    }
}
