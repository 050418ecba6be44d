//! What strongSwan tells of an IKEv2 tunnel: the environment of the command that `updown` names in swanctl.conf.
//!
//! ```text
//! PLUTO_VERB             up-client, up-client-v6, up-host, ...; down-...
//! PLUTO_PEER_ID          who the responder has proved to be (IDr, RFC 7296 §3.5): the PvD ID
//! PLUTO_ME, PLUTO_PEER   the outer addresses
//! PLUTO_MY_SOURCEIP4_1   virtual addresses (INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS), else PLUTO_MY_CLIENT, if that is one address
//! PLUTO_MY_CLIENT        one of TSi; PLUTO_PEER_CLIENT: one of TSr. The command is run for each pair.
//! PLUTO_DNS4_1           resolvers (INTERNAL_IP4_DNS, INTERNAL_IP6_DNS), where charon.plugins.updown.dns_handler = yes
//! PLUTO_IF_ID_OUT        packets come through an XFRM interface with this id, and no others go in
//! ```
//! There is no payload that names a PvD; who the responder is says it (RFC 7556 §3.5 leaves it open).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::tunnel::{Ends, MAX_ENTRIES, Tunnel, TunnelFacts, Unusable};
use crate::identifier::{IdentifierError, PvdId};

/// Octets of a value that are read; a name has 255.
const LONGEST_VALUE: usize = 512;

/// What has become of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it is there, or is no more.
    pub is_up: bool,
    /// The part of it that this is about.
    pub tunnel: Tunnel,
}

/// Why nothing is learned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not run by strongSwan.
    #[error("{0} is not set: this is for strongSwan to run, named by `updown` in swanctl.conf")]
    Missing(&'static str),
    /// A value is none of its kind.
    #[error("{variable} is {value:?}, and should be {expected}")]
    Value {
        /// Of which variable.
        variable: String,
        /// The beginning of it.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The responder has proved to be somebody, and his name is no domain name.
    #[error(
        "PLUTO_PEER_ID is {value:?}, which names no PvD: {why}; let the responder authenticate as a domain name (remote {{ id = vpn.example }})"
    )]
    Nameless {
        /// Who it is.
        value: String,
        /// What is wrong with that.
        why: IdentifierError,
    },
    /// It takes a part of the traffic.
    #[error(
        "its traffic selectors take protocol {0} alone, and a PvD is a way for all traffic of its addresses"
    )]
    Protocol(u8),
    /// There is no PvD in it.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Reads what strongSwan tells.
///
/// # Errors
/// [`Unreadable`]
pub fn read(environment: impl IntoIterator<Item = (String, String)>) -> Result<Report, Unreadable> {
    let variables = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with("PLUTO_"));
    let variables = Variables(variables.collect());
    let is_up = match variables.text("PLUTO_VERB")? {
        verb if verb.starts_with("up-") => true,
        verb if verb.starts_with("down-") => false,
        verb => return Err(value("PLUTO_VERB", verb, "up-... or down-...")),
    };
    for name in ["PLUTO_MY_PROTOCOL", "PLUTO_PEER_PROTOCOL"] {
        match variables.optional::<u8>(name, "a protocol number")? {
            None | Some(0) => {}
            Some(protocol) => return Err(Unreadable::Protocol(protocol)),
        }
    }
    let inner: IpNet = variables.parsed("PLUTO_MY_CLIENT", PREFIX)?;
    let mut addresses = variables.numbered("PLUTO_MY_SOURCEIP")?;
    addresses.extend(variables.optional::<IpAddr>("PLUTO_MY_SOURCEIP", ADDRESS)?);
    if addresses.is_empty() && inner.prefix_len() == inner.max_prefix_len() {
        addresses.push(inner.addr());
    }
    // To an XFRM interface packets are routed; nothing else goes into it, whatever the selector says.
    let if_id = variables.optional::<u32>("PLUTO_IF_ID_OUT", "a number")?;
    let sources = match if_id {
        None | Some(0) => vec![inner],
        Some(_) => Vec::new(),
    };
    let facts = TunnelFacts {
        pvd: variables.peer()?,
        ends: vec![Ends {
            own: variables.parsed("PLUTO_ME", ADDRESS)?,
            gateway: variables.parsed("PLUTO_PEER", ADDRESS)?,
        }],
        addresses,
        sources,
        reaches: vec![variables.parsed("PLUTO_PEER_CLIENT", PREFIX)?],
        resolvers: variables.numbered("PLUTO_DNS")?,
        search: Vec::new(),
    };
    let tunnel = Tunnel::new(facts)?;
    Ok(Report { is_up, tunnel })
}

const ADDRESS: &str = "an address";
const PREFIX: &str = "a prefix";

