//! The words in which people name targets, ports, protocols and lifetimes.

use dots::lifetime::Lifetime;
use dots::target::{PortRange, Protocol, TargetPrefix};

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
    /// Not a port or a range of ports.
    #[error("{0:?} is no port: write 80, or 8000-8080")]
    Port(String),
    /// Not a protocol.
    #[error(
        "{0:?} is no protocol: write udp, tcp, icmp, icmpv6, sctp, dccp, gre, esp, or a number from 0 to 255"
    )]
    Protocol(String),
    /// Not a lifetime.
    #[error("{0:?} is no lifetime: write seconds, 1 or more, or `indefinite`")]
    Lifetime(String),
}

/// Protocols by name; the numbers are IANA's.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("icmpv6", 58),
    ("sctp", 132),
];

/// Reads every word with `read`.
pub(crate) fn each<T>(
    words: &[String],
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    words.iter().map(|word| read(word)).collect()
}

/// An address or a prefix.
pub(crate) fn prefix(word: &str) -> Result<TargetPrefix, Error> {
    word.parse()
        .map_err(|error: dots::target::TargetError| Error::Target {
            word: word.to_owned(),
            reason: error.to_string(),
        })
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
