//! The next hops of one PvD: next hop and source address come from the same one (RFC 7556 §5.2.2, RFC 8801 §4.1).

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// By whom what leaves with an address of a PvD may be passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    routers: Vec<Ipv6Addr>,
    routes: Vec<(Ipv6Net, Ipv6Addr)>,
    on_link: Vec<Ipv6Net>,
    tunnel: Option<Vec<IpNet>>,
}

impl NextHops {
    /// Of its default routers, its routes with their routers, and its prefixes that are neighbours.
    pub fn new(
        routers: impl IntoIterator<Item = Ipv6Addr>,
        routes: impl IntoIterator<Item = (Ipv6Net, Ipv6Addr)>,
        on_link: impl IntoIterator<Item = Ipv6Net>,
    ) -> Self {
        Self {
            routers: routers.into_iter().collect(),
            routes: routes.into_iter().collect(),
            on_link: on_link.into_iter().collect(),
            tunnel: None,
        }
    }

    /// Of a tunnel, which takes what is for these, and hides it from whoever passes it on.
    pub fn of_tunnel(reaches: Vec<IpNet>) -> Self {
        Self {
            tunnel: Some(reaches),
            ..Self::default()
        }
    }

    /// Whether the PvD passes on by this gateway what is for this destination; `None`: it is a neighbour.
    pub fn admit(&self, destination: IpAddr, gateway: Option<IpAddr>) -> bool {
        if let Some(reaches) = &self.tunnel {
            return reaches.iter().any(|prefix| prefix.contains(&destination));
        }
        match (destination, gateway) {
            (IpAddr::V6(destination), None) => {
                destination.is_unicast_link_local()
                    || self.on_link.iter().any(|it| it.contains(&destination))
            }
            (IpAddr::V6(destination), Some(gateway)) => {
                let mut routes = self.routes.iter();
                let is_route = |(prefix, router): &(Ipv6Net, Ipv6Addr)| {
                    IpAddr::V6(*router) == gateway && prefix.contains(&destination)
                };
                self.routers
                    .iter()
                    .any(|router| IpAddr::V6(*router) == gateway)
                    || routes.any(is_route)
            }
            // Router Advertisements say nothing of the ways of IPv4.
            (IpAddr::V4(_), _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: P-017, P-031
    #[test]
    fn a_pvd_is_left_by_its_own_routers_alone() {
        let hops = NextHops::new(
            ["fe80::1".parse().unwrap()],
            [(
                "2001:db8:5::/48".parse().unwrap(),
                "fe80::5".parse().unwrap(),
            )],
            ["2001:db8:f::/64".parse().unwrap()],
        );
        for (destination, gateway, is_admitted) in [
            ("2001:db8:9::1", Some("fe80::1"), true),
            ("2001:db8:9::1", Some("fe80::2"), false),
            ("2001:db8:9::1", Some("fe80::5"), false),
            ("2001:db8:5::1", Some("fe80::5"), true),
            ("2001:db8:f::53", None, true),
            ("2001:db8:a::53", None, false),
            ("fe80::9", None, true),
            ("192.0.2.1", Some("198.51.100.1"), true),
        ] {
            let gateway = gateway.map(|it| it.parse().unwrap());
            let admitted = hops.admit(destination.parse().unwrap(), gateway);
            assert_eq!(admitted, is_admitted, "{destination} by {gateway:?}");
        }
        let tunnel = NextHops::of_tunnel(vec!["2001:db8:c::/48".parse().unwrap()]);
        let outer = Some("fe80::1".parse().unwrap());
        assert!(tunnel.admit("2001:db8:c::1".parse().unwrap(), outer));
        assert!(!tunnel.admit("2001:db8:9::1".parse().unwrap(), outer));
    }
}
