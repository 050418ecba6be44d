//! Discovery (RFC 8973) with real DHCP and name servers, beside the DHCP client of the system.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{MOAT, Neighbour, Outcome, isolated, run, until};

fn folder() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix("discovery-").tempdir()?)
}

/// What `moat pvd discover` says, whatever its exit code.
fn discover(interface: &str, more: &[&str]) -> Outcome<Value> {
    let output = Command::new(MOAT)
        .args(["pvd", "discover", "--json", "--interface", interface])
        .args(more)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let found = report["families"]
        .as_array()
        .is_some_and(|families| families.iter().any(|family| family["how"].is_string()));
    assert_eq!(output.status.success(), found, "{report}");
    Ok(report)
}

fn family<'a>(report: &'a Value, name: &str) -> Outcome<&'a Value> {
    let families = report["families"].as_array().ok_or("no families")?;
    let found = families.iter().find(|family| family["family"] == name);
    Ok(found.ok_or_else(|| format!("no {name} in {report}"))?)
}

/// Kea, with the DOTS options of both families and others that discovery reads.
fn start_kea(provider: &mut Neighbour, folder: &Path) -> Outcome {
    let v6 = json!({ "Dhcp6": {
        "interfaces-config": { "interfaces": ["home"] },
        "server-id": { "type": "LL", "persist": false },
        "lease-database": { "type": "memfile", "persist": false },
        "valid-lifetime": 8, "preferred-lifetime": 6, "renew-timer": 2, "rebind-timer": 4,
        "option-def": [
            { "name": "dots-ri", "code": 141, "type": "fqdn", "space": "dhcp6" },
            { "name": "dots-address", "code": 142, "type": "ipv6-address", "array": true, "space": "dhcp6" },
        ],
        "option-data": [
            { "name": "dots-ri", "data": "dots.fixed.example" },
            { "name": "dots-address", "data": "2001:db8:f::46, ff02::1, fe80::46, ::1" },
            { "name": "information-refresh-time", "data": "7200" },
        ],
        "subnet6": [{
            "subnet": "2001:db8:f::/64", "interface": "home",
            "pools": [{ "pool": "2001:db8:f::100-2001:db8:f::1ff" }],
        }],
    }});
    let v4 = json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": ["home"] },
        "lease-database": { "type": "memfile", "persist": false },
        "valid-lifetime": 8, "renew-timer": 2, "rebind-timer": 4,
        "option-def": [
            { "name": "dots-ri", "code": 147, "type": "fqdn", "space": "dhcp4" },
            { "name": "dots-address", "code": 148, "type": "ipv4-address", "array": true, "space": "dhcp4" },
        ],
        "option-data": [
            { "name": "dots-ri", "data": "dots.fixed.example" },
            { "name": "dots-address", "data": "203.0.113.46, 127.0.0.1, 203.0.113.47" },
        ],
        "subnet4": [{
            "subnet": "203.0.113.0/24", "interface": "home",
            "pools": [{ "pool": "203.0.113.100-203.0.113.199" }],
        }],
    }});
    for (program, config) in [("kea-dhcp6", v6), ("kea-dhcp4", v4)] {
        let file = folder.join(program);
        fs::write(&file, config.to_string())?;
        let folder = folder.display();
        let variables = format!("KEA_PIDFILE_DIR={folder} KEA_LOCKFILE_DIR={folder}");
        provider.start(&format!("{variables} {program} -c {}", file.display()))?;
    }
    Ok(())
}

/// The system's DHCP client, which takes leases and keeps renewing them.
struct SystemClient {
    child: Child,
    renewals: std::path::PathBuf,
}

impl SystemClient {
    fn start(version: &str, interface: &str, folder: &Path) -> Outcome<Self> {
        let renewals = folder.join(format!("renewals{version}"));
        fs::write(&renewals, "")?;
        // The usual script would write the machine's /etc/resolv.conf.
        let script = folder.join(format!("script{version}"));
        let text = format!(
            "#!/bin/sh
case $reason in
BOUND) ip address replace $new_ip_address/24 dev $interface;;
BOUND6) ip address replace $new_ip6_address/64 dev $interface;;
RENEW*) echo $reason >>{};;
esac
",
            renewals.display()
        );
        fs::write(&script, text)?;
        run("chmod", &["+x", &script.display().to_string()])?;
        let own = |name: &str| {
            folder
                .join(format!("{name}{version}"))
                .display()
                .to_string()
        };
        let (leases, process) = (own("leases"), own("pid"));
        let child = Command::new("dhclient")
            .args([version, "-d", "-q", "-cf", "/dev/null"])
            .args(["-lf", &leases, "-pf", &process, "-sf"])
            .arg(&script)
            .arg(interface)
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join(format!("dhclient{version}")))?)
            .spawn()?;
        Ok(Self { child, renewals })
    }

    fn has_ended(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn renewals(&self) -> Outcome<usize> {
        Ok(fs::read_to_string(&self.renewals)?.lines().count())
    }
}

