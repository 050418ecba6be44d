//! S-NAPTR records (RFC 3958 §2, §6), and the tags that DOTS has in them (RFC 8973 §9.4).

use pvd::DomainName;

/// The default port of the signal channel (RFC 9132 §3).
pub const SIGNAL_PORT: u16 = 4646;
/// The default port of the data channel (RFC 8783 §3.1).
pub const DATA_PORT: u16 = 443;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationService {
    /// A DOTS server.
    Dots,
    /// A Call Home DOTS client (RFC 9066).
    DotsCallHome,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApplicationProtocol {
    /// The signal channel, over UDP.
    SignalUdp,
    /// The signal channel, over TCP.
    SignalTcp,
    /// The data channel, over TCP.
    DataTcp,
}

impl ApplicationService {
    /// The application service tag; case does not count.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Dots => "DOTS",
            Self::DotsCallHome => "DOTS-CALL-HOME",
        }
    }

    /// The port of an agent that is found by its address alone. None is assigned to Call Home (RFC 8973 §9.1).
    pub fn default_port(self, protocol: ApplicationProtocol) -> Option<u16> {
        match (self, protocol) {
            (Self::Dots, ApplicationProtocol::DataTcp) => Some(DATA_PORT),
            (Self::Dots, _) => Some(SIGNAL_PORT),
            (Self::DotsCallHome, _) => None,
        }
    }
}

impl ApplicationProtocol {
    /// The application protocol tag; case does not count.
    pub fn tag(self) -> &'static str {
        match self {
            Self::SignalUdp => "signal.udp",
            Self::SignalTcp => "signal.tcp",
            Self::DataTcp => "data.tcp",
        }
    }
}

/// A NAPTR record, as far as it can be one of S-NAPTR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Low ones come first.
    pub order: u16,
    /// Low ones come first among those of the same order.
    pub preference: u16,
    /// What the replacement is.
    pub flag: Flag,
    /// The tags, as they are in the record.
    pub services: String,
    /// The name to go on with.
    pub replacement: DomainName,
}

/// What is at the replacement of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// More NAPTR records.
    Continue,
    /// SRV records.
    Service,
    /// Addresses.
    Address,
}

impl Naptr {
    /// `None` for records of other uses: S-NAPTR has no regular expressions, and these flags only (RFC 3958 §2.2).
    pub fn new(
        (order, preference): (u16, u16),
        flags: &[u8],
        services: &[u8],
        regexp: &[u8],
        replacement: DomainName,
    ) -> Option<Self> {
        let flag = match flags {
            b"" => Flag::Continue,
            b"s" | b"S" => Flag::Service,
            b"a" | b"A" => Flag::Address,
            _ => return None,
        };
        let services = str::from_utf8(services).ok()?.to_owned();
        regexp.is_empty().then_some(Self {
            order,
            preference,
            flag,
            services,
            replacement,
        })
    }

    /// Those of the wanted protocols that this record leads to, in its order. A record that names none leads nowhere.
    pub(super) fn leads_to(
        &self,
        service: ApplicationService,
        wanted: &[ApplicationProtocol],
    ) -> Vec<ApplicationProtocol> {
        let mut tags = self.services.split(':');
        let same_service = |tag: &str| tag.eq_ignore_ascii_case(service.tag());
        let mut protocols = Vec::new();
        if tags.next().is_some_and(same_service) {
            for tag in tags {
                let named = wanted
                    .iter()
                    .find(|protocol| tag.eq_ignore_ascii_case(protocol.tag()));
                protocols.extend(
                    named
                        .filter(|protocol| !protocols.contains(*protocol))
                        .copied(),
                );
            }
        }
        protocols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flags: &str, services: &str, regexp: &str) -> Option<Naptr> {
        let replacement = "a.example".parse().unwrap();
        let (flags, services) = (flags.as_bytes(), services.as_bytes());
        Naptr::new((1, 1), flags, services, regexp.as_bytes(), replacement)
    }

    /// Covers: Y-010, Y-011
    #[test]
    fn records_of_other_uses_lead_nowhere() {
        use ApplicationProtocol::{DataTcp, SignalTcp, SignalUdp};
        let wanted = [SignalUdp, SignalTcp];
        let leads = |services: &str| {
            let record = record("s", services, "").unwrap();
            record.leads_to(ApplicationService::Dots, &wanted)
        };
        assert_eq!(leads("DOTS:signal.udp"), [SignalUdp]);
        assert_eq!(leads("dots:SIGNAL.TCP:signal.udp"), [SignalTcp, SignalUdp]);
        for other in [
            "DOTS",
            "DOTS:data.tcp",
            "DOTS-CALL-HOME:signal.udp",
            "SIP+D2U",
            "",
            ":",
        ] {
            assert_eq!(leads(other), [], "{other}");
        }
        let data = record("a", "DOTS:data.tcp", "").unwrap();
        assert_eq!(
            data.leads_to(ApplicationService::Dots, &[DataTcp]),
            [DataTcp]
        );
        let home = record("s", "DOTS-CALL-HOME:signal.udp", "").unwrap();
        let found = home.leads_to(ApplicationService::DotsCallHome, &wanted);
        assert_eq!(found, [SignalUdp]);

        assert_eq!(record("u", "DOTS:signal.udp", ""), None);
        assert_eq!(record("s", "DOTS:signal.udp", "!.*!x!"), None);
    }
}
