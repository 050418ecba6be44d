//! The file of `moat client`.

use std::time::Duration;

use dtls::Transport;

use super::super::{Credentials, Heartbeat, load_client};
use super::{Folder, assert_told, invalid, with};

pub(super) const CLIENT: &str = r#"state = "client.db"
control = "run/client.sock"
lifetime = 7200
[heartbeat]
interval = 60
missing_allowed = 5
[[pvd]]
id = "fixed.example"
interface = "lo"
prefixes = ["203.0.113.0/28", "2001:db8:f:100::/56"]
addresses = ["203.0.113.1", "2001:db8:f:100::1"]
[[pvd.dots]]
name = "DOTS.fixed.example"
addresses = ["2001:db8:f::4646", "203.0.113.129:4647"]
certificate = "home.pem"
private_key = "home-key.pem"
trust_anchors = "ca.pem"
[[pvd]]
id = "mobile.example"
prefixes = ["198.51.100.0/28"]
addresses = ["198.51.100.1"]
dns = ["198.51.100.53", "198.51.100.54:5353"]
[[pvd.dots]]
name = "dots.mobile.example"
addresses = ["198.51.100.129"]
transports = ["udp"]
certificate = "home.pem"
private_key = "home-key.pem"
trust_anchors = "ca.pem"
"#;

/// Covers: S-001 (port 4646 by default, and a parameter), S-056
#[test]
fn a_whole_file_is_read() {
    let folder = Folder::new();
    let config = load_client(&folder.write(CLIENT)).unwrap();
    assert_eq!(config.state, folder.path().join("client.db"));
    assert_eq!(config.control, folder.path().join("run/client.sock"));
    assert_eq!(config.lifetime, Duration::from_secs(7200));
    assert_eq!(
        config.heartbeat,
        Some(Heartbeat {
            interval: Duration::from_secs(60),
            missing_allowed: 5
        })
    );
    assert!(config.warnings.is_empty());
    let [fixed, mobile] = config.pvds.as_slice() else {
        panic!("{:?}", config.pvds)
    };
    assert_eq!(fixed.id.as_str(), "fixed.example");
    assert_eq!(fixed.interface.as_ref().unwrap().as_str(), "lo");
    assert_eq!(
        fixed.prefixes,
        [
            "203.0.113.0/28".parse().unwrap(),
            "2001:db8:f:100::/56".parse().unwrap()
        ]
    );
    assert_eq!(fixed.addresses[0].to_string(), "203.0.113.1");
    assert_eq!(fixed.dots[0].name.as_str(), "dots.fixed.example");
    assert_eq!(
        fixed.dots[0].addresses[0],
        "[2001:db8:f::4646]:4646".parse().unwrap()
    );
    assert_eq!(
        fixed.dots[0].addresses[1],
        "203.0.113.129:4647".parse().unwrap()
    );
    let Credentials::Certificate(credentials) = &fixed.dots[0].credentials else {
        panic!("{:?}", fixed.dots[0].credentials)
    };
    assert_eq!(
        credentials.private_key.path,
        folder.path().join("home-key.pem")
    );
    assert!(
        credentials
            .private_key
            .pem
            .starts_with(b"-----BEGIN PRIVATE KEY")
    );
    assert_eq!(
        fixed.dots[0].transports,
        [Transport::Datagram, Transport::Stream].into()
    );
    assert!(fixed.resolver.servers.is_empty());
    let servers = mobile.resolver.servers.iter();
    let servers: Vec<String> = servers.map(ToString::to_string).collect();
    assert_eq!(servers, ["198.51.100.53:53", "198.51.100.54:5353"]);
    // A network's resolvers need not know of signatures.
    assert!(!mobile.resolver.dnssec);
    assert_eq!(mobile.interface, None);
    assert_eq!(mobile.dots[0].transports, [Transport::Datagram].into());
}

/// Covers: S-022 (3600 recommended), S-056
#[test]
fn what_is_left_out_has_its_default() {
    let folder = Folder::new();
    let (_, pvds) = CLIENT.split_once("[[pvd]]").unwrap();
    let config = load_client(&folder.write(&format!("[[pvd]]{pvds}"))).unwrap();
    assert_eq!(config.state.to_str(), Some("/var/lib/moat/client.db"));
    assert_eq!(config.control.to_str(), Some("/run/moat/client.sock"));
    assert_eq!(config.lifetime, Duration::from_secs(3600));
    assert_eq!(
        config.heartbeat,
        Some(Heartbeat {
            interval: Duration::from_secs(30),
            missing_allowed: 15
        })
    );
    let config =
        load_client(&folder.write(&with(CLIENT, "interval = 60", "interval = 0"))).unwrap();
    assert_eq!(config.heartbeat, None);
}

