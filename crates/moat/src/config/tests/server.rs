//! The file of `moat server`.

use std::num::NonZeroU32;
use std::time::Duration;

use agent::server::{ConflictPolicy, Policy, Redirect, SessionLimits};
use dtls::Transport;
use mitigator::nftables::{Action, LimitPerSource, NftablesConfig};

use super::super::conduct::Conduct;
use super::super::limits::Limits;
use super::super::{ConfigError, Heartbeat, load_client, load_server};
use super::client::CLIENT;
use super::{Folder, assert_told, with};

const SERVER: &str = r#"listen = ["203.0.113.129:4647", "[2001:db8:f::4646]", "::1"]
transports = ["tcp"]
certificate = "dots.fixed.example.pem"
private_key = "dots.fixed.example-key.pem"
trust_anchors = "ca.pem"
state = "/srv/server.db"
control = "server.sock"
max_lifetime = 3600
[[customer]]
name = "Home"
prefixes = ["203.0.113.0/28", "2001:db8:f:100::/56"]
max_mitigations = 7
[[customer]]
name = "branch.example"
prefixes = ["203.0.113.16/28"]
[customer.redirect]
server = "dots2.fixed.example"
addresses = ["203.0.113.130"]
ttl = 600
[limits]
sessions = 5
mitigations_per_customer = 9
[mitigator.nftables]
program = "bin/nft"
table = "moat_1"
packets_per_second = 100
[heartbeat]
interval = 0
[dns]
servers = ["198.51.100.53", "[2001:db8::53]:8853"]
tls_name = "dns.example.net"
"#;

const SHORT: &str = r#"certificate = "dots.fixed.example.pem"
private_key = "dots.fixed.example-key.pem"
trust_anchors = "ca.pem"
[[customer]]
name = "home"
prefixes = ["203.0.113.0/28"]
[mitigator.nftables]
"#;

/// Covers: S-001
#[test]
fn a_whole_file_is_read() {
    let folder = Folder::new();
    let config = load_server(&folder.write(SERVER)).unwrap();
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(
        listen,
        [
            "203.0.113.129:4647",
            "[2001:db8:f::4646]:4646",
            "[::1]:4646"
        ]
    );
    assert_eq!(
        config.certificate.as_ref().unwrap().certificate.path,
        folder.path().join("dots.fixed.example.pem")
    );
    assert_eq!(config.transports, [Transport::Stream].into());
    assert_eq!(config.state.to_str(), Some("/srv/server.db"));
    assert_eq!(config.control, folder.path().join("server.sock"));
    assert_eq!(config.conduct.max_lifetime.get(), 3600);
    let customers: Vec<_> = config
        .customers
        .iter()
        .map(|one| (one.name.as_str(), one.max_mitigations))
        .collect();
    assert_eq!(customers, [("home", 7), ("branch.example", 9)]);
    assert_eq!(
        config.customers[1].prefixes,
        ["203.0.113.16/28".parse().unwrap()]
    );
    assert_eq!(
        config.limits,
        Limits {
            sessions: NonZeroU32::new(5).unwrap(),
            mitigations_per_customer: NonZeroU32::new(9).unwrap(),
            ..Limits::default()
        }
    );
    let action = Action::LimitPerSource(LimitPerSource {
        packets_per_second: NonZeroU32::new(100).unwrap(),
        ..LimitPerSource::default()
    });
    let nftables = NftablesConfig {
        program: folder.path().join("bin/nft"),
        table: "moat_1".parse().unwrap(),
        action,
        ..NftablesConfig::default()
    };
    assert_eq!(config.nftables, nftables);
    assert_eq!(config.heartbeat, None);
    let resolver = config.resolver.unwrap();
    let resolvers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
    assert_eq!(resolvers, ["198.51.100.53:853", "[2001:db8::53]:8853"]);
    assert_eq!(resolver.tls_name.unwrap().as_str(), "dns.example.net");
    let redirect = Redirect::new(
        "dots2.fixed.example".parse().unwrap(),
        vec!["203.0.113.130".parse().unwrap()],
        600,
    );
    assert_eq!(config.customers[1].redirect, redirect.ok());
    assert_eq!(config.customers[0].redirect, None);
    assert!(config.warnings.is_empty());
}

