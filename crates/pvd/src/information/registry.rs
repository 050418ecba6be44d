//! The registry of keys: what [`super::AdditionalInformation`] reads and writes, and whose each key is.
//!
//! The keys of RFC 8801 §4.3 and those registered after it are assigned by IANA after an expert's review, and come as they are.
//! Ours are in a sub-dictionary of their own, `vendor-moat`, and are assigned here, first come, first served: who needs one adds a
//! row with a reference. No key begins with `x-`. The reader takes what has a row and ignores the rest, so a key that is
//! missing here does not work.

use std::fmt;

/// An object that has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dictionary {
    /// The whole.
    Root,
    /// One of `splitDnsClaims`.
    SplitDnsClaim,
    /// One of `proxies`.
    Proxy,
    /// One of `proxy-match`.
    ProxyMatch,
    /// `vendor-moat`.
    Moat,
    /// One of `dotsServers`.
    DotsServer,
    /// `vpn`.
    Vpn,
    /// What is sealed in `networks`.
    Credentials,
    /// One of the `networks` in there.
    Network,
}

/// Who assigns a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The registries of Provisioning Domains (RFC 8801 §8.3).
    Iana,
    /// This file.
    Moat,
}

/// What follows where a key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its dictionary does not count.
    Mandatory,
    /// Nothing.
    Optional,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it is.
    pub dictionary: Dictionary,
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub presence: Presence,
    /// Its type, in words.
    pub value: &'static str,
    /// Who assigned it.
    pub owner: Owner,
    /// Where it is defined.
    pub reference: &'static str,
}

/// Every key that is read and written.
#[rustfmt::skip] // A row is a line.
pub const KEYS: &[Key] = &[
    iana(Dictionary::Root, "identifier", MANDATORY, "text", RFC8801),
    iana(Dictionary::Root, "expires", MANDATORY, "RFC 3339 date and time", RFC8801),
    iana(Dictionary::Root, "prefixes", MANDATORY, "list of IPv6 prefixes", RFC8801),
    iana(Dictionary::Root, "dnsZones", OPTIONAL, "list of domain names", RFC8801),
    iana(Dictionary::Root, "noInternet", OPTIONAL, "boolean", RFC8801),
    iana(Dictionary::Root, "splitDnsClaims", OPTIONAL, "list of objects", RFC9704),
    iana(Dictionary::Root, "proxies", OPTIONAL, "list of objects", PROXY),
    iana(Dictionary::Root, "proxy-match", OPTIONAL, "list of objects", PROXY),
    moat(Dictionary::Root, MOAT, OPTIONAL, "object", "RFC 8801 §4.3"),
    iana(Dictionary::SplitDnsClaim, "resolver", MANDATORY, "domain name", RFC9704),
    iana(Dictionary::SplitDnsClaim, "parent", MANDATORY, "domain name", RFC9704),
    iana(Dictionary::SplitDnsClaim, "subdomains", MANDATORY, "list of names below it, or \"*\"", RFC9704),
    iana(Dictionary::SplitDnsClaim, "algorithm", MANDATORY, "text", RFC9704),
    iana(Dictionary::SplitDnsClaim, "salt", MANDATORY, "text", RFC9704),
    iana(Dictionary::Proxy, "protocol", MANDATORY, "text", PROXY),
    iana(Dictionary::Proxy, "proxy", MANDATORY, "host and port, or URI template", PROXY),
    iana(Dictionary::Proxy, "mandatory", OPTIONAL, "list of keys", PROXY),
    iana(Dictionary::Proxy, "alpn", OPTIONAL, "list of texts", PROXY),
    iana(Dictionary::Proxy, "identifier", OPTIONAL, "text", PROXY),
    iana(Dictionary::ProxyMatch, "proxies", MANDATORY, "list of identifiers", PROXY),
    iana(Dictionary::ProxyMatch, "domains", OPTIONAL, "list of domain names, or \"*.\" before them", PROXY),
    iana(Dictionary::ProxyMatch, "subnets", OPTIONAL, "list of addresses and prefixes", PROXY),
    iana(Dictionary::ProxyMatch, "ports", OPTIONAL, "list of \"443\" or \"1024-65535\"", PROXY),
    moat(Dictionary::Moat, "ipv4Prefixes", OPTIONAL, "list of IPv4 prefixes", INFORMATION),
    moat(Dictionary::Moat, "dotsServers", OPTIONAL, "list of objects", "RFC 8973 §5"),
    moat(Dictionary::Moat, "dotsAgent", OPTIONAL, "\"server\" or \"client-domain-gateway\"", "RFC 9284 §5.3"),
    moat(Dictionary::Moat, "vpn", OPTIONAL, "object", "RFC 7556 §3.5"),
    moat(Dictionary::Moat, "networks", OPTIONAL, "JWE, compact", "RFC 7516 §7.1"),
    moat(Dictionary::DotsServer, "name", MANDATORY, "host name", "RFC 8973 §5"),
    moat(Dictionary::DotsServer, "addresses", OPTIONAL, "list of addresses, with or without port", "RFC 8973 §5"),
    moat(Dictionary::DotsServer, "transports", OPTIONAL, "list of \"udp\", \"tcp\"", "RFC 9132 §3"),
    moat(Dictionary::Vpn, "gateway", MANDATORY, "host name or address", "RFC 7296 §2"),
    moat(Dictionary::Vpn, "identity", MANDATORY, "host name", "RFC 7296 §3.5"),
    moat(Dictionary::Vpn, "prefixes", OPTIONAL, "list of prefixes", "RFC 7296 §2.9"),
    moat(Dictionary::Credentials, "networks", MANDATORY, "list of objects, the preferred one first", CREDENTIALS),
    moat(Dictionary::Network, "ssid", OPTIONAL, "text of 1 to 32 octets", IEEE80211),
    moat(Dictionary::Network, "ssidHex", OPTIONAL, "the same, in hexadecimal", IEEE80211),
    moat(Dictionary::Network, "security", OPTIONAL, "\"wpa\" (also if it is missing), \"wpa3\" or \"open\"", CREDENTIALS),
    moat(Dictionary::Network, "passphrase", OPTIONAL, "text of 8 to 63 printable ASCII characters", IEEE80211),
    moat(Dictionary::Network, "psk", OPTIONAL, "64 hexadecimal digits", IEEE80211),
    moat(Dictionary::Network, "hidden", OPTIONAL, "boolean", CREDENTIALS),
];

