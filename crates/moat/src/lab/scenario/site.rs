//! What the scenarios have in common: the sites of RFC 9284's figures, with their routers, clients and gateways.

use super::network::{
    DotsClient, EAST, FIXED, Gateway, ISP1, ISP2, MOBILE, Place, Router, Upstream, WEST,
};
use super::{Asked, Course, Credentials, Known, Scenario, Space};
use crate::lab::plan::{VERSIONS, Version};

pub(super) const OF_FIXED: Space = Space::Assigned(FIXED.pvd);
pub(super) const OF_MOBILE: Space = Space::Assigned(MOBILE.pvd);
pub(super) const OF_ISP1: Space = Space::Assigned(ISP1.pvd);
pub(super) const OF_ISP2: Space = Space::Assigned(ISP2.pvd);
pub(super) const OF_WEST: Space = Space::Assigned(WEST.pvd);

const TO_FIXED: Upstream = Upstream::Server(FIXED.pvd);
const TO_MOBILE: Upstream = Upstream::Server(MOBILE.pvd);
pub(super) const TO_ISP1: Upstream = Upstream::Server(ISP1.pvd);
pub(super) const TO_ISP2: Upstream = Upstream::Server(ISP2.pvd);
pub(super) const TO_WEST: Upstream = Upstream::Server(WEST.pvd);
pub(super) const TO_EAST: Upstream = Upstream::Server(EAST.pvd);

const fn router(node: &'static str, uplinks: &'static [Upstream]) -> Router {
    Router { node, uplinks }
}

const HOME: Router = router("home", &[TO_FIXED, TO_MOBILE]);
pub(super) const CPE: Router = router("cpe", &[TO_ISP1, TO_ISP2]);

/// The routers of a site that has one for each of two providers (Figures 4 and 9).
pub(super) const ROUTERS: &[Router] = &[RTR1, RTR2];
pub(super) const RTR1: Router = router("rtr1", &[TO_ISP1]);
pub(super) const RTR2: Router = router("rtr2", &[TO_ISP2]);

/// The same where both providers are one.
pub(super) const TO_ONE_1: Router = router("rtr1", &[TO_WEST]);
pub(super) const TO_ONE_2: Router = router("rtr2", &[TO_EAST]);

/// A router with both attachments to one provider.
pub(super) const BOTH: Router = router("cpe", &[TO_WEST, TO_EAST]);

/// A client on a router, which asks for that router's providers.
pub(super) const fn on_router(router: Router) -> DotsClient {
    DotsClient {
        name: router.node,
        place: Place::Router,
        upstreams: router.uplinks,
        versions: &VERSIONS,
        is_alarmed: true,
    }
}

/// A home as in Figure 5: `name`, `summary`, `attacked` and `asked` are still to be filled in.
pub(super) const RESIDENTIAL: Scenario = Scenario {
    name: "",
    figure: "Figure 5",
    summary: "",
    providers: &[FIXED, MOBILE],
    routers: &[HOME],
    gateways: &[],
    has_own: false,
    clients: &[on_router(HOME)],
    known: Known::Written,
    credentials: Credentials::Certificates,
    course: Course::Attack,
    attacked: &[],
    asked: &[],
};

/// The client on the first of the hosts of Figure 7, which gets the alarms.
pub(super) const C1: DotsClient = DotsClient {
    name: "c1",
    place: Place::Host(11),
    upstreams: &[TO_ISP1, TO_ISP2],
    versions: &VERSIONS,
    is_alarmed: true,
};

/// The second, which has IPv4 only.
pub(super) const C2: DotsClient = DotsClient {
    name: "c2",
    place: Place::Host(12),
    versions: &[Version::V4],
    is_alarmed: false,
    ..C1
};

/// The third, which has IPv6 only.
pub(super) const C3: DotsClient = DotsClient {
    name: "c3",
    place: Place::Host(13),
    versions: &[Version::V6],
    is_alarmed: false,
    ..C1
};

/// An enterprise as in Figure 7: `name`, `summary`, `attacked` and `asked` are still to be filled in.
pub(super) const DIRECT: Scenario = Scenario {
    figure: "Figure 7",
    providers: &[ISP1, ISP2],
    routers: &[CPE],
    clients: &[C1, C2, C3],
    ..RESIDENTIAL
};

/// The gateway of Figure 6.
pub(super) const G: Gateway = Gateway {
    pvd: "cpe.site.example",
    dots_name: "dots.cpe.site.example",
    client: on_router(CPE),
};

pub(super) const TO_G: &[Upstream] = &[Upstream::Gateway(G.pvd)];

/// The gateways of Figure 9.
pub(super) const G1: Gateway = Gateway {
    pvd: "rtr1.site.example",
    dots_name: "dots.rtr1.site.example",
    client: on_router(RTR1),
};
pub(super) const G2: Gateway = Gateway {
    pvd: "rtr2.site.example",
    dots_name: "dots.rtr2.site.example",
    client: on_router(RTR2),
};

/// A client with these servers or gateways.
pub(super) const fn at(client: DotsClient, upstreams: &'static [Upstream]) -> DotsClient {
    DotsClient {
        upstreams,
        ..client
    }
}

/// A client that gets alarms, too.
pub(super) const fn told(client: DotsClient) -> DotsClient {
    DotsClient {
        is_alarmed: true,
        ..client
    }
}

/// Clients on hosts with these servers or gateways; the first of them gets the alarms.
pub(super) const fn on_hosts(upstreams: &'static [Upstream]) -> [DotsClient; 3] {
    [at(C1, upstreams), at(C2, upstreams), at(C3, upstreams)]
}

/// An enterprise with a gateway as in Figure 6.
pub(super) const GATEWAY: Scenario = Scenario {
    figure: "Figure 6",
    gateways: &[G],
    clients: &on_hosts(TO_G),
    ..DIRECT
};

/// An enterprise with gateways as in Figure 9.
pub(super) const GATEWAYS: Scenario = Scenario {
    figure: "Figure 9",
    routers: ROUTERS,
    gateways: &[G1, G2],
    clients: &on_hosts(&[Upstream::Gateway(G1.pvd), Upstream::Gateway(G2.pvd)]),
    ..DIRECT
};

/// Two attachments to one provider (Section 5.4), each at a router of its own.
pub(super) const ONE_PROVIDER: Scenario = Scenario {
    providers: &[WEST, EAST],
    routers: &[TO_ONE_1, TO_ONE_2],
    attacked: &[OF_WEST],
    ..DIRECT
};

pub(super) const fn asked(
    client: &'static str,
    pvd: &'static str,
    spaces: &'static [Space],
) -> Asked {
    Asked {
        client,
        pvd,
        spaces,
        is_accepted: true,
    }
}

/// What a gateway must reject.
pub(super) const fn rejected(
    client: &'static str,
    pvd: &'static str,
    spaces: &'static [Space],
) -> Asked {
    Asked {
        is_accepted: false,
        ..asked(client, pvd, spaces)
    }
}