impl Drop for SystemClient {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn has_address(interface: &str, address: &str) -> Outcome<bool> {
    Ok(run("ip", &["address", "show", "dev", interface])?.contains(address))
}

/// Covers: Y-001, Y-002, Y-003, Y-004, Y-005, Y-006, Y-007, Y-008
#[test]
fn dhcp_options_are_asked_for_beside_the_dhcp_client_of_the_system() -> Outcome {
    isolated(&["kea-dhcp4", "kea-dhcp6", "dhclient", "ss"], || {
        let folder = folder()?;
        let folder = folder.path();
        let mut provider = Neighbour::behind("fixed0", &folder.join("provider"))?;
        provider.run("ip address add 2001:db8:f::1/64 dev home")?;
        provider.run("ip address add 203.0.113.1/24 dev home")?;
        start_kea(&mut provider, folder)?;
        // Whom nobody answers the first time, that client is in no hurry to ask again.
        until("both servers listen", || {
            let asked = "ss -Hlun sport = :67 | grep -q . && ss -Hlun sport = :547 | grep -q .";
            Ok(provider.run(asked).is_ok())
        })?;
        let v4 = SystemClient::start("-4", "fixed0", folder)?;
        let mut v6 = SystemClient::start("-6", "fixed0", folder)?;
        until("the system's client has its leases", || {
            // It gives up at once where the link is not ready.
            if v6.has_ended()? {
                v6 = SystemClient::start("-6", "fixed0", folder)?;
            }
            Ok(has_address("fixed0", "203.0.113.1")? && has_address("fixed0", "2001:db8:f::1")?)
        })?;

        let report = discover("fixed0", &[])?;
        let found = family(&report, "ipv6")?;
        assert_eq!(found["how"], "DHCPv6", "{report}");
        let expires_in = found["expires_in"].as_u64();
        assert!(
            expires_in.is_some_and(|left| (7190..=7200).contains(&left)),
            "{report}"
        );
        let index = fs::read_to_string("/proc/net/dev_snmp6/fixed0")?;
        let index = index
            .lines()
            .next()
            .and_then(|line| line.split_whitespace().nth(1));
        let scope = index.ok_or("no index")?;
        let server = json!([{ "name": "dots.fixed.example", "endpoints": [
            "udp [2001:db8:f::46]:4646", "tcp [2001:db8:f::46]:4646",
            format!("udp [fe80::46%{scope}]:4646"), format!("tcp [fe80::46%{scope}]:4646"),
        ]}]);
        assert_eq!(found["servers"], server);
        let found = family(&report, "ipv4")?;
        assert_eq!(found["how"], "DHCPv4", "{report}");
        let server = json!([{ "name": "dots.fixed.example", "endpoints": [
            "udp 203.0.113.46:4646", "tcp 203.0.113.46:4646",
            "udp 203.0.113.47:4646", "tcp 203.0.113.47:4646",
        ]}]);
        assert_eq!(found["servers"], server);

        // The system's client goes on renewing, however often it is asked beside it.
        let before = (v4.renewals()?, v6.renewals()?);
        until("both leases are renewed while discovery goes on", || {
            discover("fixed0", &[])?;
            Ok(v4.renewals()? > before.0 && v6.renewals()? > before.1)
        })?;

        // Who is not on the list is not believed.
        let report = discover("fixed0", &["--trusted", "dots.other.example"])?;
        let found = family(&report, "ipv6")?;
        assert_eq!(found["how"], Value::Null);
        assert_eq!(found["refused"], json!(["dots.fixed.example"]));
        Ok(())
    })
}

/// A provider's name server at 2001:db8:53::53, for the domain that every provider here calls its own.
fn start_bind(provider: &mut Neighbour, folder: &Path, records: &str) -> Outcome {
    fs::create_dir(folder)?;
    let zone = format!(
        "$TTL 120
@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
{records}"
    );
    fs::write(folder.join("zone"), zone)?;
    let configuration = format!(
        r#"options {{
    directory "{}"; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ none; }}; listen-on-v6 {{ 2001:db8:53::53; }};
    recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
zone "isp.example" {{ type primary; file "zone"; }};
"#,
        folder.display()
    );
    let file = folder.join("named.conf");
    fs::write(&file, configuration)?;
    provider.start(&format!("named -g -c {}", file.display()))
}

