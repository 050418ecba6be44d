//! All scenarios. Sections and figures are those of RFC 9284.

use super::network::{DotsClient, EAST, FIXED, ISP1, ISP2, MOBILE, Place, Router, Upstream, WEST};
use super::{Asked, Course, Credentials, Known, Mitigated, Scenario, Space};
use crate::lab::plan::{Net, Nets, VERSIONS, Version};

const OF_FIXED: Space = Space::Assigned(FIXED.pvd);
const OF_MOBILE: Space = Space::Assigned(MOBILE.pvd);
const OF_ISP1: Space = Space::Assigned(ISP1.pvd);
const OF_ISP2: Space = Space::Assigned(ISP2.pvd);
const OF_WEST: Space = Space::Assigned(WEST.pvd);

const TO_ISP1: Upstream = Upstream::Server(ISP1.pvd);
const TO_ISP2: Upstream = Upstream::Server(ISP2.pvd);

const HOME: Router = Router {
    node: "home",
    uplinks: &[FIXED.pvd, MOBILE.pvd],
};

/// The client on a home's router.
const AT_HOME: DotsClient = DotsClient {
    name: HOME.node,
    place: Place::Router,
    upstreams: &[Upstream::Server(FIXED.pvd), Upstream::Server(MOBILE.pvd)],
    versions: &VERSIONS,
    is_alarmed: true,
};

/// A home as in Figure 5: `name`, `summary`, `attacked`, `asked` and `mitigated` are still to be filled in.
const RESIDENTIAL: Scenario = Scenario {
    name: "",
    figure: "Figure 5",
    summary: "",
    providers: &[FIXED, MOBILE],
    routers: &[HOME],
    has_own: false,
    clients: &[AT_HOME],
    known: Known::Written,
    credentials: Credentials::Certificates,
    course: Course::Attack,
    attacked: &[],
    asked: &[],
    mitigated: &[],
};

const CPE: Router = Router {
    node: "cpe",
    uplinks: &[ISP1.pvd, ISP2.pvd],
};

/// The client on the first of the hosts of Figure 7, which gets the alarms.
const C1: DotsClient = DotsClient {
    name: "c1",
    place: Place::Host(11),
    upstreams: &[TO_ISP1, TO_ISP2],
    versions: &VERSIONS,
    is_alarmed: true,
};

/// The second, which has IPv4 only.
const C2: DotsClient = DotsClient {
    name: "c2",
    place: Place::Host(12),
    versions: &[Version::V4],
    is_alarmed: false,
    ..C1
};

/// The third, which has IPv6 only.
const C3: DotsClient = DotsClient {
    name: "c3",
    place: Place::Host(13),
    versions: &[Version::V6],
    is_alarmed: false,
    ..C1
};

/// An enterprise as in Figure 7: `name`, `summary`, `attacked`, `asked` and `mitigated` are still to be filled in.
const DIRECT: Scenario = Scenario {
    name: "",
    figure: "Figure 7",
    summary: "",
    providers: &[ISP1, ISP2],
    routers: &[CPE],
    has_own: false,
    clients: &[C1, C2, C3],
    known: Known::Written,
    credentials: Credentials::Certificates,
    course: Course::Attack,
    attacked: &[],
    asked: &[],
    mitigated: &[],
};

const fn asked(client: &'static str, pvd: &'static str, spaces: &'static [Space]) -> Asked {
    Asked {
        client,
        pvd,
        spaces,
    }
}

const fn mitigated(server: &'static str, spaces: &'static [Space]) -> Mitigated {
    Mitigated { server, spaces }
}

/// In the order to show and to run them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "residential",
        summary: "a home with a fixed and a mobile uplink; addresses of the fixed network are attacked",
        attacked: &[OF_FIXED],
        asked: &[asked("home", FIXED.pvd, &[OF_FIXED])],
        mitigated: &[mitigated(FIXED.dots_name, &[OF_FIXED])],
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
        mitigated: &[
            mitigated(FIXED.dots_name, &[OF_FIXED]),
            mitigated(MOBILE.dots_name, &[OF_MOBILE]),
        ],
        ..RESIDENTIAL
    },
    Scenario {
        name: "enterprise-direct-pa",
        summary: "clients on hosts look two providers' servers up at each one's name servers; addresses that one of them assigned are attacked",
        known: Known::Resolved,
        attacked: &[OF_ISP2],
        asked: &[asked("c1", ISP2.pvd, &[OF_ISP2])],
        mitigated: &[mitigated(ISP2.dots_name, &[OF_ISP2])],
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
        mitigated: &[
            mitigated(ISP1.dots_name, &[Space::Own]),
            mitigated(ISP2.dots_name, &[Space::Own]),
        ],
        ..DIRECT
    },
    Scenario {
        name: "single-homed-clients",
        figure: "Figure 8",
        summary: "one client for each of two providers; both are told of an attack, and one has a server for it",
        clients: &[
            DotsClient {
                upstreams: &[TO_ISP2],
                ..C1
            },
            DotsClient {
                upstreams: &[TO_ISP1],
                is_alarmed: true,
                ..C2
            },
        ],
        attacked: &[OF_ISP1],
        asked: &[asked("c2", ISP1.pvd, &[OF_ISP1])],
        mitigated: &[mitigated(ISP1.dots_name, &[OF_ISP1])],
        ..DIRECT
    },
    Scenario {
        name: "same-isp-one-server",
        figure: "Section 5.4",
        summary: "two attachments to one provider with one DOTS server, which is asked once",
        providers: &[WEST, EAST],
        routers: &[Router {
            node: "cpe",
            uplinks: &[WEST.pvd, EAST.pvd],
        }],
        clients: &[DotsClient {
            name: "cpe",
            place: Place::Router,
            upstreams: &[Upstream::Server(WEST.pvd), Upstream::Server(EAST.pvd)],
            versions: &VERSIONS,
            is_alarmed: true,
        }],
        attacked: &[OF_WEST],
        asked: &[asked("cpe", WEST.pvd, &[OF_WEST])],
        mitigated: &[mitigated(WEST.dots_name, &[OF_WEST])],
        ..DIRECT
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
        mitigated: &[
            mitigated(FIXED.dots_name, &[OF_FIXED]),
            mitigated(MOBILE.dots_name, &[OF_MOBILE]),
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
        mitigated: &[mitigated(FIXED.dots_name, &[OF_FIXED])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-discovery",
        summary: "a home that learns its DOTS servers' names by DHCPv6 and resolves them, at name servers that lie about those of others",
        known: Known::Named,
        attacked: &[OF_MOBILE],
        asked: &[asked("home", MOBILE.pvd, &[OF_MOBILE])],
        mitigated: &[mitigated(MOBILE.dots_name, &[OF_MOBILE])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-dhcp",
        summary: "a home that learns its addresses by Router Advertisements, its DOTS servers by DHCPv6 in one network and DHCPv4 in the other",
        known: Known::Addressed,
        attacked: &[OF_FIXED],
        asked: &[asked("home", FIXED.pvd, &[OF_FIXED])],
        mitigated: &[mitigated(FIXED.dots_name, &[OF_FIXED])],
        ..RESIDENTIAL
    },
    Scenario {
        name: "residential-dns",
        summary: "a home that finds its DOTS servers by S-NAPTR and SRV records, at name servers that lie about those of others",
        known: Known::Resolved,
        attacked: &[OF_MOBILE],
        asked: &[asked("home", MOBILE.pvd, &[OF_MOBILE])],
        mitigated: &[mitigated(MOBILE.dots_name, &[OF_MOBILE])],
        ..RESIDENTIAL
    },
];