/// Covers: S-001, S-056
#[test]
fn what_is_left_out_has_its_default() {
    let folder = Folder::new();
    let config = load_server(&folder.write(SHORT)).unwrap();
    assert_eq!(config.listen, ["[::]:4646".parse().unwrap()]);
    assert_eq!(
        config.transports,
        [Transport::Datagram, Transport::Stream].into()
    );
    assert_eq!(config.state.to_str(), Some("/var/lib/moat/server.db"));
    assert_eq!(config.control.to_str(), Some("/run/moat/server.sock"));
    assert_eq!(config.conduct.max_lifetime.get(), 86_400);
    assert_eq!(config.limits, Limits::default());
    let conduct = Conduct {
        max_lifetime: NonZeroU32::new(86_400).unwrap(),
        on_conflict: ConflictPolicy::Both,
        terminating: Duration::from_secs(120),
        attack_stopped_after: Duration::from_secs(300),
        lost_after: Duration::from_secs(450),
    };
    assert_eq!(config.conduct, conduct);
    assert_eq!(config.resolver, None);
    assert_eq!(config.customers[0].max_mitigations, 100);
    assert_eq!(
        config.heartbeat,
        Some(Heartbeat {
            interval: Duration::from_secs(30),
            missing_allowed: 15
        })
    );
    assert_eq!(config.nftables, NftablesConfig::default());
    assert!(folder.check(SHORT).is_ok());
}

/// What the agent bounds has the same default here, so that a file without a limit changes nothing.
#[test]
fn the_defaults_of_the_limits_are_those_of_the_agent() {
    let folder = Folder::new();
    let config = load_server(&folder.write(SHORT)).unwrap();
    let shown = |policy: Policy| format!("{policy:?}");
    assert_eq!(shown(config.policy()), shown(Policy::default()));
    assert_eq!(
        config.limits.session_limits().handshakes_per_source,
        SessionLimits::HANDSHAKES_PER_SOURCE
    );
}

/// Covers: X-013
#[test]
fn every_limit_reaches_the_agent() {
    let folder = Folder::new();
    let text = with(
        SERVER,
        "sessions = 5\nmitigations_per_customer = 9\n",
        "sessions = 1\nsessions_per_source = 2\nsessions_per_customer = 3\nhandshakes = 4\n\
         handshakes_per_source = 5\nmitigations = 600\nobservations_per_session = 7\n\
         observations_per_customer = 8\ntargets_per_request = 9\nnames_per_request = 3\nwaiting_requests = 4\n\
         waiting_requests_per_customer = 2\nlookups_per_customer = 12\nwaiting_seconds = 6\nrequests_per_second = 10\n\
         request_burst = 11\nresponse_bytes = 1200\nnotification_bytes = 513\n",
    );
    let config = load_server(&folder.write(&text)).unwrap();
    assert_eq!(
        config.limits.session_limits(),
        SessionLimits {
            sessions: 1,
            sessions_per_source: 2,
            handshakes: 4,
            handshakes_per_source: 5,
        }
    );
    let policy = config.policy();
    assert_eq!(policy.max_sessions_of_customer, 3);
    assert_eq!(policy.max_mitigations, 600);
    assert_eq!(policy.max_observations, 7);
    assert_eq!(policy.max_observations_of_customer, 8);
    assert_eq!((policy.max_targets, policy.max_names), (9, 3));
    assert_eq!((policy.max_waiting, policy.max_waiting_of_customer), (4, 2));
    assert_eq!(policy.max_lookups_of_customer, 12);
    assert_eq!(policy.resolution_limit, Duration::from_secs(6));
    assert_eq!(policy.requests_per_second.get(), 10);
    assert_eq!(policy.request_burst.get(), 11);
    assert_eq!((policy.max_body, policy.max_notification), (1200, 513));
    assert_eq!(policy.max_lifetime.get(), 3600);
}

#[test]
fn the_conduct_of_the_server_is_read() {
    let folder = Folder::new();
    let written =
        "on_conflict = \"last\"\nterminating = 0\nattack_stopped_after = 60\nlost_after = 90\n";
    let config = load_server(&folder.write(&format!("{written}{SHORT}"))).unwrap();
    let conduct = Conduct {
        max_lifetime: NonZeroU32::new(86_400).unwrap(),
        on_conflict: ConflictPolicy::Last,
        terminating: Duration::ZERO,
        attack_stopped_after: Duration::from_secs(60),
        lost_after: Duration::from_secs(90),
    };
    assert_eq!(config.conduct, conduct);
    let policy = config.policy();
    assert_eq!(policy.on_conflict, ConflictPolicy::Last);
    assert_eq!(policy.lost_after, Duration::from_secs(90));
}

