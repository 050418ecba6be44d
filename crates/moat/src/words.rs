//! The words in which people name targets, ports, protocols and lifetimes.

use std::net::IpAddr;

use dots::lifetime::Lifetime;
use dots::target::{PortRange, Protocol, Target, TargetPrefix};
use dtls::Transport;

/// A word that was not understood: what it was, what is wrong, how to say it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Not an address or prefix that can be protected.
    #[error(
        "{word:?} cannot be protected: {reason}; write an address or prefix such as 203.0.113.7 or 2001:db8::/64"
    )]
    Target {
        /// What was said.
        word: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address of a host with the length of a prefix.
    #[error(
        "{word:?} has bits set behind its length; write {network}, or {host} for the one address"
    )]
    HostBits {
        /// What was said.
        word: String,
        /// The prefix that it lies in.
        network: TargetPrefix,
        /// The address alone.
        host: IpAddr,
    },
    /// Not a port or a range of ports.
    #[error("{0:?} is no port: write 80, or 8000-8080")]
    Port(String),
    /// Not a protocol.
    #[error(
        "{0:?} is no protocol: write udp, tcp, icmp, icmpv6, sctp, dccp, gre, esp, or a number from 0 to 255"
    )]
    Protocol(String),
    /// Ports of a protocol that has none.
    #[error("{0} has no ports; leave out the ports, or name another protocol")]
    NoPorts(String),
    /// Not the number of a request.
    #[error("{0:?} is no request: write its number, which `moat status` shows")]
    Request(String),
    /// Not a lifetime.
    #[error("{0:?} is no lifetime: write seconds, from 1 to 4294967295, or `indefinite`")]
    Lifetime(String),
}

/// Protocols by name; the numbers are IANA's.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    (TCP, 6),
    (UDP, 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("icmpv6", 58),
    ("sctp", 132),
];

/// The names of what carries sessions.
const UDP: &str = "udp";
const TCP: &str = "tcp";
/// What carries sessions, by name.
pub(crate) const TRANSPORTS: [(&str, Transport); 2] =
    [(UDP, Transport::Datagram), (TCP, Transport::Stream)];

/// Protocols with ports (RFC 9132 §4.4.1.1 names the first four), by number; 136 is UDP-Lite.
const WITH_PORTS: &[u8] = &[6, 17, 33, 132, 136];

fn has_ports(protocol: Protocol) -> bool {
    WITH_PORTS.contains(&protocol.0)
}

/// Reads every word with `read`.
fn each<T>(words: &[String], read: impl Fn(&str) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    words.iter().map(|word| read(word)).collect()
}

/// An address or a prefix.
pub(crate) fn prefix(word: &str) -> Result<TargetPrefix, Error> {
    let network: TargetPrefix =
        word.parse()
            .map_err(|error: dots::target::TargetError| Error::Target {
                word: word.to_owned(),
                reason: error.to_string(),
            })?;
    let host = word.split_once('/').and_then(|(host, _)| host.parse().ok());
    match host {
        Some(host) if host != network.net().addr() => Err(Error::HostBits {
            word: word.to_owned(),
            network,
            host,
        }),
        _ => Ok(network),
    }
}

/// The number of a request.
pub(crate) fn request(word: &str) -> Result<u64, Error> {
    word.parse().map_err(|_| Error::Request(word.to_owned()))
}

/// A port, or a range as in `8000-8080`.
pub(crate) fn port_range(word: &str) -> Result<PortRange, Error> {
    let refused = || Error::Port(word.to_owned());
    let number = |text: &str| text.parse::<u16>().map_err(|_| refused());
    match word.split_once('-') {
        None => Ok(PortRange::single(number(word)?)),
        Some((lower, upper)) => {
            PortRange::new(number(lower)?, Some(number(upper)?)).map_err(|_| refused())
        }
    }
}

/// A protocol by name or number.
pub(crate) fn protocol(word: &str) -> Result<Protocol, Error> {
    let lower = word.to_ascii_lowercase();
    PROTOCOLS
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, number)| *number)
        .or_else(|| word.parse().ok())
        .map(Protocol)
        .ok_or_else(|| Error::Protocol(word.to_owned()))
}