#[test]
fn every_wrong_value_of_the_top_is_told() {
    assert_told(
        CLIENT,
        r##"
"client.db" => ""
    1:9: state: the path is empty; write a file name
"client.db" => "run/client.sock"
    2:11: control: is the same file as state (line 1); give each its own
"run/client.sock" => "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sock"
    2:11: control: the path has 108 bytes, and a socket's path has at most 107; write a shorter one
"client.db" => true
    1:9: state: this is true or false; write a file name, in quotes
lifetime = 7200 => lifetime = 0
    3:12: lifetime: 0 is out of range; write 1 to 4294967295 seconds
lifetime = 7200 => lifetime = "1h"
    3:12: lifetime: this is a string; write a whole number, without quotes
lifetime = 7200 => lifetime = 0x1_0000_0000
    3:12: lifetime: 0x100000000 is out of range; write 1 to 4294967295 seconds
lifetime = 7200 => lifetimes = 7200
    3:1: lifetimes: is not a key of this table; did you mean lifetime?
lifetime = 7200 => "a\tb" = 7200
    3:1: "a\tb": is not a key of this table; its keys are state, control, lifetime, requests, heartbeat, pvd, provider_independent, selection, routing, provisioning
interval = 60 => interval = 14
    5:12: heartbeat.interval: 14 is out of range; write 15 to 240 seconds, or 0 for no heartbeats
interval = 60 => interval = 241
    5:12: heartbeat.interval: 241 is out of range; write 15 to 240 seconds, or 0 for no heartbeats
missing_allowed = 5 => missing_allowed = 65536
    6:19: heartbeat.missing_allowed: 65536 is out of range; write 1 to 65535
missing_allowed = 5 => x = 5
    6:1: heartbeat.x: is not a key of this table; its keys are interval, missing_allowed
"##,
    );
}

/// Covers: S-018
#[test]
fn every_wrong_prefix_is_told() {
    assert_told(
        CLIENT,
        r##"
"203.0.113.0/28" => "203.0.113.0/33"
    10:13: pvd[0].prefixes[0]: "203.0.113.0/33" is not a prefix: the length of an IPv4 prefix is at most 32; write it like 203.0.113.0/28
"203.0.113.0/28" => "2001:db8::/129"
    10:13: pvd[0].prefixes[0]: "2001:db8::/129" is not a prefix: the length of an IPv6 prefix is at most 128; write it like 2001:db8:f:100::/56
"203.0.113.0/28" => "203.0.113.0/x"
    10:13: pvd[0].prefixes[0]: "203.0.113.0/x" is not a prefix: what is behind the slash is no length; write it like 203.0.113.0/28
"203.0.113.0/28" => "203.0.113/24"
    10:13: pvd[0].prefixes[0]: "203.0.113/24" is not a prefix: what is before the slash is no IP address; write it like 203.0.113.0/28
"203.0.113.0/28" => "203.0.113.7/28"
    10:13: pvd[0].prefixes[0]: "203.0.113.7/28" has bits set behind its prefix length; write 203.0.113.0/28
"203.0.113.0/28" => "2001:db8::1"
    10:13: pvd[0].prefixes[0]: "2001:db8::1" has no prefix length; write 2001:db8::1/128 for this one address
"203.0.113.0/28" => "fixed"
    10:13: pvd[0].prefixes[0]: "fixed" is not a prefix: it is no address, slash and length; write it like 203.0.113.0/28
"203.0.113.0/28" => "127.0.0.0/8"
    10:13: pvd[0].prefixes[0]: "127.0.0.0/8" holds loopback (127.0.0.0/8) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "::1/128"
    10:13: pvd[0].prefixes[0]: "::1/128" holds loopback (::1) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "239.1.0.0/16"
    10:13: pvd[0].prefixes[0]: "239.1.0.0/16" holds multicast (224.0.0.0/4) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "ff02::/16"
    10:13: pvd[0].prefixes[0]: "ff02::/16" holds multicast (ff00::/8) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "255.255.255.255/32"
    10:13: pvd[0].prefixes[0]: "255.255.255.255/32" holds broadcast (255.255.255.255) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "0.0.0.0/0"
    10:13: pvd[0].prefixes[0]: "0.0.0.0/0" holds unspecified (0.0.0.0/8) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => "::ffff:203.0.113.0/124"
    10:13: pvd[0].prefixes[0]: "::ffff:203.0.113.0/124" holds IPv4-mapped (::ffff:0:0/96) addresses, which no network assigns; write the prefix that the provider assigned
"203.0.113.0/28" => 203
    10:13: pvd[0].prefixes[0]: this is a whole number; write a prefix in quotes, like "203.0.113.0/28"
"203.0.113.0/28" => "203.0.113.0/28", "203.0.113.0/28"
    10:31: pvd[0].prefixes[1]: 203.0.113.0/28 is in pvd[0].prefixes[0] already (line 10); delete one of the two
["198.51.100.0/28"] => []
    20:12: pvd[1].prefixes: the list is empty; write at least one prefix, like "203.0.113.0/28"
["198.51.100.0/28"] => "198.51.100.0/28"
    20:12: pvd[1].prefixes: this is a string; write a list, like ["203.0.113.0/28"]
prefixes = ["198.51.100.0/28"]\n =>
    18:1: pvd[1].prefixes: is missing; write prefixes = ["203.0.113.0/28"]
"##,
    );
}

