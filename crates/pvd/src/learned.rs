//! Where a PvD was learned, and what a host knows of one as whoever asks for help has it.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;

use crate::domain::{DotsServer, InterfaceName, ProvisioningDomain, Transport};
use crate::evidence::{DataEvidence, Evidence, Insufficient, LinkEvidence, TrustPolicy, Use};
use crate::identifier::PvdId;
use crate::information::{AdditionalInformation, DotsServerEntry};
use crate::source_address::OwnAddress;

/// The carrier that brought a PvD, or the DOTS servers of one, in the order of preference: that of RFC 8973 §4, with what a network proves
/// to have said itself before what anybody on the link could have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Learned {
    /// The administrator wrote it down.
    Configuration,
    /// A program on this node announced it, such as the manager of a mobile link.
    Announced,
    /// Additional information that is signed.
    SignedInformation,
    /// Additional information that the PvD's server gave (RFC 8801 §4).
    Information,
    /// DHCPv6 (RFC 8973 §5.1).
    Dhcpv6,
    /// DHCPv4 (RFC 8973 §5.2).
    Dhcpv4,
    /// S-NAPTR lookups in the domain of the network (RFC 8973 §6).
    ServiceResolution,
    /// DNS-based service discovery in the domain of the network (RFC 8973 §7).
    DnsSd,
    /// A tunnel, which brings no DOTS servers by itself.
    Tunnel,
    /// Router Advertisements, which do not either (RFC 8801 §3).
    RouterAdvertisement,
}

/// What a host has learned of an explicit PvD on one of its links.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Its name, as somebody on the link says.
    pub id: PvdId,
    /// The interface that it is on.
    pub interface: InterfaceName,
    /// How hard it is to be a stranger there.
    pub link: LinkEvidence,
    /// This node's addresses in it.
    pub addresses: Vec<OwnAddress>,
    /// The prefixes of the link that are advertised with it.
    pub advertised: Vec<IpNet>,
    /// Its additional information, and what speaks for that.
    pub information: Option<(AdditionalInformation, DataEvidence)>,
}

impl Observed {
    /// The DOTS servers that the PvD's own DNS is to be asked for, in order: of these the additional information has no addresses.
    pub fn unplaced(&self, policy: &TrustPolicy) -> Vec<DotsServerEntry> {
        let trusted = self.trusted(policy).ok().flatten();
        let entries = trusted.map_or(&[][..], |(information, _)| &information.moat.dots_servers);
        let entries = entries.iter().filter(|entry| entry.addresses.is_empty());
        entries.cloned().collect()
    }

    /// The additional information, if there is one and its evidence is enough.
    fn trusted(
        &self,
        policy: &TrustPolicy,
    ) -> Result<Option<&(AdditionalInformation, DataEvidence)>, Insufficient> {
        let Some((_, data)) = &self.information else {
            return Ok(None);
        };
        let evidence = Evidence {
            link: self.link,
            data: data.clone(),
        };
        policy.check(&evidence, Use::DotsServers)?;
        Ok(self.information.as_ref())
    }

    /// The PvD as whoever asks for help has it. Its prefixes and DOTS servers are those of the additional information, if its
    /// evidence is enough for [`Use::DotsServers`]; else the reason is told, and of what anybody on the link may advertise only the prefixes
    /// count in which this node has an address: else a part of another network's addresses would be this one's.
    pub fn domain(&self, policy: &TrustPolicy) -> (ProvisioningDomain, Option<Insufficient>) {
        let mut domain = ProvisioningDomain {
            interface: Some(self.interface.clone()),
            prefixes: self.inhabited(),
            addresses: self.addresses.clone(),
            learned: match self.link {
                LinkEvidence::Vpn => Learned::Tunnel,
                _ => Learned::RouterAdvertisement,
            },
            ..ProvisioningDomain::new(self.id.clone())
        };
        let (information, data) = match self.trusted(policy) {
            Ok(Some(trusted)) => trusted,
            Ok(None) => return (domain, None),
            Err(insufficient) => return (domain, Some(insufficient)),
        };
        let moat = &information.moat;
        let v6 = information.prefixes.iter().copied().map(IpNet::from);
        let v4 = moat.ipv4_prefixes.iter().copied().map(IpNet::from);
        domain.prefixes = v6.chain(v4).collect();
        let prefixes = domain.prefixes.iter().copied();
        domain.unconfirmed = prefixes.filter(|it| !self.is_inhabited(it)).collect();
        domain.dots_agent = moat.dots_agent.unwrap_or_default();
        let entries = moat.dots_servers.iter();
        let placed = entries.filter(|entry| !entry.addresses.is_empty());
        domain.dots_servers = placed
            .map(|entry| server(entry, &entry.addresses))
            .collect();
        if !moat.dots_servers.is_empty() {
            domain.learned = match data {
                DataEvidence::Signed(_) => Learned::SignedInformation,
                DataEvidence::Tls | DataEvidence::Absent => Learned::Information,
            };
        }
        (domain, None)
    }

