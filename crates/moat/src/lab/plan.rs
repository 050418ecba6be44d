//! What everything in the lab is called, and where it is: nodes, addresses and ports that topology, edges, agents and traffic
//! have to agree on. What differs between providers is in [`super::scenario`].

/// Where attacks go and visitors too (UDP): the filter must tell them apart by something else.
pub(crate) const TARGET_PORT: u16 = 5353;

/// The DOTS signal channel (RFC 9132 §3).
pub(crate) const DOTS_PORT: u16 = 4646;

/// The customer's router, with the DOTS client.
pub(crate) const HOME: &str = "home";
/// The host under attack, behind [`HOME`].
pub(crate) const VICTIM: &str = "victim";
/// Where floods come from.
pub(crate) const ATTACKER: &str = "attacker";
/// Where legitimate requests come from.
pub(crate) const VISITOR: &str = "visitor";
/// The core router.
pub(crate) const INTERNET: &str = "internet";

/// Source addresses of the attacker.
pub(crate) const ATTACK_SOURCES: [&str; 4] = [
    "192.0.2.11",
    "192.0.2.12",
    "2001:db8:bad::11",
    "2001:db8:bad::12",
];
/// Source addresses of the visitor.
pub(crate) const VISITOR_SOURCES: [&str; 2] = ["192.0.2.131", "2001:db8:cafe::131"];

/// Where the attacker's addresses are from, IPv4 and IPv6.
pub(crate) const ATTACKER_NETS: [&str; 2] = ["192.0.2.0/25", "2001:db8:bad::/48"];
/// Where the visitor's addresses are from.
pub(crate) const VISITOR_NETS: [&str; 2] = ["192.0.2.128/25", "2001:db8:cafe::/48"];