/// A DHCPv6 server that gives a resolver and a domain, and names no DOTS agent.
fn start_dnsmasq(provider: &mut Neighbour, folder: &Path, prefix: &str) -> Outcome {
    provider.start(&format!(
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group= --port=0 --interface=home --bind-interfaces --pid-file \
         --dhcp-leasefile={}/leases --dhcp-range={prefix}::,static --dhcp-option=option6:dns-server,[2001:db8:53::53] \
         --dhcp-option=option6:domain-search,isp.example",
        folder.display()
    ))
}

/// Both networks have a domain, a resolver and a host of the same names and addresses, and other servers behind them.
/// Covers: Y-001, Y-002, Y-010, Y-011, Y-013, Y-015, Y-017
#[test]
fn each_network_is_asked_over_its_own_interface_and_answers_for_itself() -> Outcome {
    isolated(&["named", "dnsmasq"], || {
        let folder = folder()?;
        let folder = folder.path();
        let fixed = r#"@ IN NAPTR 20 10 "" DOTS:signal.tcp "" signal
@ IN NAPTR 10 10 "" DOTS:signal.udp "" signal
signal IN NAPTR 10 10 "s" DOTS:signal.udp "" _dots-signal._udp
signal IN NAPTR 20 10 "s" DOTS:signal.tcp "" _dots-signal._tcp
_dots-signal._udp IN SRV 0 0 5000 dots
_dots-signal._tcp IN SRV 0 0 5001 dots
dots IN AAAA 2001:db8:f::46
"#;
        let mobile = r#"_dots-signal._udp IN PTR one\.and\032only._dots-signal._udp
one\.and\032only._dots-signal._udp IN SRV 0 0 4646 dots
one\.and\032only._dots-signal._udp IN TXT ""
dots IN AAAA 2001:db8:e::46
"#;
        let mut providers = Vec::new();
        for (interface, prefix, metric, zone) in [
            ("fixed0", "2001:db8:f", "10", fixed),
            ("mobile0", "2001:db8:e", "20", mobile),
        ] {
            let mut provider = Neighbour::behind(interface, &folder.join(interface))?;
            provider.run(&format!("ip address add {prefix}::1/64 dev home"))?;
            provider.run("ip address add 2001:db8:53::53/128 dev home")?;
            let own = format!("{prefix}::7/64");
            run("ip", &["address", "add", &own, "dev", interface])?;
            let route = ["2001:db8:53::53", "dev", interface, "metric", metric];
            run("ip", &[&["-6", "route", "add"], &route[..]].concat())?;
            let folder = folder.join(format!("{interface}.dns"));
            start_bind(&mut provider, &folder, zone)?;
            start_dnsmasq(&mut provider, &folder, prefix)?;
            providers.push(provider);
        }
        let agents = |interface: &str| -> Outcome<Value> {
            let report = discover(interface, &[])?;
            let found = family(&report, "ipv6")?;
            Ok(json!([found["how"], found["servers"]]))
        };
        let expected = json!(["S-NAPTR", [{ "name": "isp.example", "endpoints": [
            "udp [2001:db8:f::46]:5000", "tcp [2001:db8:f::46]:5001",
        ]}]]);
        until("the fixed network is ready", || {
            Ok(agents("fixed0")? == expected)
        })?;
        let expected = json!(["DNS-SD", [{ "name": "dots.isp.example", "endpoints": [
            "udp [2001:db8:e::46]:4646",
        ]}]]);
        until("the mobile network is ready", || {
            Ok(agents("mobile0")? == expected)
        })?;

        // Without its own network, nobody asks the other one.
        run("ip", &["link", "set", "mobile0", "down"])?;
        let failure = Command::new(MOAT)
            .args(["pvd", "discover", "--interface", "mobile0"])
            .output()?;
        assert_eq!(failure.status.code(), Some(1));
        Ok(())
    })
}