/// What is to be protected: all of the prefixes, on these ports and protocols.
pub(crate) fn target(
    prefixes: &[String],
    ports: &[String],
    protocols: &[String],
) -> Result<Target, Error> {
    let target = Target {
        prefixes: each(prefixes, prefix)?,
        port_ranges: each(ports, port_range)?,
        protocols: each(protocols, protocol)?,
        ..Target::default()
    };
    let without_ports = target.protocols.iter().find(|asked| !has_ports(**asked));
    match without_ports {
        Some(protocol) if !target.port_ranges.is_empty() => Err(Error::NoPorts(name_of(*protocol))),
        _ => Ok(target),
    }
}

/// The name of what carries a session.
pub(crate) fn of_transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Datagram => UDP,
        Transport::Stream => TCP,
    }
}

/// What carries a session, in a sentence.
pub(crate) fn protocol_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Datagram => "UDP",
        Transport::Stream => "TCP",
    }
}

/// The name of a protocol, or its number.
pub(crate) fn name_of(protocol: Protocol) -> String {
    PROTOCOLS
        .iter()
        .find(|(_, number)| *number == protocol.0)
        .map_or_else(|| protocol.to_string(), |(name, _)| (*name).to_owned())
}

/// A lifetime as people read it.
pub(crate) fn of_lifetime(lifetime: Lifetime) -> String {
    match lifetime {
        Lifetime::Seconds(seconds) => format!("{seconds} s"),
        Lifetime::Indefinite => "indefinite".to_owned(),
    }
}

/// Seconds, or `indefinite`.
pub(crate) fn lifetime(word: &str) -> Result<Lifetime, Error> {
    if word == "indefinite" {
        return Ok(Lifetime::Indefinite);
    }
    word.parse()
        .map(Lifetime::Seconds)
        .map_err(|_| Error::Lifetime(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_what_they_mean() {
        assert_eq!(prefix("203.0.113.7").unwrap().to_string(), "203.0.113.7/32");
        assert_eq!(port_range("80").unwrap(), PortRange::single(80));
        assert_eq!(
            port_range("8000-8080").unwrap(),
            PortRange::new(8000, Some(8080)).unwrap()
        );
        assert_eq!(protocol("UDP").unwrap(), Protocol(17));
        assert_eq!(protocol("255").unwrap(), Protocol(255));
        assert_eq!(lifetime("indefinite").unwrap(), Lifetime::Indefinite);
        assert_eq!(
            lifetime("60").unwrap(),
            Lifetime::Seconds(60.try_into().unwrap())
        );
    }

    #[test]
    fn what_carries_a_session_is_called_what_it_was_written_as() {
        for (word, transport) in TRANSPORTS {
            assert_eq!(of_transport(transport), word);
        }
    }

    #[test]
    fn ports_go_with_protocols_that_have_them() {
        let words = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        let with =
            |ports, protocols| target(&words(&["203.0.113.7"]), &words(ports), &words(protocols));
        for protocols in [&[][..], &["tcp"], &["17", "sctp", "dccp"]] {
            assert!(with(&["53"], protocols).is_ok(), "{protocols:?}");
        }
        assert!(with(&[], &["icmp", "udp"]).is_ok());
        assert_eq!(
            with(&["53"], &["udp", "icmp"]),
            Err(Error::NoPorts("icmp".to_owned()))
        );
        assert_eq!(with(&["53"], &["2"]), Err(Error::NoPorts("2".to_owned())));
    }

    /// Covers: S-018, S-020, S-022
    #[test]
    fn what_means_nothing_is_refused_with_a_hint() {
        for word in [
            "127.0.0.1",
            "224.0.0.1",
            "203.0.113.0/33",
            "www.example",
            "",
        ] {
            assert!(matches!(prefix(word), Err(Error::Target { .. })), "{word}");
        }
        for word in ["203.0.113.7/28", "2001:db8:f:100::7/64"] {
            assert!(
                matches!(prefix(word), Err(Error::HostBits { .. })),
                "{word}"
            );
        }
        assert_eq!(
            prefix("203.0.113.7/28").unwrap_err().to_string(),
            "\"203.0.113.7/28\" has bits set behind its length; write 203.0.113.0/28, or 203.0.113.7 for the one address"
        );
        assert!(prefix("203.0.113.0/28").is_ok() && prefix("203.0.113.7/32").is_ok());
        for word in ["", "65536", "90-80", "-", "80-"] {
            assert_eq!(port_range(word), Err(Error::Port(word.to_owned())));
        }
        for word in ["256", "xyz", ""] {
            assert_eq!(protocol(word), Err(Error::Protocol(word.to_owned())));
        }
        for word in ["0", "-1", "soon", "4294967296"] {
            assert_eq!(lifetime(word), Err(Error::Lifetime(word.to_owned())));
        }
    }
}
