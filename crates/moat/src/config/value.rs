//! The small values of both files: prefixes, addresses, names and paths.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use discovery::TrustedName;
use dots::target::DomainName;
use ipnet::IpNet;
use mitigator::nftables::TableName;
use pvd::{InterfaceName, PvdId};
use serde::Serialize;

use super::problem::{NameProblem, ProblemKind};

/// The port of the signal channel when none is written (RFC 9132 §3).
pub(super) const SIGNAL_PORT: u16 = 4646;

/// A host name in the letters, digits and hyphens of RFC 1123 §2.1, lower case, without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct HostName(String);

impl HostName {
    /// Checks a name; an internationalised one must be in its `xn--` form.
    pub(crate) fn parse(text: &str) -> Result<Self, NameProblem> {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if text.is_empty() {
            return Err(NameProblem::Empty);
        }
        if text.len() > 253 {
            return Err(NameProblem::TooLong);
        }
        if parse_address(text).is_some() {
            return Err(NameProblem::Address);
        }
        if !text.chars().all(letter) {
            return Err(NameProblem::Character);
        }
        if text.ends_with('.') {
            return Err(NameProblem::DotAtEnd);
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameProblem::EmptyLabel);
            }
            if label.len() > 63 {
                return Err(NameProblem::LongLabel);
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameProblem::Hyphen);
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has more than one label, as an FQDN has.
    fn is_qualified(&self) -> bool {
        self.0.contains('.')
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name, as a server's reference identifier is one (RFC 9132 §7.1).
pub(super) fn host_name(text: &str) -> Result<HostName, ProblemKind> {
    HostName::parse(text).map_err(|why| not_a_name(text, why, "dots.example.net"))
}

/// A host name as DOTS messages carry it.
pub(super) fn domain_name(text: &str) -> Result<DomainName, ProblemKind> {
    const EXAMPLE: &str = "dots.example.net";
    let name = HostName::parse(text).map_err(|why| not_a_name(text, why, EXAMPLE))?;
    name.as_str()
        .parse()
        .map_err(|_| not_a_name(text, NameProblem::Address, EXAMPLE))
}

/// A PvD ID: a fully qualified domain name (RFC 8801 §2).
pub(super) fn pvd_id(text: &str) -> Result<PvdId, ProblemKind> {
    const EXAMPLE: &str = "fixed.example";
    let name = HostName::parse(text).map_err(|why| not_a_name(text, why, EXAMPLE))?;
    let qualified = name.is_qualified().then(|| name.as_str().parse().ok());
    qualified
        .flatten()
        .ok_or_else(|| not_a_name(text, NameProblem::NotQualified, EXAMPLE))
}

/// A domain to discover servers in.
pub(super) fn discovery_domain(text: &str) -> Result<discovery::DomainName, ProblemKind> {
    const EXAMPLE: &str = "fixed.example";
    let name = HostName::parse(text).map_err(|why| not_a_name(text, why, EXAMPLE))?;
    let read = name.as_str().parse();
    read.map_err(|_| not_a_name(text, NameProblem::Address, EXAMPLE))
}

/// A name that is believed, or with `*.` before it all names below it.
pub(super) fn trusted_name(text: &str) -> Result<TrustedName, ProblemKind> {
    const EXAMPLE: &str = "*.fixed.example";
    let name = text.strip_prefix("*.").unwrap_or(text);
    HostName::parse(name).map_err(|why| not_a_name(text, why, EXAMPLE))?;
    let read = text.parse();
    read.map_err(|_| not_a_name(text, NameProblem::Address, EXAMPLE))
}

/// What the administrator calls a provider.
pub(super) fn provider(text: &str) -> Result<String, ProblemKind> {
    printable(text).map_err(|why| not_a_name(text, why, "isp.example"))
}

/// What a customer's certificate calls it: a DNS-ID or a common name, both compared without regard to case.
pub(super) fn customer_name(text: &str) -> Result<String, ProblemKind> {
    printable(text).map_err(|why| not_a_name(text, why, "home.example.net"))
}

/// A text that people can read, compared without regard to case.
fn printable(text: &str) -> Result<String, NameProblem> {
    if text.is_empty() {
        Err(NameProblem::Empty)
    } else if text.len() > 253 {
        Err(NameProblem::TooLong)
    } else if text.trim() != text || text.chars().any(char::is_control) {
        Err(NameProblem::NotPrintable)
    } else {
        Ok(text.to_lowercase())
    }
}

fn not_a_name(text: &str, why: NameProblem, example: &'static str) -> ProblemKind {
    ProblemKind::NotAName {
        text: text.to_owned(),
        why,
        example,
    }
}

/// A prefix that a network can assign: no host bits, no loopback, multicast or broadcast in it (RFC 9132 §4.4.1).
pub(super) fn assigned_prefix(text: &str) -> Result<IpNet, ProblemKind> {
    let owned = || text.to_owned();
    let not_a_prefix = |why| ProblemKind::NotAPrefix { text: owned(), why };
    let Some((address, length)) = text.split_once('/') else {
        return Err(match text.parse() {
            Ok(address) => ProblemKind::NoPrefixLength {
                text: owned(),
                address,
            },
            Err(_) => not_a_prefix("it is no address, slash and length"),
        });
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| not_a_prefix("what is before the slash is no IP address"))?;
    let length = length
        .parse()
        .map_err(|_| not_a_prefix("what is behind the slash is no length"))?;
    let prefix = IpNet::new(address, length).map_err(|_| {
        not_a_prefix(if address.is_ipv4() {
            "the length of an IPv4 prefix is at most 32"
        } else {
            "the length of an IPv6 prefix is at most 128"
        })
    })?;
    if let Some(what) = special_within(&prefix) {
        return Err(ProblemKind::SpecialPrefix {
            text: owned(),
            what,
        });
    }
    let right = prefix.trunc();
    if right != prefix {
        return Err(ProblemKind::HostBits {
            text: owned(),
            right,
        });
    }
    Ok(prefix)
}

/// Which addresses in a prefix make it unusable.
fn special_within(prefix: &IpNet) -> Option<&'static str> {
    const SPECIAL: [(&str, &str); 8] = [
        ("0.0.0.0/8", "unspecified (0.0.0.0/8)"),
        ("127.0.0.0/8", "loopback (127.0.0.0/8)"),
        ("224.0.0.0/4", "multicast (224.0.0.0/4)"),
        ("255.255.255.255/32", "broadcast (255.255.255.255)"),
        ("::/128", "unspecified (::)"),
        ("::1/128", "loopback (::1)"),
        ("::ffff:0:0/96", "IPv4-mapped (::ffff:0:0/96)"),
        ("ff00::/8", "multicast (ff00::/8)"),
    ];
    SPECIAL.iter().find_map(|(special, what)| {
        let special: IpNet = special.parse().ok()?;
        overlap(&special, prefix).then_some(*what)
    })
}

/// Whether two prefixes have an address in common.
pub(super) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// An address that a host of this network has.
pub(super) fn host_address(text: &str) -> Result<IpAddr, ProblemKind> {
    let address = text.parse().map_err(|_| ProblemKind::NotAnAddress {
        text: text.to_owned(),
    })?;
    refuse(text, special_address(address).or(loopback(address)))?;
    Ok(address)
}

/// Where a server is reached, with this port when none is written. Loopback is allowed, for trying things.
pub(super) fn server_address(text: &str, port: u16) -> Result<SocketAddr, ProblemKind> {
    let address = socket_address(text, port)?;
    refuse(text, special_address(address.ip()))?;
    if address.port() == 0 {
        Err(ProblemKind::PortZero { port })
    } else {
        Ok(address)
    }
}

/// Where a server listens, with this port when none is written. 0.0.0.0 and :: mean every address of their family, and
/// port 0 one that the system chooses.
pub(super) fn listen_address(text: &str, port: u16) -> Result<SocketAddr, ProblemKind> {
    let address = socket_address(text, port)?;
    let unicast = |address: &IpAddr| !address.is_unspecified();
    refuse(
        text,
        Some(address.ip()).filter(unicast).and_then(special_address),
    )?;
    Ok(address)
}

fn refuse(text: &str, what: Option<&'static str>) -> Result<(), ProblemKind> {
    what.map_or(Ok(()), |what| {
        Err(ProblemKind::SpecialAddress {
            text: text.to_owned(),
            what,
        })
    })
}

fn special_address(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("the unspecified"),
        _ if address.is_multicast() => Some("a multicast"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4-mapped"),
        _ => None,
    }
}

fn loopback(address: IpAddr) -> Option<&'static str> {
    address.is_loopback().then_some("a loopback")
}