/// The sub-dictionary of our own keys.
pub const MOAT: &str = "vendor-moat";

const MANDATORY: Presence = Presence::Mandatory;
const OPTIONAL: Presence = Presence::Optional;
const RFC8801: &str = "RFC 8801 §4.3";
const RFC9704: &str = "RFC 9704";
const PROXY: &str = "draft-ietf-intarea-proxy-config";
const INFORMATION: &str = "crates/pvd/src/information";
const CREDENTIALS: &str = "crates/pvd/src/information/credentials.rs";
const IEEE80211: &str = "IEEE 802.11";

/// The row of a key.
pub fn find(dictionary: Dictionary, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.dictionary == dictionary && key.name == name)
}

const fn iana(
    dictionary: Dictionary,
    name: &'static str,
    presence: Presence,
    value: &'static str,
    reference: &'static str,
) -> Key {
    Key {
        dictionary,
        name,
        presence,
        value,
        owner: Owner::Iana,
        reference,
    }
}

const fn moat(
    dictionary: Dictionary,
    name: &'static str,
    presence: Presence,
    value: &'static str,
    reference: &'static str,
) -> Key {
    Key {
        owner: Owner::Moat,
        ..iana(dictionary, name, presence, value, reference)
    }
}

impl fmt::Display for Dictionary {
    /// Where it is, as in `vendor-moat.dotsServers[]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "top",
            Self::SplitDnsClaim => "splitDnsClaims[]",
            Self::Proxy => "proxies[]",
            Self::ProxyMatch => "proxy-match[]",
            Self::Moat => "vendor-moat",
            Self::DotsServer => "vendor-moat.dotsServers[]",
            Self::Vpn => "vendor-moat.vpn",
            Self::Credentials => "sealed in vendor-moat.networks",
            Self::Network => "networks[], sealed",
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Iana => "IANA",
            Self::Moat => "moat",
        })
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Mandatory => "mandatory",
            Self::Optional => "optional",
        })
    }
}
