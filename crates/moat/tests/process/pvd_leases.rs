//! `moat pvd watch`, and what a DHCP server says beside routers.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Daemon, MOAT, Neighbour, Outcome, isolated, run, until};

const ADVERTISED: &str = r#"state = "state.json"
[[pvd]]
id = "fixed.example"
interface = "home"
router_lifetime = 1800
other = true
dhcpv4 = true
dns = ["2001:db8:f::54"]
[[pvd.prefix]]
prefix = "2001:db8:f::/64"
"#;

fn list(socket: &str) -> Outcome<Vec<Value>> {
    let output = Command::new(MOAT)
        .args(["pvd", "list", "--json", "--control", socket])
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Resolvers and search domains.
fn names(view: &Value) -> Vec<&str> {
    let all = ["resolvers", "search"].map(|what| view[what].as_array());
    let all = all.into_iter().flatten().flatten();
    all.filter_map(|one| one["name"].as_str()).collect()
}

/// Covers: P-007, P-011, P-012, P-014. dnsmasq has both DHCPs; first nobody advertises, then a router whose PvD has what they bring.
#[test]
fn what_dhcp_brings_is_of_the_pvd_that_claims_it_and_else_of_the_interface() -> Outcome {
    isolated(&["dnsmasq", "ss"], || {
        let folder = tempfile::Builder::new().prefix("leases-").tempdir()?;
        let path = folder.path();
        let mut router = Neighbour::behind("lan0", &path.join("log"))?;
        router.run("ip address add 192.0.2.1/24 dev home")?;
        router.run("ip address add 2001:db8:f::1/64 dev home nodad")?;
        router.start(&format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group= --port=0 --interface=home --bind-interfaces \
             --pid-file={0}/dnsmasq --dhcp-leasefile={0}/leases --dhcp-range=192.0.2.0,static --dhcp-range=2001:db8:f::,static \
             --dhcp-option=option:dns-server,192.0.2.53 --dhcp-option=option:domain-name,v4.example \
             --dhcp-option=option:domain-search,fixed.example,lab.fixed.example \
             --dhcp-option=option6:dns-server,[2001:db8:f::53] --dhcp-option=option6:domain-search,fixed.example",
            path.display()
        ))?;
        until("both servers listen", || {
            let asked = "ss -Hlun sport = :67 | grep -q . && ss -Hlun sport = :547 | grep -q .";
            Ok(router.run(asked).is_ok())
        })?;
        run("ip", &["address", "add", "192.0.2.7/24", "dev", "lan0"])?;
        let socket = path.join("pvd.sock").display().to_string();
        let mut daemon = Daemon::watch("lan0=wired", &socket, &["--fetch", "none"])?;
        daemon.wait_for("attached")?;

        // Nobody advertises: IPv4 is a PvD by itself.
        let legacy = ["192.0.2.53", "fixed.example", "lab.fixed.example"];
        until("DHCPv4 has answered", || {
            Ok(list(&socket)?
                .first()
                .is_some_and(|view| names(view) == legacy))
        })?;
        let views = list(&socket)?;
        assert_eq!(views.len(), 1);
        assert_eq!(
            (&views[0]["pvd"], &views[0]["router"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(views[0]["addresses"][0]["address"], "192.0.2.7");
        let shown = Command::new(MOAT)
            .args(["pvd", "show", "0.0.0.0/0", "--control", &socket])
            .output()?;
        assert!(String::from_utf8(shown.stdout)?.contains("(implicit) 0.0.0.0/0"));

        // A router has a PvD that claims all of it.
        let config = path.join("advertise.toml");
        fs::write(&config, ADVERTISED)?;
        router.start(&format!(
            "{MOAT} pvd advertise --config {}",
            config.display()
        ))?;
        let all = [
            "2001:db8:f::53",
            "2001:db8:f::54",
            "192.0.2.53",
            "fixed.example",
            "lab.fixed.example",
        ];
        until("DHCPv6 has answered, and all of it is of the PvD", || {
            let views = list(&socket)?;
            Ok(matches!(&views[..], [view] if view["pvd"] == "fixed.example" && names(view) == all))
        })?;

        // Without the address nothing of it is left.
        run("ip", &["address", "del", "192.0.2.7/24", "dev", "lan0"])?;
        let rest = ["2001:db8:f::53", "2001:db8:f::54", "fixed.example"];
        until("what came with it has gone", || {
            Ok(list(&socket)?
                .first()
                .is_some_and(|view| names(view) == rest))
        })
    })
}