#[test]
fn a_file_for_the_other_daemon_is_told_in_one_sentence() {
    let folder = Folder::new();
    let told = |error: ConfigError| folder.strip(&error);
    assert_eq!(
        told(load_server(&folder.write(CLIENT)).unwrap_err()),
        "x.toml:1:1: this is a client's file, as it has pvd; start it with moat client --config x.toml"
    );
    assert_eq!(
        told(load_client(&folder.write(SERVER)).unwrap_err()),
        "x.toml:1:1: this is a server's file, as it has listen; start it with moat server --config x.toml"
    );
}

#[test]
fn dropping_everything_is_an_action() {
    let folder = Folder::new();
    let config = load_server(&folder.write(&format!("{SHORT}action = \"drop\"\n"))).unwrap();
    assert_eq!(config.nftables.action, Action::Drop);
}

#[test]
fn a_server_that_says_nothing_of_a_mitigator_filters_with_nftables() {
    let folder = Folder::new();
    for text in [
        SHORT.replace("[mitigator.nftables]", ""),
        SHORT.replace(".nftables]", "]"),
    ] {
        assert!(folder.check(&text).is_ok());
        let config = load_server(&folder.write(&text)).unwrap();
        assert_eq!(config.nftables, NftablesConfig::default());
    }
}

#[test]
fn every_wrong_value_is_told() {
    assert_told(
        SERVER,
        r##"
"203.0.113.129:4647" => "dots.fixed.example"
    1:11: listen[0]: "dots.fixed.example" is not an IP address with a port; write it like 203.0.113.1:4646, [2001:db8::1]:4646, or without the port for 4646
"203.0.113.129:4647" => "224.0.0.1"
    1:11: listen[0]: "224.0.0.1" is a multicast address, which cannot be used here; write a unicast address of the network
"203.0.113.129:4647" => "::1"
    1:40: listen[2]: [::1]:4646 is in listen[0] already (line 1); delete one of the two
"203.0.113.129:4647" => 4646
    1:11: listen[0]: this is a whole number; write an address in quotes, like "[::]:4646"
["tcp"] => []
    2:14: transports: the list is empty; write at least one "udp" or "tcp"
["tcp"] => ["tcp", "sctp"]
    2:22: transports[1]: "sctp" is not known here; write "udp" or "tcp"
["tcp"] => ["tcp", "udp", "tcp"]
    2:29: transports[2]: is the same as transports[0] (line 2); delete one of the two
["tcp"] => "tcp"
    2:14: transports: this is a string; write a list, like ["udp", "tcp"]
max_lifetime = 3600 => max_lifetime = -1
    8:16: max_lifetime: -1 is out of range; write 1 to 4294967295 seconds
max_lifetime = 3600 => max_lifetime = 1.5
    8:16: max_lifetime: this is a decimal number; write a whole number, without quotes
max_lifetime = 3600 => max_life = 3600
    8:1: max_life: is not a key of this table; its keys are listen, transports, certificate, private_key, trust_anchors, state, control, max_lifetime, on_conflict, terminating, attack_stopped_after, lost_after, dns, limits, gateway, customer, heartbeat, mitigator
name = "Home" => name = " "
    10:8: customer[0].name: " " is not a name: it has control characters, or spaces at an end; write it like home.example.net
name = "Home" => name = ""
    10:8: customer[0].name: "" is not a name: it is empty; write it like home.example.net
name = "Home" => name = "Branch.example"
    14:8: customer[1].name: "branch.example" is used by customer[0].name already (line 10); give this one a name of its own
max_mitigations = 7 => max_mitigations = 0
    12:19: customer[0].max_mitigations: 0 is out of range; write 1 to 100000
["203.0.113.16/28"] => ["203.0.113.0/24"]
    11:13: warning: customer[0].prefixes[0]: 203.0.113.0/28 overlaps 203.0.113.0/24 of customer[1].prefixes[0] (line 15): both customers can ask for its mitigation; if only one of them owns it, delete the other
["203.0.113.16/28"] => ["203.0.113.0/28"]
    15:13: warning: customer[1].prefixes[0]: 203.0.113.0/28 overlaps 203.0.113.0/28 of customer[0].prefixes[0] (line 11): both customers can ask for its mitigation; if only one of them owns it, delete the other
server = "dots2.fixed.example" => servers = "dots2.fixed.example"
    16:1: customer[1].redirect.server: is missing; write server = "dots.example.net"
    17:1: customer[1].redirect.servers: is not a key of this table; did you mean server?
"dots2.fixed.example" => "203.0.113.130"
    17:10: customer[1].redirect.server: "203.0.113.130" is not a name: it is an IP address; write it like dots.example.net
["203.0.113.130"] => ["203.0.113.130:4646"]
    18:14: customer[1].redirect.addresses[0]: "203.0.113.130:4646" is not an IP address; write it like 203.0.113.1 or 2001:db8::1
["203.0.113.130"] => ["::2", "::3", "::4", "::5", "::6", "::7", "::8", "::9", "::a"]
    18:13: customer[1].redirect.addresses: more than 8 entries; a configuration has at most 8 here
ttl = 600 => ttl = 4294967296
    19:7: customer[1].redirect.ttl: 4294967296 is out of range; write 0 to 4294967295 seconds
sessions = 5 => sessions = 0
    21:12: limits.sessions: 0 is out of range; write 1 to 10000000
sessions = 5 => session = 5
    21:1: limits.session: is not a key of this table; did you mean sessions?
"moat_1" => "moat; flush ruleset"
    25:9: mitigator.nftables.table: "moat; flush ruleset" is not a name for an nftables table: 1 to 32 of a-z, 0-9 and _, a letter first; write it like moat
packets_per_second = 100 => action = "reject"
    26:10: mitigator.nftables.action: "reject" is not known here; write "limit-per-source" or "drop"
packets_per_second = 100 => action = "drop"\nburst = 5
    27:9: mitigator.nftables.burst: does nothing when action is "drop"; delete it, or write action = "limit-per-source"
packets_per_second = 100 => block_seconds = 0
    26:17: mitigator.nftables.block_seconds: 0 is out of range; write 1 to 86400 seconds
max_lifetime = 3600 => on_conflict = "none"
    8:15: on_conflict: "none" is not known here; write "both", "first" or "last"
max_lifetime = 3600 => terminating = 301
    8:15: terminating: 301 is out of range; write 0 to 300 seconds
max_lifetime = 3600 => attack_stopped_after = -1
    8:24: attack_stopped_after: -1 is out of range; write 0 to 86400 seconds
"198.51.100.53" => "resolver"
    30:12: dns.servers[0]: "resolver" is not an IP address with a port; write it like 203.0.113.1:853, [2001:db8::1]:853, or without the port for 853
servers = ["198.51.100.53", "[2001:db8::53]:8853"] =>
    29:1: dns.servers: is missing; write servers = ["203.0.113.53"]
[mitigator.nftables] => [mitigator.bgp]
    23:12: mitigator.bgp: is not a key of this table; its keys are nftables
"##,
    );
    assert_told(
        SHORT,
        r##"
[[customer]]\nname = "home"\nprefixes = ["203.0.113.0/28"]\n =>
    1:1: there is no [[customer]] in this file; write one for each network that may ask for help
[[customer]] => [customer]
    4:1: customer: this is a table; write a table for each customer: [[customer]]
certificate = "dots.fixed.example.pem"\n =>
    1:1: certificate: is missing; write certificate = "cert.pem"
"##,
    );
}

