//! The options of Neighbor Discovery that a PvD is made of (RFC 4861 §4.6, RFC 4191 §2.3, RFC 8106 §5, RFC 8781 §4).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{Malformed, Preference};
use crate::name::DomainName;

const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ROUTE_INFORMATION: u8 = 24;
const RECURSIVE_DNS_SERVERS: u8 = 25;
const DNS_SEARCH_LIST: u8 = 31;
const PREF64: u8 = 38;

/// Options are padded to this many octets (RFC 4861 §4.6).
pub(super) const UNIT: usize = 8;

const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// Prefix lengths of NAT64 by their code (RFC 8781 §4).
const PREF64_LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// How long something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// For so many seconds; 0: no longer.
    Seconds(u32),
    /// For ever.
    Infinite,
}

impl Lifetime {
    fn from_wire(seconds: u32) -> Self {
        match seconds {
            u32::MAX => Self::Infinite,
            seconds => Self::Seconds(seconds),
        }
    }

    fn to_wire(self) -> [u8; 4] {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Infinite => u32::MAX,
        }
        .to_be_bytes()
    }
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NdOption {
    /// Addresses of the link, and those that hosts may give themselves (RFC 4861 §4.6.2).
    PrefixInformation(PrefixInformation),
    /// The largest packet that the link carries, in octets (RFC 4861 §4.6.4).
    Mtu(u32),
    /// A destination that is better reached through this router (RFC 4191 §2.3).
    RouteInformation(RouteInformation),
    /// Resolvers (RFC 8106 §5.1); at least one.
    RecursiveDnsServers {
        /// How long they may be used.
        lifetime: Lifetime,
        /// Their addresses.
        addresses: Vec<Ipv6Addr>,
    },
    /// Domains in which short names are looked up (RFC 8106 §5.2); at least one.
    DnsSearchList {
        /// How long they may be used.
        lifetime: Lifetime,
        /// The domains.
        domains: Vec<DomainName>,
    },
    /// The prefix in which NAT64 has the IPv4 internet (RFC 8781 §4).
    Pref64 {
        /// For how many seconds, in steps of 8, up to 65528.
        lifetime: u16,
        /// 32, 40, 48, 56, 64 or 96 bits.
        prefix: Ipv6Net,
    },
    /// Any other one.
    Other {
        /// Its type.
        kind: u8,
        /// What follows type and length; its length and 2 are a multiple of 8.
        body: Vec<u8>,
    },
}

/// A prefix of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixInformation {
    /// Without host bits.
    pub prefix: Ipv6Net,
    /// The L-flag: its addresses are neighbours.
    pub is_on_link: bool,
    /// The A-flag: hosts give themselves addresses of it.
    pub is_autonomous: bool,
    /// How long its addresses are valid.
    pub valid: Lifetime,
    /// How long its addresses are used for what is new; not longer than `valid`.
    pub preferred: Lifetime,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInformation {
    /// Without host bits.
    pub prefix: Ipv6Net,
    /// How it ranks among routers that offer the same.
    pub preference: Preference,
    /// How long it holds.
    pub lifetime: Lifetime,
}

impl NdOption {
    /// Reads what follows type and length, which says at least six octets.
    pub(super) fn read(kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        let option = match kind {
            PREFIX_INFORMATION => prefix_information(body),
            MTU => mtu(body),
            ROUTE_INFORMATION => route_information(body),
            RECURSIVE_DNS_SERVERS => recursive_dns_servers(body),
            DNS_SEARCH_LIST => return dns_search_list(body),
            PREF64 => pref64(body),
            _ => Some(Self::Other {
                kind,
                body: body.to_vec(),
            }),
        };
        option.ok_or(Malformed::Value)
    }

    /// Appends the option, padded.
    pub(super) fn write(&self, message: &mut Vec<u8>) {
        let start = message.len();
        match self {
            Self::PrefixInformation(it) => it.write(message),
            Self::Mtu(octets) => {
                message.extend([MTU, 0, 0, 0]);
                message.extend(octets.to_be_bytes());
            }
            Self::RouteInformation(it) => it.write(message),
            Self::RecursiveDnsServers {
                lifetime,
                addresses,
            } => {
                message.extend([RECURSIVE_DNS_SERVERS, 0, 0, 0]);
                message.extend(lifetime.to_wire());
                message.extend(addresses.iter().flat_map(Ipv6Addr::octets));
            }
            Self::DnsSearchList { lifetime, domains } => {
                message.extend([DNS_SEARCH_LIST, 0, 0, 0]);
                message.extend(lifetime.to_wire());
                for domain in domains {
                    domain.write(message);
                }
            }
            Self::Pref64 { lifetime, prefix } => {
                let mut lengths = (0_u16..).zip(PREF64_LENGTHS);
                let code = lengths.find(|(_, length)| *length == prefix.prefix_len());
                let scaled = lifetime & !7 | code.map_or(0, |(code, _)| code);
                message.extend([PREF64, 0]);
                message.extend(scaled.to_be_bytes());
                message.extend(prefix.network().octets().into_iter().take(12));
            }
            Self::Other { kind, body } => {
                message.extend([*kind, 0]);
                message.extend(body);
            }
        }
        close(message, start);
    }

    /// Octets of it on the wire.
    pub(super) fn length(&self) -> usize {
        let mut message = Vec::new();
        self.write(&mut message);
        message.len()
    }
}

