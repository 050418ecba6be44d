//! All scenarios. Sections, figures and the table are those of RFC 9284.

use super::network::{
    FIXED, Gateway, ISP1, ISP1_ANYCAST, ISP2, ISP2_ANYCAST, MOBILE, Upstream, WEST,
};
use super::site::{
    BOTH, C1, C2, C3, CPE, DIRECT, G, G1, G2, GATEWAY, GATEWAYS, OF_FIXED, OF_ISP1, OF_ISP2,
    OF_MOBILE, OF_WEST, ONE_PROVIDER, RESIDENTIAL, ROUTERS, RTR1, RTR2, TO_EAST, TO_G, TO_ISP1,
    TO_ISP2, TO_ONE_1, TO_ONE_2, TO_WEST, asked, at, on_hosts, on_router, rejected, told,
};
use super::{Course, Credentials, Known, Scenario, Space};
use crate::lab::plan::{Net, Nets};

/// In the order to show and to run them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "residential",
        summary: "a home with a fixed and a mobile uplink; addresses of the fixed network are attacked",
        attacked: &[OF_FIXED],
        asked: &[asked("home", FIXED.pvd, &[OF_FIXED])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-both",
        summary: "a home with a fixed and a mobile uplink, each with a shared key; addresses of both networks are attacked",
        credentials: Credentials::SharedKeys,
        attacked: &[OF_FIXED, OF_MOBILE],
        asked: &[
            asked("home", FIXED.pvd, &[OF_FIXED]),
            asked("home", MOBILE.pvd, &[OF_MOBILE]),
        ],
        ..RESIDENTIAL
    },
    Scenario {
        name: "enterprise-direct-pa",
        summary: "clients on hosts look two providers' servers up at each one's name servers; addresses that one of them assigned are attacked",
        known: Known::Resolved,
        attacked: &[OF_ISP2],
        asked: &[asked("c1", ISP2.pvd, &[OF_ISP2])],
        ..DIRECT
    },
    Scenario {
        name: "enterprise-direct-pi",
        summary: "clients on hosts look two providers' servers up at each one's name servers; addresses of the site's own are attacked over both",
        known: Known::Resolved,
        has_own: true,
        attacked: &[Space::Own],
        asked: &[
            asked("c1", ISP1.pvd, &[Space::Own]),
            asked("c1", ISP2.pvd, &[Space::Own]),
        ],
        ..DIRECT
    },
    Scenario {
        name: "single-homed-clients",
        figure: "Figure 8",
        summary: "one client for each of two providers; both are told of an attack, and one has a server for it",
        clients: &[at(C1, &[TO_ISP2]), told(at(C2, &[TO_ISP1]))],
        attacked: &[OF_ISP1],
        asked: &[asked("c2", ISP1.pvd, &[OF_ISP1])],
        ..DIRECT
    },
    Scenario {
        name: "enterprise-cpe",
        figure: "Table 1, row 2",
        summary: "the client is on the router of a site with two providers; addresses that one of them assigned are attacked",
        clients: &[on_router(CPE)],
        attacked: &[OF_ISP2],
        asked: &[asked("cpe", ISP2.pvd, &[OF_ISP2])],
        ..DIRECT
    },
    Scenario {
        name: "anycast",
        figure: "Section 5.2",
        summary: "both providers have their servers at one address, of which the client on the router warns; it asks the right one by its uplink",
        providers: &[ISP1_ANYCAST, ISP2_ANYCAST],
        clients: &[on_router(CPE)],
        attacked: &[OF_ISP2],
        asked: &[asked("cpe", ISP2.pvd, &[OF_ISP2])],
        ..DIRECT
    },
    Scenario {
        name: "enterprise-gateway-pa",
        summary: "two clients ask the gateway of the site's router, which asks the provider that assigned what is attacked, once",
        clients: &[at(C1, TO_G), told(at(C2, TO_G)), at(C3, TO_G)],
        attacked: &[OF_ISP2],
        asked: &[
            asked("c1", G.pvd, &[OF_ISP2]),
            asked("c2", G.pvd, &[OF_ISP2]),
        ],
        ..GATEWAY
    },
    Scenario {
        name: "enterprise-gateway-pi",
        summary: "a client asks the gateway of the site's router, which asks both providers for addresses of the site's own",
        has_own: true,
        attacked: &[Space::Own],
        asked: &[asked("c1", G.pvd, &[Space::Own])],
        ..GATEWAY
    },
    Scenario {
        name: "multi-cpe-direct",
        figure: "Figure 7 in Section 5.3",
        summary: "clients on hosts ask two providers themselves, each by its own router; addresses of one are attacked",
        routers: ROUTERS,
        attacked: &[OF_ISP2],
        asked: &[asked("c1", ISP2.pvd, &[OF_ISP2])],
        ..DIRECT
    },
    Scenario {
        name: "multi-cpe-clients",
        figure: "Table 1, row 3",
        summary: "a client on each of two routers; both are told of an attack, and one has a server for it",
        routers: ROUTERS,
        clients: &[on_router(RTR1), on_router(RTR2)],
        attacked: &[OF_ISP1],
        asked: &[asked("rtr1", ISP1.pvd, &[OF_ISP1])],
        ..DIRECT
    },
    Scenario {
        name: "multi-cpe-pa-nofilter",
        summary: "a client that does not know whose addresses are attacked asks the gateways of two routers; one of them rejects",
        attacked: &[OF_ISP1],
        asked: &[
            asked("c1", G1.pvd, &[OF_ISP1]),
            rejected("c1", G2.pvd, &[OF_ISP1]),
        ],
        ..GATEWAYS
    },
    Scenario {
        name: "multi-cpe-pa-filter",
        summary: "a client that knows which gateway is for which prefixes asks the one for those that are attacked",
        clients: &on_hosts(&[Upstream::GatewayFor(G1.pvd), Upstream::GatewayFor(G2.pvd)]),
        attacked: &[OF_ISP2],
        asked: &[asked("c1", G2.pvd, &[OF_ISP2])],
        ..GATEWAYS
    },
    Scenario {
        name: "multi-cpe-pi",
        summary: "a client asks the gateways of two routers for addresses of the site's own, and each asks its provider",
        has_own: true,
        attacked: &[Space::Own],
        asked: &[
            asked("c1", G1.pvd, &[Space::Own]),
            asked("c1", G2.pvd, &[Space::Own]),
        ],
        ..GATEWAYS
    },
    Scenario {
        name: "same-isp-one-server",
        figure: "Section 5.4",
        summary: "two attachments to one provider with one DOTS server, which is asked once",
        routers: &[BOTH],
        clients: &[on_router(BOTH)],
        asked: &[asked("cpe", WEST.pvd, &[OF_WEST])],
        ..ONE_PROVIDER
    },
    Scenario {
        name: "same-isp-hosts",
        figure: "Table 1, row 4",
        summary: "a client on a host has two attachments to one provider, and asks it over the one that is attacked",
        clients: &on_hosts(&[TO_WEST, TO_EAST]),
        asked: &[asked("c1", WEST.pvd, &[OF_WEST])],
        ..ONE_PROVIDER
    },
    Scenario {
        name: "same-isp-clients",
        figure: "Table 1, row 4",
        summary: "a client on each of two routers with attachments to one provider; the one that is attacked asks it",
        clients: &[on_router(TO_ONE_1), on_router(TO_ONE_2)],
        asked: &[asked("rtr1", WEST.pvd, &[OF_WEST])],
        ..ONE_PROVIDER
    },
    Scenario {
        name: "same-isp-gateways",
        figure: "Table 1, row 4",
        summary: "a gateway on each of two routers with attachments to one provider; the one that is not attacked rejects",
        gateways: &[
            Gateway {
                client: on_router(TO_ONE_1),
                ..G1
            },
            Gateway {
                client: on_router(TO_ONE_2),
                ..G2
            },
        ],
        clients: GATEWAYS.clients,
        asked: &[
            asked("c1", G1.pvd, &[OF_WEST]),
            rejected("c1", G2.pvd, &[OF_WEST]),
        ],
        ..ONE_PROVIDER
    },
    Scenario {
        name: "failover",
        figure: "Section 5.1",
        summary: "both networks are asked while the mobile one is silent; it returns; the fixed one's link goes down and returns",
        course: Course::Failover {
            silent: MOBILE.pvd,
            down: FIXED.pvd,
        },
        attacked: &[OF_FIXED],
        asked: &[
            asked("home", FIXED.pvd, &[OF_FIXED]),
            asked("home", MOBILE.pvd, &[OF_MOBILE]),
        ],
        ..RESIDENTIAL
    },
    Scenario {
        name: "renumber",
        figure: "Section 5.1",
        summary: "the fixed network assigns other prefixes; what it was asked for the old ones ends, and it is asked for the new",
        course: Course::Renumber {
            pvd: FIXED.pvd,
            old: Nets {
                v4: Net::v4([203, 0, 113, 32], 28),
                v6: Net::v6([0x2001, 0xdb8, 0xf, 0x300], 56),
            },
        },
        attacked: &[OF_FIXED],
        asked: &[asked("home", FIXED.pvd, &[OF_FIXED])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-discovery",
        summary: "a home that learns its DOTS servers' names by DHCPv6 and resolves them, at name servers that lie about those of others",
        known: Known::Named,
        attacked: &[OF_MOBILE],
        asked: &[asked("home", MOBILE.pvd, &[OF_MOBILE])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-dhcp",
        summary: "a home that learns its addresses by Router Advertisements, its DOTS servers by DHCPv6 in one network and DHCPv4 in the other",
        known: Known::Addressed,
        attacked: &[OF_FIXED],
        asked: &[asked("home", FIXED.pvd, &[OF_FIXED])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-dns",
        summary: "a home that finds its DOTS servers by S-NAPTR and SRV records, at name servers that lie about those of others",
        known: Known::Resolved,
        attacked: &[OF_MOBILE],
        asked: &[asked("home", MOBILE.pvd, &[OF_MOBILE])],
        ..RESIDENTIAL
    },
];