/// Covers: M-005 (the prefix decides about the server, so one in two PvDs is worth a word)
#[test]
fn what_two_pvds_share_is_told() {
    let folder = Folder::new();
    let same_id = with(CLIENT, "mobile.example", "FIXED.example");
    assert_eq!(
        folder.told(&same_id),
        [
            "x.toml:19:6: pvd[1].id: \"fixed.example\" is used by pvd[0].id already (line 8); \
          give this one a name of its own"
        ]
    );
    let shared = with(CLIENT, "100.0/28\"]", "100.0/28\", \"203.0.113.0/29\"]");
    let overlap = "warning: pvd[1].prefixes[1]: 203.0.113.0/29 overlaps 203.0.113.0/28 of \
                   pvd[0].prefixes[0] (line 10): the longer one decides, and of the same prefix \
                   both servers are asked; if only one provider assigned it, delete the other; what is your own \
                   belongs in provider_independent";
    assert_eq!(folder.told(&shared), [format!("x.toml:20:32: {overlap}")]);

    let both = with(
        &shared,
        "[\"198.51.100.1\"]",
        "[\"198.51.100.1\", \"203.0.113.1\"]",
    );
    let address =
        "pvd[1].addresses[1]: 203.0.113.1 is a source address of pvd[0].addresses[0] too (line 11)";
    assert_eq!(
        folder.told(&both),
        [
            format!("x.toml:20:32: {overlap}"),
            format!(
                "x.toml:21:30: {address}, so it does not say which network to leave by; \
                 give each PvD an address of its own, or each its own interface"
            )
        ]
    );
    let id = "id = \"mobile.example\"\n";
    let missing = |name| {
        format!(
            "warning: pvd[1].interface: there is no interface {name} on this machine now; \
             check the name (ip link shows them), or bring it up"
        )
    };
    let apart = with(&both, id, &format!("{id}interface = \"lte9\"\n"));
    assert_eq!(
        folder.told(&apart),
        [
            format!("x.toml:20:13: {}", missing("lte9")),
            format!("x.toml:21:32: {overlap}"),
            format!(
                "x.toml:22:30: warning: {address}; only the interfaces tell the networks apart"
            )
        ]
    );
}