fn socket_address(text: &str, port: u16) -> Result<SocketAddr, ProblemKind> {
    let with_default_port = || Some(SocketAddr::new(parse_address(text)?, port));
    let not_one = || ProblemKind::NotASocketAddress {
        text: text.to_owned(),
        port,
    };
    text.parse()
        .ok()
        .or_else(with_default_port)
        .ok_or_else(not_one)
}

/// An address, an IPv6 one perhaps in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// The name of a network interface.
pub(super) fn interface(text: &str) -> Result<InterfaceName, ProblemKind> {
    text.parse().map_err(|_| ProblemKind::NotAnInterface {
        text: text.to_owned(),
    })
}

/// A file's path; a relative one starts at `folder`.
pub(super) fn path(folder: &Path, text: &str) -> Result<PathBuf, ProblemKind> {
    if text.is_empty() {
        Err(ProblemKind::EmptyPath)
    } else if text.contains("-----BEGIN") || text.contains('\n') {
        // It may be a private key, which no message repeats.
        Err(ProblemKind::PemInsteadOfPath)
    } else {
        Ok(folder.join(text))
    }
}

/// A program: a name that is looked up in PATH, or a path.
pub(super) fn program(folder: &Path, text: &str) -> Result<PathBuf, ProblemKind> {
    let path = path(folder, text)?;
    if text.contains('/') {
        Ok(path)
    } else {
        Ok(PathBuf::from(text))
    }
}

/// The name of an nftables table.
pub(super) fn nftables_table(text: &str) -> Result<TableName, ProblemKind> {
    text.parse().map_err(|_| ProblemKind::NotATable {
        text: text.to_owned(),
    })
}
