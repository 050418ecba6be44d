//! What a provider's edge does and counts by itself at an attachment, besides routing and what its DOTS server has it filter.

use crate::lab::plan::{
    ATTACKER_NETS, INTERNET, OWN_NETS, TARGET_PORT, VERSIONS, VISITOR_NETS, Version,
};
use crate::lab::scenario::{Provider, Scenario};

/// The signal channel, as `nft` matches it, on [`crate::lab::plan::DOTS_PORT`].
const DOTS: &str = "meta l4proto { tcp, udp } th dport 4646";

/// The table with the counters of an attachment.
pub(crate) fn table(provider: &Provider) -> String {
    format!("lab_{}", provider.uplink)
}

/// Ingress filtering of the customer's link (BCP 38), and the lab's counters, as input of `nft`.
///
/// The server's own filter is at priority -300 (raw): `offered` counts before it, `passed` after it.
pub(super) fn ruleset(scenario: &Scenario, provider: &Provider) -> String {
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
                "iifname {link} {DOTS} {ip} saddr {source} {ip} daddr {server} counter name signalling_right accept\n"
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
        ingress += &format!(
            "iifname {link} {ip} saddr != {{ {customer} }} counter name wrong_source drop\n"
        );
        let target = format!("udp dport {TARGET_PORT} {ip}");
        passed += &format!(
            "oifname {link} {target} saddr {attacker} counter name attack_passed
             oifname {link} {target} saddr {visitor} counter name requests_passed
             iifname {link} udp sport {TARGET_PORT} {ip} daddr {visitor} counter name responses_passed\n"
        );
        offered += &format!(
            "iifname {INTERNET} {target} saddr {attacker} {ip} daddr {{ {attacked} }} counter name attack_offered\n"
        );
    }
    format!(
        "table inet {table} {{
            counter questions {{ }}
            counter signalling_right {{ }}
            counter signalling_wrong {{ }}
            counter wrong_source {{ }}
            counter attack_offered {{ }}
            counter attack_passed {{ }}
            counter requests_passed {{ }}
            counter responses_passed {{ }}
            chain offered {{
                type filter hook prerouting priority -400; policy accept;
                iifname {link} udp dport 53 counter name questions
                {offered}
                iifname {{ {link}, {INTERNET} }} {DOTS} counter name signalling_wrong
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