/// A prefix is compared with those around it also when others lie between them.
#[test]
fn nested_prefixes_of_many_customers_are_found() {
    let folder = Folder::new();
    let mut text = with(SHORT, "203.0.113.0/28", "203.0.112.0/22");
    for index in 0..200 {
        text.push_str(&format!(
            "[[customer]]\nname = \"c{index}\"\nprefixes = [\"10.0.{index}.0/24\"]\n"
        ));
    }
    assert!(folder.told(&text).is_empty());
    text.push_str(
        "[[customer]]\nname = \"inner\"\nprefixes = [\"203.0.113.128/25\", \"203.0.112.0/24\"]\n",
    );
    assert_eq!(folder.told(&text).len(), 2);
    let config =
        load_server(&folder.write(&with(&text, "\"203.0.112.0/24\"", "\"203.0.112.0/22\"")))
            .unwrap();
    assert_eq!(config.warnings.len(), 2);
}

#[test]
fn prefixes_of_one_customer_may_nest() {
    let folder = Folder::new();
    let own = with(
        SHORT,
        "\"203.0.113.0/28\"",
        "\"203.0.112.0/22\", \"203.0.113.0/24\"",
    );
    assert!(folder.told(&own).is_empty());
    // Another's prefix within or around them is told all the same.
    let told = |prefix| {
        let other = format!("[[customer]]\nname = \"other\"\nprefixes = [\"{prefix}\"]\n");
        folder.told(&format!("{own}{other}")).len()
    };
    assert_eq!((told("203.0.113.0/28"), told("203.0.0.0/16")), (1, 2));
}
