//! What networks consist of: attachments to providers, routers, DOTS clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lab::plan::{Net, Nets, Version};

/// An attachment to a provider: an edge with a DOTS server, prefixes for the site, one provisioning domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provider {
    /// PvD ID (RFC 8801 §3).
    pub(crate) pvd: &'static str,
    /// Who is behind it, where there are several attachments to one provider.
    pub(crate) organisation: Option<&'static str>,
    /// Name of the edge's namespace. Attachments to one provider may share it, and with it the DOTS server.
    pub(crate) node: &'static str,
    /// The interface of the link between the site's router and the edge, on both sides.
    pub(crate) uplink: &'static str,
    /// Reference identifier of its DOTS server.
    pub(crate) dots_name: &'static str,
    /// All of the provider's own space.
    pub(crate) nets: Nets,
    /// What it assigned to the site for this attachment.
    pub(crate) assigned: Nets,
    /// The edge's addresses on the site's link.
    pub(crate) edge: [IpAddr; 2],
    /// The DOTS server's addresses, on the edge.
    pub(crate) dots_server: [IpAddr; 2],
}

/// A router of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Router {
    /// Name of its namespace.
    pub(crate) node: &'static str,
    /// Its attachments, by the DOTS server of each.
    pub(crate) uplinks: &'static [Upstream],
}

/// A DOTS client of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DotsClient {
    /// Its name, and that of the namespace it is in.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) place: Place,
    /// With whom it has sessions.
    pub(crate) upstreams: &'static [Upstream],
    /// Over what it reaches them; a host has addresses of these only.
    pub(crate) versions: &'static [Version],
    /// Whether it is told of attacks.
    pub(crate) is_alarmed: bool,
}

/// A DOTS gateway of the site, on one of its routers: for the inside a server, for the outside the client of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gateway {
    /// PvD ID, as clients of the site know it.
    pub(crate) pvd: &'static str,
    /// Its reference identifier as a DOTS server.
    pub(crate) dots_name: &'static str,
    /// What it is to the outside; its name is that of the router.
    pub(crate) client: DotsClient,
}

/// Where a DOTS client is (RFC 9284, Table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the site's router.
    Router,
    /// On a host of its own, with this number in the networks of the site.
    Host(u8),
}

/// With whom a client has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// The DOTS server of the attachment with this PvD ID.
    Server(&'static str),
    /// The gateway with this PvD ID, whose provider's prefixes the client does not know.
    Gateway(&'static str),
    /// The gateway with this PvD ID, for the prefixes of its providers only.
    GatewayFor(&'static str),
}

impl Upstream {
    /// The PvD, as the client names it.
    pub(crate) fn pvd(self) -> &'static str {
        match self {
            Upstream::Server(pvd) | Upstream::Gateway(pvd) | Upstream::GatewayFor(pvd) => pvd,
        }
    }
}

impl Provider {
    /// The DOTS server's addresses in these versions.
    pub(crate) fn server_addresses(&self, versions: &[Version]) -> Vec<IpAddr> {
        of(self.dots_server, versions)
    }

    /// The edge's addresses on the site's link in these versions: a name server is there, too.
    pub(crate) fn edge_addresses(&self, versions: &[Version]) -> Vec<IpAddr> {
        of(self.edge, versions)
    }
}

fn of([v4, v6]: [IpAddr; 2], versions: &[Version]) -> Vec<IpAddr> {
    let address = |version: &Version| match version {
        Version::V4 => v4,
        Version::V6 => v6,
    };
    versions.iter().map(address).collect()
}

/// An address of each version: the second by its first three numbers and its last.
const fn pair(v4: [u8; 4], [a, b, c, last]: [u16; 4]) -> [IpAddr; 2] {
    let [first, second, third, fourth] = v4;
    [
        IpAddr::V4(Ipv4Addr::new(first, second, third, fourth)),
        IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)),
    ]
}

/// The fixed network.
pub(crate) const FIXED: Provider = Provider {
    pvd: "fixed.example",
    organisation: None,
    node: "fixed",
    uplink: "fixed0",
    dots_name: "dots.fixed.example",
    nets: Nets {
        v4: Net::v4([203, 0, 113, 0], 24),
        v6: Net::v6([0x2001, 0xdb8, 0xf, 0], 48),
    },
    assigned: Nets {
        v4: Net::v4([203, 0, 113, 0], 28),
        v6: Net::v6([0x2001, 0xdb8, 0xf, 0x100], 56),
    },
    edge: pair([203, 0, 113, 254], [0x2001, 0xdb8, 0xf, 1]),
    dots_server: pair([203, 0, 113, 129], [0x2001, 0xdb8, 0xf, 0x4646]),
};

/// The mobile network.
pub(crate) const MOBILE: Provider = Provider {
    pvd: "mobile.example",
    organisation: None,
    node: "mobile",
    uplink: "mobile0",
    dots_name: "dots.mobile.example",
    nets: Nets {
        v4: Net::v4([198, 51, 100, 0], 24),
        v6: Net::v6([0x2001, 0xdb8, 0xa, 0], 48),
    },
    assigned: Nets {
        v4: Net::v4([198, 51, 100, 0], 28),
        v6: Net::v6([0x2001, 0xdb8, 0xa, 0x100], 56),
    },
    edge: pair([198, 51, 100, 254], [0x2001, 0xdb8, 0xa, 1]),
    dots_server: pair([198, 51, 100, 129], [0x2001, 0xdb8, 0xa, 0x4646]),
};

/// The first of an enterprise's providers.
pub(crate) const ISP1: Provider = Provider {
    pvd: "isp1.example",
    node: "isp1",
    uplink: "isp1",
    dots_name: "dots.isp1.example",
    ..FIXED
};

/// The second.
pub(crate) const ISP2: Provider = Provider {
    pvd: "isp2.example",
    node: "isp2",
    uplink: "isp2",
    dots_name: "dots.isp2.example",
    ..MOBILE
};

/// The addresses of a DOTS server that two providers have, an anycast address in each version.
const ANYCAST: [IpAddr; 2] = pair([192, 0, 2, 100], [0x2001, 0xdb8, 0x46, 0x4646]);

/// The first of an enterprise's providers, where both have their servers at one address.
pub(crate) const ISP1_ANYCAST: Provider = Provider {
    dots_server: ANYCAST,
    ..ISP1
};

/// The second.
pub(crate) const ISP2_ANYCAST: Provider = Provider {
    dots_server: ANYCAST,
    ..ISP2
};

/// The first of two attachments to one provider, with one DOTS server.
pub(crate) const WEST: Provider = Provider {
    pvd: "west.isp.example",
    organisation: Some("isp.example"),
    node: "isp",
    uplink: "west",
    dots_name: "dots.isp.example",
    ..FIXED
};

/// The second.
pub(crate) const EAST: Provider = Provider {
    pvd: "east.isp.example",
    uplink: "east",
    assigned: Nets {
        v4: Net::v4([203, 0, 113, 16], 28),
        v6: Net::v6([0x2001, 0xdb8, 0xf, 0x200], 56),
    },
    edge: pair([203, 0, 113, 253], [0x2001, 0xdb8, 0xf, 2]),
    ..WEST
};
