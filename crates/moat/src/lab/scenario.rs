//! The scenarios, as data: who is there, who is attacked, who must be asked.

use super::error::Error;

/// A version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// A provider's network in one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    /// All of the provider's own space.
    pub(crate) provider_net: &'static str,
    /// What it assigned to the customer.
    pub(crate) customer_net: &'static str,
    /// The home router's address on the uplink, in [`Self::customer_net`].
    pub(crate) home: &'static str,
    /// The home router's address on the LAN.
    pub(crate) lan_router: &'static str,
    /// Prefix length of the LAN.
    pub(crate) lan_length: u8,
    /// The victim's address.
    pub(crate) victim: &'static str,
    /// The edge's address on the customer's link.
    pub(crate) edge: &'static str,
    /// The DOTS server's address, on the edge.
    pub(crate) dots_server: &'static str,
}

/// A provider: an edge with a DOTS server, a prefix for the customer, one provisioning domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provider {
    /// PvD ID (RFC 8801 §3).
    pub(crate) pvd: &'static str,
    /// Name of its edge's namespace.
    pub(crate) node: &'static str,
    /// The home router's interface towards it.
    pub(crate) uplink: &'static str,
    /// Reference identifier of its DOTS server.
    pub(crate) dots_name: &'static str,
    /// IPv4.
    pub(crate) v4: Family,
    /// IPv6.
    pub(crate) v6: Family,
}

impl Provider {
    /// Both address families.
    pub(crate) fn families(&self) -> [(Version, &Family); 2] {
        [(Version::V4, &self.v4), (Version::V6, &self.v6)]
    }

    /// The victim's addresses from this provider.
    pub(crate) fn victims(&self) -> [&'static str; 2] {
        [self.v4.victim, self.v6.victim]
    }
}

/// The fixed network.
pub(crate) const FIXED: Provider = Provider {
    pvd: "fixed.example",
    node: "fixed",
    uplink: "fixed0",
    dots_name: "dots.fixed.example",
    v4: Family {
        provider_net: "203.0.113.0/24",
        customer_net: "203.0.113.0/28",
        home: "203.0.113.1",
        lan_router: "203.0.113.2",
        lan_length: 28,
        victim: "203.0.113.7",
        edge: "203.0.113.254",
        dots_server: "203.0.113.129",
    },
    v6: Family {
        provider_net: "2001:db8:f::/48",
        customer_net: "2001:db8:f:100::/56",
        home: "2001:db8:f:100::1",
        lan_router: "2001:db8:f:100::2",
        lan_length: 64,
        victim: "2001:db8:f:100::7",
        edge: "2001:db8:f::1",
        dots_server: "2001:db8:f::4646",
    },
};

/// The mobile network.
pub(crate) const MOBILE: Provider = Provider {
    pvd: "mobile.example",
    node: "mobile",
    uplink: "mobile0",
    dots_name: "dots.mobile.example",
    v4: Family {
        provider_net: "198.51.100.0/24",
        customer_net: "198.51.100.0/28",
        home: "198.51.100.1",
        lan_router: "198.51.100.2",
        lan_length: 28,
        victim: "198.51.100.7",
        edge: "198.51.100.254",
        dots_server: "198.51.100.129",
    },
    v6: Family {
        provider_net: "2001:db8:a::/48",
        customer_net: "2001:db8:a:100::/56",
        home: "2001:db8:a:100::1",
        lan_router: "2001:db8:a:100::2",
        lan_length: 64,
        victim: "2001:db8:a:100::7",
        edge: "2001:db8:a::1",
        dots_server: "2001:db8:a::4646",
    },
};

/// What happens and what must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// One line about it.
    pub(crate) summary: &'static str,
    /// The customer's providers.
    pub(crate) providers: &'static [Provider],
    /// PvD IDs whose addresses of the victim are attacked, and for which help is asked in one call.
    pub(crate) attacked: &'static [&'static str],
    /// PvD IDs whose DOTS server must be asked, each for its own addresses; all others must not be.
    pub(crate) asked: &'static [&'static str],
}

static SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "residential",
        summary: "a home with a fixed and a mobile uplink; addresses of the fixed network are attacked",
        providers: &[FIXED, MOBILE],
        attacked: &[FIXED.pvd],
        asked: &[FIXED.pvd],
    },
    Scenario {
        name: "residential-both",
        summary: "a home with a fixed and a mobile uplink; addresses of both networks are attacked",
        providers: &[FIXED, MOBILE],
        attacked: &[FIXED.pvd, MOBILE.pvd],
        asked: &[FIXED.pvd, MOBILE.pvd],
    },
];

/// All scenarios, in the order to show them.
pub(crate) fn scenarios() -> &'static [Scenario] {
    &SCENARIOS
}

/// The scenario of this name.
pub(super) fn find(name: &str) -> Result<&'static Scenario, Error> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| Error::UnknownScenario {
            name: name.to_owned(),
            known: SCENARIOS
                .iter()
                .map(|scenario| scenario.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl Scenario {
    /// The providers whose addresses are attacked.
    pub(crate) fn attacked_providers(&self) -> impl Iterator<Item = &'static Provider> {
        self.providers
            .iter()
            .filter(|provider| self.attacked.contains(&provider.pvd))
    }

    /// The addresses that are attacked, and that help is asked for.
    pub(crate) fn targets(&self) -> Vec<&'static str> {
        self.attacked_providers()
            .flat_map(Provider::victims)
            .collect()
    }
}
