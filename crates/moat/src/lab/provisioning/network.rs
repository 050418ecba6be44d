//! The uplinks, as data, and the network that is built of them.

use std::net::IpAddr;

use crate::lab::error::Error;
use crate::lab::measure;
use crate::lab::netns::Netns;
use crate::lab::plan::{
    ATTACKER, ATTACKER_NETS, INTERNET, Net, TARGET_PORT, VISITOR, VISITOR_NETS, Version,
};
use crate::lab::topology::{Node, Topology};

/// The host that knows PvDs.
pub(super) const HOME: &str = "home";
/// A host that does not.
pub(super) const PLAIN: &str = "plain";
/// What the addresses of [`HOME`] end in.
pub(super) const HOME_NUMBER: u8 = 7;
/// The same of [`PLAIN`].
pub(super) const PLAIN_NUMBER: u8 = 8;

/// The table with an edge's counters.
const TABLE: &str = "lab";
/// The counter of packets whose source the network did not assign.
const WRONG_SOURCE: &str = "wrong_source";
/// The counter of attack packets that come to the edge, before the filter of its DOTS server.
const ATTACK_OFFERED: &str = "attack_offered";
/// The counter of those that pass it.
const ATTACK_PASSED: &str = "attack_passed";

/// What an edge has counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Packets from hosts whose source is not of this network: none is forwarded.
    pub(super) wrong_source: u64,
    pub(super) attack_offered: u64,
    pub(super) attack_passed: u64,
}

/// A router, its link to hosts, and the network behind it.
#[derive(Debug)]
pub(super) struct Uplink {
    /// The router's namespace.
    pub(super) node: &'static str,
    /// The switch of the link.
    pub(super) link: &'static str,
    /// The interface at the link, of the router and of each host.
    pub(super) interface: &'static str,
    /// PvD ID.
    pub(super) pvd: &'static str,
    /// All of the provider's space.
    pub(super) net: Net,
    /// The prefix of the link.
    pub(super) assigned: Net,
    /// Another one of the same space.
    pub(super) spare: Net,
}

pub(super) const BROADBAND: Uplink = Uplink {
    node: "broadband",
    link: "broadband-link",
    interface: "broadband0",
    pvd: "broadband.example",
    net: Net::v6([0x2001, 0xdb8, 0xb, 0], 48),
    assigned: Net::v6([0x2001, 0xdb8, 0xb, 0x100], 64),
    spare: Net::v6([0x2001, 0xdb8, 0xb, 0x200], 64),
};

pub(super) const MOBILE: Uplink = Uplink {
    node: "mobile",
    link: "mobile-link",
    interface: "mobile0",
    pvd: "mobile.example",
    net: Net::v6([0x2001, 0xdb8, 0xa, 0], 48),
    assigned: Net::v6([0x2001, 0xdb8, 0xa, 0x100], 64),
    spare: Net::v6([0x2001, 0xdb8, 0xa, 0x200], 64),
};

/// Both.
pub(super) const UPLINKS: [&Uplink; 2] = [&BROADBAND, &MOBILE];

impl Uplink {
    /// Its name server.
    pub(super) fn names(&self) -> IpAddr {
        self.net.host(0x53)
    }

    /// Its PvD server.
    pub(super) fn objects(&self) -> IpAddr {
        self.net.host(0x43)
    }

    /// Its DOTS server.
    pub(super) fn dots(&self) -> IpAddr {
        self.net.host(0x46)
    }

    /// The address of [`HOME`] there.
    pub(super) fn home(&self) -> IpAddr {
        self.assigned.host(HOME_NUMBER)
    }

    /// The other one.
    pub(super) fn other(&self) -> &'static Uplink {
        if self.pvd == BROADBAND.pvd {
            &MOBILE
        } else {
            &BROADBAND
        }
    }

    /// What its edge has counted up to now.
    pub(super) fn counts(&self, edge: &Netns) -> Result<Counts, Error> {
        let counters = measure::counters(edge, TABLE)?;
        let count = |name: &str| counters.get(name).copied().unwrap_or_default();
        Ok(Counts {
            wrong_source: count(WRONG_SOURCE),
            attack_offered: count(ATTACK_OFFERED),
            attack_passed: count(ATTACK_PASSED),
        })
    }

    /// The server's own filter is at priority -300 (raw).
    fn ruleset(&self) -> String {
        let Self { interface, net, .. } = self;
        let attack = format!("udp dport {TARGET_PORT} ip6 saddr {}", ATTACKER_NETS.v6);
        format!(
            "table inet {TABLE} {{
                counter {WRONG_SOURCE} {{ }}
                counter {ATTACK_OFFERED} {{ }}
                counter {ATTACK_PASSED} {{ }}
                chain offered {{
                    type filter hook prerouting priority -400; policy accept;
                    iifname {INTERNET} {attack} counter name {ATTACK_OFFERED}
                }}
                chain passed {{
                    type filter hook forward priority 0; policy accept;
                    oifname {interface} {attack} counter name {ATTACK_PASSED}
                }}
                chain ingress {{
                    type filter hook prerouting priority -390; policy accept;
                    iifname {interface} ip6 saddr != {{ {net}, fe80::/10, :: }} counter name {WRONG_SOURCE} drop
                }}
            }}\n"
        )
    }
}

/// The network of all scenarios.
pub(super) fn topology() -> Topology {
    let mut topology = Topology::default();
    topology.add_router(INTERNET);
    topology.stub(ATTACKER, ATTACKER_NETS);
    topology.stub(VISITOR, VISITOR_NETS);
    for host in [HOME, PLAIN] {
        topology.add(host, Node::advertised());
    }
    for (number, uplink) in UPLINKS.into_iter().enumerate() {
        topology.router(number, uplink);
        for (host, end) in [(HOME, HOME_NUMBER), (PLAIN, PLAIN_NUMBER)] {
            let interface = uplink.interface;
            topology.link(host, interface, uplink.link, host);
            // What it makes of an advertised prefix ends in this.
            let token = format!("token set ::{end} dev {interface}");
            topology.ip(host, Version::V6, token);
        }
    }
    topology
}

impl Topology {
    /// A router with what is behind it, and its link.
    fn router(&mut self, number: usize, uplink: &'static Uplink) {
        let Uplink { node, link, .. } = *uplink;
        self.add_router(node);
        self.add(link, Node::switch());
        self.link(node, uplink.interface, link, "router");
        self.link(INTERNET, node, node, INTERNET);
        let [core, own] = [1, 2].map(|end| format!("fd00:{number:x}::{end}"));
        self.address(INTERNET, Version::V6, &format!("{core}/64 dev {node}"));
        self.address(node, Version::V6, &format!("{own}/64 dev {INTERNET}"));
        let on_link = uplink.assigned.on_link(1);
        let on_link = format!("{on_link} dev {}", uplink.interface);
        self.address(node, Version::V6, &on_link);
        for service in [uplink.names(), uplink.objects(), uplink.dots()] {
            self.address(node, Version::V6, &format!("{service} dev lo"));
        }
        let net = uplink.net;
        for (node, line) in [
            (INTERNET, format!("route add {net} via {own}")),
            (node, format!("route add default via {core}")),
            // What nobody has must not bounce between the router and the core.
            (node, format!("route add unreachable {net}")),
        ] {
            self.ip(node, Version::V6, line);
        }
        self.node(node).filter(&uplink.ruleset());
    }
}