/// Covers: M-010 (the interface), Y-009 (the reference identifier)
#[test]
fn every_wrong_value_of_a_pvd_is_told() {
    assert_told(
        CLIENT,
        r##"
"fixed.example" => "fixed"
    8:6: pvd[0].id: "fixed" is not a name: it has one part only, and a fully qualified domain name has more; write it like fixed.example
"fixed.example" => ""
    8:6: pvd[0].id: "" is not a name: it is empty; write it like fixed.example
"fixed.example" => "fixed_net.example"
    8:6: pvd[0].id: "fixed_net.example" is not a name: only a-z, 0-9, hyphens and dots are allowed (other letters as xn--...); write it like fixed.example
"fixed.example" => "fixed..example"
    8:6: pvd[0].id: "fixed..example" is not a name: a part between its dots is empty; write it like fixed.example
"fixed.example" => "-fixed.example"
    8:6: pvd[0].id: "-fixed.example" is not a name: a part between its dots begins or ends with a hyphen; write it like fixed.example
"fixed.example" => "fixed.example."
    8:6: pvd[0].id: "fixed.example." is not a name: it ends with a dot; write it like fixed.example
id = "fixed.example"\n =>
    7:1: pvd[0].id: is missing; write id = "fixed.example"
"lo" => "not-there0"
    9:13: warning: pvd[0].interface: there is no interface not-there0 on this machine now; check the name (ip link shows them), or bring it up
"198.51.100.53" => "198.51.100.53", "198.51.100.53:53"
    22:25: pvd[1].dns[1]: is the same as pvd[1].dns[0] (line 22); delete one of the two
"198.51.100.53" => "dns.example"
    22:8: pvd[1].dns[0]: "dns.example" is not an IP address with a port; write it like 203.0.113.1:53, [2001:db8::1]:53, or without the port for 53
"198.51.100.53" => "2001:db8::53"
    22:8: warning: pvd[1].dns[0]: 2001:db8::53 is an IPv6 address, and addresses of this PvD has none of that family to send from; add one
"lo" => "an-interface-too-long"
    9:13: pvd[0].interface: "an-interface-too-long" is not an interface name: 1 to 15 characters without spaces and slashes; write it like eth0
"lo" => "a/b"
    9:13: pvd[0].interface: "a/b" is not an interface name: 1 to 15 characters without spaces and slashes; write it like eth0
"203.0.113.1" => "198.51.100.1"
    11:14: pvd[0].addresses[0]: 198.51.100.1 is in none of this PvD's prefixes (203.0.113.0/28, 2001:db8:f:100::/56); write an address of this network, or add its prefix
    21:14: pvd[1].addresses[0]: 198.51.100.1 is a source address of pvd[0].addresses[0] too (line 11), so it does not say which network to leave by; give each PvD an address of its own, or each its own interface
"203.0.113.1" => "203.0.113.1/28"
    11:14: pvd[0].addresses[0]: "203.0.113.1/28" is not an IP address; write it like 203.0.113.1 or 2001:db8::1
    14:34: warning: pvd[0].dots[0].addresses[1]: 203.0.113.129 is an IPv4 address, and addresses of this PvD has none of that family to send from; add one
"203.0.113.1" => "::1"
    11:14: pvd[0].addresses[0]: "::1" is a loopback address, which cannot be used here; write a unicast address of the network
    14:34: warning: pvd[0].dots[0].addresses[1]: 203.0.113.129 is an IPv4 address, and addresses of this PvD has none of that family to send from; add one
"203.0.113.1" => "203.0.113.1", "203.0.113.1"
    11:29: pvd[0].addresses[1]: 203.0.113.1 is in pvd[0].addresses[0] already (line 11); delete one of the two
"198.51.100.129" => "2001:db8::1"
    25:14: warning: pvd[1].dots[0].addresses[0]: 2001:db8::1 is an IPv6 address, and addresses of this PvD has none of that family to send from; add one
"198.51.100.129" => "198.51.100.129:0"
    25:14: pvd[1].dots[0].addresses[0]: port 0 cannot be reached; leave the port out for 4646
"198.51.100.129" => "198.51.100.129:65536"
    25:14: pvd[1].dots[0].addresses[0]: "198.51.100.129:65536" is not an IP address with a port; write it like 203.0.113.1:4646, [2001:db8::1]:4646, or without the port for 4646
"198.51.100.129" => "198.51.100.129", "198.51.100.129:4646"
    25:32: pvd[1].dots[0].addresses[1]: 198.51.100.129:4646 is in pvd[1].dots[0].addresses[0] already (line 25); delete one of the two
"198.51.100.129" => "0.0.0.0"
    25:14: pvd[1].dots[0].addresses[0]: "0.0.0.0" is the unspecified address, which cannot be used here; write a unicast address of the network
["udp"] => ["UDP"]
    26:15: pvd[1].dots[0].transports[0]: "UDP" is not known here; write "udp" or "tcp"
["198.51.100.129"] => []
    25:13: pvd[1].dots[0].addresses: the list is empty; write at least one address, like "203.0.113.129"
"dots.mobile.example" => "198.51.100.129"
    24:8: pvd[1].dots[0].name: "198.51.100.129" is not a name: it is an IP address; write it like dots.example.net
"dots.mobile.example" => 5
    24:8: pvd[1].dots[0].name: this is a whole number; write a name in quotes, like "dots.example.net"
name = "dots.mobile.example"\n =>
    23:1: pvd[1].dots[0].name: is missing; write name = "dots.example.net"
[[pvd.dots]]\nname = "dots.mobile.example" => [[pvd.dot]]\nname = "dots.mobile.example"
    18:1: warning: pvd[1]: this PvD has no DOTS server, so its provider cannot be asked; add [[pvd.dots]]
    23:7: pvd[1].dot: is not a key of this table; did you mean dots?
"##,
    );
}

/// Several mistakes, one run.
#[test]
fn everything_is_told_at_once_and_in_order() {
    let folder = Folder::new();
    let text = with(
        &with(CLIENT, "lifetime = 7200", "lifetime = 0"),
        "203.0.113.0/28",
        "203.0.113.1/28",
    );
    let error = load_client(&folder.write(&with(&text, "dots.mobile.example", "dots..example")))
        .unwrap_err();
    let lines: Vec<usize> = invalid(error).iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 10, 24]);
}