struct Variables(BTreeMap<String, String>);

impl Variables {
    fn text(&self, name: &'static str) -> Result<&str, Unreadable> {
        let text = self.0.get(name).ok_or(Unreadable::Missing(name))?;
        match text.len() <= LONGEST_VALUE {
            true => Ok(text),
            false => Err(value(name, text, "shorter")),
        }
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, Unreadable> {
        let text = self.text(name)?;
        text.parse().map_err(|_| value(name, text, expected))
    }

    fn optional<T: std::str::FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, Unreadable> {
        match self.0.contains_key(name) {
            true => self.parsed(name, expected).map(Some),
            false => Ok(None),
        }
    }

    /// The addresses of `NAME4_1`, `NAME4_2`, ... and then those of `NAME6_1`, ...
    fn numbered(&self, name: &str) -> Result<Vec<IpAddr>, Unreadable> {
        let mut addresses = Vec::new();
        for family in ["4", "6"] {
            for number in 1..=MAX_ENTRIES {
                let name = format!("{name}{family}_{number}");
                let Some(text) = self.0.get(&name) else { break };
                let address = text.parse().map_err(|_| value(&name, text, ADDRESS))?;
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn peer(&self) -> Result<PvdId, Unreadable> {
        let text = self.text("PLUTO_PEER_ID")?;
        if text.parse::<IpAddr>().is_ok() {
            return Err(value("PLUTO_PEER_ID", text, "a domain name"));
        }
        text.parse().map_err(|why| Unreadable::Nameless {
            value: shown(text),
            why,
        })
    }
}

fn value(variable: &str, value: &str, expected: &'static str) -> Unreadable {
    Unreadable::Value {
        variable: variable.to_owned(),
        value: shown(value),
        expected,
    }
}

fn shown(value: &str) -> String {
    value.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As charon 5.9 gives it for a tunnel with a virtual address.
    const UP: &[(&str, &str)] = &[
        ("PLUTO_VERSION", "1.1"),
        ("PLUTO_VERB", "up-client"),
        ("PLUTO_CONNECTION", "office"),
        ("PLUTO_INTERFACE", "fixed0"),
        ("PLUTO_REQID", "1"),
        ("PLUTO_PROTO", "esp"),
        ("PLUTO_UNIQUEID", "1"),
        ("PLUTO_ME", "2001:db8:f::5"),
        ("PLUTO_MY_ID", "laptop.example"),
        ("PLUTO_MY_CLIENT", "10.9.0.5/32"),
        ("PLUTO_MY_PORT", "0"),
        ("PLUTO_MY_PROTOCOL", "0"),
        ("PLUTO_PEER", "2001:db8:b::1"),
        ("PLUTO_PEER_ID", "Office.Example"),
        ("PLUTO_PEER_CLIENT", "10.1.0.0/16"),
        ("PLUTO_PEER_PORT", "0"),
        ("PLUTO_PEER_PROTOCOL", "0"),
        ("PLUTO_MY_SOURCEIP", "10.9.0.5"),
        ("PLUTO_MY_SOURCEIP4_1", "10.9.0.5"),
        ("PLUTO_MY_SOURCEIP6_1", "2001:db8:9::5"),
        ("PLUTO_DNS4_1", "10.1.0.53"),
        ("PLUTO_DNS6_1", "2001:db8:1::53"),
    ];

    fn environment(changes: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
        let mut all: BTreeMap<_, _> = UP.iter().copied().collect();
        for (name, value) in changes {
            match value {
                Some(value) => all.insert(name, value),
                None => all.remove(name),
            };
        }
        let owned = all.into_iter();
        owned
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Covers: P-034
    #[test]
    fn the_responder_names_the_pvd_and_the_configuration_payload_fills_it() {
        let report = read(environment(&[])).unwrap();
        assert!(report.is_up);
        let facts = report.tunnel.facts();
        assert_eq!(facts.pvd.as_str(), "office.example");
        let said = |list: &[IpAddr]| Vec::from_iter(list.iter().map(ToString::to_string));
        assert_eq!(said(&facts.addresses), ["10.9.0.5", "2001:db8:9::5"]);
        assert_eq!(said(&facts.resolvers), ["10.1.0.53", "2001:db8:1::53"]);
        assert_eq!(facts.reaches, ["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(facts.sources, ["10.9.0.5/32".parse().unwrap()]);
        let ends = Ends {
            own: "2001:db8:f::5".parse().unwrap(),
            gateway: "2001:db8:b::1".parse().unwrap(),
        };
        assert_eq!(facts.ends, [ends]);

        let down = read(environment(&[("PLUTO_VERB", Some("down-client-v6"))])).unwrap();
        assert!(!down.is_up && down.tunnel == report.tunnel);
    }

    #[test]
    fn without_a_virtual_address_a_selector_of_one_address_is_the_own_one() {
        let none: [(&str, Option<&str>); 3] = [
            ("PLUTO_MY_SOURCEIP", None),
            ("PLUTO_MY_SOURCEIP4_1", None),
            ("PLUTO_MY_SOURCEIP6_1", None),
        ];
        let report = read(environment(&none)).unwrap();
        let own: IpAddr = "10.9.0.5".parse().unwrap();
        assert_eq!(report.tunnel.facts().addresses, [own]);
        let wide = [none.as_slice(), &[("PLUTO_MY_CLIENT", Some("10.9.0.0/24"))]].concat();
        assert_eq!(
            read(environment(&wide)),
            Err(Unreadable::Unusable(Unusable::None("addresses")))
        );
    }

    /// A tunnel that everything could go into takes what is routed to its interface, and nothing else.
    #[test]
    fn an_xfrm_interface_takes_only_what_is_routed_to_it() {
        let all = ("PLUTO_MY_CLIENT", Some("0.0.0.0/0"));
        let sources = |changes: &[(&str, Option<&str>)]| {
            let report = read(environment(changes)).unwrap();
            report.tunnel.facts().sources.clone()
        };
        assert_eq!(sources(&[all]), ["0.0.0.0/0".parse().unwrap()]);
        assert_eq!(
            sources(&[all, ("PLUTO_IF_ID_OUT", Some("42"))]),
            [
                "10.9.0.5/32".parse().unwrap(),
                "2001:db8:9::5/128".parse().unwrap()
            ]
        );
    }

    /// Covers: P-034
    #[test]
    fn what_makes_no_pvd_is_refused_with_the_variable_at_fault() {
        let cases = [
            (("PLUTO_VERB", None), "PLUTO_VERB is not set"),
            (("PLUTO_VERB", Some("route-client")), "should be up-"),
            (
                ("PLUTO_PEER_ID", Some("192.0.2.1")),
                "should be a domain name",
            ),
            (
                ("PLUTO_PEER_ID", Some("2001:db8::1")),
                "should be a domain name",
            ),
            (
                ("PLUTO_PEER_ID", Some("C=XX, CN=office.example")),
                "names no PvD",
            ),
            (
                ("PLUTO_PEER_ID", Some("vpn@office.example")),
                "names no PvD",
            ),
            (("PLUTO_PEER_ID", Some("%any")), "names no PvD"),
            (
                ("PLUTO_PEER_CLIENT", Some("10.1.0.0/33")),
                "should be a prefix",
            ),
            (("PLUTO_PEER_PROTOCOL", Some("17")), "protocol 17 alone"),
            (
                ("PLUTO_ME", Some("192.0.2.5")),
                "cannot lead from 192.0.2.5",
            ),
            (
                ("PLUTO_DNS4_1", Some("127.0.0.53")),
                "127.0.0.53 can be none of its resolvers",
            ),
            (("PLUTO_DNS4_1", Some("dns")), "PLUTO_DNS4_1 is \"dns\""),
            (
                ("PLUTO_MY_SOURCEIP4_1", Some("224.0.0.1")),
                "can be none of its addresses",
            ),
        ];
        for (change, expected) in cases {
            let refused = read(environment(&[change])).unwrap_err().to_string();
            assert!(refused.contains(expected), "{change:?}: {refused}");
        }
    }

    #[test]
    fn parts_of_a_connection_are_joined_within_a_limit() {
        let part = |client: &str| {
            let report = read(environment(&[("PLUTO_PEER_CLIENT", Some(client))]));
            report.unwrap().tunnel
        };
        let mut all = part("10.0.0.0/16");
        assert!(all.is_same_part(&part("10.0.0.1/16")) && !all.is_same_part(&part("10.1.0.0/16")));
        for number in 1..MAX_ENTRIES {
            all = all.join(&part(&format!("10.{number}.0.0/16"))).unwrap();
        }
        assert_eq!(all.facts().reaches.len(), MAX_ENTRIES);
        assert_eq!(all.facts().resolvers.len(), 2);
        assert_eq!(all.join(&part("10.3.0.0/16")), Ok(all.clone()));
        assert_eq!(
            all.join(&part("10.99.0.0/16")),
            Err(Unusable::TooMany("prefixes"))
        );
    }

    proptest! {
        /// Whatever one variable says.
        #[test]
        fn any_value_is_read_or_refused(place in 0..UP.len(), text in ".{0,600}") {
            let (name, _) = UP[place];
            if let Ok(report) = read(environment(&[(name, Some(&text))])) {
                prop_assert_eq!(Tunnel::new(report.tunnel.facts().clone()), Ok(report.tunnel));
            }
        }
    }
}
