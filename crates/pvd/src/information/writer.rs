//! Writes an object, its keys in the order of the registry.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::domain::{DotsAgent, Transport};

use super::{
    AdditionalInformation, DOTS_PORT, DotsServerEntry, Extension, Proxy, ProxyMatch, SplitDnsClaim,
    VpnConnection,
};

/// The last second that RFC 3339 can write, since 1970.
pub(super) const LAST_SECOND: i64 = 253_402_300_799;

impl AdditionalInformation {
    /// Writes the object. What is said by silence is left out, and a date that RFC 3339 cannot write
    /// becomes the nearest one from 1970 on.
    pub fn to_json(&self) -> String {
        // Maps with keys of text and nothing that could fail.
        serde_json::to_string(&Root::new(self)).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Root<'a> {
    identifier: String,
    expires: String,
    prefixes: &'a [ipnet::Ipv6Net],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_zones: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_internet: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    split_dns_claims: Vec<Claim<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proxies: Vec<ProxyEntry<'a>>,
    #[serde(rename = "proxy-match", skip_serializing_if = "Vec::is_empty")]
    proxy_match: Vec<Rule<'a>>,
    #[serde(rename = "vendor-moat", skip_serializing_if = "Option::is_none")]
    moat: Option<Moat<'a>>,
}

#[derive(Serialize)]
struct Claim<'a> {
    resolver: String,
    parent: String,
    subdomains: Vec<String>,
    algorithm: &'a str,
    salt: &'a str,
}

#[derive(Serialize)]
struct ProxyEntry<'a> {
    protocol: &'a str,
    proxy: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mandatory: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<&'a str>,
}

#[derive(Serialize)]
struct Rule<'a> {
    proxies: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    subnets: &'a [ipnet::IpNet],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Moat<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ipv4_prefixes: &'a [ipnet::Ipv4Net],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dots_servers: Vec<Server>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dots_agent: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpn: Option<Vpn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<&'a str>,
}

#[derive(Serialize)]
struct Server {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transports: Vec<TransportName>,
}

#[derive(Serialize)]
struct Vpn<'a> {
    gateway: String,
    identity: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    prefixes: &'a [ipnet::IpNet],
}

struct TransportName(Transport);

impl Serialize for TransportName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

impl<'a> Root<'a> {
    fn new(information: &'a AdditionalInformation) -> Self {
        let moat = &information.moat;
        Self {
            identifier: format!("{}.", information.identifier),
            expires: date(information.expires),
            prefixes: &information.prefixes,
            dns_zones: texts(&information.dns_zones),
            no_internet: information.no_internet,
            split_dns_claims: information.split_dns_claims.iter().map(claim).collect(),
            proxies: information.proxies.iter().map(proxy).collect(),
            proxy_match: information.proxy_match.iter().map(rule).collect(),
            moat: (*moat != Extension::default()).then(|| extension(moat)),
        }
    }
}

fn date(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map(|since| Duration::try_from(since).unwrap_or(Duration::MAX));
    let last = Duration::seconds(LAST_SECOND);
    let since = seconds.unwrap_or(Duration::ZERO).min(last);
    let date = OffsetDateTime::UNIX_EPOCH.saturating_add(since);
    date.format(&Rfc3339).unwrap_or_default()
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn claim(claim: &SplitDnsClaim) -> Claim<'_> {
    Claim {
        resolver: claim.resolver.to_string(),
        parent: claim.parent.to_string(),
        subdomains: texts(&claim.subdomains),
        algorithm: &claim.algorithm,
        salt: &claim.salt,
    }
}

fn proxy(proxy: &Proxy) -> ProxyEntry<'_> {
    // What has to be understood has to be there.
    let has_alpn = !proxy.alpn.is_empty() || proxy.mandatory.iter().any(|key| key == "alpn");
    ProxyEntry {
        protocol: proxy.protocol.as_str(),
        proxy: &proxy.location,
        mandatory: &proxy.mandatory,
        alpn: has_alpn.then_some(&proxy.alpn),
        identifier: proxy.identifier.as_deref(),
    }
}

fn rule(rule: &ProxyMatch) -> Rule<'_> {
    Rule {
        proxies: &rule.proxies,
        domains: texts(&rule.domains),
        subnets: &rule.subnets,
        ports: texts(&rule.ports),
    }
}

fn extension(moat: &Extension) -> Moat<'_> {
    Moat {
        ipv4_prefixes: &moat.ipv4_prefixes,
        dots_servers: moat.dots_servers.iter().map(server).collect(),
        dots_agent: moat.dots_agent.map(|agent| match agent {
            DotsAgent::Server => "server",
            DotsAgent::ClientDomainGateway => "client-domain-gateway",
        }),
        vpn: moat.vpn.as_ref().map(vpn),
        networks: moat.networks.as_ref().map(super::Sealed::as_str),
    }
}

fn server(server: &DotsServerEntry) -> Server {
    let addresses = server.addresses.iter().map(|address| match address.port() {
        DOTS_PORT => address.ip().to_string(),
        _ => address.to_string(),
    });
    Server {
        name: server.name.to_string(),
        addresses: addresses.collect(),
        transports: server
            .transports
            .iter()
            .copied()
            .map(TransportName)
            .collect(),
    }
}

fn vpn(vpn: &VpnConnection) -> Vpn<'_> {
    Vpn {
        gateway: vpn.gateway.to_string(),
        identity: vpn.identity.to_string(),
        prefixes: &vpn.prefixes,
    }
}
