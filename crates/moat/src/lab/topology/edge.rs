//! What a provider's edge does and counts by itself at an attachment, besides routing and what its DOTS server has it filter.

use std::fmt;

use crate::lab::plan::{
    ATTACKER_NETS, INTERNET, OWN_NETS, TARGET_PORT, VERSIONS, VISITOR_NETS, Version,
};
use crate::lab::scenario::{Provider, Scenario};

/// The signal channel, as `nft` matches it, on [`crate::lab::plan::DOTS_PORT`].
const DOTS: &str = "meta l4proto { tcp, udp } th dport 4646";

/// What is counted at an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Questions to name servers from the customer.
    Questions,
    /// Signalling from where it must come from.
    SignallingRight,
    /// All other signalling.
    SignallingWrong,
    /// What the customer sends from addresses that are not assigned to it.
    WrongSource,
    /// Attack packets before the server's filter.
    AttackOffered,
    /// Those behind it.
    AttackPassed,
    /// Requests of the visitor behind the filter.
    RequestsPassed,
    /// Responses to the visitor.
    ResponsesPassed,
}

impl Counter {
    /// All of them.
    pub(crate) const ALL: [Counter; 8] = [
        Counter::Questions,
        Counter::SignallingRight,
        Counter::SignallingWrong,
        Counter::WrongSource,
        Counter::AttackOffered,
        Counter::AttackPassed,
        Counter::RequestsPassed,
        Counter::ResponsesPassed,
    ];

    /// What `nft` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Counter::Questions => "questions",
            Counter::SignallingRight => "signalling_right",
            Counter::SignallingWrong => "signalling_wrong",
            Counter::WrongSource => "wrong_source",
            Counter::AttackOffered => "attack_offered",
            Counter::AttackPassed => "attack_passed",
            Counter::RequestsPassed => "requests_passed",
            Counter::ResponsesPassed => "responses_passed",
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counter name {}", self.name())
    }
}

/// The table with the counters of an attachment.
pub(crate) fn table(provider: &Provider) -> String {
    format!("lab_{}", provider.uplink)
}

/// Ingress filtering of the customer's link (BCP 38), and the lab's counters, as input of `nft`.
///
/// The server's own filter is at priority -300 (raw): `offered` counts before it, `passed` after it.
pub(super) fn ruleset(scenario: &Scenario, provider: &Provider) -> String {
    use Counter::{
        AttackOffered, AttackPassed, Questions, RequestsPassed, ResponsesPassed, SignallingRight,
        SignallingWrong, WrongSource,
    };
    let link = provider.uplink;
    let mut offered = String::new();
    let mut ingress = String::new();
    let mut passed = String::new();
    for (version, server) in VERSIONS.into_iter().zip(provider.dots_server) {
        let ip = match version {
            Version::V4 => "ip",
            Version::V6 => "ip6",
        };
        let all_sources = scenario.sources(provider);
        let of_version = |address: &&std::net::IpAddr| address.is_ipv4() == (ip == "ip");
        for source in all_sources.iter().filter(of_version) {
            offered += &format!(
                "iifname {link} {DOTS} {ip} saddr {source} {ip} daddr {server} {SignallingRight} accept\n"
            );
        }
        let [attacker, visitor] = [ATTACKER_NETS, VISITOR_NETS].map(|nets| nets.of(version));
        let assigned = scenario.assigned(provider).into_iter();
        let mut customer: Vec<_> = assigned.map(|nets| nets.of(version).to_string()).collect();
        customer.extend(scenario.has_own.then(|| OWN_NETS.of(version).to_string()));
        let attacked = customer.join(", ");
        if version == Version::V6 {
            customer.extend(["fe80::/10", "::"].map(str::to_owned));
        }
        let customer = customer.join(", ");
        ingress += &format!("iifname {link} {ip} saddr != {{ {customer} }} {WrongSource} drop\n");
        let target = format!("udp dport {TARGET_PORT} {ip}");
        passed += &format!(
            "oifname {link} {target} saddr {attacker} {AttackPassed}
             oifname {link} {target} saddr {visitor} {RequestsPassed}
             iifname {link} udp sport {TARGET_PORT} {ip} daddr {visitor} {ResponsesPassed}\n"
        );
        offered += &format!(
            "iifname {INTERNET} {target} saddr {attacker} {ip} daddr {{ {attacked} }} {AttackOffered}\n"
        );
    }
    let counters = Counter::ALL.map(|one| format!("counter {} {{ }}\n", one.name()));
    let counters = counters.concat();
    format!(
        "table inet {table} {{
            {counters}
            chain offered {{
                type filter hook prerouting priority -400; policy accept;
                iifname {link} udp dport 53 {Questions}
                {offered}
                iifname {{ {link}, {INTERNET} }} {DOTS} {SignallingWrong}
            }}
            chain ingress {{
                type filter hook prerouting priority -390; policy accept;
                {ingress}
            }}
            chain passed {{
                type filter hook forward priority 0; policy accept;
                {passed}
            }}
        }}\n",
        table = table(provider),
    )
}