/// Pads an option that begins at `start`, and says how long it is.
pub(super) fn close(message: &mut Vec<u8>, start: usize) {
    let length = message.len() - start;
    message.resize(start + length.next_multiple_of(UNIT), 0);
    let units = (message.len() - start) / UNIT;
    if let Some(octet) = message.get_mut(start + 1) {
        // Who makes advertisements keeps them below the MTU of a link (see `RouterAdvertisement::split`).
        *octet = u8::try_from(units).unwrap_or(u8::MAX);
    }
}

impl PrefixInformation {
    fn write(&self, message: &mut Vec<u8>) {
        let on_link = if self.is_on_link { ON_LINK } else { 0 };
        let autonomous = if self.is_autonomous { AUTONOMOUS } else { 0 };
        let flags = on_link | autonomous;
        message.extend([PREFIX_INFORMATION, 0, self.prefix.prefix_len(), flags]);
        message.extend(self.valid.to_wire());
        message.extend(self.preferred.to_wire());
        message.extend([0; 4]);
        message.extend(self.prefix.network().octets());
    }
}

impl RouteInformation {
    fn write(&self, message: &mut Vec<u8>) {
        let length = self.prefix.prefix_len();
        message.extend([ROUTE_INFORMATION, 0, length, self.preference.bits()]);
        message.extend(self.lifetime.to_wire());
        let octets = match length {
            0 => 0,
            1..=64 => 8,
            _ => 16,
        };
        message.extend(self.prefix.network().octets().into_iter().take(octets));
    }
}

fn prefix_information(body: &[u8]) -> Option<NdOption> {
    let &[length, flags, ref rest @ ..] = body else {
        return None;
    };
    let (valid, rest) = lifetime(rest)?;
    let (preferred, rest) = lifetime(rest)?;
    let (_reserved, rest) = rest.split_at_checked(4)?;
    // RFC 4862 §5.5.3.
    (preferred <= valid).then_some(())?;
    Some(NdOption::PrefixInformation(PrefixInformation {
        prefix: prefix(rest, length)?,
        is_on_link: flags & ON_LINK != 0,
        is_autonomous: flags & AUTONOMOUS != 0,
        valid,
        preferred,
    }))
    .filter(|_| rest.len() == 16)
}

fn mtu(body: &[u8]) -> Option<NdOption> {
    let &[_, _, a, b, c, d] = body else {
        return None;
    };
    Some(NdOption::Mtu(u32::from_be_bytes([a, b, c, d])))
}

fn route_information(body: &[u8]) -> Option<NdOption> {
    let &[length, flags, ref rest @ ..] = body else {
        return None;
    };
    let (lifetime, rest) = lifetime(rest)?;
    // RFC 4191 §2.3: as many octets as the prefix needs, in whole units, and at most 16.
    (matches!(rest.len(), 0 | 8 | 16) && usize::from(length) <= rest.len() * 8).then_some(())?;
    Some(NdOption::RouteInformation(RouteInformation {
        prefix: prefix(rest, length)?,
        // With the reserved value the option is to be ignored.
        preference: Preference::from_bits(flags)?,
        lifetime,
    }))
}

fn recursive_dns_servers(body: &[u8]) -> Option<NdOption> {
    let (lifetime, rest) = lifetime(body.get(2..)?)?;
    let (addresses, left) = rest.as_chunks::<16>();
    (!addresses.is_empty() && left.is_empty()).then_some(())?;
    Some(NdOption::RecursiveDnsServers {
        lifetime,
        addresses: addresses.iter().copied().map(Ipv6Addr::from).collect(),
    })
}

fn dns_search_list(body: &[u8]) -> Result<NdOption, Malformed> {
    let body = body.get(2..).and_then(lifetime);
    let (lifetime, mut rest) = body.ok_or(Malformed::Value)?;
    let mut domains = Vec::new();
    // The padding is of zeroes, which no name begins with.
    while rest.first().is_some_and(|length| *length != 0) {
        let (domain, behind) = DomainName::read(rest)?;
        domains.push(domain);
        rest = behind;
    }
    match domains.is_empty() {
        true => Err(Malformed::Value),
        false => Ok(NdOption::DnsSearchList { lifetime, domains }),
    }
}

fn pref64(body: &[u8]) -> Option<NdOption> {
    let &[a, b, ref rest @ ..] = body else {
        return None;
    };
    let scaled = u16::from_be_bytes([a, b]);
    let length = PREF64_LENGTHS.get(usize::from(scaled & 7))?;
    (rest.len() == 12).then_some(())?;
    Some(NdOption::Pref64 {
        lifetime: scaled & !7,
        prefix: prefix(rest, *length)?,
    })
}

fn lifetime(octets: &[u8]) -> Option<(Lifetime, &[u8])> {
    let (seconds, rest) = octets.split_first_chunk::<4>()?;
    Some((Lifetime::from_wire(u32::from_be_bytes(*seconds)), rest))
}

/// The prefix of so many bits; what is behind them does not count (RFC 4861 §4.6.2).
fn prefix(octets: &[u8], length: u8) -> Option<Ipv6Net> {
    let mut address = [0; 16];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    let net = Ipv6Net::new(Ipv6Addr::from(address), length).ok()?;
    Some(net.trunc())
}
