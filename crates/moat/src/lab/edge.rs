//! What a provider's edge does and counts by itself, besides routing and what its DOTS server has it filter.

use super::plan::{ATTACKER_NETS, DOTS_PORT, HOME, INTERNET, TARGET_PORT, VISITOR_NETS};
use super::scenario::Provider;

/// Ingress filtering of the customer's link (BCP 38), and the lab's counters, as input of `nft`.
///
/// The server's own filter is at priority -300 (raw): `offered` counts before it, `passed` after it.
pub(super) fn ruleset(provider: &Provider) -> String {
    let Provider { v4, v6, .. } = provider;
    let [attack4, attack6] = ATTACKER_NETS;
    let [visit4, visit6] = VISITOR_NETS;
    format!(
        "table inet lab {{
            counter signalling_right {{ }}
            counter signalling_wrong {{ }}
            counter wrong_source {{ }}
            counter attack_offered {{ }}
            counter attack_passed {{ }}
            counter requests_passed {{ }}
            counter responses_passed {{ }}
            chain offered {{
                type filter hook prerouting priority -400; policy accept;
                iifname {HOME} udp dport {DOTS_PORT} ip saddr {home4} ip daddr {server4} counter name signalling_right accept
                iifname {HOME} udp dport {DOTS_PORT} ip6 saddr {home6} ip6 daddr {server6} counter name signalling_right accept
                udp dport {DOTS_PORT} counter name signalling_wrong
                iifname {INTERNET} udp dport {TARGET_PORT} ip saddr {attack4} counter name attack_offered
                iifname {INTERNET} udp dport {TARGET_PORT} ip6 saddr {attack6} counter name attack_offered
            }}
            chain ingress {{
                type filter hook prerouting priority -390; policy accept;
                iifname {HOME} ip saddr != {customer4} counter name wrong_source drop
                iifname {HOME} ip6 saddr != {{ {customer6}, fe80::/10, :: }} counter name wrong_source drop
            }}
            chain passed {{
                type filter hook forward priority 0; policy accept;
                oifname {HOME} udp dport {TARGET_PORT} ip saddr {attack4} counter name attack_passed
                oifname {HOME} udp dport {TARGET_PORT} ip6 saddr {attack6} counter name attack_passed
                oifname {HOME} udp dport {TARGET_PORT} ip saddr {visit4} counter name requests_passed
                oifname {HOME} udp dport {TARGET_PORT} ip6 saddr {visit6} counter name requests_passed
                iifname {HOME} udp sport {TARGET_PORT} ip daddr {visit4} counter name responses_passed
                iifname {HOME} udp sport {TARGET_PORT} ip6 daddr {visit6} counter name responses_passed
            }}
        }}\n",
        home4 = v4.home,
        home6 = v6.home,
        server4 = v4.dots_server,
        server6 = v6.dots_server,
        customer4 = v4.customer_net,
        customer6 = v6.customer_net,
    )
}