    /// What of the advertised prefixes this node has an address in.
    fn inhabited(&self) -> Vec<IpNet> {
        let advertised = self.advertised.iter().copied();
        advertised.filter(|it| self.is_inhabited(it)).collect()
    }

    fn is_inhabited(&self, prefix: &IpNet) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|own| prefix.contains(&own.address))
    }
}

/// A server at these addresses.
pub fn server(entry: &DotsServerEntry, addresses: &[SocketAddr]) -> DotsServer {
    let transports = match entry.transports.as_slice() {
        [] => &[Transport::Udp, Transport::Tcp],
        some => some,
    };
    DotsServer::over(entry.name.to_string(), addresses, transports)
}

impl fmt::Display for Learned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Configuration => "configuration",
            Self::Announced => "announcement",
            Self::SignedInformation => "signed additional information",
            Self::Information => "additional information",
            Self::Dhcpv6 => "DHCPv6",
            Self::Dhcpv4 => "DHCPv4",
            Self::ServiceResolution => "S-NAPTR",
            Self::DnsSd => "DNS-SD",
            Self::Tunnel => "tunnel",
            Self::RouterAdvertisement => "Router Advertisement",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::KeyBinding;
    use std::net::IpAddr;
    use std::time::SystemTime;

    const OBJECT: &str = r#"{
        "identifier": "fixed.example", "expires": "2099-12-31T00:00:00Z", "prefixes": ["2001:db8:f::/48"],
        "vendor-moat": { "ipv4Prefixes": ["203.0.113.0/28"], "dotsServers": [
            { "name": "dots.fixed.example", "addresses": ["2001:db8:f::46", "[2001:db8:f::47]:4647"], "transports": ["tcp"] },
            { "name": "dots2.fixed.example" }
        ] }
    }"#;

    fn observed(link: LinkEvidence, data: DataEvidence) -> Observed {
        let read = AdditionalInformation::read(OBJECT.as_bytes(), SystemTime::UNIX_EPOCH);
        Observed {
            id: "fixed.example".parse().unwrap(),
            interface: "fixed0".parse().unwrap(),
            link,
            addresses: vec![OwnAddress::from(
                "2001:db8:f:100::5".parse::<IpAddr>().unwrap(),
            )],
            advertised: ["2001:db8:f:100::/64", "2001:db8:e:100::/56"]
                .map(|prefix| prefix.parse().unwrap())
                .to_vec(),
            information: Some((read.unwrap().information, data)),
        }
    }

    /// Covers: P-033, P-041
    #[test]
    fn dots_servers_and_prefixes_are_taken_from_what_the_network_has_proved_to_say() {
        let signed = DataEvidence::Signed(KeyBinding::Certificate);
        for (link, data, learned) in [
            (
                LinkEvidence::OpenWireless,
                signed,
                Learned::SignedInformation,
            ),
            (LinkEvidence::Wired, DataEvidence::Tls, Learned::Information),
        ] {
            let observed = observed(link, data);
            let (domain, why) = observed.domain(&TrustPolicy::default());
            assert_eq!((why, domain.learned), (None, learned));
            let [unplaced] = &observed.unplaced(&TrustPolicy::default())[..] else {
                panic!("one has no addresses");
            };
            assert_eq!(unplaced.name.to_string(), "dots2.fixed.example");
            let prefixes: Vec<_> = domain.prefixes.iter().map(ToString::to_string).collect();
            assert_eq!(prefixes, ["2001:db8:f::/48", "203.0.113.0/28"]);
            assert_eq!(domain.unconfirmed, ["203.0.113.0/28".parse().unwrap()]);
            let [server] = &domain.dots_servers[..] else {
                panic!("{domain:?}");
            };
            let at: Vec<_> = server
                .endpoints
                .iter()
                .map(|it| it.address.port())
                .collect();
            assert_eq!(
                (server.name.as_str(), at),
                ("dots.fixed.example", vec![4646, 4647])
            );
            assert_eq!(server.transports(), [Transport::Tcp].into());
        }
    }

    /// Covers: P-030, P-041
    #[test]
    fn of_what_is_not_proved_only_the_prefixes_of_own_addresses_are_taken() {
        for (link, data) in [
            (LinkEvidence::OpenWireless, DataEvidence::Tls),
            (LinkEvidence::Wired, DataEvidence::Absent),
        ] {
            let observed = observed(link, data);
            let (domain, why) = observed.domain(&TrustPolicy::default());
            assert!(why.is_some() && domain.dots_servers.is_empty());
            assert_eq!(domain.prefixes, observed.advertised[..1]);
            assert_eq!(observed.unplaced(&TrustPolicy::default()), []);
            assert_eq!(domain.learned, Learned::RouterAdvertisement);
        }
    }
}
